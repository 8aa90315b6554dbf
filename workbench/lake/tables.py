"""The tables of a lake: names, columns and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import NotFound
from workbench.lake.catalog import table_ids
from workbench.lake.kept import SCHEMA
from workbench.names import SCHEMAS, quote

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

KINDS = {
    "main": "table",
    "queries": "query",
    "features": "transform",
    "predictions": "predictions",
    "mlstore": "record",
}

_SAME_TABLE = "schema = ? AND lower(name) = lower(?)"


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A relation of the lake.

    Attributes
    ----------
    schema, name : str
    columns : dict of str to str
        Column names and DuckDB types, in order.
    key : tuple of str
        The columns that identify a row; empty for a keyless table.
    auto : bool
        Whether the store fills the key (`KEY auto`).
    """

    schema: str
    name: str
    columns: dict[str, str]
    key: tuple[str, ...] = ()
    auto: bool = False

    @property
    def qualified(self) -> str:
        """The name with its schema, as in `main.flights`."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The name with its schema, quoted for SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def is_side(self) -> bool:
        """Whether it holds the predictions of one binding, which are read in a view."""
        return self.schema == "predictions" and "__" in self.name

    @property
    def kind(self) -> str:
        """What it is: table, query, transform, predictions or record."""
        return KINDS[self.schema]


class Tables:
    """Looks up the relations of a lake; `Lake.tables` is the one instance."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def all(self, cursor: Cursor | None = None) -> list[TableInfo]:
        """List all relations, in the order of the schemas, then by name."""
        return list(self._lake.kept.get("relations", (SCHEMA, "tables"), cursor, self._read))

    def _read(self, cursor: Cursor) -> list[TableInfo]:
        keys = self._keys(cursor)
        found = [
            TableInfo(schema, name, described, *keys.get((schema, name.lower()), ((), False)))
            for (schema, name), described in _read_columns(cursor).items()
        ]
        return sorted(found, key=lambda table: (SCHEMAS.index(table.schema), table.name))

    def _keys(self, cursor: Cursor) -> dict[tuple[str, str], tuple[tuple[str, ...], bool]]:
        rows = self._lake.records.kept("tables", cursor=cursor)
        # CREATE OR REPLACE TABLE may write the name in another case.
        return {(row["schema"], row["name"].lower()): (tuple(row["key"]), row["auto"]) for row in rows}

    def numbers(self, cursor: Cursor | None = None) -> Mapping[int, str]:
        """Name the tables, `schema.name`, by their ids in the catalog; none that `cursor` has made itself."""
        return self._lake.kept.get("table ids", (SCHEMA,), cursor, self._read_numbers)

    def _read_numbers(self, cursor: Cursor) -> dict[int, str]:
        sight = self._lake.kept.sight(cursor)
        return table_ids(cursor, self._lake.head(cursor) if sight is None else sight.head)

    def names(self, cursor: Cursor | None = None) -> list[str]:
        """List the plain names of all relations but the records and what bindings fill."""
        shown = (table for table in self.all(cursor) if table.kind != "record" and not table.is_side)
        return sorted({table.name for table in shown})

    def find(
        self, name: str, cursor: Cursor | None = None, *, among: Sequence[TableInfo] | None = None
    ) -> TableInfo | None:
        """Look up `name` or `schema.name`; a plain name is searched in the order of the schemas.

        `among` is what `all` gave, for a caller who looks up several.
        """
        parts = [part.strip('"').lower() for part in name.split(".")]
        if len(parts) == 3 and parts[0] == "lake":
            parts = parts[1:]
        if len(parts) > 2:
            return None
        for table in self.all(cursor) if among is None else among:
            if table.name.lower() == parts[-1] and (len(parts) == 1 or table.schema == parts[0]):
                return table
        return None

    def resolve(
        self, name: str, cursor: Cursor | None = None, *, among: Sequence[TableInfo] | None = None
    ) -> TableInfo:
        """Look up `name` or `schema.name`, as `find` does.

        Raises
        ------
        NotFound
            If there is none, with the nearest names.
        """
        found = self.find(name, cursor, among=among)
        if found is None:
            raise NotFound.named("table", name.removeprefix("main."), self.names(cursor))
        return found

    def is_view(self, table: TableInfo) -> bool:
        """Whether it is computed when it is read, and holds no rows of its own."""
        row = execute(
            self._lake.cursor(),
            "SELECT 1 FROM duckdb_views() WHERE database_name = 'lake' AND schema_name = ? AND view_name = ?",
            [table.schema, table.name],
        ).fetchone()
        return row is not None

    def declare(
        self,
        tx: Transaction,
        schema: str,
        name: str,
        key: tuple[str, ...],
        *,
        auto: bool = False,
        next_id: int = 1,
    ) -> None:
        """Record the key of a table, as part of the commit `tx`; an earlier record is replaced."""
        self.forget(tx, schema, name)
        row = {"schema": schema, "name": name, "key": list(key), "auto": auto, "next_id": next_id}
        self._lake.records.append(tx, "tables", [row])

    def next_id(self, tx: Transaction, schema: str, name: str) -> int:
        """Return the next automatic key of a table; 1 if it has none."""
        sql = f"SELECT next_id FROM lake.mlstore.tables WHERE {_SAME_TABLE}"
        row = execute(tx.cursor, sql, [schema, name]).fetchone()
        return int(row[0]) if row else 1

    def forget(self, tx: Transaction, schema: str, name: str) -> None:
        """Remove the record of a table's key, if there is one, as part of the commit `tx`."""
        if (schema, name.lower()) not in self._keys(tx.cursor):
            return
        self._lake.kept.touch(tx.cursor, "tables")
        execute(tx.cursor, f"DELETE FROM lake.mlstore.tables WHERE {_SAME_TABLE}", [schema, name])


def _read_columns(cursor: Cursor) -> dict[tuple[str, str], dict[str, str]]:
    """Read the columns, with their types, of each relation."""
    rows = execute(
        cursor,
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'lake' ORDER BY table_name, column_index",
    ).fetchall()
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, name, column, kind in rows:
        if schema in KINDS:
            columns.setdefault((schema, name), {})[column] = kind
    return columns
