"""Snapshots: the commits of a lake, and what each did to a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor
from workbench.lake.catalog import TABLES, ask, at, moment, number, table_ids
from workbench.lake.entries import UPKEEP, entries
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit: its id, when, who, and why."""

    id: int
    time: datetime
    author: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Journal:
    """What the catalog says of the snapshots up to `head`, read at once.

    Attributes
    ----------
    head : int
    versions : dict of int to int
        The version of the lake's schema in each snapshot, unless it has expired.
    made : dict of int to str
        What each of these snapshots changed, as DuckLake writes it.
    """

    head: int
    versions: Mapping[int, int]
    made: Mapping[int, str]

    def kinds(self, table_id: int, after: int) -> set[str]:
        """Name the kinds of change that were made to a table after a snapshot."""
        wanted = str(table_id)
        return {
            kind
            for snapshot, made in self.made.items()
            if snapshot > after
            for kind, value in entries(made)
            if value == wanted
        }

    def changed_tables(self, ids: Mapping[int, str]) -> dict[str, int]:
        """Name the tables whose rows or columns changed, with the last snapshot in which each did.

        `ids` gives the names, `schema.name`, that tables have at the head.
        """
        names = {str(table): name for table, name in ids.items()}
        return {
            name: snapshot for snapshot, made in self.made.items() for name in _changed_names(made, names)
        }


def read_journal(cursor: Cursor, since: int, head: int) -> Journal:
    """Read what was committed from `since` to `head`, both included."""
    rows = ask(
        cursor,
        "SELECT snapshot_id, schema_version, changes_made FROM ducklake_snapshot LEFT JOIN "
        f"ducklake_snapshot_changes USING (snapshot_id) WHERE snapshot_id BETWEEN {since} AND {head}",
    )
    return Journal(
        head,
        {number(row[0]): number(row[1]) for row in rows},
        {number(row[0]): row[2] or "" for row in rows},
    )


def read_snapshot(lake: Lake, snapshot: int) -> Snapshot:
    """Return a snapshot by its id."""
    made = lake.kept.commit(snapshot)
    return Snapshot(snapshot, moment(made.time), made.author, made.message)


def is_there(cursor: Cursor, snapshot: int) -> bool:
    """Tell whether a snapshot can still be read; one that never was, or has expired, cannot."""
    return bool(ask(cursor, f"SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = {snapshot}"))


def changes_by_snapshot(cursor: Cursor, after: int, until: int) -> dict[int, list[str]]:
    """Name, for each snapshot in (after, until], the tables whose rows or columns it changed.

    Tables are named `schema.name`, by the names they have at `until`.
    """
    rows = ask(
        cursor,
        "SELECT snapshot_id, changes_made FROM ducklake_snapshot_changes "
        f"WHERE snapshot_id > {after} AND snapshot_id <= {until} ORDER BY snapshot_id",
    )
    ids = {str(table): name for table, name in table_ids(cursor, until).items()} if rows else {}
    return {number(snapshot): _changed_names(changes or "", ids) for snapshot, changes in rows}


def changed_tables(cursor: Cursor, after: int, until: int) -> dict[str, int]:
    """Name the tables that changed in (after, until], with the last snapshot in which each did."""
    return {
        name: snapshot
        for snapshot, names in changes_by_snapshot(cursor, after, until).items()
        for name in names
    }


def tables_changed_by(lake: Lake, snapshot: int) -> list[str]:
    """Name the tables that a commit changed, by the names they have now."""
    ids = {str(table): name for table, name in lake.tables.numbers().items()}
    return _changed_names(lake.kept.commit(snapshot).changes, ids)


def _changed_names(changes: str, ids: Mapping[str, str]) -> list[str]:
    """Name the tables whose rows or columns a snapshot changed."""
    found = (ids.get(value, value) for kind, value in entries(changes) if not kind.startswith(UPKEEP))
    return list(dict.fromkeys(name for name in found if "." in name))


def table_born(cursor: Cursor, table: TableInfo, snapshot: int) -> int | None:
    """Return the snapshot in which the table that had this name at a snapshot was made, or replaced whole."""
    rows = ask(
        cursor,
        f"SELECT max(t.begin_snapshot) FROM {TABLES} WHERE {at(snapshot, 't')} "
        f"AND s.schema_name = {literal(table.schema)} AND t.table_name = {literal(table.name)}",
    )
    return None if rows[0][0] is None else number(rows[0][0])


def count_changes_query(table: TableInfo, first: int, last: int) -> str:
    """Return SQL that counts inserts, updates and deletes of a table for each snapshot, net.

    `table` is as it was at `last`. A row deleted and inserted again under the same key in one
    snapshot is an update. Without a key it is not, for it has another row id then.
    """
    # The feed's own columns get names that no table's have.
    feed = (
        f"ducklake_table_changes('lake', {literal(table.schema)}, {literal(table.name)}, {first}, {last}) "
        'AS feed("its snapshot", "its row", "its change")'
    )
    key = quote_all(table.key) if table.key and set(table.key) <= set(table.columns) else ""
    row = f'"its snapshot", "its row"{", " + key if key else ""}'
    kinds = {"came": "insert", "went": "delete", "old": "update_preimage", "new": "update_postimage"}
    images = ", ".join(
        f"list(DISTINCT hash({quote_all(table.columns)})) FILTER (\"its change\" = '{kind}') AS {name}"
        for name, kind in kinds.items()
    )
    # A row that was inserted and then updated in one transaction also shows up as an update of itself
    # to itself. Such rows get the same id in each transaction, so an id may stand for several rows.
    real = "list_sort(old) <> list_sort(new)"
    net = (
        f"SELECT * REPLACE (CASE WHEN {real} THEN old END AS old, CASE WHEN {real} THEN new END AS new) "
        f"FROM (SELECT {row}, {images} FROM {feed} GROUP BY {row})"
    )
    if not key:
        return (
            'SELECT "its snapshot" AS snapshot, coalesce(sum(len(came)), 0) AS inserts, '
            "coalesce(sum(len(new)), 0) AS updates, coalesce(sum(len(went)), 0) AS deletes "
            f"FROM ({net}) GROUP BY ALL"
        )
    return (
        "SELECT snapshot, count(*) FILTER (old IS NULL) AS inserts, count(*) FILTER (old <> new) AS updates, "
        'count(*) FILTER (new IS NULL) AS deletes FROM (SELECT "its snapshot" AS snapshot, '
        "min(coalesce(went, old)) AS old, min(coalesce(came, new)) AS new "
        f'FROM ({net}) GROUP BY "its snapshot", {key}) WHERE old IS NOT NULL OR new IS NOT NULL '
        "GROUP BY snapshot"
    )
