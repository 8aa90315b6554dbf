"""What the columns of a relation hold: how many values are missing and distinct, and how they spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.distribution import Distribution, distributions

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

ROWS = 100_000
"""How many rows are looked at; of a larger relation, the first."""
COLUMNS = 60

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
    low, high : str
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
    low: str
    high: str
    bins: tuple[int, ...]
    top: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The columns of a relation; `rows` were looked at, and `more` says whether there are others."""

    rows: int
    more: bool
    columns: tuple[ColumnProfile, ...]


def profile(lake: Lake, cursor: Cursor, table: TableInfo) -> Profile:
    """Look at the first rows of a relation."""
    sample = f"temp.{_SAMPLE}"
    lake.run(
        cursor, f"CREATE OR REPLACE TEMP TABLE {_SAMPLE} AS SELECT * FROM lake.{table.sql} LIMIT {ROWS + 1}"
    )
    row = execute(cursor, f"SELECT count(*) FROM {sample}").fetchone()
    assert row is not None
    shown = dict(list(table.columns.items())[:COLUMNS])
    columns = tuple(_column(each, shown[each.column]) for each in distributions(cursor, sample, shown))
    execute(cursor, f"DROP TABLE {sample}")
    return Profile(min(row[0], ROWS), row[0] > ROWS, columns)


def _column(found: Distribution, kind: str) -> ColumnProfile:
    top = tuple(Count(value, rows) for value, rows in found.top)
    ends = (found.low or "", found.high or "")
    return ColumnProfile(found.column, kind, found.nulls, found.distinct, *ends, found.bins, top)
