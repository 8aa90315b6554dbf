"""The way back: a table as it was at a snapshot, as a new snapshot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor
from workbench.errors import Conflict, Unsupported
from workbench.lake import write
from workbench.lake.history import columns_at
from workbench.lake.snapshots import Snapshot, changed_tables, read_snapshot
from workbench.lake.tables import TableInfo

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

_STAGED = "mlstore_staged"


def undo_table(lake: Lake, name: str, to: int) -> Snapshot:
    """Bring a table back to what it was at a snapshot, as a new snapshot.

    Only rows that differ are written. A dropped table comes back too.

    Raises
    ------
    InvalidData
        If the table did not exist then.
    Unsupported
        If the table is not one of the user's own.
    """
    table = lake.tables.find(name)
    if table is not None and table.schema != "main":
        raise Unsupported(
            f"The {table.kind} {table.name!r} is not undone by itself.", hint="Undo what it reads."
        )
    return lake.retry(lambda: _undo(lake, name, to))


def _undo(lake: Lake, name: str, to: int) -> Snapshot:
    cursor = lake.new_cursor()
    try:
        with lake.pinned(cursor) as (_, head):
            table = lake.tables.find(name, cursor)
            wanted = table or TableInfo("main", name, {})
            columns = columns_at(lake, cursor, wanted, to)
            write.stage(cursor, _STAGED, f"SELECT * FROM lake.{wanted.sql} AT (VERSION => {to})")
            key, auto = _key_at(lake, cursor, wanted, to)
            delta = None
            if table is not None and key and columns == table.columns and table.key == key:
                delta = write.compare(cursor, table, _STAGED, key, replace=True, at=head)
        with lake.commit(f"undo {wanted.name} TO @{to}", cursor=cursor) as tx:
            if wanted.qualified in changed_tables(cursor, head, lake.head(cursor)):
                raise Conflict(f"{name!r} was written by somebody else meanwhile.", hint="Undo it again.")
            if delta is not None:
                write.apply(tx, wanted, delta)
            else:
                _make_anew(lake, tx, wanted, columns, key, auto=auto)
        return read_snapshot(lake, tx.snapshot if tx.snapshot is not None else lake.head())
    finally:
        cursor.close()


def _make_anew(
    lake: Lake,
    tx: Transaction,
    table: TableInfo,
    columns: dict[str, str],
    key: tuple[str, ...],
    *,
    auto: bool,
) -> None:
    """Make the table with the columns it had, where they differ from those it has."""
    fresh = write.create(tx, "main", table.name, columns)
    next_id = lake.tables.next_id(tx, "main", table.name)
    lake.tables.forget(tx, "main", table.name)
    if key:
        lake.tables.declare(tx, "main", table.name, key, auto=auto, next_id=next_id)
    write.insert_all(tx, fresh, _STAGED)


def _key_at(lake: Lake, cursor: Cursor, table: TableInfo, snapshot: int) -> tuple[tuple[str, ...], bool]:
    row = lake.run(
        cursor,
        f"SELECT key, auto FROM lake.mlstore.tables AT (VERSION => {snapshot}) WHERE schema = ? AND name = ?",
        [table.schema, table.name],
    ).fetchone()
    return (tuple(json.loads(row[0])), bool(row[1])) if row else ((), False)
