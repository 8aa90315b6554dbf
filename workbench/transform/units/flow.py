"""What incremental refresh needs to know of a relation: its units, which a change touches, their rows.

Let a relation R be computed from tables of which some changed. A *unit* of R is a choice of its
columns by which R falls apart: all its rows that share values of these columns can be computed
without the others. For any columns C of R, `touched` writes a query for the values of C in rows
that may be in R before the change but not after it, or the other way round; it may give more
values, never fewer. For units U and values of them, `restricted` writes a query for exactly the
rows of R that have them, computing little else where it can.

This is the change propagation of incremental view maintenance (Gupta, Mumick and Subrahmanian,
"Maintaining views incrementally", SIGMOD 1993), with recomputation of what is touched in the
place of counting, so that any aggregate or window function will do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from workbench.engines.tree import Node, at_version, render_tree, walk
from workbench.errors import WorkbenchError
from workbench.names import quote, quote_all


class Undivided(WorkbenchError):
    """A query, or a part of it, does not fall apart; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A base table of a query: its columns in order, its key, and the name by which SQL reads it."""

    qualified: str
    sql: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()


@dataclass(slots=True)
class Changes:
    """The tables that changed, and the temporary relations in which a refresh puts what it finds.

    Attributes
    ----------
    since : mapping of str to int
        For each changed table the snapshot up to which it was read.
    single : str or None
        The one changed table, if the query reads it at one place only.
    few : bool
        Whether the changed rows are few enough to be copied.
    images : dict of str to dict
        For each changed table whose changed rows are asked for, the columns needed.
    staged : list of (str, str)
        Further temporary tables to make, with their queries, in this order.
    """

    since: Mapping[str, int]
    single: str | None = None
    few: bool = False
    images: dict[str, dict[str, None]] = field(default_factory=dict)
    staged: list[tuple[str, str]] = field(default_factory=list)

    def rows_of(self, table: str, columns: Sequence[str]) -> str:
        """Return the relation that holds the changed rows of a table, before and after."""
        self.images.setdefault(table, {}).update(dict.fromkeys(columns))
        return f"temp.{quote(image_name(list(self.since).index(table)))}"

    def stage(self, query: str) -> str:
        """Have a query computed before the rest; return the relation that will hold it."""
        name = f"mlstore_part_{len(self.staged)}"
        self.staged.append((name, query))
        return f"temp.{quote(name)}"


def image_name(number: int) -> str:
    """Name the temporary table of the changed rows of a table."""
    return f"mlstore_images_{number}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the planner asks about the store: all of it can be answered without reading rows.

    Attributes
    ----------
    source : function
        From `schema.name` or `name` to the base table, a view's text, or None.
    describe : function
        From a query to its columns.
    """

    source: Callable[[str], Source | str | None]
    describe: Callable[[str], tuple[str, ...]]


