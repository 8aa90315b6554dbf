"""History: what each snapshot did, the difference of two, and the way back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute, fetch
from workbench.errors import InvalidData, NotFound
from workbench.lake.result import Result
from workbench.lake.snapshots import (
    changes_by_snapshot,
    count_changes_query,
    table_born,
)
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Lake

_META = "__ducklake_metadata_lake"


def snapshot_at(lake: Lake, moment: int | str | datetime) -> int:
    """Return a snapshot by its id, or the one that was newest at a time.

    Raises
    ------
    InvalidData
        If there was no store at that time, or the text is no time.
    """
    if isinstance(moment, int):
        return moment
    if isinstance(moment, str) and moment.isdigit():
        return int(moment)
    row = lake.run(
        lake.cursor(),
        f"SELECT max(snapshot_id) FROM {_META}.ducklake_snapshot "
        "WHERE snapshot_time::TIMESTAMPTZ <= CAST($moment AS TIMESTAMPTZ)",
        {"moment": str(moment)},
    ).fetchone()
    if row is None or row[0] is None:
        raise InvalidData(f"There was no store at {moment}.")
    return int(row[0])


def store_history(lake: Lake) -> Result:
    """List all snapshots: snapshot, time, author, message, and the tables each changed."""
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        rows = execute(
            cursor,
            "SELECT snapshot_id AS snapshot, snapshot_time::TIMESTAMPTZ AS time, author, "
            f"commit_message AS message FROM {_META}.ducklake_snapshot "
            f"JOIN {_META}.ducklake_snapshot_changes "
            "USING (snapshot_id) ORDER BY snapshot DESC",
        ).to_arrow_table()
        changed = changes_by_snapshot(cursor, -1, head)
    import pyarrow as pa

    tables = [
        [name for name in changed.get(snapshot, []) if not name.startswith("mlstore.")]
        for snapshot in rows.column("snapshot").to_pylist()
    ]
    rows = rows.append_column("tables", pa.array(tables, pa.list_(pa.string())))
    return Result(rows, head, time.perf_counter() - clock)


def table_history(lake: Lake, table: TableInfo) -> Result:
    """List what happened to a table, newest first.

    Columns: snapshot, time, author, message, inserts, updates, deletes, run. Rows are counted by
    key where the table has one.
    """
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        first = table_born(cursor, table)
        counts = count_changes_query(table, first, head)
        rows = execute(
            cursor,
            "SELECT snapshot, s.snapshot_time::TIMESTAMPTZ AS time, c.author, c.commit_message AS message, "
            "inserts, updates, deletes, json_extract_string(c.commit_extra_info, '$.run') AS run "
            f"FROM ({counts}) AS n JOIN {_META}.ducklake_snapshot AS s ON s.snapshot_id = n.snapshot "
            f"JOIN {_META}.ducklake_snapshot_changes AS c ON c.snapshot_id = n.snapshot "
            "ORDER BY snapshot DESC",
        ).to_arrow_table()
    return Result(rows, head, time.perf_counter() - clock)


def diff(lake: Lake, table: TableInfo, a: int, b: int) -> Result:
    """Compare a table at two snapshots, row by row.

    With a key: a column `change` (added, removed, changed), the key, `columns` (which changed), and
    `before` and `after` of every other column. Without one: whole rows, added and removed, with
    how many times. The message counts first.

    Raises
    ------
    InvalidData
        If the table did not exist at one of the snapshots.
    """
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        columns = [columns_at(lake, cursor, table, snapshot) for snapshot in (a, b)]
        shared = [column for column in columns[1] if column in columns[0]]
        sides = [f"(FROM lake.{table.sql} AT (VERSION => {snapshot}))" for snapshot in (a, b)]
        rows = fetch(lake.run(cursor, _diff_query(table, shared, *sides)))
        counts = _count_diff(rows)
        rows = _changed_first(table, rows, counts)
    message = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    only = (
        [name for name in columns[1] if name not in columns[0]],
        [n for n in columns[0] if n not in columns[1]],
    )
    for names, what in zip(only, ("new", "gone"), strict=True):
        if names:
            message += f"; {what} {'column' if len(names) == 1 else 'columns'} {', '.join(names)}"
    return Result(rows, head, time.perf_counter() - clock, message=f"{table.name}@{a} → @{b}: {message}")


def columns_at(lake: Lake, cursor: Cursor, table: TableInfo, snapshot: int) -> dict[str, str]:
    """Return the columns and types that a table had at a snapshot.

    Raises
    ------
    InvalidData
        If there is no such snapshot, or the table did not exist then.
    """
    if not 0 <= snapshot <= lake.head(cursor):
        raise InvalidData(f"There is no snapshot {snapshot}.", hint=f"The newest is {lake.head(cursor)}.")
    sql = f"DESCRIBE SELECT * FROM lake.{table.sql} AT (VERSION => {snapshot})"
    try:
        return {row[0]: row[1] for row in lake.run(cursor, sql).fetchall()}
    except NotFound as error:
        raise _not_born(table, snapshot) from error


def _not_born(table: TableInfo, snapshot: int) -> InvalidData:
    return InvalidData(
        f"{table.name!r} did not exist at snapshot {snapshot}.", hint=f"See: history {table.name}."
    )


def _diff_query(table: TableInfo, shared: list[str], old: str, new: str) -> str:
    if not table.key:
        columns = quote_all(shared)
        return (
            f"SELECT 'added' AS change, *, count(*) AS times FROM (SELECT {columns} FROM {new} EXCEPT ALL "
            f"SELECT {columns} FROM {old}) GROUP BY ALL UNION ALL "
            f"SELECT 'removed', *, count(*) FROM (SELECT {columns} FROM {old} EXCEPT ALL "
            f"SELECT {columns} FROM {new}) GROUP BY ALL ORDER BY change"
        )
    rest = [column for column in shared if column not in table.key]
    differs = [f"o.{quote(column)} IS DISTINCT FROM n.{quote(column)}" for column in rest]
    changed = ", ".join(
        f"CASE WHEN {test} THEN {literal(column)} END" for column, test in zip(rest, differs, strict=True)
    )
    values = "".join(
        f", o.{quote(column)} AS {quote(f'{column}_before')}, n.{quote(column)} AS {quote(f'{column}_after')}"
        for column in rest
    )
    match = " AND ".join(f"o.{quote(column)} = n.{quote(column)}" for column in table.key)
    keys = ", ".join(
        f"coalesce(n.{quote(column)}, o.{quote(column)}) AS {quote(column)}" for column in table.key
    )
    first = quote(table.key[0])
    state = (
        f"CASE WHEN o.{first} IS NULL THEN 'added' WHEN n.{first} IS NULL THEN 'removed' ELSE 'changed' END"
    )
    which = f"list_filter([{changed}], lambda name: name IS NOT NULL)" if changed else "[]::VARCHAR[]"
    return (
        f"SELECT {state} AS change, {keys}, CASE WHEN o.{first} IS NOT NULL AND n.{first} IS NOT NULL "
        f"THEN {which} END AS columns{values} FROM {old} AS o FULL JOIN {new} AS n ON {match} "
        f"WHERE o.{first} IS NULL OR n.{first} IS NULL OR {' OR '.join(differs) or 'false'} "
        f"ORDER BY change, {quote_all(table.key)}"
    )


def _count_diff(rows: Any) -> Mapping[str, int]:
    import pyarrow.compute as pc

    counts = {"added": 0, "removed": 0, "changed": 0}
    for each in pc.value_counts(rows.column("change")).to_pylist():
        counts[each["values"]] = each["counts"]
    return counts


def _changed_first(table: TableInfo, rows: Any, counts: Mapping[str, int]) -> Any:
    """Put the columns that changed before the others; leave those out if only changes are shown."""
    import pyarrow.compute as pc

    if not table.key:
        return rows
    changed = set(pc.list_flatten(rows.column("columns")).to_pylist())
    fixed = ["change", *table.key, "columns"]
    pairs = [name for name in rows.column_names if name not in fixed]
    first = [name for name in pairs if name.removesuffix("_before").removesuffix("_after") in changed]
    rest = [name for name in pairs if name not in first] if counts["added"] or counts["removed"] else []
    return rows.select([*fixed, *first, *rest])
