"""The planner: from a query to its units, and from changed tables to the queries of a refresh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.engines.tree import Node, parse_tree, render_tree
from workbench.names import quote_all
from workbench.transform.units.flatten import flatten
from workbench.transform.units.flow import (
    Changes,
    Flow,
    OpaqueFlow,
    Source,
    Surroundings,
    TableFlow,
    Undivided,
    qualified_name,
    tables_below,
)
from workbench.transform.units.select import SelectFlow
from workbench.transform.units.sets import SetFlow


@dataclass(frozen=True, slots=True)
class Steps:
    """The queries of an incremental refresh.

    Attributes
    ----------
    touched : str
        The values of the unit's columns that a change may concern; put into the relation that
        `Division.steps` was told of before `rows` is run.
    rows : str
        All rows of the result that have these values.
    owned : str or None
        Where the unit is the key itself: the keys that the touched rows had before. A row with
        another key that is there already repeats it.
    """

    touched: str
    rows: str
    owned: str | None = None


@dataclass(frozen=True, slots=True)
class Division:
    """How a query falls apart.

    Attributes
    ----------
    unit : tuple of str
        The output columns by which it does, or its key where no output column shows by what it
        does; empty if it does not, with a `reason`.
    columns : tuple of str
        All output columns.
    """

    unit: tuple[str, ...]
    reason: str
    columns: tuple[str, ...]
    flow: Flow
    hidden: bool = False

    def changes(self, since: Mapping[str, int], *, few: bool = False) -> Changes:
        """Say which tables changed, since which snapshots, and whether in few rows."""
        tables = self.flow.tables
        changed = [name for name in since if name in tables]
        single = changed[0] if len(changed) == 1 and tables.count(changed[0]) == 1 else None
        return Changes({name: since[name] for name in changed}, single, few)

    def steps(self, changes: Changes, values: str) -> Steps | None:
        """Write the queries of a refresh; None if no table that is read changed.

        Parameters
        ----------
        changes : Changes
            It is given the tables that must be made before.
        values : str
            The relation in which the touched units will be.

        Raises
        ------
        Undivided
            If the touched units cannot be told from the changes.
        """
        if not self.unit:
            raise Undivided(self.reason)
        if not self.hidden:
            touched = self.flow.touched(self.unit, changes)
            if touched is None:
                return None
            return Steps(touched, self.flow.restricted(self.unit, values, changes, old=False))
        if not self.flow.changed(changes):
            return None
        before, after = self.flow.touched_rows(self.columns, changes)
        key = quote_all(self.unit)
        owned = changes.stage(f"SELECT DISTINCT {key} FROM ({before})")
        rows = changes.stage(after)
        return Steps(
            f"SELECT {key} FROM {owned} UNION SELECT {key} FROM {rows}", f"SELECT * FROM {rows}", owned
        )

    def obstacle(self, tables: Iterable[str]) -> str:
        """Say why a change of these tables cannot be followed; empty if it can."""
        try:
            self.steps(self.changes(dict.fromkeys(tables, 0)), "temp.mlstore_touched")
        except Undivided as error:
            return error.message
        return ""


def divide(sql: str, key: Sequence[str], around: Surroundings) -> Division:
    """Find by which units a query falls apart; it never fails.

    Parameters
    ----------
    sql : str
        One query of DuckDB's.
    key : sequence of str
        The columns that identify a row of the result; units are taken from among them if they can.
    around : Surroundings
    """
    try:
        flow = _Planner(around).query(flatten(sql, around), key)
    except Undivided as error:
        return Division((), error.message, (), OpaqueFlow({}, (), (), error.message))
    if not flow.units and flow.hidden:
        return Division(tuple(key), "", flow.columns, flow, hidden=True)
    chosen = tuple(each for each in flow.units if each in key) or flow.units
    return Division(chosen, flow.reason, flow.columns, flow)


class _Planner:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def query(self, tree: Node, wanted: Sequence[str] = ()) -> Flow:
        """Make the flow of a query; one that does not fall apart becomes an opaque one."""
        columns = self._around.describe(render_tree(tree))
        try:
            if tree["type"] == "SELECT_NODE":
                return SelectFlow(tree, columns, self.item, wanted)
            if tree["type"] == "SET_OPERATION_NODE":
                return SetFlow(tree, columns, self.query, wanted)
        except Undivided as error:
            return OpaqueFlow(tree, columns, tables_below(tree), error.message)
        return OpaqueFlow(tree, columns, tables_below(tree), "a kind of query that is not taken apart")

    def item(self, node: Node) -> Flow:
        """Make the flow of an item of FROM, by the names that its columns have before its alias."""
        if node["type"] == "BASE_TABLE" and node["at_clause"] is None:
            source = self._around.source(qualified_name(node))
            assert isinstance(source, Source)
            return TableFlow(node, source)
        if node["type"] == "SUBQUERY":
            return self.query(node["subquery"]["node"])
        return self._opaque(node)

    def _opaque(self, node: Node) -> Flow:
        """Take an item as it is: a table function, VALUES, PIVOT, a table at a fixed snapshot."""
        bare = {**node, "alias": node["alias"] or "mlstore_item", "column_name_alias": []}
        query = {**_star(), "from_table": bare}
        try:
            columns = self._around.describe(render_tree(query))
        except Undivided:
            # It uses columns of the items before it.
            if node["type"] != "TABLE_FUNCTION":
                raise
            columns = ()
        return OpaqueFlow(query, columns, tables_below(node), f"{node['type']} is not taken apart")


def _star() -> Node:
    return parse_tree("SELECT * FROM t")
