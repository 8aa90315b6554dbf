"""How the rows of one SELECT depend on each other: groups, windows, DISTINCT ON, LIMIT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.engines.tree import Node, aggregates, canonical, function_name
from workbench.transform.units.flow import Undivided
from workbench.transform.units.names import Names, references

_LIMITS = ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER")


@dataclass(frozen=True, slots=True)
class Together:
    """Rows that share the values of these expressions must be computed together."""

    expressions: tuple[Node, ...]
    what: str

    def divides(self, expression: Node) -> bool:
        """Tell whether rows computed together always share the value of an expression."""
        if canonical(expression) in {canonical(each) for each in self.expressions}:
            return True
        bare = {
            (each["column_names"][0], each["column_names"][1])
            for each in self.expressions
            if each.get("class") == "COLUMN_REF" and len(each["column_names"]) == 2
        }
        used = references(expression)
        return bool(used) and used <= bare


def dependences(select: Node, names: Names, outputs: list[Node | None]) -> list[Together]:
    """List what ties rows of a SELECT together.

    Raises
    ------
    Undivided
        If all rows depend on each other.
    """
    for each in select["modifiers"]:
        if each["type"] in _LIMITS:
            raise Undivided("LIMIT chooses among all rows")
    found = [*_groups(select, names, outputs), *_windows(select, names)]
    for modifier in select["modifiers"]:
        if modifier["type"] == "DISTINCT_MODIFIER" and modifier["distinct_on_targets"]:
            targets = [_target(each, names, outputs) for each in modifier["distinct_on_targets"]]
            found.append(Together(tuple(targets), "DISTINCT ON"))
    return found


def _groups(select: Node, names: Names, outputs: list[Node | None]) -> Iterator[Together]:
    groups = select["group_expressions"]
    every = select["aggregate_handling"] == "FORCE_AGGREGATES"
    aggregated = any(
        _aggregates(part) for part in (select["select_list"], select["having"], select["qualify"])
    )
    if len(select["group_sets"]) > 1:
        raise Undivided("grouping sets put a row into several groups")
    if every:
        if any(each is None for each in outputs):
            raise Undivided("the groups of GROUP BY ALL cannot be told")
        expressions = [each for each in outputs if each is not None and not _aggregates(each)]
    else:
        expressions = [_target(each, names, outputs) for each in groups]
    if expressions:
        yield Together(tuple(expressions), "GROUP BY")
    elif every or aggregated or select["having"]:
        raise Undivided("without GROUP BY all rows are one group")


def _windows(select: Node, names: Names) -> Iterator[Together]:
    for part in (select["select_list"], select["qualify"]):
        for window in _find_windows(part):
            if not window["partitions"]:
                raise Undivided("a window without PARTITION BY spans all rows")
            partitions = tuple(names.resolved(each) for each in window["partitions"])
            yield Together(partitions, "PARTITION BY")


def _target(expression: Node, names: Names, outputs: list[Node | None]) -> Node:
    """Resolve what GROUP BY or DISTINCT ON names: an expression, or the number of an output."""
    value: Node | None = expression.get("value") if expression.get("class") == "CONSTANT" else None
    if value is None or value["type"]["id"] not in ("INTEGER", "BIGINT"):
        return names.resolved(expression)
    number = int(value["value"])
    found = outputs[number - 1] if 0 < number <= len(outputs) else None
    if found is None:
        raise Undivided(f"what {number} stands for cannot be told")
    return found


def _aggregates(node: object) -> bool:
    """Tell whether aggregate functions are called, not counting those of windows and subqueries."""
    if isinstance(node, list):
        return any(_aggregates(each) for each in node)
    if not isinstance(node, dict) or node.get("class") == "SUBQUERY":
        return False
    if function_name(node) in aggregates():
        return True
    return any(_aggregates(value) for value in node.values())


def _find_windows(node: object) -> Iterator[Node]:
    if isinstance(node, list):
        for each in node:
            yield from _find_windows(each)
    elif isinstance(node, dict) and node.get("class") != "SUBQUERY":
        if node.get("class") == "WINDOW":
            yield node
        for value in node.values():
            yield from _find_windows(value)
