"""The way back: a table as it was at a snapshot, as a new snapshot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import Conflict, InvalidData, Unsupported
from workbench.lake import write
from workbench.lake.past import table_at
from workbench.lake.snapshots import Snapshot, changed_tables, read_snapshot
from workbench.lake.statements import check_views
from workbench.lake.tables import TableInfo
from workbench.lake.write import _ROW, Delta
from workbench.names import METADATA, quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

_STAGED = "mlstore_staged"
_NUMBER = "__number"
_MESSAGE = re.compile(r"undo (?P<name>.+) TO @(?P<to>\d+)")


def undo_table(lake: Lake, name: str, to: int) -> Snapshot:
    """Bring a table back to what it was at a snapshot, as a new snapshot.

    Only rows that differ are written, so that what is kept up to date follows just these; with other
    columns or another key the table is made anew. A dropped table comes back too.

    Raises
    ------
    InvalidData
        If the table did not exist then, its name is taken now, or a named query could no longer be
        read.
    NotFound
        If there never was a table of that name.
    Unsupported
        If it is not a table of the user's own.
    """
    return lake.retry(lambda: _undo(lake, name, to))


def undos(cursor: Cursor, table: TableInfo) -> dict[int, int]:
    """Return each snapshot that undid a table, with the one it went back to."""
    rows = execute(
        cursor,
        f"SELECT snapshot_id, commit_message FROM {METADATA}.ducklake_snapshot_changes "
        "WHERE starts_with(commit_message, 'undo ')",
    ).fetchall()
    found = {int(snapshot): _MESSAGE.fullmatch(message) for snapshot, message in rows}
    return {
        snapshot: int(match["to"])
        for snapshot, match in found.items()
        if match and match["name"].rpartition(".")[2].lower() == table.name.lower()
    }


def _undo(lake: Lake, name: str, to: int) -> Snapshot:
    cursor = lake.new_cursor()
    try:
        with lake.pinned(cursor) as (_, head):
            wanted = table_at(lake, cursor, name, to)
            _check_own(cursor, wanted)
            table = lake.tables.find(wanted.qualified, cursor)
            if table is None:
                _check_free(lake, cursor, wanted.name)
            write.stage(cursor, _STAGED, f"SELECT * FROM lake.{wanted.sql} AT (VERSION => {to})")
            delta = None
            if table is not None and wanted.columns == table.columns and wanted.key == table.key:
                delta = _compare(cursor, table, head)
        with lake.commit(f"undo {wanted.name} TO @{to}", cursor=cursor) as tx:
            if delta is not None and table is not None:
                write.apply(tx, table, delta)
            else:
                if wanted.qualified in changed_tables(cursor, head, lake.head(cursor)):
                    raise Conflict(f"{name!r} was written by somebody else meanwhile.", hint="Undo it again.")
                _make_anew(lake, tx, wanted)
                check_views(lake, tx)
        return read_snapshot(lake, tx.snapshot if tx.snapshot is not None else lake.head())
    finally:
        cursor.close()


def _check_own(cursor: Cursor, wanted: TableInfo) -> None:
    if wanted.schema != "main":
        raise Unsupported(
            f"The {wanted.kind} {wanted.name!r} is not undone by itself.", hint="Undo what it reads."
        )
    views = execute(
        cursor,
        f"SELECT 1 FROM {METADATA}.ducklake_view JOIN {METADATA}.ducklake_schema USING (schema_id) "
        "WHERE schema_name = 'main' AND lower(view_name) = lower(?)",
        [wanted.name],
    ).fetchone()
    if views:
        raise Unsupported(f"{wanted.name!r} is or was a view.", hint="Create it again, by SQL.")


def _check_free(lake: Lake, cursor: Cursor, name: str) -> None:
    """Refuse to bring a table back whose name was given to something else."""
    other = lake.tables.find(name, cursor)
    row = lake.records.definition(name, cursor=cursor)
    kind = other.kind if other else row["kind"] if row and row["status"] != "dropped" else ""
    if kind:
        raise InvalidData(f"{name!r} is the name of a {kind} now.", hint=f"Drop the {kind} first.")


def _compare(cursor: Cursor, table: TableInfo, head: int) -> Delta:
    if table.key:
        delta = write.compare(cursor, table, _STAGED, table.key, replace=True, at=head)
    else:
        delta = _compare_rows(cursor, table, head)
    return delta if delta.key or _names_its_rows(cursor, table, delta) else _all_rows(cursor, table, head)


def _names_its_rows(cursor: Cursor, table: TableInfo, delta: Delta) -> bool:
    """Say whether the row ids to delete are those of no other rows.

    DuckLake gives a row that is inserted and then updated in one transaction an id that the rows of
    other such transactions have as well; so it is for every row whose key the store has filled.
    """
    ids = f"SELECT {_ROW} FROM temp.{quote(delta.gone)}"
    row = execute(cursor, f"SELECT count(*) FROM lake.{table.sql} WHERE rowid IN ({ids})").fetchone()
    assert row is not None
    return bool(row[0] == delta.updated + delta.deleted)


def _all_rows(cursor: Cursor, table: TableInfo, head: int) -> Delta:
    """Replace all rows, in the table as it is."""
    fresh, gone = f"{_STAGED}_fresh", f"{_STAGED}_gone"
    deleted = _make(cursor, gone, f"SELECT rowid AS {_ROW} FROM lake.{table.sql}")
    inserted = _make(cursor, fresh, f"SELECT *, NULL::BIGINT AS {_ROW} FROM temp.{_STAGED}")
    return Delta(fresh, gone, inserted, 0, deleted, head)


def _compare_rows(cursor: Cursor, table: TableInfo, head: int) -> Delta:
    """Find what separates a table without a key from the staged rows: of equal rows, how many."""
    columns = quote_all(list(table.columns))
    number = f"row_number() OVER (PARTITION BY {columns}) AS {_NUMBER}"
    here, wanted = f"{_STAGED}_here", f"{_STAGED}_wanted"
    fresh, gone = f"{_STAGED}_fresh", f"{_STAGED}_gone"
    match = " AND ".join(
        f"a.{quote(each)} IS NOT DISTINCT FROM b.{quote(each)}" for each in (*table.columns, _NUMBER)
    )

    _make(cursor, here, f"SELECT {columns}, rowid AS {_ROW}, {number} FROM lake.{table.sql}")
    _make(cursor, wanted, f"SELECT {columns}, {number} FROM temp.{_STAGED}")
    more = f"FROM temp.{wanted} AS a ANTI JOIN temp.{here} AS b ON {match}"
    less = f"FROM temp.{here} AS a ANTI JOIN temp.{wanted} AS b ON {match}"
    inserted = _make(cursor, fresh, f"SELECT {columns}, NULL::BIGINT AS {_ROW} {more}")
    deleted = _make(cursor, gone, f"SELECT {_ROW} {less}")
    return Delta(fresh, gone, inserted, 0, deleted, head)


def _make(cursor: Cursor, name: str, query: str) -> int:
    """Make a temporary table, and count its rows."""
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {query}")
    row = execute(cursor, f"SELECT count(*) FROM temp.{quote(name)}").fetchone()
    return int(row[0]) if row else 0


def _make_anew(lake: Lake, tx: Transaction, wanted: TableInfo) -> None:
    """Make the table with the columns and the key it had."""
    fresh = write.create(tx, "main", wanted.name, wanted.columns)
    next_id = lake.tables.next_id(tx, "main", wanted.name)
    lake.tables.forget(tx, "main", wanted.name)
    if wanted.key:
        lake.tables.declare(tx, "main", wanted.name, wanted.key, auto=wanted.auto, next_id=next_id)
    write.insert_all(tx, fresh, _STAGED)
