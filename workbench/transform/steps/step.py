"""The contract of a built-in step, and what the steps share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import ClassVar

from workbench.errors import StatementError
from workbench.names import literal

Scalar = float | str | None
Value = Scalar | tuple[Scalar, ...]
State = Mapping[str, Value]
"""Statistics by name: a number, a text, a list of them, or None where there was nothing to fit on."""


class Step:
    """A function whose call becomes a plain SQL expression once its statistics are known.

    A step that needs nothing but an expression overrides `apply` alone. What is fitted is either
    an aggregate over the rows (`statistics`), a query over them (`ranking`), or what a library
    makes of a column (`learn`): aggregates of all calls share one pass, each ranking and each
    column to learn from is a pass that reads its own columns only.

    Attributes
    ----------
    name : str
        The function's name in SQL, in lower case.
    signature : str
        How it is called, for messages and help.
    data : int
        How many leading arguments are columns; the others are options, constants in the text.
    least, most : int
        How many arguments it takes.
    target : int or None
        Which argument is the target of a training; it is NULL for rows that are to be predicted.
    """

    name: ClassVar[str]
    signature: ClassVar[str]
    data: ClassVar[int] = 1
    least: ClassVar[int] = 1
    most: ClassVar[int] = 1
    target: ClassVar[int | None] = None

    def fits(self, arguments: tuple[str, ...]) -> bool:
        """Tell whether there is anything to fit with these arguments."""
        rows = self.statistics(arguments) or self.ranking(arguments) or self.learns(arguments)
        return bool(rows) or self.is_fixed(arguments)

    def is_fixed(self, arguments: tuple[str, ...]) -> bool:
        """Tell whether `knows` has something to remember."""
        return type(self).knows is not Step.knows

    def knows(self, arguments: tuple[str, ...]) -> dict[str, Value]:
        """Return what is to be remembered though it is no statistic of rows, such as a model's version."""
        return {}

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless the step can be called with `arguments` (SQL texts)."""
        check_count(self, arguments, self.least, self.most)

    def complete(self, arguments: tuple[str, ...], key: Sequence[str]) -> tuple[str, ...]:
        """Return the arguments with those left out that depend on the `key` of the whole query."""
        return arguments

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the statistics to fit: name → SQL aggregate over the columns in `arguments`.

        Empty for a step that needs none, or not with these options.
        """
        return {}

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return a query of one row over the relation `{rows}`, whose columns are statistics.

        Empty for a step that needs none.
        """
        return ""

    def learns(self, arguments: tuple[str, ...]) -> str:
        """Return a query of one column over the relation `{rows}`, for a step whose library learns.

        Empty for a step that needs none.
        """
        return ""

    def learn(self, arguments: tuple[str, ...], values: Iterable[str]) -> dict[str, Value]:
        """Learn statistics from the values that `learns` gives."""
        raise NotImplementedError

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the SQL expression that computes the step on `arguments`."""
        raise NotImplementedError

    def describe(self, state: State) -> str:
        """Say in a few words what was fitted; empty where nothing was."""
        return ""


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


def real(step: Step, argument: str, noun: str) -> float:
    """Read an option that is a number."""
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StatementError(
            f"The {noun} of {step.name} must be a number, not {argument.strip()}.",
            hint=f"Call it as {step.signature}.",
        )
    return value


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


def double(column: str) -> str:
    """Return SQL for a column as DOUBLE."""
    return f"CAST({column} AS DOUBLE)"


def is_nan(column: str) -> str:
    """Return SQL that is true for NaN, on a column of any type; DuckDB folds it away on others."""
    return f"(typeof({column}) IN ('DOUBLE', 'FLOAT') AND isnan(TRY_CAST({column} AS DOUBLE)))"


def finite(aggregate: str, column: str) -> str:
    """Return SQL that computes `aggregate` over the values that are neither NULL, NaN nor infinite."""
    return f"{aggregate}({double(column)}) FILTER (WHERE isfinite({double(column)}))"


def nothing(column: str) -> str:
    """Return SQL for a NULL of type DOUBLE that names the column, so that an aggregate stays one."""
    return f"({double(column)} - CAST(NULL AS DOUBLE))"


def numbers(value: Value) -> tuple[float, ...]:
    """Return a statistic that is a list of numbers; nothing where there was nothing to fit on."""
    each = value if isinstance(value, tuple) else ()
    return tuple(one for one in each if isinstance(one, float))


def texts(value: Value) -> tuple[str, ...]:
    """Return a statistic that is a list of texts; nothing where there was nothing to fit on."""
    each = value if isinstance(value, tuple) else ()
    return tuple(str(one) for one in each if one is not None)


def place_of(column: str, categories: Sequence[str]) -> str:
    """Return SQL for the place of a value, counted from 0, among texts; NULL where it is none of them.

    A cast to ENUM looks the value up in a hash table, where CASE and list_position would compare it
    with one after the other.
    """
    listed = ", ".join(literal(each) for each in categories)
    return f"CAST(enum_code(TRY_CAST(CAST({column} AS VARCHAR) AS ENUM ({listed}))) AS INTEGER)"


def looked_up(place: str, values: Sequence[float]) -> str:
    """Return SQL for the number at a place counted from 0; NULL where the place is."""
    return f"([{', '.join(number(each) for each in values)}])[{place} + 1]"


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
