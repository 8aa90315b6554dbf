"""What a binding reads: a table, a transform, a named query, or a table with predictions beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.bind.definition import Binding, bindings
from workbench.bind.view import columns_of, match, show_bindings
from workbench.engines.sql import column_lineage, inline_views, source_tables
from workbench.errors import NotFound, Unsupported
from workbench.lake.inputs import base_tables, view_texts
from workbench.names import quote, quote_name

if TYPE_CHECKING:
    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake, TableInfo, Transaction


@dataclass(frozen=True, slots=True)
class Bound:
    """A column of a view of predictions: the binding that fills it, and its column in the side table."""

    binding: Binding
    column: str
    type: str


@dataclass(frozen=True, slots=True)
class Source:
    """The rows that a binding is on.

    Attributes
    ----------
    base : TableInfo
        The relation whose rows they are.
    key : tuple of str
        The columns that identify a row.
    tables : tuple of str
        The tables, and named queries, that the base is made from; itself if it is a table.
    columns : dict of str to str
        All that can be an input, with its type: columns of the base, then of the bindings.
    bound : mapping of str to Bound
        Which of the columns, in lower case, are those of bindings.
    """

    base: TableInfo
    key: tuple[str, ...]
    tables: tuple[str, ...]
    columns: Mapping[str, str]
    bound: Mapping[str, Bound] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        """Whether the engine knows when each of its rows was written."""
        return self.base.schema != "queries"

    def spelled(self, name: str) -> str:
        """Return a column as it is written in the source.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        for column in self.columns:
            if column.lower() == name.lower():
                return column
        raise NotFound.named("column", name, self.columns, within=self.base.name)

    def upstream(self, columns: Iterable[str]) -> list[Binding]:
        """List the bindings whose predictions are among these columns."""
        found = [self.bound[each.lower()].binding for each in columns if each.lower() in self.bound]
        return list({each.name: each for each in found}.values())

    def inputs(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Name the tables that these columns are read from, qualified."""
        return (*self.tables, *(each.output for each in self.upstream(columns)))

    def expressions(self, columns: Sequence[str]) -> list[str]:
        """Write each column as SQL over what `rows` reads."""
        aliases = {each.name: f"u{number}" for number, each in enumerate(self.upstream(columns))}
        found = []
        for column in columns:
            bound = self.bound.get(column.lower())
            place = f"{aliases[bound.binding.name]}.{bound.column}" if bound else f"t.{quote(column)}"
            found.append(place)
        return found

    def rows(self, columns: Sequence[str]) -> str:
        """Write the FROM clause that gives these columns: rows that wait for another binding are left out."""
        joins = [
            f"JOIN lake.{quote_name(each.output)} AS u{number} ON {match(each, f'u{number}', self.base)}"
            for number, each in enumerate(self.upstream(columns))
        ]
        return " ".join([f"lake.{self.base.sql} AS t", *joins])

    def select(self, columns: Sequence[str]) -> str:
        """Write the query that gives these columns."""
        named = zip(self.expressions(columns), columns, strict=True)
        shown = ", ".join(f"{value} AS {quote(name)}" for value, name in named)
        return f"SELECT {shown} FROM {self.rows(columns)}"

    def fresh(self, columns: Sequence[str], since: Mapping[str, int]) -> str:
        """Write the condition for rows written after the snapshots `since`, by table."""
        parts = [f"t.snapshot_id > {since[self.base.qualified]}"]
        parts += [
            f"u{number}.snapshot_id > {since[each.output]}"
            for number, each in enumerate(self.upstream(columns))
        ]
        return " OR ".join(parts)


def read_source(lake: Lake, on: str, cursor: Cursor, known: list[TableInfo]) -> Source:
    """Find what stands behind the name that a model is bound on, among the tables `known`.

    Raises
    ------
    NotFound
        If there is no such relation.
    Unsupported
        If its rows cannot be told apart.
    """
    relation = lake.tables.resolve(on, among=known)
    if relation.schema == "predictions":
        return _with_predictions(lake, relation, known, cursor)
    if relation.schema == "queries":
        return _of_query(lake, relation, known, cursor)
    if relation.schema == "mlstore":
        raise Unsupported(f"A model cannot be bound to the record {relation.name!r}.", hint="Bind a table.")
    if not relation.key:
        raise Unsupported(
            f"{relation.name!r} has no key, so predictions cannot be kept beside its rows.",
            hint=f"Give it one, as in: ALTER TABLE {relation.name} ADD PRIMARY KEY (id).",
        )
    return Source(relation, relation.key, (relation.qualified,), relation.columns)


def _with_predictions(lake: Lake, view: TableInfo, known: list[TableInfo], cursor: Cursor) -> Source:
    """Read a view of predictions as its table, with the columns of its bindings beside it."""
    shown = [each for each in bindings(lake) if each.view == view.qualified]
    if not shown:
        table = view.name.partition("__")[0]
        raise Unsupported(
            f"{view.name!r} is the side table of a binding.", hint=f"Bind on predictions.{table} instead."
        )
    base = next(each.on for each in shown if each.on != view.qualified)
    below = read_source(lake, base, cursor, known)
    types = {table.qualified: table.columns for table in known}
    columns, bound = dict(below.columns), {}
    for each in shown:
        for name, column in columns_of(each).items():
            kind = types[each.output][name]
            columns[column] = kind
            bound[column.lower()] = Bound(each, name, kind)
    return Source(below.base, below.key, below.tables, columns, bound)


def _of_query(lake: Lake, view: TableInfo, known: list[TableInfo], cursor: Cursor) -> Source:
    """Read a named query by the key of the one table whose rows its own rows are."""
    tables = base_tables(lake, [view.qualified], source_tables, cursor, views_too=True)
    keyed = [table for table in known if table.qualified in tables and table.key]
    views = view_texts(cursor)
    named = {name.partition(".")[2]: text for name, text in views.items() if name.startswith("queries.")}
    text = inline_views(views[view.qualified], {**views, **named})
    keys = {table.qualified: _traced_key(text, view, table, known) for table in keyed}
    found = {name: key for name, key in keys.items() if key}
    if len(found) != 1:
        why = f"it shows the keys of {' and '.join(found)}" if found else "it shows the key of no table"
        raise Unsupported(
            f"The rows of the query {view.name!r} cannot be told apart: {why}.",
            hint="Select the key of one table under its own name, or make it a transform with KEY.",
        )
    return Source(view, next(iter(found.values())), tables, view.columns)


def _traced_key(text: str, view: TableInfo, table: TableInfo, known: list[TableInfo]) -> tuple[str, ...]:
    """Return the columns of a query that are the key of a table; nothing if one of them is missing."""
    schema = {each.qualified: each.columns for each in known}
    plain = {
        edge.column.lower(): edge.output_column
        for edge in column_lineage(text, schema)
        if edge.table == table.qualified and edge.output_column.lower() == edge.column.lower()
    }
    shown = {column.lower(): column for column in view.columns}
    key = [shown.get(each.lower(), "") for each in table.key if each.lower() in plain]
    return tuple(key) if len(key) == len(table.key) and all(key) else ()


def hide_binding(lake: Lake, tx: Transaction, binding: Binding) -> None:
    """Leave a binding that is to be dropped out of its view, as part of the commit `tx`."""
    known = lake.tables.all(tx.cursor)
    base = read_source(lake, binding.on, tx.cursor, known).base
    rest = [each for each in bindings(lake) if each.view == binding.view and each.name != binding.name]
    show_bindings(tx, base, rest)
