"""The tree of a store: its tables, queries, transforms, bindings and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from workbench.answers.freshness import Freshness, freshness
from workbench.bind import Binding
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import NotFound
from workbench.lake.counts import row_counts
from workbench.lake.distribution import kind_of
from workbench.language.draft import Subject, drafts, store_drafts
from workbench.names import quote_name
from workbench.server.wire import Badge, Column, Drafts, Item, Kind, Tree
from workbench.train import registry

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

_FRESH = Freshness("fresh")


def tree(lake: Lake) -> Tree:
    """Read the tree at the newest snapshot."""
    with lake.pinned() as (cursor, head):
        return Tree(head, tuple(_items(lake, cursor, head)), store_drafts())


def find_item(lake: Lake, name: str, kind: str) -> Item:
    """Find a thing of the tree.

    Raises
    ------
    NotFound
        If it is not there.
    """
    with lake.pinned() as (cursor, head):
        items = _items(lake, cursor, head)
    for each in items:
        if each.name == name and each.kind == kind:
            return each
    raise NotFound.named(kind if kind in get_args(Kind) else "thing", name, [each.name for each in items])


def draft_cells(lake: Lake, name: str, kind: str) -> Drafts:
    """Write a cell for each verb that can be said of a thing."""
    item = find_item(lake, name, kind)
    key = [each.name for each in item.columns if each.key]
    of = ""
    if kind == "binding":
        of = name.partition(".")[0]
    elif kind == "model":
        of = registry.get(lake, name).label
    columns = [each.name for each in item.columns]
    return Drafts(drafts(Subject(name, kind, columns, key, lake.head(), of)))


def column(name: str, kind: str, key: tuple[str, ...] = ()) -> Column:
    """Describe a column of a DuckDB type.

    Examples
    --------
    >>> column("fare", "DECIMAL(9,2)").number
    True
    """
    return Column(name, kind, name in key, kind_of(kind) == "number")


def _items(lake: Lake, cursor: Cursor, head: int) -> list[Item]:
    counts = row_counts(cursor)
    fresh = freshness(lake, cursor, head)
    relations = [each for each in lake.tables.all(cursor) if each.kind in ("table", "query", "transform")]
    known = {each.qualified: each for each in lake.tables.all(cursor)}
    items = [_relation(each, counts, fresh) for each in relations]
    definitions = lake.records.definitions(cursor=cursor)
    bound = [Binding.from_record(row) for row in definitions if row["kind"] == "binding"]
    items += [_binding(cursor, each, known, counts, fresh) for each in bound]
    for row in definitions:
        if row["kind"] == "model":
            items += _model(lake, cursor, row["name"], fresh)
    return items


def _relation(table: TableInfo, counts: Mapping[str, int], fresh: Mapping[str, Freshness]) -> Item:
    columns = tuple(column(name, kind, table.key) for name, kind in table.columns.items())
    badges = _badges(fresh.get(table.name, _FRESH)) if table.kind == "transform" else ()
    about = f"{len(columns)} columns"
    kind: Any = table.kind
    return Item(table.name, kind, counts.get(table.qualified), about, columns, badges)


def _binding(
    cursor: Cursor,
    binding: Binding,
    known: Mapping[str, TableInfo],
    counts: Mapping[str, int],
    fresh: Mapping[str, Freshness],
) -> Item:
    view = known.get(binding.view)
    columns = tuple(column(name, kind, binding.key) for name, kind in view.columns.items()) if view else ()
    badges = [*_badges(fresh.get(binding.name, _FRESH))]
    by_status = dict(
        execute(
            cursor, f"SELECT status, count(*) FROM lake.{quote_name(binding.output)} GROUP BY status"
        ).fetchall()
    )
    if by_status.get("error"):
        badges.append(Badge("errors", f"{by_status['error']:,} errors", "The model failed for these rows."))
    if by_status.get("pending"):
        badges.append(
            Badge("pending", f"{by_status['pending']:,} pending", "These rows are not predicted yet.")
        )
    name = f"{binding.table}.{binding.column}"
    return Item(name, "binding", counts.get(binding.output), binding.model, columns, tuple(badges))


def _model(lake: Lake, cursor: Cursor, name: str, fresh: Mapping[str, Freshness]) -> list[Item]:
    versions = registry.find_versions(lake, name, cursor)
    if not versions:
        return []
    champion = next((each for each in versions if each.deployed), None)
    shown = champion or versions[-1]
    badges = [*_badges(fresh.get(name, _FRESH))]
    if champion is not None:
        badges.insert(0, Badge("champion", f"v{champion.version}", "This version is deployed."))
    columns = tuple(
        Column(each.name, each.kind, False, each.kind == "number") for each in shown.features.columns
    )
    return [Item(name, "model", shown.rows, shown.algorithm, columns, tuple(badges))]


def _badges(state: Freshness) -> tuple[Badge, ...]:
    if state.status == "fresh":
        return ()
    return (Badge(state.status, state.status, state.why),)
