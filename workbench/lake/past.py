"""Tables as they were: their columns and their key at a snapshot, also of tables that are gone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound
from workbench.lake.tables import TableInfo
from workbench.names import SCHEMAS

if TYPE_CHECKING:
    from workbench.lake.lake import Lake

_META = "__ducklake_metadata_lake"


def table_at(lake: Lake, cursor: Cursor, name: str, snapshot: int) -> TableInfo:
    """Return a table or query as it was at a snapshot, by `name` or `schema.name`.

    Raises
    ------
    InvalidData
        If there is no such snapshot, or the table did not exist then.
    NotFound
        If there never was a table of that name.
    """
    head = lake.head(cursor)
    if not 0 <= snapshot <= head:
        raise InvalidData(f"There is no snapshot {snapshot}.", hint=f"The newest is {head}; see history.")
    lives = _lives(cursor, name)
    if not lives:
        raise NotFound.named("table", name, lake.tables.names(cursor))
    there = [life for life in lives if life[2] <= snapshot and (life[3] is None or snapshot < life[3])]
    if not there:
        first = min(life[2] for life in lives)
        was = f"it was made in snapshot {first}" if snapshot < first else "it had been dropped"
        raise InvalidData(
            f"{name!r} did not exist at snapshot {snapshot}: {was}.", hint=f"See: history {name}."
        )
    schema, spelled = there[0][:2]
    found = TableInfo(schema, spelled, {})
    rows = lake.run(cursor, f"DESCRIBE SELECT * FROM lake.{found.sql} AT (VERSION => {snapshot})").fetchall()
    key, auto = _key_at(cursor, found, snapshot)
    return TableInfo(schema, spelled, {row[0]: row[1] for row in rows}, key, auto)


def last_table(lake: Lake, name: str, known: Iterable[str] = ()) -> TableInfo:
    """Return the schema and name of a table that was dropped; its columns are not looked up.

    Raises
    ------
    NotFound
        If there never was one of that name, with the nearest of the names `known`.
    """
    lives = _lives(lake.cursor(), name)
    if not lives:
        raise NotFound.named("table", name, known)
    newest = max(lives, key=lambda life: life[2])
    return TableInfo(newest[0], newest[1], {})


def _lives(cursor: Cursor, name: str) -> list[tuple[str, str, int, int | None]]:
    """List when there was a table or view of a name: schema, name, first snapshot, snapshot of its end."""
    parts = [part.strip('"').lower() for part in name.split(".")]
    found: list[tuple[str, str, int, int | None]] = execute(
        cursor,
        "SELECT s.schema_name, r.name, r.begin_snapshot, r.end_snapshot FROM "
        f"(SELECT schema_id, table_name AS name, begin_snapshot, end_snapshot FROM {_META}.ducklake_table "
        "UNION ALL SELECT schema_id, view_name, begin_snapshot, end_snapshot "
        f"FROM {_META}.ducklake_view) AS r JOIN {_META}.ducklake_schema AS s USING (schema_id) "
        "WHERE lower(r.name) = ?",
        [parts[-1]],
    ).fetchall()
    if len(parts) > 1:
        found = [life for life in found if life[0] == parts[-2]]
    return sorted(found, key=lambda life: SCHEMAS.index(life[0]))


def _key_at(cursor: Cursor, table: TableInfo, snapshot: int) -> tuple[tuple[str, ...], bool]:
    row = execute(
        cursor,
        f"SELECT key, auto FROM lake.mlstore.tables AT (VERSION => {snapshot}) "
        "WHERE schema = ? AND lower(name) = lower(?)",
        [table.schema, table.name],
    ).fetchone()
    return (tuple(json.loads(row[0])), bool(row[1])) if row else ((), False)
