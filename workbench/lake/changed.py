"""How many rows of a table changed since a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.images import read_window
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all


def count_changed_rows(
    cursor: Cursor, table: TableInfo, since: int, head: int, columns: Sequence[str] = ()
) -> tuple[int, int]:
    """Count the rows inserted, updated or deleted in (`since`, `head`], and those there were at `since`.

    Each row counts once, whatever happened to it; one that is again as it was does not count.

    Parameters
    ----------
    columns : sequence of str
        Count only updates that change one of these; empty for all columns.
    """
    here = f"lake.{table.sql}"
    window = read_window(cursor, table, since, head)
    if window.obstacle:
        # Nothing can be compared: all rows there are count, and at least as many were there.
        rows = _number(cursor, f"SELECT count(*) FROM {here}")
        return rows, rows
    old = f"(FROM {here} AT (VERSION => {since}))"
    rows = _number(cursor, f"SELECT count(*) FROM {old}")
    if not table.key:
        shown = quote_all(table.columns)
        added = f"(SELECT {shown} FROM {here} EXCEPT ALL SELECT {shown} FROM {old})"
        gone = f"(SELECT {shown} FROM {old} EXCEPT ALL SELECT {shown} FROM {here})"
        counted = f"SELECT greatest((SELECT count(*) FROM {added}), (SELECT count(*) FROM {gone}))"
        return _number(cursor, counted), rows
    keys = quote_all(table.key)
    fresh = f"(SELECT * FROM {here} WHERE snapshot_id > {since})"
    watched = [each for each in columns or table.columns if each not in table.key]
    differ = " OR ".join(f"n.{quote(each)} IS DISTINCT FROM o.{quote(each)}" for each in watched) or "false"
    first = quote(table.key[0])
    changed = _number(
        cursor,
        f"SELECT count(*) FROM {fresh} AS n LEFT JOIN {old} AS o USING ({keys}) "
        f"WHERE o.{first} IS NULL OR {differ}",
    )
    if window.deletes:
        changed += _number(cursor, f"SELECT count(*) FROM {old} ANTI JOIN {here} USING ({keys})")
    return changed, rows


def _number(cursor: Cursor, sql: str) -> int:
    row = execute(cursor, sql).fetchone()
    return int(row[0]) if row else 0