class Flow(ABC):
    """A relation, as far as incremental refresh is concerned.

    Attributes
    ----------
    columns : tuple of str
    units : tuple of str
        Its columns by each choice of which it falls apart; empty with a `reason`.
    hidden : tuple of str
        Where there are no units: columns that it could give besides, which are.
    key : tuple of str
        Columns that identify a row, where that is known.
    tables : tuple of str
        The base tables below it, qualified, one for each place at which it is read.
    """

    columns: tuple[str, ...]
    units: tuple[str, ...] = ()
    reason: str = ""
    hidden: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @abstractmethod
    def whole(self, changes: Changes, *, old: bool) -> str:
        """Write the query for all rows, as they are or as they were before the change."""

    @abstractmethod
    def restricted(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """Write the query for the rows whose `columns`, which are units, are among those of `values`.

        `values` stands where a relation can stand, and has these columns.
        """

    @abstractmethod
    def _touched_units(self, columns: Sequence[str], changes: Changes) -> str | None: ...

    def changed(self, changes: Changes) -> bool:
        """Tell whether a table below it changed."""
        return any(table in changes.since for table in self.tables)

    def touched(self, columns: Sequence[str], changes: Changes) -> str | None:
        """Write the query for the values of `columns` in rows that the change may concern.

        Returns
        -------
        str or None
            None if no table below changed.

        Raises
        ------
        Undivided
            If that cannot be told from the changed rows.
        """
        if not self.changed(changes):
            return None
        if set(columns) <= set(self.units):
            return self._touched_units(columns, changes)
        # Columns that are no units have other values before and after: both are computed.
        before, after = self.touched_rows(columns, changes)
        return f"SELECT {quote_all(columns)} FROM ({before}) UNION SELECT {quote_all(columns)} FROM ({after})"

    def touched_rows(self, columns: Sequence[str], changes: Changes) -> tuple[str, str]:
        """Write the queries for the rows of the touched units, as they were and as they are.

        Raises
        ------
        Undivided
            If it has neither units nor hidden ones.
        """
        units = self.units or self.hidden
        if not units:
            raise Undivided(self.reason)
        touched = self._touched_units(units, changes)
        assert touched is not None
        values = changes.stage(touched)
        before, after = (
            f"SELECT {quote_all(columns)} FROM ({self.restricted(units, values, changes, old=old)})"
            for old in (True, False)
        )
        return before, after


class TableFlow(Flow):
    """A base table: every column is a unit."""

    def __init__(self, item: Node, source: Source) -> None:
        self._item = item
        self._source = source
        self.columns = self.units = source.columns
        self.key = source.key
        self.tables = (source.qualified,)

    def whole(self, changes: Changes, *, old: bool) -> str:
        """See `Flow.whole`."""
        return f"SELECT * FROM {self._at(changes, old=old)}"

    def restricted(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """See `Flow.restricted`."""
        name, key = self._source.qualified, self._source.key
        if not old and changes.single == name and key and set(key) <= set(columns):
            # The rows written since then are all that there are of the keys that changed. A table of
            # their own shows how few they are, so that what they are joined with is searched for them.
            fresh = f"SELECT * FROM {self._source.sql} WHERE snapshot_id > {changes.since[name]}"
            return f"SELECT * FROM {changes.stage(fresh)}" if changes.few else fresh
        return keep(self.whole(changes, old=old), columns, values, exact=key)

    def _touched_units(self, columns: Sequence[str], changes: Changes) -> str | None:
        return f"SELECT DISTINCT {quote_all(columns)} FROM {changes.rows_of(self._source.qualified, columns)}"

    def _at(self, changes: Changes, *, old: bool) -> str:
        since = changes.since.get(self._source.qualified)
        return (
            f"{self._source.sql} AT (VERSION => {since})" if old and since is not None else self._source.sql
        )


class OpaqueFlow(Flow):
    """A relation that does not fall apart, or that reads no table at all."""

    def __init__(self, query: Node, columns: tuple[str, ...], tables: tuple[str, ...], reason: str) -> None:
        self._query = query
        self.columns, self.tables, self.reason = columns, tables, reason
        self.units = () if tables else columns

    def whole(self, changes: Changes, *, old: bool) -> str:
        """See `Flow.whole`."""
        return render_tree(at_side(self._query, changes, old=old))

    def restricted(self, columns: Sequence[str], values: str, changes: Changes, *, old: bool) -> str:
        """See `Flow.restricted`."""
        return keep(self.whole(changes, old=old), columns, values)

    def _touched_units(self, columns: Sequence[str], changes: Changes) -> str | None:
        return None


def keep(query: str, columns: Sequence[str], values: str, *, exact: Sequence[str] = ()) -> str:
    """Write the query for the rows of another whose columns are among given values.

    NULL counts as a value; the columns `exact` have none, for which `=` is faster.
    """
    matches = [
        f"q.{quote(each)} {'=' if each in exact else 'IS NOT DISTINCT FROM'} v.{quote(each)}"
        for each in columns
    ]
    return f"SELECT q.* FROM ({query}) AS q SEMI JOIN {values} AS v ON ({' AND '.join(matches)})"


def at_side(query: Node, changes: Changes, *, old: bool) -> Node:
    """Copy a query; `old` lets it read the changed tables as they were."""
    query = deepcopy(query)
    for item in walk(query) if old else ():
        if item.get("type") == "BASE_TABLE" and item.get("at_clause") is None:
            since = changes.since.get(qualified_name(item))
            if since is not None:
                item["at_clause"] = at_version(since)
    return query


def qualified_name(item: Node) -> str:
    """Name a base table that `flatten` has resolved."""
    return f"{item['schema_name']}.{item['table_name']}"


def tables_below(node: Any) -> tuple[str, ...]:
    """Name the base tables that a tree reads, one for each place; fixed points in time do not count."""
    return tuple(
        qualified_name(each)
        for each in walk(node)
        if each.get("type") == "BASE_TABLE" and each.get("at_clause") is None
    )
