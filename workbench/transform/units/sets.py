"""UNION, EXCEPT and INTERSECT: each side falls apart by the same columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

from workbench.engines.tree import Node, parse_tree, render_tree
from workbench.names import quote
from workbench.transform.units.flow import Changes, Flow, Undivided, at_side

MakeQuery = Callable[[Node, Sequence[str]], Flow]

_LIMITS = ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER")


class SetFlow(Flow):
    """Two queries put together: a row is in the result for what the rows of equal value are in each."""

    def __init__(self, query: Node, columns: tuple[str, ...], make: MakeQuery, wanted: Sequence[str]) -> None:
        if any(each["type"] in _LIMITS for each in query["modifiers"]):
            raise Undivided("LIMIT chooses among all rows")
        self._query = deepcopy(query)
        self.columns = columns
        self._sides = [make(query[side], wanted) for side in ("left", "right")]
        self.tables = (*self._sides[0].tables, *self._sides[1].tables)
        by_name = query["setop_type"] == "UNION_BY_NAME"
        self._inner = [_names(side, columns, by_name=by_name) for side in self._sides]
        self.units = tuple(
            each
            for each in columns
            if all(
                inner.get(each) in side.units for inner, side in zip(self._inner, self._sides, strict=True)
            )
        )
        if not self.units:
            self.reason = next((side.reason for side in self._sides if side.reason), "") or (
                "no column is a unit of both sides"
            )

    def whole(self, changes: Changes, *, old: bool) -> str:
        """See `Flow.whole`."""
        return render_tree(at_side(self._query, changes, old=old))

    def restricted(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """See `Flow.restricted`."""
        query = deepcopy(self._query)
        for place, side, inner in zip(("left", "right"), self._sides, self._inner, strict=True):
            renamed = ", ".join(f"{quote(each)} AS {quote(inner[each])}" for each in columns)
            restricted = side.restricted(
                [inner[each] for each in columns], f"(SELECT {renamed} FROM {values})", changes, old=old
            )
            query[place] = parse_tree(restricted)
        return render_tree(query)

    def _touched_units(self, columns: Sequence[str], changes: Changes) -> str | None:
        parts = []
        for side, inner in zip(self._sides, self._inner, strict=True):
            touched = side.touched([inner[each] for each in columns], changes)
            if touched is not None:
                renamed = ", ".join(f"{quote(inner[each])} AS {quote(each)}" for each in columns)
                parts.append(f"SELECT {renamed} FROM ({touched})")
        return " UNION ".join(parts) if parts else None


def _names(side: Flow, columns: tuple[str, ...], *, by_name: bool) -> dict[str, str]:
    """Map the columns of the whole to those of one side."""
    if by_name:
        own = {each.lower(): each for each in side.columns}
        return {each: own[each.lower()] for each in columns if each.lower() in own}
    return dict(zip(columns, side.columns, strict=False))
