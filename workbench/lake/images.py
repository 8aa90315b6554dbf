"""The changed rows of a table since a snapshot, as they were before and as they are now.

`ducklake_table_changes` reads every file that carries deletes whole. What is new is found faster by
the virtual column `snapshot_id`, what is gone by the delete files, and where the catalog says that
nothing was deleted nothing is read for it. More rows than changed may be given, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.catalog import TABLES, ask, at, number
from workbench.lake.deletions import deletions_query
from workbench.lake.entries import UPKEEP
from workbench.lake.snapshots import Journal, read_journal
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all

_DELETES = ("deleted_from_table", "inlined_delete")


@dataclass(frozen=True, slots=True)
class Window:
    """What happened to a table after a snapshot.

    Attributes
    ----------
    table_id : int
        The table in the catalog.
    since, head : int
        The snapshots that bound it; `head` belongs to it.
    deletes : bool
        Whether rows may have been deleted or updated.
    inserts : bool
        Whether rows may have been inserted or updated.
    moved : bool
        Whether upkeep moved rows between files, after which the change feed is not to be trusted.
    obstacle : str
        Why the rows before cannot be compared with those now; empty if they can.
    rows : int
        How many rows changed, at most; as long as nobody counted, 0.
    """

    table_id: int
    since: int
    head: int
    deletes: bool = False
    inserts: bool = True
    moved: bool = False
    obstacle: str = ""
    rows: int = 0


def read_window(cursor: Cursor, table: TableInfo, since: int, head: int) -> Window:
    """Read from the catalog what happened to a table in (`since`, `head`]."""
    return window_in(cursor, table, since, read_journal(cursor, since, head))


def window_in(
    cursor: Cursor, table: TableInfo, since: int, journal: Journal, table_id: int | None = None
) -> Window:
    """Find in a journal that reaches back to `since` what happened to a table after it.

    The catalog is not asked for the columns of the table `table_id` where no table of the lake changed.
    """
    obstacle = ""
    if since not in journal.versions:
        obstacle = f"snapshot {since} of {table.qualified} has expired"
    if obstacle or table_id is None or journal.versions[since] != journal.versions[journal.head]:
        known = ask(
            cursor,
            "SELECT t.table_id, t.begin_snapshot, (SELECT count(*) FROM ducklake_column AS c "
            f"WHERE c.table_id = t.table_id AND (c.begin_snapshot > {since} OR c.end_snapshot > {since})) "
            f"FROM {_this(table, journal.head)}",
        )
        if not known:
            return Window(-1, since, journal.head, obstacle=f"{table.qualified} is gone")
        table_id, born, columns = map(number, known[0])
        if not obstacle and born > since:
            obstacle = f"{table.qualified} was made anew"
        elif not obstacle and columns:
            obstacle = f"the columns of {table.qualified} changed"
    kinds = journal.kinds(table_id, since)
    return Window(
        table_id,
        since,
        journal.head,
        deletes=any(kind.startswith(_DELETES) for kind in kinds),
        inserts=any(not kind.startswith(_DELETES) for kind in kinds),
        moved=any(kind.startswith(UPKEEP) for kind in kinds),
        obstacle=obstacle,
    )


def is_untouched(cursor: Cursor, table: TableInfo, since: int, head: int) -> bool:
    """Tell whether neither a write nor upkeep touched a table in (`since`, `head`]."""
    if since == head:
        return True
    found = ask(cursor, f"SELECT t.table_id FROM {_this(table, head)} AND t.begin_snapshot <= {since}")
    return bool(found) and not read_journal(cursor, since, head).kinds(number(found[0][0]), since)


def _this(table: TableInfo, head: int) -> str:
    return (
        f"{TABLES} WHERE {at(head, 't', 's')} "
        f"AND s.schema_name = {literal(table.schema)} AND t.table_name = {literal(table.name)}"
    )


def may_have_rows(cursor: Cursor, table: TableInfo, head: int) -> bool:
    """Tell whether a table has files or inlined rows; they may all be deleted."""
    held = f"f.table_id = t.table_id AND {at(head, 'f')}"
    return bool(
        ask(
            cursor,
            f"SELECT 1 FROM {_this(table, head)} AND (EXISTS (SELECT 1 FROM ducklake_data_file AS f "
            f"WHERE {held}) OR t.table_id IN (SELECT table_id FROM ducklake_inlined_data_tables))",
        )
    )


def count_rows(cursor: Cursor, table: TableInfo) -> int:
    """Count the rows of a table; the files say it without being read."""
    row = execute(cursor, f"SELECT count(*) FROM lake.{table.sql}").fetchone()
    return int(row[0]) if row else 0


def count_changed(cursor: Cursor, table: TableInfo, window: Window) -> int:
    """Estimate from the catalog, from above, how many rows changed in a window."""
    if window.moved:
        row = execute(
            cursor, f"SELECT count(*) FROM lake.{table.sql} WHERE snapshot_id > {window.since}"
        ).fetchone()
        return int(row[0]) if row else 0
    since, head, this = window.since, window.head, f"table_id = {window.table_id}"
    fresh = f"f.begin_snapshot > {since} AND {at(head, 'f')}"
    gone = f"f.begin_snapshot <= {since} AND f.end_snapshot > {since} AND f.end_snapshot <= {head}"
    rows = ask(
        cursor,
        f"SELECT (SELECT sum(record_count) FROM ducklake_data_file AS f WHERE {this} AND {fresh}), "
        f"(SELECT sum(delete_count) FROM ducklake_delete_file AS f WHERE {this} AND {fresh}), "
        f"(SELECT sum(record_count) FROM ducklake_data_file AS f WHERE {this} AND {gone})",
    )
    inserted, deleted, emptied = map(number, rows[0])
    return max(inserted, deleted + emptied)


def stage_images(cursor: Cursor, table: TableInfo, window: Window, columns: Sequence[str], name: str) -> int:
    """Put the changed rows of a table, before and after, into the temporary table `name`.

    Parameters
    ----------
    columns : sequence of str
        The columns wanted.

    Returns
    -------
    int
        How many rows there are.
    """
    parts = _parts(cursor, table, window, columns)
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {' UNION ALL '.join(parts)}")
    row = execute(cursor, f"SELECT count(*) FROM temp.{quote(name)}").fetchone()
    return int(row[0]) if row else 0


def _parts(cursor: Cursor, table: TableInfo, window: Window, columns: Sequence[str]) -> Iterable[str]:
    here, wanted = f"lake.{table.sql}", quote_all(columns)
    fresh = f"SELECT {wanted} FROM {here} WHERE snapshot_id > {window.since}"
    if not window.deletes:
        return [fresh]
    if not window.moved:
        return [fresh, deletions_query(cursor, table, window, columns)]
    old = f"(FROM {here} AT (VERSION => {window.since}))"
    if table.key:
        keys = quote_all(table.key)
        gone = f"SELECT {wanted} FROM {old} ANTI JOIN {here} USING ({keys})"
        changed = f"SELECT {keys} FROM {here} WHERE snapshot_id > {window.since}"
        return [fresh, gone, f"SELECT {wanted} FROM {old} SEMI JOIN ({changed}) USING ({keys})"]
    everything = quote_all(table.columns)
    gone = f"SELECT {everything} FROM {old} EXCEPT ALL SELECT {everything} FROM {here}"
    return [fresh, f"SELECT {wanted} FROM ({gone})"]
