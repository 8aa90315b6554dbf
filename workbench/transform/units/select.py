"""One SELECT: by which of its columns it falls apart, and how a change of what it reads reaches them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from copy import deepcopy

from workbench.engines.tree import (
    Node,
    column,
    expression_sql,
    render_tree,
    subquery_item,
    walk,
)
from workbench.names import quote
from workbench.transform.units.flow import (
    Changes,
    Flow,
    Undivided,
    at_side,
    tables_below,
)
from workbench.transform.units.grouping import Together, dependences
from workbench.transform.units.joins import (
    Edge,
    FromClause,
    Item,
    Join,
    MakeFlow,
    conjuncts_of,
    directions,
    using_sides,
)
from workbench.transform.units.names import Names, is_plain, references
from workbench.transform.units.subqueries import Tested, tested_subqueries


class SelectFlow(Flow):
    """A SELECT.

    One item of its FROM clause is the *anchor*: to compute some of the units, the others stay whole
    and of the anchor only the rows that make them are read. Whatever else changes is followed to the
    anchor through the equalities of the joins.

    Parameters
    ----------
    query : dict
        The tree, flattened.
    columns : tuple of str
        Its output columns as the engine names them.
    wanted : sequence of str
        Columns that should be units if they can.
    """

    def __init__(
        self,
        query: Node,
        columns: tuple[str, ...],
        make: MakeFlow,
        wanted: Sequence[str] = (),
    ) -> None:
        self._query = deepcopy(query)
        self.columns = columns
        self.tables = tables_below(query)
        self._clause = FromClause().read(self._query["from_table"], make)
        self._names = Names(self._clause, self._query["select_list"])
        outputs = self._names.outputs(self._query["select_list"], columns)
        self._outputs = dict(zip(columns, outputs, strict=True))
        self._edges = list(self._find_edges())
        self._tests = list(tested_subqueries(self._query["where_clause"], self._names, self._clause, make))
        self._frozen = self._find_frozen()
        together = dependences(self._query, self._names, outputs)
        self._anchor = self._choose(together, wanted)
        self.units = self._units(self._anchor, together)
        if not self.units:
            hidden = self._find_hidden(together)
            self.hidden = tuple(f"mlstore_unit_{index}" for index in range(len(hidden)))
            self._outputs |= dict(zip(self.hidden, hidden, strict=True))
            self.reason = self._why_not(together)

    # -- what the flow gives -----------------------------------------------------------------------

    def whole(self, changes: Changes, *, old: bool) -> str:
        """See `Flow.whole`."""
        return render_tree(at_side(self._query, changes, old=old))

    def restricted(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """See `Flow.restricted`."""
        query = at_side(self._query, changes, old=old)
        query["select_list"] += [
            {**self._expression(each), "alias": each} for each in columns if each in self.hidden
        ]
        inner = self._thinned(columns, values, changes, old=old)
        _replace_item(query["from_table"], self._anchor, inner)
        return render_tree(query)

    def _thinned(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """Write the query for the anchor's rows that make the rows asked for."""
        anchor = self._anchor
        sides = {each: self._expression(each) for each in columns}
        plain = {
            each: anchor.inner(side["column_names"][1])
            for each, side in sides.items()
            if side.get("class") == "COLUMN_REF" and len(side["column_names"]) == 2
        }
        pushed = {each: name for each, name in plain.items() if name in anchor.flow.units}
        if pushed:
            chosen = dict(zip(pushed.values(), pushed, strict=True))
            renamed = ", ".join(f"{quote(each)} AS {quote(name)}" for name, each in chosen.items())
            inner = anchor.flow.restricted(
                list(chosen), f"(SELECT DISTINCT {renamed} FROM {values})", changes, old=old
            )
            if len(chosen) == len(columns):
                return inner
        else:
            inner = anchor.flow.whole(changes, old=old)
        matches = " AND ".join(
            f"{self._inside(side, 'q')} IS NOT DISTINCT FROM v.{quote(each)}" for each, side in sides.items()
        )
        return f"SELECT q.* FROM ({inner}) AS q SEMI JOIN {values} AS v ON ({matches})"

    def _touched_units(self, columns: Sequence[str], changes: Changes) -> str | None:
        for table, why in self._frozen.items():
            if table in changes.since:
                raise Undivided(f"{table} is read by {why}")
        sides = {each: self._expression(each) for each in columns}
        needed = sorted({name for side in sides.values() for _, name in references(side)})
        self._check_reached(changes)
        marked = self._marked(self._anchor, needed, changes)
        if marked is None:
            return None
        # Here the columns go by the names that the item's alias gives them.
        chosen = ", ".join(f"{self._renamed(side, 'm')} AS {quote(each)}" for each, side in sides.items())
        return f"SELECT DISTINCT {chosen} FROM ({marked}) AS m"

    # -- following a change to the anchor ----------------------------------------------------------

    def _marked(self, item: Item, needed: Sequence[str], changes: Changes) -> str | None:
        """Write the query for the values of an item's columns in rows that a change may concern."""
        inner = {name: item.inner(name) for name in needed}
        parts = []
        own = item.flow.touched(tuple(dict.fromkeys(inner.values())), changes)
        if own is not None:
            renamed = ", ".join(f"{quote(name)} AS {quote(shown)}" for shown, name in inner.items())
            parts.append(f"SELECT {renamed} FROM ({own})")
        for edges in self._below(item):
            parts += self._reached(item, inner, edges, changes)
        for test in self._tests:
            if test.item == item.alias:
                parts += self._tested(item, inner, test, changes)
        return " UNION ".join(parts) if parts else None

    def _reached(
        self, item: Item, inner: dict[str, str], edges: list[Edge], changes: Changes
    ) -> Iterator[str]:
        child = self._clause.item(edges[0].child)
        needed = sorted({name for edge in edges for _, name in references(edge.child_side)})
        marked = self._marked(child, needed, changes)
        if marked is not None:
            matches = [
                f"{self._inside_of(item, edge.parent_side, 'p')} = {self._renamed(edge.child_side, 'k')}"
                for edge in edges
            ]
            yield self._joined(item, inner, marked, matches, changes)

    def _tested(self, item: Item, inner: dict[str, str], test: Tested, changes: Changes) -> Iterator[str]:
        marked = test.touched(changes)
        if marked is not None:
            matches = [
                f"{self._inside_of(item, side, 'p')} = k.{quote(name)}" for side, name in test.equalities
            ]
            yield self._joined(item, inner, marked, matches, changes)

    def _joined(
        self, item: Item, inner: dict[str, str], marked: str, matches: list[str], changes: Changes
    ) -> str:
        chosen = ", ".join(f"p.{quote(name)} AS {quote(shown)}" for shown, name in inner.items())
        return (
            f"SELECT {chosen} FROM ({item.flow.whole(changes, old=False)}) AS p "
            f"SEMI JOIN ({marked}) AS k ON ({' AND '.join(matches)})"
        )

    def _check_reached(self, changes: Changes) -> None:
        reached = {self._anchor.alias} | {edge.child for edges in self._tree().values() for edge in edges}
        for item in self._clause.items:
            if item.alias not in reached and item.flow.changed(changes):
                raise Undivided(f"{item.alias} is not joined to {self._anchor.alias} by an equality")

    def _below(self, item: Item) -> list[list[Edge]]:
        """Return the edges to each of the items that are followed to this one, item by item."""
        children: dict[str, list[Edge]] = {}
        for edge in self._tree().get(item.alias, []):
            children.setdefault(edge.child, []).append(edge)
        return list(children.values())

    def _tree(self) -> dict[str, list[Edge]]:
        """Choose, from the anchor outwards, by which edges each item is followed to which other."""
        return self._paths(self._anchor)

    def _paths(self, anchor: Item) -> dict[str, list[Edge]]:
        chosen: dict[str, list[Edge]] = {}
        seen, waiting = {anchor.alias}, deque([anchor.alias])
        while waiting:
            parent = waiting.popleft()
            for child in dict.fromkeys(edge.child for edge in self._edges if edge.parent == parent):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    edges = [edge for edge in self._edges if (edge.parent, edge.child) == (parent, child)]
                    chosen.setdefault(parent, []).extend(edges)
        return chosen

    # -- edges, anchors, units ---------------------------------------------------------------------

    def _find_edges(self) -> Iterator[Edge]:
        for join in self._clause.joins:
            upwards, downwards = directions(join)
            left = {item.alias for item in join.left}
            pairs = [
                (a, b) for a, b in map(self._equality, join.conjuncts) if a is not None and b is not None
            ]
            pairs += [(left_side, right_side) for _, left_side, _, right_side in using_sides(join)]
            for one, other in pairs:
                yield from _along(join, one, other, left, upwards=upwards, downwards=downwards)
        for conjunct in conjuncts_of(self._query["where_clause"]):
            one_side, other_side = self._equality(conjunct, hidden=False)
            if one_side is not None and other_side is not None:
                yield Edge(_item_of(one_side), _item_of(other_side), one_side, other_side)
                yield Edge(_item_of(other_side), _item_of(one_side), other_side, one_side)

    def _equality(self, condition: Node, *, hidden: bool = True) -> tuple[Node | None, Node | None]:
        """Return the two sides of an equality between two items."""
        if condition["type"] != "COMPARE_EQUAL":
            return None, None
        try:
            sides = [self._names.resolved(condition[side], hidden=hidden) for side in ("left", "right")]
        except Undivided:
            return None, None
        items = [{item for item, _ in references(side)} for side in sides]
        if all(len(each) == 1 for each in items) and items[0] != items[1] and all(map(is_plain, sides)):
            known = all(self._clause.item(next(iter(each))).columns is not None for each in items)
            if known:
                return sides[0], sides[1]
        return None, None

    def _choose(self, together: list[Together], wanted: Sequence[str]) -> Item:
        """Choose the anchor: one with units, with those wanted, with few items out of reach, the first."""
        candidates = [item for item in self._clause.items if item.anchor and item.columns is not None]
        if not candidates:
            raise Undivided(
                "no table of it can be read in parts" if self._clause.items else "it reads no table"
            )

        def rank(item: Item) -> tuple[bool, int, int]:
            units = set(self._units(item, together))
            reached = sum(len({edge.child for edge in edges}) for edges in self._paths(item).values())
            return bool(units), len(units & set(wanted)), reached

        return max(candidates, key=rank)

    def _find_hidden(self, together: list[Together]) -> list[Node]:
        """Find expressions by which the rows fall apart, though no output column shows them."""
        distinct = any(
            each["type"] == "DISTINCT_MODIFIER" and not each["distinct_on_targets"]
            for each in self._query["modifiers"]
        )
        if distinct or self._query["aggregate_handling"] == "FORCE_AGGREGATES":
            return []
        anchors = [item for item in self._clause.items if item.anchor and item.columns is not None]
        if not together:
            self._anchor = next((item for item in anchors if item.row), self._anchor)
            return [column(self._anchor.alias, name) for name in self._anchor.row]
        found = [
            each
            for each in together[0].expressions
            if is_plain(each) and references(each) and all(other.divides(each) for other in together[1:])
        ]
        for item in sorted(anchors, key=lambda item: item is not self._anchor):
            mine = [each for each in found if {owner for owner, _ in references(each)} == {item.alias}]
            if mine:
                self._anchor = item
                return mine
        return []

    def _units(self, anchor: Item, together: list[Together]) -> tuple[str, ...]:
        found = []
        for name, expression in self._outputs.items():
            if expression is None or not is_plain(expression):
                continue
            used = references(expression)
            if not used or any(item != anchor.alias for item, _ in used):
                continue
            if all(each.divides(expression) for each in together):
                found.append(name)
        return tuple(found)

    def _why_not(self, together: list[Together]) -> str:
        if together:
            clauses = " and ".join(dict.fromkeys(each.what for each in together))
            return f"no column of one table is in each {clauses}"
        return "no output column is made from one table alone"

    def _find_frozen(self) -> dict[str, str]:
        """Name the tables that subqueries in expressions read, and where."""
        followed = [id(test.node) for test in self._tests]
        parts = {
            "a subquery in SELECT": self._query["select_list"],
            "a subquery in WHERE": self._query["where_clause"],
            "a subquery in HAVING or QUALIFY": [self._query["having"], self._query["qualify"]],
            "a subquery in GROUP BY or ORDER BY": [
                self._query["group_expressions"],
                self._query["modifiers"],
            ],
            "a subquery in ON": [join.conjuncts for join in self._clause.joins],
            "a table function": [i.node for i in self._clause.items if i.node["type"] == "TABLE_FUNCTION"],
        }
        frozen: dict[str, str] = {}
        for where, part in parts.items():
            for each in walk(part):
                if each.get("class") == "SUBQUERY" and id(each) not in followed:
                    frozen |= dict.fromkeys(tables_below(each), where)
        return frozen

    # -- expressions as text -----------------------------------------------------------------------

    def _expression(self, name: str) -> Node:
        expression = self._outputs[name]
        assert expression is not None
        return expression

    def _inside(self, expression: Node, alias: str) -> str:
        return self._inside_of(self._anchor, expression, alias)

    def _inside_of(self, item: Item, expression: Node, alias: str) -> str:
        """Write an expression over an item's rows by the names that its columns have inside."""
        return expression_sql(
            _with_columns(expression, alias, {name: item.inner(name) for name in item.columns or ()})
        )

    def _renamed(self, expression: Node, alias: str) -> str:
        """Write an expression over an item's rows by the names that its columns have outside."""
        return expression_sql(_with_columns(expression, alias, {}))


