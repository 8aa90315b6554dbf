"""The kinds of value that a clause takes: how each is shown in a synopsis and written as text.

Reading is the grammar's business (`grammar.py`): each kind names the rule that reads it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from workbench.errors import StatementError
from workbench.language.values import Variable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SQL_WORDS = _words(
    """abort alter analyze attach begin call checkpoint comment commit copy create deallocate delete desc
    describe detach drop end execute explain export force from import insert install load merge pivot
    pivot_longer pivot_wider pragma prepare reset rollback select set show start summarize table truncate
    unpivot update use vacuum values with"""
)
"""The words a DuckDB statement can start with."""

QUERY_WORDS = _words("select with from values table pivot unpivot describe summarize show")
"""The words a DuckDB query, which gives rows, can start with."""

# Words that mean something else than a name in a place where a name can stand.
_RESERVED = SQL_WORDS | {"all", "as", "auto", "database", "error"}

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_PART = r'(?:"(?:[^"]|"")+"|[^."@]+)'
_NAME = re.compile(rf"({_PART}(?:\.{_PART})*)(@\w+)?")
_PLAIN_REF = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?:@\w+)?")
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read (`rule` of the grammar), shown, written, and what completion offers for it.

    `always` marks a kind that is written even where it has its default value.
    """

    rule: str
    shown: str
    write: Callable[..., str]
    wants: str = ""
    always: bool = False


def identifier(name: str) -> str:
    """Write one name, quoted where it must be.

    Examples
    --------
    >>> identifier("dest"), identifier("tail number"), identifier("as")
    ('dest', '"tail number"', '"as"')
    """
    if _IDENTIFIER.fullmatch(name) and name.lower() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def dotted(name: str) -> str:
    """Write a name that may have a schema and a version: `features.late@3`."""
    match = _NAME.fullmatch(name)
    if match is None:
        return identifier(name)
    parts = re.findall(_PART, match[1])
    # A part that holds a dot, an at sign or a quote comes with its quotes (see `plain_part`).
    return ".".join(each if each[0] == '"' else identifier(each) for each in parts) + (match[2] or "")


def plain_part(name: str) -> str:
    """Return one part of a dotted name as it stands in Python: quoted only where it must be."""
    return '"' + name.replace('"', '""') + '"' if re.search(r'[."@]', name) else name


def text(value: object) -> str:
    """Write a quoted text."""
    return "'" + str(value).replace("'", "''") + "'"


