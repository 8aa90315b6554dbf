"""The FROM clause: its items, which may be thinned out, and by which equalities they hang together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from workbench.engines.tree import Node, column
from workbench.transform.units.flow import Flow, Undivided

MakeFlow = Callable[[Node], Flow]


@dataclass(slots=True)
class Item:
    """One item of a FROM clause.

    Attributes
    ----------
    alias : str
    node : dict
        Its place in the tree.
    flow : Flow
    columns : tuple of str or None
        As the alias names them; None where they cannot be told (table functions).
    visible : bool
        Whether its columns can be used outside ON: not those on the right of SEMI and ANTI.
    anchor : bool
        Whether leaving out some of its rows leaves out just the output rows made from them.
    """

    alias: str
    node: Node
    flow: Flow
    columns: tuple[str, ...] | None
    visible: bool = True
    anchor: bool = True

    @property
    def row(self) -> tuple[str, ...]:
        """The columns that tell its rows apart: the key of a table, else all."""
        inside = self.flow.key or self.flow.columns
        return tuple(name for name in self.columns or () if self.inner(name) in inside)

    def inner(self, name: str) -> str:
        """Return the name that a column has inside the item, before its alias renamed it."""
        assert self.columns is not None
        return self.flow.columns[self.columns.index(name)]


@dataclass(frozen=True, slots=True)
class Edge:
    """An equality by which a row of `child` finds the rows of `parent` that it is joined with."""

    child: str
    parent: str
    child_side: Node
    parent_side: Node


@dataclass(slots=True)
class Join:
    """One JOIN: what stands on either side, and the conjuncts of its condition."""

    left: list[Item]
    right: list[Item]
    kind: str
    conjuncts: list[Node] = field(default_factory=list)
    using: tuple[str, ...] = ()


@dataclass(slots=True)
class FromClause:
    """All items of a FROM clause in their order, and its joins from the inside out."""

    items: list[Item] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)

    def read(self, node: Node, make: MakeFlow) -> FromClause:
        """Read the items and joins of a tree; it is given aliases where it has none."""
        self._read(node, make)
        names = [item.alias.lower() for item in self.items]
        if len(set(names)) < len(names):
            raise Undivided("two items of FROM have the same name")
        return self

    def item(self, alias: str) -> Item:
        """Return an item by its alias."""
        return next(item for item in self.items if item.alias == alias)

    def merged(self, name: str) -> Join | None:
        """Return the last join that merges a column of this name by USING."""
        return next((join for join in reversed(self.joins) if name.lower() in join.using), None)

    def _read(self, node: Node, make: MakeFlow) -> list[Item]:
        if node["type"] == "JOIN":
            return self._join(node, make)
        if node["type"] == "EMPTY":
            return []
        flow = make(node)
        alias = node["alias"] or f"mlstore_item_{len(self.items)}"
        node["alias"] = alias
        renamed = tuple(node.get("column_name_alias") or ())
        known: tuple[str, ...] | None = renamed + flow.columns[len(renamed) :]
        if node["type"] == "TABLE_FUNCTION" and not flow.columns:
            known = renamed or None
        item = Item(alias, node, flow, known)
        self.items.append(item)
        return [item]

    def _join(self, node: Node, make: MakeFlow) -> list[Item]:
        left, right = self._read(node["left"], make), self._read(node["right"], make)
        kind, way = node["join_type"], node["ref_type"]
        if way == "POSITIONAL":
            raise Undivided("a positional join depends on the order of rows")
        if way == "DEPENDENT":
            raise Undivided("a lateral join")
        _set_anchors(left, right, kind, way)
        using = tuple(each.lower() for each in node["using_columns"])
        if way == "NATURAL":
            using = tuple(_shared(left, right))
        conjuncts = list(conjuncts_of(node["condition"]))
        self.joins.append(Join(left, right, "ASOF" if way == "ASOF" else kind, conjuncts, using))
        if kind in ("SEMI", "ANTI"):
            for each in right:
                each.visible = False
        return left + right


def _set_anchors(left: list[Item], right: list[Item], kind: str, way: str) -> None:
    """Take out the sides whose rows, left out, would change what becomes of the other side's."""
    if kind not in ("INNER", "RIGHT"):
        _no_anchor(right)
    if kind not in ("INNER", "LEFT", "SEMI", "ANTI"):
        _no_anchor(left)
    if way == "ASOF":
        _no_anchor(right)


def _no_anchor(items: list[Item]) -> None:
    for item in items:
        item.anchor = False


def _shared(left: list[Item], right: list[Item]) -> Iterator[str]:
    names = {name.lower() for item in left if item.visible for name in item.columns or ()}
    for item in right:
        yield from (name.lower() for name in item.columns or () if name.lower() in names)


def conjuncts_of(condition: Node | None) -> Iterator[Node]:
    """Yield the conditions that AND joins."""
    if condition is None:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for each in condition["children"]:
            yield from conjuncts_of(each)
    else:
        yield condition


def owner_of(items: list[Item], name: str) -> Item | None:
    """Return the first item with a column of this name."""
    return next(
        (item for item in items if any(each.lower() == name.lower() for each in item.columns or ())), None
    )


def proper(item: Item, name: str) -> str | None:
    """Return a column's name as the item writes it; None if it has no such column."""
    return next((each for each in item.columns or () if each.lower() == name.lower()), None)


def using_sides(join: Join) -> Iterator[tuple[Item, Node, Item, Node]]:
    """Yield the equalities that USING stands for: left item, its column, right item, its column."""
    for name in join.using:
        left, right = owner_of(join.left, name), owner_of(join.right, name)
        if left is not None and right is not None:
            left_name, right_name = proper(left, name), proper(right, name)
            assert left_name is not None
            assert right_name is not None
            yield left, column(left.alias, left_name), right, column(right.alias, right_name)


def directions(join: Join) -> tuple[bool, bool]:
    """Tell whether its equalities lead from right rows to left rows, and from left to right."""
    if join.kind == "INNER":
        return True, True
    if join.kind == "RIGHT":
        return False, True
    return join.kind in ("LEFT", "SEMI", "ANTI", "ASOF"), False
