"""Names inside one SELECT: what its columns are, said by the items of FROM alone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from workbench.engines.tree import Node, aggregates, column, function_name, makes_rows, walk
from workbench.transform.units.flow import Undivided
from workbench.transform.units.joins import FromClause, Item, owner_of, proper

_DEEPEST_ALIAS = 10


class Names:
    """Resolves the columns of one SELECT to those of the items that it reads.

    Parameters
    ----------
    clause : FromClause
    select_list : list of dict
        The outputs as written; their aliases can be used by other expressions.
    """

    def __init__(self, clause: FromClause, select_list: list[Node]) -> None:
        self._clause = clause
        self._aliases = {each["alias"].lower(): each for each in select_list if each.get("alias")}

    def resolved(self, expression: Node, *, hidden: bool = False) -> Node:
        """Copy an expression with its columns named `item.column`, and aliases written out.

        `hidden` lets it use items on the right of SEMI and ANTI, as ON can.

        Raises
        ------
        Undivided
            If a name cannot be placed.
        """
        found: Node = self._expression(deepcopy(expression), frozenset(), 0, hidden)
        return found

    def _expression(self, node: Any, bound: frozenset[str], depth: int, hidden: bool) -> Any:
        if isinstance(node, list):
            return [self._expression(each, bound, depth, hidden) for each in node]
        if not isinstance(node, dict) or node.get("class") == "SUBQUERY":
            return node
        if node.get("class") == "LAMBDA":
            bound = bound | {each["column_names"][0].lower() for each in _references(node["lhs"])}
            return {**node, "expr": self._expression(node["expr"], bound, depth, hidden)}
        if node.get("class") == "COLUMN_REF":
            return node if node["column_names"][0].lower() in bound else self._column(node, depth, hidden)
        return {name: self._expression(value, bound, depth, hidden) for name, value in node.items()}

    def _column(self, node: Node, depth: int, hidden: bool) -> Node:
        names = node["column_names"]
        items = [item for item in self._clause.items if item.visible or hidden]
        if len(names) > 1:
            item = next((each for each in items if each.alias.lower() == names[0].lower()), None)
            name = proper(item, names[1]) if item is not None else None
            if item is not None and name is not None:
                return {**column(item.alias, name, *names[2:]), "alias": node["alias"]}
        item = self._owner(items, names[0])
        if item is not None:
            name = proper(item, names[0])
            assert name is not None
            return {**column(item.alias, name, *names[1:]), "alias": node["alias"]}
        return self._alias(node, depth, hidden)

    def _owner(self, items: list[Item], name: str) -> Item | None:
        owners = [item for item in items if proper(item, name) is not None]
        if len(owners) < 2:
            return owners[0] if owners else None
        join = self._clause.merged(name)
        if join is None or join.kind in ("RIGHT", "FULL", "OUTER"):
            raise Undivided(f"the column {name} is of more than one table")
        return owners[0]

    def _alias(self, node: Node, depth: int, hidden: bool) -> Node:
        name = node["column_names"][0].lower()
        definition = self._aliases.get(name)
        if definition is None or len(node["column_names"]) > 1 or depth > _DEEPEST_ALIAS:
            raise Undivided(f"where the column {'.'.join(node['column_names'])} comes from cannot be told")
        expression = self._expression(deepcopy(definition), frozenset(), depth + 1, hidden)
        return {**expression, "alias": node["alias"]}

    # -- outputs -----------------------------------------------------------------------------------

    def outputs(self, select_list: list[Node], described: tuple[str, ...]) -> list[Node | None]:
        """Return the expression of each output column; None for one that cannot be told.

        Raises
        ------
        Undivided
            If the outputs are not those that the engine `described`.
        """
        found: list[tuple[str, Node | None]] = []
        for each in select_list:
            if each.get("class") == "STAR":
                found += self._star(each)
            else:
                found.append((each.get("alias") or _last_name(each), self._output(each)))
        agree = len(found) == len(described) and all(
            not name or theirs.lower().startswith(name.lower())
            for (name, _), theirs in zip(found, described, strict=True)
        )
        if not agree:
            raise Undivided("its columns cannot be told")
        return [expression for _, expression in found]

    def _output(self, expression: Node) -> Node | None:
        if any(each.get("class") == "STAR" for each in walk(expression)):
            return None
        try:
            return self.resolved(expression)
        except Undivided:
            return None

    def _star(self, star: Node) -> list[tuple[str, Node | None]]:
        if star["columns"] or star["expr"] or star["qualified_exclude_list"]:
            raise Undivided("COLUMNS(…) stands for columns that cannot be told")
        excluded = {str(each).lower() for each in star["exclude_list"]}
        replaced = {each["key"].lower(): each["value"] for each in star["replace_list"]}
        renamed = {each["key"]["column"].lower(): each["value"] for each in star["rename_list"]}
        wanted = star["relation_name"].lower()
        found: list[tuple[str, Node | None]] = []
        for item in self._clause.items:
            if not item.visible or (wanted and item.alias.lower() != wanted):
                continue
            if item.columns is None:
                raise Undivided(f"the columns of {item.alias} cannot be told")
            for name in item.columns:
                low = name.lower()
                if low in excluded or (not wanted and self._repeated(item, low)):
                    continue
                value = replaced.get(low)
                expression = self._output(value) if value else self._starred(item, name, bool(wanted))
                found.append((renamed.get(low, name), expression))
        return found

    def _repeated(self, item: Item, name: str) -> bool:
        """Whether `*` shows the column already, merged by USING with one further left."""
        return any(name in join.using and owner_of(join.right, name) is item for join in self._clause.joins)

    def _starred(self, item: Item, name: str, qualified: bool) -> Node | None:
        join = None if qualified else self._clause.merged(name)
        if join is not None and join.kind in ("RIGHT", "FULL", "OUTER"):
            return None
        return column(item.alias, name)


def _last_name(expression: Node) -> str:
    return str(expression["column_names"][-1]) if expression.get("class") == "COLUMN_REF" else ""


def _references(node: object) -> list[Node]:
    return [each for each in walk(node) if each.get("class") == "COLUMN_REF"]


def references(expression: Node) -> set[tuple[str, str]]:
    """Return the columns that a resolved expression uses, as (item, column)."""
    bound = {
        each["column_names"][0]
        for scope in walk(expression)
        if scope.get("class") == "LAMBDA"
        for each in _references(scope["lhs"])
    }
    return {
        (each["column_names"][0], each["column_names"][1])
        for each in _references(expression)
        if len(each["column_names"]) > 1 and each["column_names"][0] not in bound
    }


def is_plain(expression: Node) -> bool:
    """Tell whether an expression has one value for one row that is read."""
    if makes_rows(expression):
        return False
    return not any(
        each.get("class") in ("WINDOW", "SUBQUERY", "STAR") or function_name(each) in aggregates()
        for each in walk(expression)
    )