def literal(value: object) -> str:
    """Write a value: a number, a text, true, false, null, a list, a map or a range."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return settings(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    if all(hasattr(value, name) for name in ("low", "high", "log")):
        low, high, log = (getattr(value, name) for name in ("low", "high", "log"))
        return f"{_number(low)}..{_number(high)}{' log' if log else ''}"
    return text(value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise StatementError(f"{value} cannot be written in a statement.", hint="Use the Python call.")
    return repr(value)


def settings(value: Mapping[str, object]) -> str:
    """Write a map: `{nullstr: 'NA'}`."""
    keys = (key if _IDENTIFIER.fullmatch(key) else text(key) for key in value)
    return "{" + ", ".join(f"{k}: {literal(v)}" for k, v in zip(keys, value.values(), strict=True)) + "}"


def columns(value: str | Sequence[str]) -> str:
    """Write columns in parentheses."""
    names = [value] if isinstance(value, str) else value
    return "(" + ", ".join(identifier(each) for each in names) + ")"


def share(value: float) -> str:
    """Write a share as a percentage where that reads back as the same number."""
    if isinstance(value, int):
        return repr(value)
    percent = format((Decimal(repr(value)) * 100).normalize(), "f") if 1e-6 < abs(value) < 1e6 else ""
    return f"{percent}%" if percent and float(Decimal(percent) / 100) == value else _number(value)


def is_query(value: str) -> bool:
    """Tell a query from the name of a table.

    Examples
    --------
    >>> is_query("select 1"), is_query("/* all */ FROM trips"), is_query("trips"), is_query("table")
    (True, True, False, False)
    """
    stripped = re.sub(r"\A(?:\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", value, flags=re.DOTALL)
    first = _WORD.match(stripped)
    return first is not None and first[0].lower() in QUERY_WORDS and first[0] != value


def _key(value: str | Sequence[str]) -> str:
    return "auto" if value == "auto" else columns(value)


def _values(value: object) -> str:
    if isinstance(value, list | tuple):
        return "(" + ", ".join(literal(each) for each in value) + ")"
    return literal(value)


def _source(value: object) -> str:
    if isinstance(value, Variable):
        return str(value)
    if isinstance(value, str):
        return text(value)
    raise StatementError(
        f"A {type(value).__name__} cannot be written in a statement.",
        hint="Give it a name and write FROM $name, or use the Python call.",
    )


def _word(value: str) -> str:
    return value if _WORD.fullmatch(value) and value == value.lower() != "as" else text(value)


def _model(value: str) -> str:
    return value if _PLAIN_REF.fullmatch(value) and value.lower() != "as" else text(value)


def _gate(value: str) -> str:
    return value if value in ("always", "never") else f"WHEN {value}"


def _relation(value: str) -> str:
    if not is_query(value):
        return dotted(value)
    # A comment at the end would swallow the parenthesis.
    end = "\n" if "--" in value.rpartition("\n")[2] else ""
    return f"({value}{end})"


def _inputs(table: str, inputs: Sequence[str] | None) -> str:
    return dotted(table) + ("" if inputs is None else columns(inputs))


def _versions(name: str, first: object, second: object) -> str:
    quoted = dotted(name)
    return quoted + _snapshot(first) + ("" if second is None else f" {quoted}{_snapshot(second)}")


def _snapshot(version: object) -> str:
    """Write a snapshot, a version, an alias or a time behind an at sign."""
    plain = str(version)
    return f"@{plain}" if re.fullmatch(r"\w+", plain) else f"@{text(plain)}"


def _place(name: str, column: str | None) -> str:
    return dotted(name) + ("" if column is None else f".{identifier(column)}")


KINDS: Mapping[str, Kind] = {
    "name": Kind("name", "NAME", dotted),
    "ref": Kind("ref", "NAME", dotted),
    "versioned": Kind("versioned", "NAME@version", dotted, "model"),
    "name or all": Kind("name_or_all", "NAME|all", lambda v: "all" if v is None else dotted(v), always=True),
    "column": Kind("identifier", "col", identifier, "column"),
    "columns": Kind("columns", "(cols)", columns, "column"),
    "key": Kind("key", "(cols)|auto", _key, "column"),
    "values": Kind("values", "value|(values)", _values),
    "text": Kind("string", "'text'", text),
    "source": Kind("source", "'path|url|glob'|$variable", _source),
    "word": Kind("word", "word", _word),
    "choice": Kind("", "", str),
    "trigger": Kind("trigger", "trigger", str, "trigger"),
    "gate": Kind("gate", "always|never|WHEN condition", _gate),
    "model": Kind("model", "model", _model, "model"),
    "count": Kind("count", "n", str),
    "trials": Kind("trials", "n TRIALS", lambda n: f"{n} TRIALS"),
    "share": Kind("share", "20%", share),
    "settings": Kind("settings", "{k: v}", settings),
    "space": Kind("space", "{k: v, k: lo..hi}", settings),
    "split": Kind(
        "split", "hash(cols)|group(cols)|stratified(cols)|time(col)|random|column(col)", str, "split"
    ),
    "relation": Kind("relation", "TABLE|NAME@version|(select…)", _relation, "table"),
    "inputs": Kind("inputs", "TABLE[(inputs)]", _inputs, "table"),
    "snapshot": Kind("snapshot", "@n", _snapshot),
    "versions": Kind("versions", "NAME@a [NAME@b]", _versions, "table"),
    "place": Kind("place", "NAME[.col]", _place),
    "flag": Kind("", "", lambda value: ""),
    "body": Kind("", "", str),
}
