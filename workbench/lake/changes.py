"""Net changes of a keyed table between two snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import fetch
from workbench.errors import Unsupported
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake


@dataclass(frozen=True, slots=True, eq=False)
class ChangeSet:
    """What became of a table's rows between two snapshots, by key.

    A row that was inserted and deleted again, or changed and changed back, is not in it.

    Attributes
    ----------
    table : str
        Qualified name.
    a, b : int
        The snapshots compared.
    inserts, updates_before, updates_after, deletes : pyarrow.Table
        Whole rows (n × columns); the two update tables have the same order.
    """

    table: str
    a: int
    b: int
    inserts: pa.Table
    updates_before: pa.Table
    updates_after: pa.Table
    deletes: pa.Table

    def __len__(self) -> int:
        return sum(part.num_rows for part in (self.inserts, self.updates_after, self.deletes))


def read_changes(lake: Lake, table: TableInfo, a: int, b: int) -> ChangeSet:
    """Compare a table at two snapshots by key; columns are those it has at both."""
    if not table.key:
        raise Unsupported(
            f"{table.name!r} has no key, so its rows cannot be followed.",
            hint=f"Give it one, as in: ALTER TABLE {table.name} ADD PRIMARY KEY (id).",
        )
    old, new = (f"(FROM lake.{table.sql} AT (VERSION => {snapshot}))" for snapshot in (a, b))
    with lake.pinned() as (cursor, _):
        both = [
            column
            for column in fetch(lake.run(cursor, f"SELECT * FROM {new} LIMIT 0")).column_names
            if column in set(fetch(lake.run(cursor, f"SELECT * FROM {old} LIMIT 0")).column_names)
        ]
        columns, key = quote_all(both), quote_all(table.key)
        differ = " OR ".join(
            f"o.{quote(column)} IS DISTINCT FROM n.{quote(column)}"
            for column in both
            if column not in table.key
        )
        # Only rows written since `a` can be new or different: DuckLake keeps that per row.
        fresh = f"SELECT {columns} FROM lake.{table.sql} AT (VERSION => {b}) WHERE snapshot_id > {a}"
        joined = f"FROM ({fresh}) AS n JOIN {old} AS o USING ({key}) WHERE {differ or 'false'} ORDER BY {key}"

        def read(sql: str) -> pa.Table:
            return fetch(lake.run(cursor, sql))

        return ChangeSet(
            table.qualified,
            a,
            b,
            inserts=read(f"SELECT {columns} FROM ({fresh}) ANTI JOIN {old} USING ({key}) ORDER BY {key}"),
            updates_before=read(f"SELECT {quote_all(both, 'o.')} {joined}"),
            updates_after=read(f"SELECT {quote_all(both, 'n.')} {joined}"),
            deletes=read(f"SELECT {columns} FROM {old} ANTI JOIN {new} USING ({key}) ORDER BY {key}"),
        )
