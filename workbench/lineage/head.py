"""The lake at its head, as a trace reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import fetch
from workbench.lake import Result, TableInfo
from workbench.lake.snapshots import changed_tables
from workbench.names import quote

if TYPE_CHECKING:
    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake


class Head:
    """The lake at its head, read in one transaction, which the catalog is asked once for."""

    def __init__(self, lake: Lake, cursor: Cursor, snapshot: int) -> None:
        self.lake = lake
        self.cursor = cursor
        self.snapshot = snapshot
        self.tables = lake.tables.all(cursor)
        self._moved: dict[int, set[str]] = {}

    def find(self, name: str) -> TableInfo | None:
        """Look up a relation; a plain name is searched in the order of the schemas."""
        *schema, plain = (part.strip('"').lower() for part in name.split("."))
        same = (table for table in self.tables if table.name.lower() == plain)
        return next((table for table in same if not schema or table.schema == schema[-1]), None)

    def info(self, qualified: str) -> TableInfo:
        """Look up a relation; of one that is gone by now only the name is known."""
        schema, _, name = qualified.rpartition(".")
        return self.find(qualified) or TableInfo(schema, name, {})

    def records(self, table: str, where: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return rows of a record, oldest first."""
        return self.lake.records.rows(table, where, params, cursor=self.cursor)

    def bindings(self) -> list[dict[str, Any]]:
        """Return the bindings there are."""
        return self.lake.records.definitions("binding", cursor=self.cursor)

    def moved(self, since: int) -> set[str]:
        """Name the tables that changed after a snapshot."""
        if since not in self._moved:
            self._moved[since] = set(changed_tables(self.cursor, since, self.snapshot))
        return self._moved[since]

    def rows(
        self,
        cursor: Cursor,
        relation: str,
        columns: Sequence[str],
        info: TableInfo,
        values: Sequence[Any],
        snapshot: int,
    ) -> Result:
        """Return the rows of a relation with the given values."""
        # Equality with a constant lets DuckLake skip files by their statistics.
        match = " AND ".join(f"{quote(column)} = CAST(? AS {info.columns[column]})" for column in columns)
        sql = f"{relation} WHERE {match}"
        return Result(fetch(self.lake.run(cursor, sql, list(values))), snapshot, query=sql)
