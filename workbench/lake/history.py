"""History: what each snapshot did to the store, a table, a query or a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute, fetch
from workbench.errors import InvalidData
from workbench.lake.past import table_at
from workbench.lake.result import Result
from workbench.lake.snapshots import changes_by_snapshot, count_changes_query
from workbench.lake.tables import TableInfo
from workbench.names import METADATA, literal

if TYPE_CHECKING:
    from workbench.lake.lake import Lake


# Entries of DuckLake's changes_made for upkeep that moves rows into other files.
_MOVES = ("merge_adjacent", "rewrite_delete", "compacted_table", "flushed_inlined")


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
    try:
        row = lake.run(
            lake.cursor(),
            f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot "
            "WHERE snapshot_time::TIMESTAMPTZ <= CAST($moment AS TIMESTAMPTZ)",
            {"moment": str(moment)},
        ).fetchone()
    except InvalidData as error:
        raise InvalidData(
            f"{str(moment)!r} is neither a snapshot nor a time.", hint="Such as 17, or '2024-05-01 12:00'."
        ) from error
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
            f"commit_message AS message FROM {METADATA}.ducklake_snapshot "
            f"JOIN {METADATA}.ducklake_snapshot_changes "
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


@dataclass(frozen=True, slots=True)
class _Life:
    """A table from its making to its drop: names can be used again, ids cannot.

    `since` is the first snapshot in which it had the name asked for, `last` the last in which it was
    there under it, and `became` the name that it got after that.
    """

    id: int
    table: TableInfo
    since: int
    born: int
    died: int | None
    last: int
    became: str | None


def table_history(lake: Lake, schema: str, name: str) -> Result:
    """List what happened to a table, newest first, with its earlier lives under the same name.

    Columns: snapshot, time, author, message, event, inserts, updates, deletes, run, mode, reason.
    Rows are counted by key where the table has one. `event` says what happened other than to rows:
    'created', 'made anew', 'columns changed', 'renamed', 'dropped', 'version 2', 'paused'.
    """
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        counts, events = [_NO_COUNTS], [_definition_events()]
        for number, life in enumerate(_lives(lake, cursor, schema, name, head)):
            changes = f"mlstore_changes_{number}"
            execute(cursor, f"CREATE OR REPLACE TEMP TABLE {changes} AS {_entries(life, head)}")
            counts += _counts(lake, cursor, life, changes)
            events.append(f"SELECT snapshot, event, 0 AS place FROM temp.{changes} WHERE event IS NOT NULL")
        found = (
            "SELECT snapshot, sum(inserts)::BIGINT AS inserts, sum(updates)::BIGINT AS updates, "
            f"sum(deletes)::BIGINT AS deletes FROM ({' UNION ALL '.join(counts)}) GROUP BY snapshot"
        )
        numbers = ", ".join(f"coalesce(n.{each}, 0) AS {each}" for each in ("inserts", "updates", "deletes"))
        rows = fetch(lake.run(cursor, _history_query(found, events, f"{numbers}, "), {"name": name}))
    return Result(rows, head, time.perf_counter() - clock)


def merged(histories: Sequence[Result]) -> Result:
    """Put the histories of several tables together, the newest first."""
    import pyarrow as pa

    rows = pa.concat_tables([each.to_arrow() for each in histories]).sort_by([("snapshot", "descending")])
    return Result(rows, histories[0].snapshot, sum(each.seconds for each in histories))


def definition_history(lake: Lake, name: str) -> Result:
    """List what happened to a named query or a model, newest first: versions, deployments, the drop.

    Columns: snapshot, time, author, message, event, run, mode, reason.
    """
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        deployments = (
            "SELECT snapshot_id, 'version ' || version || ' deployed: ' || reason, 2 "
            "FROM lake.mlstore.deployments WHERE version IS NOT NULL AND lower(model) = lower($name)"
        )
        trained = (
            "SELECT snapshot_id, 'version ' || version, 1 "
            "FROM lake.mlstore.models WHERE lower(name) = lower($name)"
        )
        events = [_definition_events("kind <> 'model' OR status <> 'active'"), trained, deployments]
        rows = fetch(lake.run(cursor, _history_query(_NO_COUNTS, events), {"name": name}))
    return Result(rows, head, time.perf_counter() - clock)


_NO_COUNTS = "SELECT 0 AS snapshot, 0 AS inserts, 0 AS updates, 0 AS deletes WHERE false"


def _history_query(counts: str, events: Sequence[str], numbers: str = "") -> str:
    """Join what is known of each snapshot: the commit, rows counted, events, the run."""
    return (
        f"WITH n AS ({counts}), every(snapshot, event, place) AS ({' UNION ALL '.join(events)}), "
        "e AS (SELECT snapshot, replace(string_agg(event, ', ' ORDER BY place, event), "
        "'created, dropped', 'made anew') AS event FROM "
        "(SELECT snapshot, event, min(place) AS place FROM every GROUP BY ALL) GROUP BY snapshot), "
        "r AS (SELECT snapshot_id, max_by(id, rowid) AS id, max_by(mode, rowid) AS mode, "
        "max_by(reason, rowid) AS reason FROM lake.mlstore.runs WHERE lower(name) = lower($name) "
        "AND kind <> 'drop' GROUP BY snapshot_id) "
        "SELECT snapshot, s.snapshot_time::TIMESTAMPTZ AS time, c.author, c.commit_message AS message, "
        f"e.event, {numbers}coalesce(r.id, json_extract_string(c.commit_extra_info, '$.run')) AS run, "
        "r.mode, r.reason FROM n FULL JOIN e USING (snapshot) "
        f"JOIN {METADATA}.ducklake_snapshot AS s ON s.snapshot_id = snapshot "
        f"JOIN {METADATA}.ducklake_snapshot_changes AS c ON c.snapshot_id = snapshot "
        "LEFT JOIN r ON r.snapshot_id = snapshot ORDER BY snapshot DESC"
    )


def _definition_events(where: str = "true") -> str:
    """Select what the records say of a name: a version when it is first there, and else its status."""
    return (
        "SELECT snapshot, event, 1 AS place FROM (SELECT kind, status, snapshot_id AS snapshot, "
        "CASE WHEN row_number() OVER (PARTITION BY kind, version "
        "ORDER BY snapshot_id, rowid) = 1 THEN 'version ' || version WHEN status <> 'active' THEN status "
        "WHEN lag(status) OVER (ORDER BY snapshot_id, rowid) <> 'active' THEN 'resumed' "
        "ELSE 'trigger changed' END AS event "
        f"FROM lake.mlstore.definitions WHERE lower(name) = lower($name)) WHERE {where}"
    )


def _lives(lake: Lake, cursor: Cursor, schema: str, name: str, head: int) -> list[_Life]:
    rows = execute(
        cursor,
        "WITH named AS (SELECT t.table_id, s.schema_name, t.table_name, t.begin_snapshot, t.end_snapshot, "
        "s.schema_name = $schema AND lower(t.table_name) = lower($name) AS asked "
        f"FROM {METADATA}.ducklake_table AS t JOIN {METADATA}.ducklake_schema AS s USING (schema_id)) "
        "SELECT table_id, any_value(schema_name), arg_max(table_name, begin_snapshot), "
        "min(begin_snapshot) FILTER (asked), min(begin_snapshot), bool_or(asked AND end_snapshot IS NULL), "
        "max(end_snapshot) FILTER (asked), arg_max(table_name, begin_snapshot) FILTER (NOT asked) "
        "FROM named GROUP BY table_id HAVING bool_or(asked)",
        {"schema": schema, "name": name},
    ).fetchall()
    lives = []
    for table_id, kept, called, since, born, alive, ended, other in rows:
        died = None if alive else ended
        last = head if died is None else died - 1
        table = table_at(lake, cursor, f"{kept}.{called if alive else name}", last)
        became = None if alive or called != other else other
        lives.append(_Life(table_id, table, born if alive else since, born, died, last, became))
    return lives


def _entries(life: _Life, head: int) -> str:
    """Select the snapshots that touched a table, what they did to its rows, and any other event.

    Upkeep, which moves rows between files, is none.
    """

    def has(*kinds: str) -> str:
        listed = ", ".join(f"'{kind}:{life.id}'" for kind in kinds)
        return f"list_has_any(made, [{listed}])"

    died = -1 if life.died is None else life.died
    end = "dropped" if life.became is None else f"renamed to {life.became}"
    names = (
        f"SELECT begin_snapshot, lag(table_name) OVER (ORDER BY begin_snapshot) AS earlier, table_name "
        f"FROM {METADATA}.ducklake_table WHERE table_id = {life.id}"
    )
    return (
        f"SELECT snapshot_id AS snapshot, {has('inserted_into_table')} AS inserted, "
        f"{has('deleted_from_table', 'inlined_delete', 'inlined_insert')} AS mixed, "
        f"CASE WHEN snapshot_id = {life.born} THEN 'created' WHEN snapshot_id = {died} THEN {literal(end)} "
        "WHEN earlier <> table_name THEN 'renamed from ' || earlier "
        f"WHEN {has('altered_table')} THEN 'columns changed' END AS event "
        "FROM (SELECT snapshot_id, string_split(changes_made, ',') AS made "
        f"FROM {METADATA}.ducklake_snapshot_changes WHERE snapshot_id BETWEEN {life.since} AND "
        f"{head if life.died is None else life.died}) LEFT JOIN ({names}) ON begin_snapshot = snapshot_id "
        "WHERE inserted OR mixed OR event IS NOT NULL"
    )


def _counts(lake: Lake, cursor: Cursor, life: _Life, changes: str) -> list[str]:
    """Write queries that count a table's rows for each snapshot.

    What was only inserted is known from the catalog; for the rest the change feed is read, which
    costs as much as there are rows in the snapshots that it covers.
    """
    counts = []
    only = f"SELECT snapshot FROM temp.{changes} WHERE inserted AND NOT mixed"
    read = f"SELECT snapshot FROM temp.{changes} WHERE mixed"
    if _was_moved(cursor, life):
        read = f"SELECT snapshot FROM temp.{changes} WHERE inserted OR mixed"
    else:
        counts.append(
            "SELECT begin_snapshot AS snapshot, sum(record_count)::BIGINT AS inserts, 0 AS updates, "
            f"0 AS deletes FROM {METADATA}.ducklake_data_file WHERE table_id = {life.id} "
            f"AND begin_snapshot IN ({only}) GROUP BY begin_snapshot"
        )
    span = execute(
        cursor, f"SELECT min(snapshot), max(snapshot) FROM ({read}) WHERE snapshot <= {life.last}"
    ).fetchone()
    if span and span[0] is not None:
        # The feed gives the table as it was at the end of the span: its name, columns and key.
        name = f"{life.table.schema}.{_name_at(cursor, life.id, span[1])}"
        feed = count_changes_query(table_at(lake, cursor, name, span[1]), *span)
        counts.append(f"SELECT * FROM ({feed}) WHERE snapshot IN ({read})")
    if life.died is not None and life.became is None:
        counts.append(
            f"SELECT {life.died} AS snapshot, 0 AS inserts, 0 AS updates, count(*) AS deletes "
            f"FROM lake.{life.table.sql} AT (VERSION => {life.last})"
        )
    return counts


def _name_at(cursor: Cursor, table_id: int, snapshot: int) -> str:
    row = execute(
        cursor,
        f"SELECT table_name FROM {METADATA}.ducklake_table WHERE table_id = ? AND begin_snapshot <= ? "
        "ORDER BY begin_snapshot DESC LIMIT 1",
        [table_id, snapshot],
    ).fetchone()
    assert row is not None
    return str(row[0])


def _was_moved(cursor: Cursor, life: _Life) -> bool:
    """Say whether upkeep put a table's rows into other files, whose counts mean nothing here."""
    listed = ", ".join(f"'{kind}:{life.id}'" for kind in _MOVES)
    row = execute(
        cursor,
        f"SELECT count(*) FROM {METADATA}.ducklake_snapshot_changes "
        f"WHERE list_has_any(string_split(changes_made, ','), [{listed}])",
    ).fetchone()
    return bool(row and row[0])
