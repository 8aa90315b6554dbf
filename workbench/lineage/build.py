"""Building the graph of lineage from what the store has recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.engines.sql import column_lineage
from workbench.errors import NotFound
from workbench.lineage.graph import ANY, ColumnPair, Edge, Lineage, Node, in_order
from workbench.names import SCHEMAS, Ref

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

# What the view of predictions shows of a side table: its column → the ending of the view's.
_SHOWN = {
    "value": "",
    "score": "_score",
    "status": "_status",
    "model_version": "_model",
    "predicted_at": "_at",
}

Pair = tuple[str, str, ColumnPair]
"""Source, target, and one pair of their columns."""


def build(lake: Lake, name: str, column: str | None = None) -> Lineage:
    """Build the graph around a table, query, transform, model or binding, or one of its columns.

    Parameters
    ----------
    name : str
        With or without schema; a binding also by its column, as in `late` or `flights.late`.
    column : str or None
        Keep only what this column comes from or goes into. What decides on the rows (filters,
        joins, groups) counts for every column.

    Raises
    ------
    NotFound
        If there is no such thing, or it has no such column.
    """
    records = _Records(lake)
    root, column = _find(records, name, column)
    pairs = records.pairs(root)
    kept = [*_walk(root, column, pairs, up=True), *_walk(root, column, pairs, up=False)]
    names = {root, *(source for source, _, _ in kept), *(target for _, target, _ in kept)}
    edges = _edges(kept)
    nodes = in_order([records.node(each, pairs) for each in names], edges)
    return Lineage(f"{root}.{column}" if column else root, nodes, edges, column)


@dataclass(slots=True)
class _Records:
    """The definitions and lineage of a lake, under the names that users know."""

    lake: Lake
    definitions: dict[str, dict[str, Any]] = field(init=False)
    tables: dict[str, TableInfo] = field(init=False)

    def __post_init__(self) -> None:
        self.definitions = {row["name"]: row for row in self.lake.records.definitions()}
        self.tables = {}
        for table in self.lake.tables.all():
            if table.kind != "record":
                self.tables.setdefault(self.plain(table.qualified), table)

    def plain(self, name: str) -> str:
        """Write a recorded name as users know it: without schema, but for views of predictions."""
        schema, _, rest = name.partition(".")
        if schema not in (*SCHEMAS, "model") or not rest:
            return name
        if schema == "predictions" and self.definitions.get(rest, {}).get("kind") != "binding":
            return name
        return name if schema == "model" and rest in self.tables else rest

    def node(self, name: str, pairs: Iterable[Pair]) -> Node:
        """Describe a node of the graph."""
        row = self.definitions.get(name)
        table = self.tables.get(name)
        if row is not None:
            kind = str(row["kind"])
        elif table is not None:
            kind = table.kind
        else:
            kind = "model"
        if table is not None:
            columns = tuple(table.columns)
        else:
            targets = (pair.target for _, target, pair in pairs if target == name)
            columns = tuple(dict.fromkeys(each for each in targets if each != ANY))
        definition = row["definition"] if row else {}
        return Node(name, kind, columns, definition.get("query") or "", row["recorded_at"] if row else None)

    def pairs(self, root: str) -> list[Pair]:
        """Return all edges between columns; those of views of predictions that are read, and of the root."""
        rows = self.lake.records.rows("lineage")
        versions: dict[str, int] = {}
        for row in rows:
            versions[row["name"]] = max(row["version"], versions.get(row["name"], 0))
        for name, row in self.definitions.items():
            if name in versions:
                versions[name] = row["version"]
        dropped = self._dropped()
        found = [
            self._pair(row["input"], row["name"], row["input_column"], row["output_column"], row["kind"])
            for row in rows
            if row["version"] == versions[row["name"]] and self.plain(row["name"]) not in dropped
        ]
        recorded = {target for _, target, _ in found}
        for name, row in self.definitions.items():
            if name not in recorded:
                found += self._derived(name, row["definition"])
        return list(dict.fromkeys([*found, *self._views(found, root)]))

    def _dropped(self) -> set[str]:
        rows = self.lake.records.rows("definitions", "status = 'dropped'")
        return {row["name"] for row in rows} - self.definitions.keys()

    def _pair(self, source: str, target: str, column: str, output: str, kind: str) -> Pair:
        return self.plain(source), self.plain(target), ColumnPair(column, output, kind)

    def _derived(self, name: str, definition: Mapping[str, Any]) -> list[Pair]:
        """Read the lineage off a definition that has none recorded, as that of a named query."""
        query = definition.get("expanded") or definition.get("query")
        if not query:
            return []
        schema = {table.qualified: table.columns for table in self.tables.values()}
        edges = column_lineage(query, schema)
        return [self._pair(edge.table, name, edge.column, edge.output_column, edge.kind) for edge in edges]

    def _views(self, found: Iterable[Pair], root: str) -> list[Pair]:
        """Return what the views `predictions.<table>` show of the table and of its bindings."""
        bound: dict[str, list[dict[str, Any]]] = {}
        for row in self.definitions.values():
            if row["kind"] == "binding":
                bound.setdefault(f"predictions.{row['definition']['on'].rpartition('.')[2]}", []).append(row)
        used = {root, *(source for source, _, _ in found)}
        views: list[Pair] = []
        for view, rows in bound.items():
            on = next((each for row in rows if (each := row["definition"]["on"]) != view), view)
            table = self.tables.get(self.plain(on))
            if view not in used or table is None:
                continue
            views += [self._pair(on, view, each, each, "value") for each in table.columns]
            for row in rows:
                shown = ((each, row["definition"]["column"] + ending) for each, ending in _SHOWN.items())
                views += [self._pair(row["name"], view, each, name, "value") for each, name in shown]
        return views


def _find(records: _Records, name: str, column: str | None) -> tuple[str, str | None]:
    wanted = Ref.parse(name).name
    known = {each.lower(): each for each in (*records.tables, *records.definitions)}
    plain = records.plain(wanted)
    found = known.get(plain.lower()) or known.get(wanted.lower())
    if found is not None:
        return _check_column(records, found, column)
    for each, row in records.definitions.items():
        if row["kind"] == "binding" and wanted in (row["definition"]["column"], _dotted(row)):
            return _check_column(records, each, column)
    raise NotFound.named("table, query, transform, model or binding", name, known.values())


def _dotted(row: Mapping[str, Any]) -> str:
    return f"{row['definition']['on'].rpartition('.')[2]}.{row['definition']['column']}"


def _check_column(records: _Records, name: str, column: str | None) -> tuple[str, str | None]:
    if column is None:
        return name, None
    for each, row in records.definitions.items():
        # `flights.late` is the binding late on flights, unless flights has such a column.
        if row["kind"] == "binding" and _dotted(row) == f"{name}.{column}":
            return each, None
    table = records.tables.get(name)
    columns = table.columns if table is not None else records.node(name, records.pairs(name)).columns
    found = {each.lower(): each for each in columns}.get(column.lower())
    if found is None:
        raise NotFound.named("column", column, columns, within=name)
    return name, found


def _walk(root: str, column: str | None, pairs: list[Pair], *, up: bool) -> list[Pair]:
    """Follow pairs of columns from the root, against the arrows or along them."""
    by_name: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_name.setdefault(pair[1] if up else pair[0], []).append(pair)
    kept: dict[Pair, None] = {}
    seen: set[tuple[str, str]] = set()
    front = [(root, column or ANY)]
    while front:
        seen |= set(front)
        following: dict[tuple[str, str], None] = {}
        for name, wanted in front:
            for pair in by_name.get(name, ()):
                source, target, columns = pair
                here, there = (columns.target, columns.source) if up else (columns.source, columns.target)
                if ANY in (wanted, here) or here.lower() == wanted.lower():
                    kept[pair] = None
                    following[(source if up else target, there if column else ANY)] = None
        front = [each for each in following if each not in seen]
    return list(kept)


def _edges(pairs: Iterable[Pair]) -> tuple[Edge, ...]:
    columns: dict[tuple[str, str], dict[ColumnPair, None]] = {}
    for source, target, pair in pairs:
        columns.setdefault((source, target), {})[pair] = None
    return tuple(Edge(source, target, tuple(found)) for (source, target), found in sorted(columns.items()))
