"""What the columns of a relation hold: how many values are missing and distinct, and how they spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.names import quote

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

ROWS = 100_000
"""How many rows are looked at; of a larger relation, the first."""
COLUMNS = 60
BINS = 20
TOP = 5

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_WHOLE, *(f"U{each}" for each in _WHOLE), "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_SAMPLE = "mlstore_profile"


@dataclass(frozen=True, slots=True)
class Count:
    """A value and how often it occurs."""

    value: str
    rows: int


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column.

    Attributes
    ----------
    missing, distinct : int
        Of the rows looked at; distinct values are counted approximately.
    low, high, mean : str
        Empty where the type has none.
    bins : tuple of int
        Rows in each of the equal steps from `low` to `high`; empty where values have no distance.
    top : tuple of Count
        The most frequent values, where there are no bins.
    """

    name: str
    type: str
    missing: int
    distinct: int
    low: str = ""
    high: str = ""
    mean: str = ""
    bins: tuple[int, ...] = ()
    top: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """The columns of a relation; `rows` were looked at, and `more` says whether there are others."""

    rows: int
    more: bool
    columns: tuple[ColumnProfile, ...]


def is_number(kind: str) -> bool:
    """Say whether a DuckDB type is one of numbers.

    Examples
    --------
    >>> is_number("DECIMAL(9,2)"), is_number("DOUBLE[]")
    (True, False)
    """
    return not kind.endswith("]") and kind.partition("(")[0] in _NUMBERS


def profile(lake: Lake, cursor: Cursor, table: TableInfo) -> Profile:
    """Look at the first rows of a relation."""
    lake.run(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {_SAMPLE} AS SELECT * FROM lake.{table.sql} LIMIT {ROWS + 1}",
    )
    rows = _one(cursor, f"SELECT count(*) FROM temp.{_SAMPLE}")[0]
    shown = list(table.columns.items())[:COLUMNS]
    columns = tuple(_column(cursor, name, kind, rows) for name, kind in shown)
    lake.run(cursor, f"DROP TABLE temp.{_SAMPLE}")
    return Profile(min(rows, ROWS), rows > ROWS, columns)


def _column(cursor: Cursor, name: str, kind: str, rows: int) -> ColumnProfile:
    column = quote(name)
    number = f"epoch({column})" if kind in _TIMES else f"{column}::DOUBLE"
    if kind not in _TIMES and not is_number(kind):
        return _text(cursor, name, kind, rows)
    usable = f"FILTER (isfinite({number}))"
    missing, distinct, low, high, mean, least, most = _one(
        cursor,
        f"SELECT count(*) - count({column}), approx_count_distinct({column}), min({column})::VARCHAR, "
        f"max({column})::VARCHAR, avg({number}) {usable}, min({number}) {usable}, max({number}) {usable} "
        f"FROM temp.{_SAMPLE}",
    )
    shown = f"{mean:,.4g}" if mean is not None and is_number(kind) else ""
    bins = _bins(cursor, number, least, most)
    distinct = min(distinct, rows - missing)  # the approximate count may be larger
    return ColumnProfile(name, kind, missing, distinct, low or "", high or "", shown, bins)


def _bins(cursor: Cursor, number: str, least: float | None, most: float | None) -> tuple[int, ...]:
    if least is None or most is None or not math.isfinite(most - least):
        return ()
    step = (most - least) / BINS or 1.0
    rows = execute(
        cursor,
        f"SELECT least(floor(({number} - {least!r}) / {step!r}), {BINS - 1})::INTEGER AS bin, count(*) "
        f"FROM temp.{_SAMPLE} WHERE isfinite({number}) GROUP BY bin",
    ).fetchall()
    counts = dict(rows)
    return tuple(counts.get(each, 0) for each in range(BINS))


def _text(cursor: Cursor, name: str, kind: str, rows: int) -> ColumnProfile:
    column = quote(name)
    # Lists and structs have no approximate count of their own.
    text = f"({column}::VARCHAR)[:80]"
    missing, distinct = _one(
        cursor, f"SELECT count(*) - count({column}), approx_count_distinct({text}) FROM temp.{_SAMPLE}"
    )
    top = execute(
        cursor,
        f"SELECT {text} AS value, count(*) AS rows FROM temp.{_SAMPLE} WHERE {column} IS NOT NULL "
        f"GROUP BY value ORDER BY rows DESC, value LIMIT {TOP}",
    ).fetchall()
    distinct = min(distinct, rows - missing)
    return ColumnProfile(name, kind, missing, distinct, top=tuple(Count(*row) for row in top))


def _one(cursor: Cursor, sql: str) -> Any:
    row = execute(cursor, sql).fetchone()
    assert row is not None
    return row
