"""The values a statement is made of besides plain ones: ranges, variables, flags and the Python call."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WIDTH = 100
"""Statements and calls longer than this are written on several lines."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A Python variable named in a statement, as in `load trips FROM $frame`."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class Flags:
    """What concerns only this cell, and is never stored.

    Attributes
    ----------
    as_ : str or None
        `--as VAR`: the Python variable to bind the result to.
    plan : bool
        `--plan`: say what would happen, do nothing.
    limit : int or None
        `--limit N`: how many rows to show.
    quiet, help, debug : bool
        `--quiet`, `--help`, `--debug`: show nothing, the help, or the full traceback of an error.

    Examples
    --------
    >>> str(Flags(as_="late", plan=True))
    '--as late --plan'
    """

    as_: str | None = None
    plan: bool = False
    limit: int | None = None
    quiet: bool = False
    help: bool = False
    debug: bool = False

    def __str__(self) -> str:
        words = [] if self.as_ is None else [f"--as {self.as_}"]
        words += ["--plan"] if self.plan else []
        words += [] if self.limit is None else [f"--limit {self.limit}"]
        words += [f"--{name}" for name in ("quiet", "help", "debug") if getattr(self, name)]
        return " ".join(words)


NO_FLAGS = Flags()

FLAGS: Mapping[str, tuple[str, str]] = {
    "as": ("VAR", "Bind the result to a Python variable."),
    "plan": ("", "Say what would happen: mode, rows, dependents. Do nothing."),
    "limit": ("N", "Show at most N rows."),
    "quiet": ("", "Show nothing but errors."),
    "help": ("", "Show what the verb does and its clauses."),
    "debug": ("", "Show the full traceback of an error."),
}
"""Each flag: its argument ('' for none) and what it does."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a Store method: what a statement means in Python.

    Attributes
    ----------
    method : str
    arguments : dict
        By name, without those that have their default value.
    positional : tuple of str
        The arguments that are written without their name.

    Examples
    --------
    >>> Call("refresh", {"name": "late", "full": True}, ("name",)).to_python()
    'store.refresh("late", full=True)'
    """

    method: str
    arguments: dict[str, Any] = field(default_factory=dict)
    positional: tuple[str, ...] = ()

    def to_python(self) -> str:
        """Write the call as Python source, one argument per line where it is long."""
        parts = [
            python(value) if name in self.positional else f"{name}={python(value)}"
            for name, value in self.arguments.items()
        ]
        line = f"store.{self.method}({', '.join(parts)})"
        if len(line) <= WIDTH and "\n" not in line:
            return line
        return f"store.{self.method}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


# Inside triple quotes nothing is escaped, so only text that means itself may stand there.
_VERBATIM = re.compile(r'(?:(?!""")[^\\\x00-\x08\x0b-\x1f\x7f\ud800-\udfff])*(?<!")\Z')


def python(value: object) -> str:
    """Write a value as Python source, with double quotes and no more escapes than needed.

    Examples
    --------
    >>> python(("a", 1, None))
    '("a", 1, None)'
    """
    if isinstance(value, str):
        return _python_text(value)
    if isinstance(value, tuple):
        inner = ", ".join(python(each) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(python(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{python(k)}: {python(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Variable):
        return value.name
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _python_text(value: str) -> str:
    if "\n" in value and not value.startswith('"') and _VERBATIM.match(value):
        return f'"""{value}"""'
    # Python reads every escape that JSON writes; only lone surrogates JSON leaves as they are.
    broken = any("\ud800" <= each <= "\udfff" for each in value)
    return repr(value) if broken else json.dumps(value, ensure_ascii=False)