def _with_columns(expression: Node, alias: str, names: dict[str, str]) -> Node:
    expression = deepcopy(expression)
    bound = {id(each) for each in walk(expression) if each.get("class") == "COLUMN_REF"}
    for each in walk(expression):
        if id(each) in bound and len(each["column_names"]) > 1:
            _, name, *fields = each["column_names"]
            each["column_names"] = [alias, names.get(name, name), *fields]
    return expression


def _along(
    join: Join, one: Node, other: Node, left: set[str], *, upwards: bool, downwards: bool
) -> Iterator[Edge]:
    """Yield the edges of an equality in the condition of a join."""
    first, second = _item_of(one), _item_of(other)
    if (first in left) == (second in left):
        # Both on one side: it holds for every row only where no padding comes in between.
        if join.kind == "INNER":
            yield Edge(first, second, one, other)
            yield Edge(second, first, other, one)
    elif first not in left:
        yield from _along(join, other, one, left, upwards=upwards, downwards=downwards)
    else:
        if upwards:
            yield Edge(second, first, other, one)
        if downwards:
            yield Edge(first, second, one, other)


def _item_of(expression: Node) -> str:
    return next(iter(references(expression)))[0]


def _replace_item(tree: Node, anchor: Item, sql: str) -> None:
    """Put a query in the place of an item of FROM."""
    for each in walk(tree):
        for side in ("left", "right"):
            if (
                each.get("type") == "JOIN"
                and each[side].get("alias") == anchor.alias
                and each[side]["type"] != "JOIN"
            ):
                each[side] = _as_item(sql, anchor)
                return
    if tree["type"] != "JOIN":
        fresh = _as_item(sql, anchor)
        tree.clear()
        tree.update(fresh)


def _as_item(sql: str, anchor: Item) -> Node:
    return subquery_item(sql, anchor.alias, list(anchor.node.get("column_name_alias") or []))
