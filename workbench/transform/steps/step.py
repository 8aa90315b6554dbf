"""The contract of a built-in step, and what the steps share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol

from workbench.errors import StatementError

Scalar = float | str | None
Value = Scalar | tuple[Scalar, ...]
State = Mapping[str, Value]
"""Statistics by name: a number, a text, a list of them, or None where there was nothing to fit on."""


class Step(Protocol):
    """A function whose call becomes a plain SQL expression once its statistics are known.

    Attributes
    ----------
    name : str
        The function's name in SQL, in lower case.
    signature : str
        How it is called, for messages and help.
    data : int
        How many leading arguments are columns; the others are options, constants in the text.
    """

    @property
    def name(self) -> str:
        """The function's name in SQL."""
        ...

    @property
    def signature(self) -> str:
        """How it is called."""
        ...

    @property
    def data(self) -> int:
        """How many leading arguments are columns."""
        ...

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless the step can be called with `arguments` (SQL texts)."""
        ...

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the statistics to fit: name → SQL aggregate over the columns in `arguments`.

        Empty for a step that needs none, or not with these options.
        """
        ...

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the SQL expression that computes the step on `arguments`."""
        ...

    def describe(self, state: State) -> str:
        """Say in a few words what was fitted; empty where nothing was."""
        ...


def check_count(step: Step, arguments: Sequence[str], least: int, most: int | None = None) -> None:
    """Raise StatementError unless there are `least` to `most` (default: `least`) arguments."""
    most = least if most is None else most
    if least <= len(arguments) <= most and all(arguments):
        return
    wanted = str(least) if least == most else f"{least} to {most}"
    noun = "argument" if wanted == "1" else "arguments"
    raise StatementError(
        f"{step.name} takes {wanted} {noun}, not {len([each for each in arguments if each])}.",
        hint=f"Call it as {step.signature}.",
        expected=(step.signature,),
    )


def option(step: Step, argument: str, allowed: Sequence[str]) -> str:
    """Read an option, a quoted word out of `allowed`, in any case."""
    found = re.fullmatch(r"'([^']*)'", argument.strip())
    word = found.group(1).strip().lower() if found else argument.strip()
    if found and word in allowed:
        return word
    words = ", ".join(f"'{each}'" for each in allowed)
    if not found:
        hint = f"Write one of {words}, in single quotes."
    else:
        near = get_close_matches(word, allowed, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"It can be {words}."
    raise StatementError(f"{step.name} has no option {argument.strip()}.", hint=hint, expected=tuple(allowed))


def positive(step: Step, argument: str, noun: str) -> int:
    """Read an option that is a whole number above zero."""
    if not re.fullmatch(r"[0-9]+", argument.strip()) or int(argument) == 0:
        raise StatementError(
            f"The {noun} of {step.name} must be a whole number above zero, not {argument.strip()}.",
            hint=f"Call it as {step.signature}.",
        )
    return int(argument)


def number(value: float) -> str:
    """Write a float as an SQL constant of type DOUBLE that reads back as the same float.

    A plain `0.1` would be a DECIMAL.

    Examples
    --------
    >>> number(0.1), number(-1e-300), number(float("inf"))
    ('0.1e0', '(-1e-300)', "CAST('inf' AS DOUBLE)")
    """
    if not math.isfinite(value):
        return f"CAST('{value}' AS DOUBLE)"
    text = repr(float(value))
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if text.startswith("-") else text


def is_nan(column: str) -> str:
    """Return SQL that is true for NaN, on a column of any type; DuckDB folds it away on others."""
    return f"(typeof({column}) IN ('DOUBLE', 'FLOAT') AND isnan(TRY_CAST({column} AS DOUBLE)))"


def finite(aggregate: str, column: str) -> str:
    """Return SQL that computes `aggregate` over the values that are neither NULL, NaN nor infinite."""
    return f"{aggregate}(CAST({column} AS DOUBLE)) FILTER (WHERE isfinite(CAST({column} AS DOUBLE)))"


def short(value: Value) -> str:
    """Write a statistic for a reader.

    Examples
    --------
    >>> short(1234.56789), short(("a", "b")), short(None)
    ('1234.57', 'a, b', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, tuple):
        shown = ", ".join(short(each) for each in value[:8])
        return f"{shown}, …" if len(value) > 8 else shown
    return f"{value:g}" if isinstance(value, float) else str(value)
