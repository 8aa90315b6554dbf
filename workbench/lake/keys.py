"""Row identity: inside every commit, keys are filled, unique and not null."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all, spelled

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

AUTO_KEY = "_id"
_SHOWN = 5
_COUNT = "how many rows"  # no column of a user is likely to be called so

# DuckLake shows the rows a transaction itself has written as those without a snapshot yet.
_OWN, _OLDER = "snapshot_id IS NULL", "snapshot_id IS NOT NULL"
_KEYS = "mlstore_keys"

# Types of which a value, written out as text and read again, is the same.
_WRITTEN = re.compile(r"U?(TINY|SMALL|BIG)?INT(EGER)?|DATE|TIMESTAMP")


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
        _check_own(tx.cursor, table)


def declare_key(
    lake: Lake, tx: Transaction, name: str, columns: Sequence[str], *, anew: bool = False
) -> None:
    """Give a table a key, as part of the commit `tx`; the rows that it has are checked.

    Parameters
    ----------
    anew : bool
        Whether the table was made in this commit, in the place of one that may have had another key.

    Raises
    ------
    InvalidData
        If it has another key already, or one of its rows has none or that of another row.
    NotFound
        If there is no such table or column.
    """
    table = lake.tables.resolve(name, tx.cursor)
    key = spelled(columns, table.columns)
    missing = [column for column in key if column not in table.columns]
    if missing:
        raise NotFound.named("column", missing[0], table.columns, within=table.name)
    if table.key and table.key != key and not anew:
        raise InvalidData(
            f"{table.name!r} has the key {_columns(table.key)} already; nothing was changed.",
            hint=f"Load it under another name: load NEW FROM … KEY {_columns(key)}.",
        )
    check_key(tx.cursor, f"lake.{table.sql}", key, table.name)
    lake.tables.declare(tx, table.schema, table.name, key)
    if tx.written is not None:
        tx.written.add(table.qualified)


def check_key(cursor: Cursor, rows: str, key: Sequence[str], name: str) -> int:
    """Check that the relation `rows` has every key once, and none that is NULL; return how many rows it has.

    Raises
    ------
    InvalidData
        Naming some of the keys.
    """
    found = _look(cursor, rows, key, name)
    if found.repeated:
        check_unique(cursor, f"FROM {rows}", key, name)
    return found.rows


def check_added(cursor: Cursor, table: TableInfo, staged: str) -> None:
    """Check the keys of the relation `staged` before its rows are added to those of a table.

    Raises
    ------
    InvalidData
        As `check_key` does, also if the table has one of the keys already.
    """
    cast = (f"CAST({quote(each)} AS {table.columns[each]}) AS {quote(each)}" for each in table.key)
    _check_among(cursor, table, f"(SELECT {', '.join(cast)} FROM {staged})")


def check_unique(cursor: Cursor, rows: str, key: Sequence[str], name: str) -> None:
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


def _check_own(cursor: Cursor, table: TableInfo) -> None:
    """Check the keys of the rows that the transaction wrote; each reading of them asks the catalog."""
    own = f"SELECT {quote_all(table.key)} FROM lake.{table.sql} WHERE {_OWN}"
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {_KEYS} AS {own}")
    _check_among(cursor, table, f"temp.{_KEYS}", _OLDER)
    execute(cursor, f"DROP TABLE temp.{_KEYS}")


def _check_among(cursor: Cursor, table: TableInfo, rows: str, *others: str) -> None:
    """Check the keys of the relation `rows`, by themselves and among the rows of a table under conditions."""
    found = _look(cursor, rows, table.key, table.name, table.columns)
    if not found.rows:
        return
    keys = quote_all(table.key)
    there = f"SELECT {keys} FROM lake.{table.sql} WHERE {' AND '.join((*others, *found.bounds)) or 'true'}"
    repeated = found.repeated
    if not repeated:
        both = execute(cursor, f"SELECT count(*) FROM ({there}) SEMI JOIN {rows} USING ({keys})").fetchone()
        repeated = both is not None and both[0] > 0
    if repeated:
        all_of_them = f"FROM ({there}) SEMI JOIN {rows} USING ({keys}) UNION ALL FROM {rows}"
        check_unique(cursor, all_of_them, table.key, table.name)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of some rows: how many they are, and whether a key is repeated among them.

    `bounds` are conditions which all of their keys meet.
    """

    rows: int
    repeated: bool
    bounds: tuple[str, ...] = ()


def _look(
    cursor: Cursor, rows: str, key: Sequence[str], name: str, kinds: Mapping[str, str] | None = None
) -> _Seen:
    """Look at the keys of a relation, in one query; raise InvalidData if one is NULL.

    `kinds` are the types of columns for which bounds are wanted.
    """
    written = [each for each in key if kinds and _WRITTEN.fullmatch(kinds[each])]
    ends = "".join(f", min({each})::VARCHAR, max({each})::VARCHAR" for each in map(quote, written))
    null = " OR ".join(f"{quote(column)} IS NULL" for column in key)
    most = f"SELECT max(n) FROM (SELECT count(*) AS n FROM {rows} GROUP BY {quote_all(key)})"
    found = execute(
        cursor, f"SELECT count(*), count(*) FILTER ({null}), ({most}){ends} FROM {rows}"
    ).fetchone()
    assert found is not None
    count, nulls, times, *values = found
    if nulls:
        raise InvalidData(
            f"The key {_columns(key)} of {name!r} is NULL in {nulls:,} {_plural(nulls, 'row')}; "
            "nothing was changed.",
            hint="Leave those rows out, or choose another key.",
        )
    bounds = [
        f"{quote(each)} BETWEEN {literal(low)}::{kinds[each]} AND {literal(high)}::{kinds[each]}"
        for each, low, high in zip(written, values[::2], values[1::2], strict=True)
        if kinds and count
    ]
    return _Seen(count, count > 0 and times > 1, tuple(bounds))


def _columns(key: Sequence[str]) -> str:
    return f"({', '.join(key)})"


def _values(key: Sequence[str], row: tuple[Any, ...]) -> str:
    return ", ".join(f"{column} = {value!s}" for column, value in zip(key, row, strict=False))


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
