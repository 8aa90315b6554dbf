"""The noun Distribution: how the values of a column are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.engines.duckdb import Cursor, execute
from workbench.names import quote

BINS = 20
_FEW = 1_000
_TOP = 6

Kind = Literal["number", "time", "text", "other"]

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the values of one column are distributed.

    Attributes
    ----------
    column : str
    kind : {"number", "time", "text", "other"}
    rows, nulls : int
    distinct : int
        An estimate; of many values it may be a third off.
    low, high : str or None
        The least and the greatest value.
    bins : tuple of int
        For numbers and times: how many values are in each of equal parts between `low` and `high`.
    top : tuple of (str, int)
        For the others, unless they have many values: the commonest, and how often each is there.
    """

    column: str
    kind: Kind
    rows: int
    nulls: int
    distinct: int
    low: str | None = None
    high: str | None = None
    bins: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the first pass says of a column; `low` and `high` as numbers where it has bins."""

    rows: int
    values: int
    distinct: int
    low: float | None
    high: float | None
    least: str | None
    most: str | None


def kind_of(type_: str) -> Kind:
    """Say how the values of a DuckDB type are drawn.

    Examples
    --------
    >>> [kind_of(each) for each in ("UBIGINT", "TIMESTAMP WITH TIME ZONE", "BOOLEAN", "FLOAT[]")]
    ['number', 'time', 'text', 'other']
    """
    if type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "BLOB")):
        return "other"
    if type_.removeprefix("U").startswith(_NUMBERS):
        return "number"
    return "time" if type_.startswith(_TIMES) else "text"


def distributions(cursor: Cursor, relation: str, columns: Mapping[str, str]) -> list[Distribution]:
    """Describe the columns of a relation in two passes: the ranges, then what lies where in them."""
    if not columns:
        return []
    kinds = {name: kind_of(type_) for name, type_ in columns.items()}
    asked = ", ".join(_ask(name, kind) for name, kind in kinds.items())
    row = execute(cursor, f"SELECT count(*), {asked} FROM {relation}").fetchone()
    assert row is not None
    seen = {
        name: _Seen(int(row[0]), *row[1 + 6 * place : 7 + 6 * place]) for place, name in enumerate(columns)
    }
    counts = _counts(cursor, relation, kinds, columns, seen)
    return [_profile(name, kinds[name], seen[name], counts.get(name)) for name in columns]


def _number(name: str, kind: Kind) -> str:
    """Return the SQL of a value as a number; of what is not finite, NULL."""
    value = f"epoch({quote(name)})" if kind == "time" else f"CAST({quote(name)} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _ask(name: str, kind: Kind) -> str:
    column = quote(name)
    number = _number(name, kind) if kind in ("number", "time") else "NULL::DOUBLE"
    plain = column if kind != "other" else "NULL::VARCHAR"
    return (
        f"count({column}), approx_count_distinct({column}), min({number}), max({number}), "
        f"CAST(min({plain}) AS VARCHAR), CAST(max({plain}) AS VARCHAR)"
    )


def _counts(
    cursor: Cursor,
    relation: str,
    kinds: Mapping[str, Kind],
    columns: Mapping[str, str],
    seen: Mapping[str, _Seen],
) -> dict[str, dict[Any, int]]:
    """Count, for each column that can be drawn, the values in each bin, or each value."""
    asked = {}
    for name, kind in kinds.items():
        known = seen[name]
        if kind in ("number", "time") and known.low is not None and known.high is not None:
            asked[name] = _bin(_number(name, kind), known.low, known.high, columns[name])
        elif kind == "text" and known.distinct <= _FEW:
            asked[name] = f"CAST({quote(name)} AS VARCHAR)"
    if not asked:
        return {}
    histograms = ", ".join(f"histogram({value})" for value in asked.values())
    row = execute(cursor, f"SELECT {histograms} FROM {relation}").fetchone()
    return dict(zip(asked, (each or {} for each in row or ()), strict=True))


def _bin(value: str, low: float, high: float, type_: str) -> str:
    """Return the SQL of the bin of a value; whole numbers of a short range each get their own."""
    whole = not type_.startswith(("FLOAT", "DOUBLE", "DECIMAL", *_TIMES))
    width = 1.0 if low == high or (whole and high - low < BINS) else (high - low) / BINS
    # least() passes over NULLs.
    place = f"least(CAST(floor(({value} - {low!r}) / {width!r}) AS INTEGER), {BINS - 1})"
    return f"CASE WHEN {value} IS NOT NULL THEN {place} END"


def _profile(name: str, kind: Kind, seen: _Seen, counts: Mapping[Any, int] | None) -> Distribution:
    nulls = seen.rows - seen.values
    distinct = min(seen.distinct, seen.values)
    bins: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    if counts and kind in ("number", "time"):
        bins = tuple(int(counts.get(place, 0)) for place in range(max(counts) + 1))
    elif counts:
        commonest = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))[:_TOP]
        top = tuple((str(value), int(number)) for value, number in commonest)
    return Distribution(name, kind, seen.rows, nulls, distinct, seen.least, seen.most, bins, top)
