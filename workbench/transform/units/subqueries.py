"""Conditions on other tables, `x IN (SELECT …)` and `[NOT] EXISTS (SELECT …)`, followed like joins."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

from workbench.engines.tree import Node, parse_tree
from workbench.transform.units.flow import Changes, Flow, Undivided
from workbench.transform.units.joins import FromClause, MakeFlow, conjuncts_of
from workbench.transform.units.names import Names, is_plain, references


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """A subquery in WHERE whose rows are found by equalities with one item of FROM.

    Attributes
    ----------
    node : dict
        The subquery's place in the tree.
    item : str
    equalities : tuple of (dict, str)
        Expressions over the item's columns, and the columns of `flow` that they equal.
    """

    node: Node
    item: str
    flow: Flow
    equalities: tuple[tuple[Node, str], ...]

    def touched(self, changes: Changes) -> str | None:
        """Write the query for the values, of the columns compared, that a change may concern."""
        return self.flow.touched([name for _, name in self.equalities], changes)


def tested_subqueries(
    where: Node | None, names: Names, clause: FromClause, make: MakeFlow
) -> Iterator[Tested]:
    """Yield the subqueries among the conjuncts of WHERE that can be followed; others are left alone."""
    for conjunct in conjuncts_of(where):
        negated = conjunct["type"] == "OPERATOR_NOT"
        node = conjunct["children"][0] if negated else conjunct
        if node.get("class") != "SUBQUERY":
            continue
        try:
            if node["subquery_type"] == "EXISTS":
                yield _exists(node, names, make)
            elif (
                node["subquery_type"] == "ANY" and not negated and node["comparison_type"] == "COMPARE_EQUAL"
            ):
                yield _among(node, names, make)
        except Undivided:
            continue


def _among(node: Node, names: Names, make: MakeFlow) -> Tested:
    side = names.resolved(node["child"])
    flow = make(_as_item(node["subquery"]["node"]))
    if len(flow.columns) != 1:
        raise Undivided("several columns are compared")
    return Tested(node, _only_item(side), flow, ((side, flow.columns[0]),))


def _exists(node: Node, names: Names, make: MakeFlow) -> Tested:
    """Take the equalities with the outer row out of the subquery; what is left stands by itself.

    Other conditions on the outer row are left out: then more rows are touched than need be.
    """
    query = deepcopy(node["subquery"]["node"])
    if query["type"] != "SELECT_NODE" or query["group_expressions"] or query["having"] or query["qualify"]:
        raise Undivided("the subquery is no plain one")
    if query["modifiers"] or query["aggregate_handling"] != "STANDARD_HANDLING":
        raise Undivided("the subquery is no plain one")
    inner = FromClause().read(query["from_table"], make)
    within = Names(inner, [])
    kept: list[Node] = []
    pairs: list[tuple[Node, Node]] = []
    for conjunct in conjuncts_of(query["where_clause"]):
        try:
            if is_plain(within.resolved(conjunct)):
                kept.append(conjunct)
        except Undivided:
            pairs += _pair(conjunct, names, within)
    items = {_only_item(outer) for outer, _ in pairs}
    if len(items) != 1:
        raise Undivided("the subquery is not tied to one table")
    query["select_list"] = [
        {**side, "alias": f"mlstore_tied_{index}"} for index, (_, side) in enumerate(pairs)
    ]
    query["where_clause"] = _all_of(kept)
    flow = make(_as_item(query))
    return Tested(
        node,
        items.pop(),
        flow,
        tuple((outer, name) for (outer, _), name in zip(pairs, flow.columns, strict=True)),
    )


def _pair(conjunct: Node, names: Names, within: Names) -> Iterator[tuple[Node, Node]]:
    """Yield the outer and the inner side of an equality, if that is what the condition is."""
    if conjunct["type"] != "COMPARE_EQUAL":
        return
    for outer, inner in (("left", "right"), ("right", "left")):
        try:
            mine = within.resolved(conjunct[inner])
        except Undivided:
            continue
        if references(mine) and is_plain(mine):
            try:
                theirs = names.resolved(conjunct[outer])
            except Undivided:
                continue
            if is_plain(theirs) and references(theirs):
                yield theirs, mine
                return


def _only_item(expression: Node) -> str:
    items = {item for item, _ in references(expression)}
    if len(items) != 1 or not is_plain(expression):
        raise Undivided("the subquery is not tied to one table")
    return items.pop()


def _all_of(conditions: list[Node]) -> Node | None:
    if not conditions:
        return None
    if len(conditions) == 1:
        return conditions[0]
    both = deepcopy(parse_tree("SELECT 1 WHERE a AND b")["where_clause"])
    both["children"] = conditions
    found: Node = both
    return found


def _as_item(query: Node) -> Node:
    item: Node = deepcopy(parse_tree("SELECT * FROM (SELECT 1) AS x")["from_table"])
    item["subquery"]["node"] = query
    return item
