"""Bring a table to a wanted state with the fewest writes.

What is computed first stands in a temporary table. Only rows that are new or different are
written, so that whoever reads the changes of the table sees no false ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Transaction

# Types that Parquet or DuckLake cannot keep exactly, and what is stored in their place.
_STORED = {"HUGEINT": "DOUBLE", "UHUGEINT": "DOUBLE", '"NULL"': "VARCHAR", "BIT": "VARCHAR"}


@dataclass(frozen=True, slots=True)
class Delta:
    """What separates a table from its wanted state: two temporary tables, and how many rows.

    `fresh` holds whole rows to write, `gone` the keys of rows to delete; a changed row is in both.
    """

    fresh: str
    gone: str
    inserted: int
    updated: int
    deleted: int

    @property
    def empty(self) -> bool:
        """Whether nothing has to be written."""
        return not (self.inserted or self.updated or self.deleted)


def stored_columns(cursor: Cursor, relation: str) -> dict[str, str]:
    """Describe the columns of a relation by the types in which the lake can store them.

    HUGEINT (which sums of integers give) becomes DOUBLE, ENUM becomes VARCHAR, and arrays of fixed
    size become lists.
    """
    rows = execute(cursor, f"DESCRIBE FROM {relation}").fetchall()
    return {row[0]: _stored(row[1]) for row in rows}


def _stored(kind: str) -> str:
    if kind in _STORED:
        return _STORED[kind]
    if kind.startswith("ENUM("):
        return "VARCHAR"
    if kind.endswith("]") and not kind.endswith("[]"):
        return f"{_stored(kind[: kind.rindex('[')])}[]"
    return kind


def stage(
    cursor: Cursor, name: str, query: str, params: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Compute a query into the temporary table `name`, in types the lake can store.

    Returns
    -------
    dict of str to str
        Column names and types.
    """
    raw = f"{name}_raw"
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(raw)} AS {query}", params)
    columns = stored_columns(cursor, f"temp.{quote(raw)}")
    described = execute(cursor, f"DESCRIBE FROM temp.{quote(raw)}").fetchall()
    if all(columns[row[0]] == row[1] for row in described):
        execute(cursor, f"DROP TABLE IF EXISTS temp.{quote(name)}")
        execute(cursor, f"ALTER TABLE temp.{quote(raw)} RENAME TO {quote(name)}")
        return columns
    casts = ", ".join(
        f"CAST({quote(column)} AS {kind}) AS {quote(column)}" for column, kind in columns.items()
    )
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS SELECT {casts} FROM temp.{quote(raw)}")
    execute(cursor, f"DROP TABLE temp.{quote(raw)}")
    return columns


def compare(
    cursor: Cursor,
    table: TableInfo,
    staged: str,
    key: Sequence[str],
    *,
    replace: bool,
) -> Delta:
    """Find what separates a table from the rows in the temporary table `staged`, by key.

    Parameters
    ----------
    staged : str
        Name of a temporary table with the same columns as `table`.
    replace : bool
        Whether rows that `staged` lacks are to be deleted.
    """
    target, source = f"lake.{table.sql}", f"temp.{quote(staged)}"
    columns, keys = list(table.columns), quote_all(list(key))
    rest = [column for column in columns if column not in key]
    differ = (
        " OR ".join(f"s.{quote(column)} IS DISTINCT FROM t.{quote(column)}" for column in rest) or "false"
    )
    fresh, gone = f"{staged}_fresh", f"{staged}_gone"
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(fresh)} AS "
        f"SELECT {quote_all(columns, 's.')}, t.rowid IS NOT NULL AS __existed FROM {source} AS s "
        f"LEFT JOIN (SELECT {quote_all(columns)}, rowid FROM {target}) AS t USING ({keys}) "
        f"WHERE t.rowid IS NULL OR {differ}",
    )
    missing = f"SELECT {keys} FROM {target} ANTI JOIN {source} USING ({keys})"
    changed = f"SELECT {keys} FROM temp.{quote(fresh)} WHERE __existed"
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(gone)} AS {changed}"
        + (f" UNION ALL {missing}" if replace else ""),
    )
    counts = execute(
        cursor,
        f"SELECT (SELECT count(*) FROM temp.{quote(fresh)} WHERE NOT __existed), "
        f"(SELECT count(*) FROM temp.{quote(fresh)} WHERE __existed), "
        f"(SELECT count(*) FROM temp.{quote(gone)})",
    ).fetchone()
    assert counts is not None
    return Delta(fresh, gone, counts[0], counts[1], counts[2] - counts[1])


def apply(tx: Transaction, table: TableInfo, delta: Delta, key: Sequence[str]) -> None:
    """Write a delta, as part of the commit `tx`; the key is checked with it."""
    target = f"lake.{table.sql}"
    if delta.updated or delta.deleted:
        condition = " AND ".join(f"t.{quote(column)} = g.{quote(column)}" for column in key)
        execute(tx.cursor, f"DELETE FROM {target} AS t USING temp.{quote(delta.gone)} AS g WHERE {condition}")
    if delta.inserted or delta.updated:
        columns = quote_all(list(table.columns))
        execute(
            tx.cursor, f"INSERT INTO {target} ({columns}) SELECT {columns} FROM temp.{quote(delta.fresh)}"
        )
    if tx.written is not None:
        tx.written.add(table.qualified)


def create(tx: Transaction, schema: str, name: str, columns: Mapping[str, str]) -> TableInfo:
    """Make (or make anew) an empty table, as part of the commit `tx`; the old one stays in the past."""
    body = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
    table = TableInfo(schema, name, dict(columns))
    execute(tx.cursor, f"DROP TABLE IF EXISTS lake.{table.sql}")
    execute(tx.cursor, f"CREATE TABLE lake.{table.sql} ({body})")
    if tx.written is not None:
        tx.written.add(table.qualified)
    return table


def insert_all(tx: Transaction, table: TableInfo, staged: str) -> None:
    """Insert all rows of a temporary table by column name, as part of the commit `tx`."""
    source = f"temp.{quote(staged)}"
    present = [row[0] for row in execute(tx.cursor, f"DESCRIBE FROM {source}").fetchall()]
    columns = quote_all(present)
    execute(tx.cursor, f"INSERT INTO lake.{table.sql} ({columns}) SELECT {columns} FROM {source}")
    if tx.written is not None:
        tx.written.add(table.qualified)
