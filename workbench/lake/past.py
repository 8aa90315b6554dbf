"""Tables as they were: their columns and their key at a snapshot, also of tables that are gone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound
from workbench.lake.tables import TableInfo
from workbench.names import METADATA, SCHEMAS

if TYPE_CHECKING:
    from workbench.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that is there at a snapshot, of which nothing was read yet."""

    schema: str
    name: str
    is_view: bool
    snapshot: int

    @property
    def qualified(self) -> str:
        """The name with its schema, as in `main.flights`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class _Life:
    """When there was a table or view of a name: from `first` on, before `end`."""

    schema: str
    name: str
    is_view: bool
    first: int
    end: int | None

    def covers(self, snapshot: int) -> bool:
        return self.first <= snapshot and (self.end is None or snapshot < self.end)


def relation_at(lake: Lake, name: str, snapshot: int | None = None) -> Relation:
    """Find a table or view by `name` or `schema.name`: as it is now, or as it was at a snapshot.

    The catalog is asked once, and the table not at all.

    Raises
    ------
    InvalidData
        If there is no such snapshot, or it did not exist then.
    NotFound
        If there is none, or never was one of that name.
    """
    cursor = lake.cursor()
    head, lives = _lives(cursor, name)
    if snapshot is not None:
        life = _life_at(lake, cursor, name, snapshot, head, lives)
        return Relation(life.schema, life.name, life.is_view, snapshot)
    there = [life for life in lives if life.end is None]
    if not there:
        raise NotFound.named("table", name, lake.tables.names(cursor))
    return Relation(there[0].schema, there[0].name, there[0].is_view, head)


def table_at(lake: Lake, cursor: Cursor, name: str, snapshot: int) -> TableInfo:
    """Return a table or query as it was at a snapshot, by `name` or `schema.name`.

    Raises
    ------
    InvalidData
        If there is no such snapshot, or the table did not exist then.
    NotFound
        If there never was a table of that name.
    """
    life = _life_at(lake, cursor, name, snapshot, *_lives(cursor, name))
    schema, spelled = life.schema, life.name
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
    lives = _lives(lake.cursor(), name)[1]
    if not lives:
        raise NotFound.named("table", name, known)
    newest = max(lives, key=lambda life: life.first)
    return TableInfo(newest.schema, newest.name, {})


def _life_at(lake: Lake, cursor: Cursor, name: str, snapshot: int, head: int, lives: list[_Life]) -> _Life:
    if not 0 <= snapshot <= head:
        raise InvalidData(f"There is no snapshot {snapshot}.", hint=f"The newest is {head}; see history.")
    if not lives:
        raise NotFound.named("table", name, lake.tables.names(cursor))
    there = [life for life in lives if life.covers(snapshot)]
    if not there:
        first = min(life.first for life in lives)
        was = f"it was made in snapshot {first}" if snapshot < first else "it had been dropped"
        raise InvalidData(
            f"{name!r} did not exist at snapshot {snapshot}: {was}.", hint=f"See: history {name}."
        )
    return there[0]


def _lives(cursor: Cursor, name: str) -> tuple[int, list[_Life]]:
    """Return the newest snapshot, and when there was a table or view of a name."""
    parts = [part.strip('"').lower() for part in name.split(".")]
    rows = execute(
        cursor,
        "SELECT h.head, s.schema_name, r.name, r.is_view, r.begin_snapshot, r.end_snapshot FROM "
        f"(SELECT max(snapshot_id) AS head FROM {METADATA}.ducklake_snapshot) AS h LEFT JOIN "
        f"(SELECT schema_id, table_name AS name, false AS is_view, begin_snapshot, end_snapshot "
        f"FROM {METADATA}.ducklake_table UNION ALL SELECT schema_id, view_name, true, begin_snapshot, "
        f"end_snapshot FROM {METADATA}.ducklake_view) AS r ON lower(r.name) = ? "
        f"LEFT JOIN {METADATA}.ducklake_schema AS s USING (schema_id)",
        [parts[-1]],
    ).fetchall()
    found = [_Life(*row[1:]) for row in rows if row[1] is not None]
    if len(parts) > 1:
        found = [life for life in found if life.schema == parts[-2]]
    return rows[0][0], sorted(found, key=lambda life: SCHEMAS.index(life.schema))


def _key_at(cursor: Cursor, table: TableInfo, snapshot: int) -> tuple[tuple[str, ...], bool]:
    row = execute(
        cursor,
        f"SELECT key, auto FROM lake.mlstore.tables AT (VERSION => {snapshot}) "
        "WHERE schema = ? AND lower(name) = lower(?)",
        [table.schema, table.name],
    ).fetchone()
    return (tuple(json.loads(row[0])), bool(row[1])) if row else ((), False)
