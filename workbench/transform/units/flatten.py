"""Queries without CTEs and views: each takes the place of its name, and tables get their full names."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from workbench.engines.tree import Node, function_name, is_faithful, parse_tree, subquery_item, unstable, walk
from workbench.errors import Unsupported
from workbench.transform.units.flow import Source, Surroundings, Undivided

_DEEPEST = 20
_RECURSIVE = "RECURSIVE_CTE_NODE"
CATALOG = "lake"


def flatten(sql: str, around: Surroundings) -> Node:
    """Parse a query and put the texts of its CTEs and views in the place of their names.

    Raises
    ------
    Undivided
        If it cannot be parsed, a CTE is recursive, or its result depends on more than its tables.
    """
    tree: Node = _inlined(_parse(sql), {}, around, 0)
    if not is_faithful(sql):
        raise Undivided("the query cannot be taken apart and put together again")
    _refuse_unstable(tree, around)
    return tree


def _parse(sql: str) -> Node:
    try:
        return parse_tree(sql)
    except Unsupported as error:
        raise Undivided(f"the query cannot be taken apart ({error.message})") from error


def _inlined(node: Any, ctes: Mapping[str, Node], around: Surroundings, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Undivided("views read each other too deeply")
    if isinstance(node, list):
        return [_inlined(each, ctes, around, depth) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == _RECURSIVE:
        raise Undivided("a CTE is recursive")
    if node.get("cte_map"):
        for entry in node["cte_map"]["map"]:
            query = _inlined(entry["value"]["query"]["node"], ctes, around, depth)
            ctes = {**ctes, entry["key"].lower(): _as_item(query, entry["value"]["aliases"])}
        node = {**node, "cte_map": {"map": []}}
    if node.get("type") == "BASE_TABLE":
        return _table(node, ctes, around, depth)
    return {name: _inlined(value, ctes, around, depth) for name, value in node.items()}


def _as_item(query: Node, columns: list[str]) -> Node:
    item = subquery_item("SELECT 1", "", columns)
    item["subquery"]["node"] = query
    return item


def _table(item: Node, ctes: Mapping[str, Node], around: Surroundings, depth: int) -> Node:
    name = item["table_name"]
    cte = ctes.get(name.lower()) if not item["schema_name"] else None
    if cte is None:
        known = around.source(f"{item['schema_name']}.{name}" if item["schema_name"] else name)
        if known is None:
            raise Undivided(f"{name} is no table of the store")
        if isinstance(known, Source):
            schema, _, table = known.qualified.partition(".")
            return {**item, "catalog_name": CATALOG, "schema_name": schema, "table_name": table} | {
                "alias": item["alias"] or name
            }
        if item.get("at_clause"):
            raise Undivided(f"{name} is read as it was")
        cte = _as_item(_inlined(_parse(known), {}, around, depth + 1), [])
    found = deepcopy(cte)
    found["alias"], found["sample"] = item["alias"] or name, item["sample"]
    found["column_name_alias"] = item["column_name_alias"] or found["column_name_alias"]
    return found


def _refuse_unstable(tree: Node, around: Surroundings) -> None:
    columns: set[str] = set()
    for each in walk(tree):
        if each.get("type") == "BASE_TABLE":
            known = around.source(f"{each['schema_name']}.{each['table_name']}")
            if isinstance(known, Source):
                columns.update(name.lower() for name in known.columns)
    for each in walk(tree):
        name = function_name(each)
        names = each.get("column_names") or []
        if len(names) == 1 and names[0].lower() not in columns and each["class"] == "COLUMN_REF":
            name = names[0].lower()
        if name in unstable():
            raise Undivided(f"{name} has another value each time")
        if each.get("sample"):
            raise Undivided("a sample is another one each time")
