"""Row identity: inside every commit, keys are filled, unique and not null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

AUTO_KEY = "_id"
_SHOWN = 5
_COUNT = "how many rows"  # no column of a user is likely to be called so

# DuckLake shows the rows a transaction itself has written as those without a snapshot yet.
_OWN = "snapshot_id IS NULL"


def seal_keys(lake: Lake, tx: Transaction) -> None:
    """Fill automatic keys and check all keys of the tables that the commit wrote.

    Raises
    ------
    InvalidData
        If a key is NULL or repeated, naming the table and some of the keys.
    """
    if tx.written is not None and not tx.written:
        return
    for table in lake.tables.all(tx.cursor):
        if not table.key or (tx.written is not None and table.qualified not in tx.written):
            continue
        _check_columns(table)
        if table.auto:
            _fill(tx.cursor, table)
        check_nulls(tx.cursor, f"SELECT * FROM lake.{table.sql} WHERE {_OWN}", table.key, table.name)
        _check_repeats(tx.cursor, table)


def check_nulls(cursor: Cursor, rows: str, key: tuple[str, ...], name: str) -> None:
    """Raise InvalidData if a key column is NULL in the rows of the query `rows`."""
    condition = " OR ".join(f"{quote(column)} IS NULL" for column in key)
    found = execute(cursor, f"SELECT count(*) FROM ({rows}) WHERE {condition}").fetchone()
    if found and found[0]:
        raise InvalidData(
            f"The key {_columns(key)} of {name!r} is NULL in {found[0]:,} {_plural(found[0], 'row')}; "
            "nothing was changed.",
            hint="Leave those rows out, or choose another key.",
        )


def check_unique(cursor: Cursor, rows: str, key: tuple[str, ...], name: str) -> None:
    """Raise InvalidData if a key is repeated in the rows of the query `rows`."""
    columns = quote_all(key)
    repeated = (
        f'SELECT {columns}, count(*) AS "{_COUNT}" FROM ({rows}) GROUP BY {columns} HAVING count(*) > 1'
    )
    found = execute(cursor, f"SELECT count(*) FROM ({repeated})").fetchone()
    if found and found[0]:
        shown = execute(cursor, f'{repeated} ORDER BY "{_COUNT}" DESC, {columns} LIMIT {_SHOWN}').fetchall()
        examples = "; ".join(f"{_values(key, row)} ({row[-1]} rows)" for row in shown)
        more = f" and {found[0] - len(shown):,} more" if found[0] > len(shown) else ""
        raise InvalidData(
            f"The key {_columns(key)} of {name!r} is not unique: {examples}{more}; nothing was changed.",
            hint="Add a column to the key, keep one row of each, or merge instead of appending.",
        )


def _check_columns(table: TableInfo) -> None:
    missing = [column for column in table.key if column not in table.columns]
    if missing:
        raise InvalidData(
            f"{table.name!r} would lose {', '.join(missing)}, a part of its key; nothing was changed.",
            hint=f"Keep the column, or drop {table.name} and load it with another key.",
        )


def _fill(cursor: Cursor, table: TableInfo) -> None:
    """Number the rows that came without a key; numbers are never used again."""
    own = execute(
        cursor, f"SELECT count(*) FROM lake.{table.sql} WHERE {_OWN} AND {AUTO_KEY} IS NULL"
    ).fetchone()
    if not own or not own[0]:
        return
    where = "schema = ? AND lower(name) = lower(?)"
    names = [table.schema, table.name]
    row = execute(
        cursor,
        f"SELECT greatest(next_id, coalesce((SELECT max({AUTO_KEY}) + 1 FROM lake.{table.sql}), 1)) "
        f"FROM lake.mlstore.tables WHERE {where}",
        names,
    ).fetchone()
    assert row is not None
    execute(
        cursor,
        f"UPDATE lake.{table.sql} AS t SET {AUTO_KEY} = s.id FROM (SELECT rowid AS r, "
        f"{row[0]} - 1 + row_number() OVER (ORDER BY rowid) AS id FROM lake.{table.sql} "
        f"WHERE {_OWN} AND {AUTO_KEY} IS NULL) AS s WHERE t.rowid = s.r AND t.{AUTO_KEY} IS NULL",
    )
    execute(cursor, f"UPDATE lake.mlstore.tables SET next_id = ? WHERE {where}", [row[0] + own[0], *names])


def _check_repeats(cursor: Cursor, table: TableInfo) -> None:
    columns = quote_all(table.key)
    own = f"SELECT {columns} FROM lake.{table.sql} WHERE {_OWN}"
    touched = f"SELECT {columns} FROM lake.{table.sql} SEMI JOIN ({own}) USING ({columns})"
    check_unique(cursor, touched, table.key, table.name)


def _columns(key: tuple[str, ...]) -> str:
    return f"({', '.join(key)})"


def _values(key: tuple[str, ...], row: tuple[Any, ...]) -> str:
    return ", ".join(f"{column} = {value!s}" for column, value in zip(key, row, strict=False))


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
