"""Where the columns of a query come from: names resolved through CTEs, subqueries and unions.

A relation is the set of columns a FROM item offers, each with the base columns behind it. The
resolver walks a query inside out, builds the relation of each part, and notes on the way which
columns filter, join and group. It guesses never and fails never: a column that cannot be placed
comes from nowhere, and what it does not understand gives all columns of what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError

from workbench.engines.sql import Edge, EdgeKind
from workbench.engines.sql_relation import (
    ANY,
    Relation,
    Scope,
    Sources,
    aliases_of,
    look_up,
    merged,
    renamed,
)
from workbench.engines.sql_tables import base_tables, cte_name, ctes_of, is_relation, table_name
from workbench.engines.sql_text import parse, render
from workbench.errors import StatementError


def column_lineage(
    sql: str, schema: Mapping[str, Mapping[str, str]], names: Sequence[str] = ()
) -> list[Edge]:
    """Say where the columns of a query come from; see `workbench.engines.sql.column_lineage`."""
    try:
        query = next(
            (tree for tree in parse(sql) if isinstance(tree, exp.Query | exp.Values | exp.Pivot)), None
        )
        if query is None:
            return []
        resolver = Resolver(schema)
        relation = resolver.query(query, Scope())
        return _edges(relation, resolver.decisions, names)
    except (StatementError, SqlglotError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        # Whatever sqlglot makes of new syntax, a definition must not fail for its lineage.
        return _table_edges(sql, schema)


def _edges(
    relation: Relation, decisions: Mapping[tuple[str, str, EdgeKind], None], names: Sequence[str]
) -> list[Edge]:
    outputs = list(relation.columns.values())
    if len(names) == len(outputs):
        outputs = [(name, sources) for name, (_, sources) in zip(names, outputs, strict=True)]
    edges = [Edge(name, table, column, "value") for name, sources in outputs for table, column in sources]
    edges += [Edge(ANY, table, column, "value") for table, column in relation.rest]
    return edges + [Edge(ANY, table, column, kind) for table, column, kind in decisions]


def _table_edges(sql: str, schema: Mapping[str, Mapping[str, str]]) -> list[Edge]:
    try:
        tables = [table for tree in parse(sql) for table in base_tables(tree)]
    except (StatementError, RecursionError):
        return []
    resolver = Resolver(schema)
    return [Edge(ANY, name, ANY, "value") for name in dict.fromkeys(map(resolver.name_of, tables))]


class Resolver:
    """Resolves the names of one query against a schema; collects what decides on its rows."""

    def __init__(self, schema: Mapping[str, Mapping[str, str]]) -> None:
        self._schema = schema
        self._names: dict[str, str] = {}
        for name in reversed(list(schema)):
            self._names[name.lower().rpartition(".")[2]] = name
        self._names |= {name.lower(): name for name in schema}
        self.decisions: dict[tuple[str, str, EdgeKind], None] = {}

    def name_of(self, table: exp.Table) -> str:
        """Return the table's name as the schema writes it, else as the query does."""
        return self._names.get(table_name(table).lower(), table_name(table))

    def base(self, table: exp.Table) -> Relation:
        """Return the relation of a base table."""
        name = self.name_of(table)
        if name not in self._schema:
            return Relation(rest={(name, ANY): None})
        return Relation({column.lower(): (column, {(name, column): None}) for column in self._schema[name]})

    def _note(self, kind: EdgeKind, *parts: Sources) -> None:
        for table, column in merged(parts):
            self.decisions[(table, column, kind)] = None

    # -- queries -----------------------------------------------------------------------------------

    def query(self, node: exp.Expr, scope: Scope) -> Relation:
        """Resolve a query to the relation it gives."""
        scope = self._with_ctes(node, scope)
        if isinstance(node, exp.Subquery | exp.Paren):
            return self._reshaped(node, self.query(node.this, scope), scope)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, scope)
        if isinstance(node, exp.Select):
            return self._select(node, scope)
        if isinstance(node, exp.Table):
            return self.item(node, scope)[1]
        if isinstance(node, exp.Pivot):
            return Relation(rest=self.item(node.this, scope)[1].everything())
        if isinstance(node, exp.Values):
            return Relation(rest={})
        return Relation(rest=merged(self.base(table).everything() for table in base_tables(node)))

    def _with_ctes(self, node: exp.Expr, scope: Scope) -> Scope:
        clause = node.args.get("with_")
        for cte in ctes_of(node):
            name = cte_name(cte)
            if clause is not None and clause.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                start = renamed(self.query(cte.this.this, scope), cte.args.get("alias"))
                scope = Scope({**scope.ctes, name: start}, scope.items, scope.outer)
            relation = renamed(self.query(cte.this, scope), cte.args.get("alias"))
            scope = Scope({**scope.ctes, name: relation}, scope.items, scope.outer)
        return scope

    def _set_operation(self, node: exp.SetOperation, scope: Scope) -> Relation:
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if isinstance(node, exp.Except):
            self._note("filter", right.everything())
            return left
        if isinstance(node, exp.Intersect):
            self._note("filter", right.everything())
        result = Relation(rest=merged([left.rest, right.rest]))
        if node.args.get("by_name"):
            for name in {**left.columns, **right.columns}:
                written = (left.columns.get(name) or right.columns[name])[0]
                result.add(written, merged([left.get(name) or {}, right.get(name) or {}]))
            return result
        others = list(right.columns.values())
        for index, (name, sources) in enumerate(left.columns.values()):
            other = others[index][1] if index < len(others) else right.rest
            result.add(name, merged([sources, other]))
        return result

    def _select(self, node: exp.Select, scope: Scope) -> Relation:
        inner = Scope(scope.ctes, self._items(node, scope), scope.outer)
        outputs = Relation()
        for column in node.expressions:
            self._project(column, Scope(inner.ctes, inner.items, inner.outer, aliases_of(outputs)), outputs)
        inner = Scope(inner.ctes, inner.items, inner.outer, aliases_of(outputs))
        for clause in ("where", "having", "qualify"):
            if node.args.get(clause):
                self._note("filter", self.sources(node.args[clause], inner))
        if node.args.get("limit") and node.args.get("order"):
            self._note("filter", self.sources(node.args["order"], inner))
        if node.args.get("group"):
            self._group(node, inner, outputs)
        return outputs

    def _group(self, node: exp.Select, scope: Scope, outputs: Relation) -> None:
        group = node.args["group"]
        self._note("group", self.sources(group, scope))
        columns = list(outputs.columns.values())
        for each in group.expressions:
            if isinstance(each, exp.Literal) and each.is_int and 0 < int(each.name) <= len(columns):
                self._note("group", columns[int(each.name) - 1][1])
        if group.args.get("all"):
            for each in node.expressions:
                if not each.find(exp.AggFunc):
                    self._note("group", self.sources(each, scope))

    # -- FROM --------------------------------------------------------------------------------------

    def _items(self, node: exp.Select, scope: Scope) -> dict[str, Relation]:
        items: dict[str, Relation] = {}
        start = node.args.get("from_")
        laterals = node.args.get("laterals") or []
        joins = [*(node.args.get("joins") or []), *laterals]
        if start is not None:
            self._add_item(items, start.this, scope)
        for join in joins:
            self._add_join(items, join, scope)
        return items

    def _add_item(self, items: dict[str, Relation], node: exp.Expr, scope: Scope) -> Relation:
        before = Scope(scope.ctes, {}, Scope(scope.ctes, dict(items), scope.outer))
        if isinstance(node, exp.Paren | exp.Subquery) and isinstance(node.this, exp.Table | exp.Join):
            relation = self._add_item(items, node.this, scope)
        else:
            alias, relation = self.item(node, before)
            unique = alias
            while unique in items:
                unique += "'"
            items[unique] = relation
        for join in node.args.get("joins") or []:
            self._add_join(items, join, scope)
        return relation

    def _add_join(self, items: dict[str, Relation], join: exp.Expr, scope: Scope) -> None:
        left = dict(items)
        relation = self._add_item(items, join.this if isinstance(join, exp.Join) else join, scope)
        if not isinstance(join, exp.Join):
            return
        both = Scope(scope.ctes, items, scope.outer)
        if join.args.get("on"):
            self._note("join", self.sources(join.args["on"], both))
        shared = [each.name for each in join.args.get("using") or []]
        if str(join.args.get("method", "")).upper() == "NATURAL":
            shared = [
                name for name in relation.columns if any(name in each.columns for each in left.values())
            ]
        for name in shared:
            found = [each.get(name) or {} for each in left.values()]
            self._note("join", *found, relation.get(name) or {})
        if str(join.args.get("kind", "")).upper() in ("SEMI", "ANTI"):
            for alias in items.keys() - left.keys():
                del items[alias]
        elif shared:
            self._merge(items, left, shared)

    def _merge(self, items: dict[str, Relation], left: Mapping[str, Relation], shared: list[str]) -> None:
        """Let a column of USING stand once in `*`: on the left, with what is behind both sides."""
        for name in (each.lower() for each in shared):
            owner = next((each for each in left.values() if name in each.columns), None)
            if owner is None:
                continue
            for alias in items.keys() - left.keys():
                if name in items[alias].columns:
                    columns = dict(items[alias].columns)
                    _, sources = columns.pop(name)
                    items[alias] = Relation(columns, items[alias].rest or sources)
                    owner.columns[name] = (owner.columns[name][0], merged([owner.columns[name][1], sources]))

    def item(self, node: exp.Expr, scope: Scope) -> tuple[str, Relation]:
        """Resolve a FROM item to its alias (in lower case) and its relation."""
        alias = node.alias_or_name.lower()
        if isinstance(node, exp.Table) and is_relation(node):
            plain = len(node.parts) == 1
            relation = scope.ctes.get(node.name.lower()) if plain else None
            relation = relation or self.base(node)
            return alias, self._reshaped(node, relation, scope)
        if isinstance(node, exp.Subquery | exp.Query | exp.Values | exp.Pivot):
            return alias, self.query(node, scope)
        if isinstance(node, exp.Lateral):
            inner = node.this
            if isinstance(inner, exp.Subquery | exp.Query):
                return alias, renamed(self.query(inner, scope), node.args.get("alias"))
        return alias, renamed(Relation(rest=self.sources(node, scope)), node.args.get("alias"))

    def _reshaped(self, node: exp.Expr, relation: Relation, scope: Scope) -> Relation:
        """Apply PIVOT and the alias of a FROM item; copies, for USING changes relations."""
        if node.args.get("pivots"):
            relation = Relation(rest=relation.everything())
        return renamed(Relation(dict(relation.columns), dict(relation.rest)), node.args.get("alias"))

    # -- expressions -------------------------------------------------------------------------------

    def _project(self, node: exp.Expr, scope: Scope, outputs: Relation) -> None:
        columns = node.find(exp.Columns)
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            self._star(node, scope, outputs)
        elif columns is not None:
            for name, sources in _matching(columns, scope):
                outputs.add(name, sources)
        else:
            sources = self.sources(node, scope)
            outputs.add(_output_name(node, sources), sources)

    def _star(self, node: exp.Star | exp.Column, scope: Scope, outputs: Relation) -> None:
        star = node.this if isinstance(node, exp.Column) else node
        wanted = node.table.lower() if isinstance(node, exp.Column) else ""
        dropped = {each.name.lower() for each in star.args.get("except_") or []}
        replaced = {each.alias.lower(): each.this for each in star.args.get("replace") or []}
        renamed = {each.this.name.lower(): each.alias for each in star.args.get("rename") or []}
        for alias, relation in scope.items.items():
            if wanted and alias != wanted:
                continue
            for name, (written, sources) in relation.columns.items():
                if name in replaced:
                    outputs.add(written, self.sources(replaced[name], scope))
                elif name not in dropped:
                    outputs.add(renamed.get(name, written), sources)
            if not relation.columns:
                outputs.rest = merged([outputs.rest, relation.rest])

    def sources(self, node: exp.Expr, scope: Scope) -> Sources:
        """Return the base columns behind an expression."""
        bound = _bound_names(node)
        found: list[Sources] = []
        for each in _own_nodes(node):
            if isinstance(each, exp.Query):
                found.append(self._subquery(each, scope))
            elif isinstance(each, exp.Column) and not (each.name.lower() in bound and not each.table):
                found.append(self.column(each, scope))
            elif isinstance(each, exp.Star | exp.Columns) and not isinstance(each.parent, exp.Column):
                # count(*) depends on which rows there are, not on any column.
                tables = merged(relation.everything() for relation in scope.items.values())
                found.append({(table, ANY): None for table, _ in tables})
        return merged(found)

    def _subquery(self, node: exp.Query, scope: Scope) -> Sources:
        return self.query(node, Scope(scope.ctes, {}, scope)).everything()

    def column(self, node: exp.Column, scope: Scope | None) -> Sources:
        """Return the base columns behind a column, looking outwards from `scope`."""
        parts = [part.name for part in node.parts]
        while scope is not None:
            found = look_up(parts, scope)
            if found is not None:
                return found
            scope = scope.outer
        return {}


def _output_name(node: exp.Expr, sources: Sources) -> str:
    """Name an output as DuckDB does: a column in the case in which its table writes it."""
    name = node.alias_or_name
    if isinstance(node, exp.Column):
        return next((column for _, column in sources if column.lower() == name.lower()), name)
    return name or render(node).lower()


def _matching(columns: exp.Columns, scope: Scope) -> Iterator[tuple[str, Sources]]:
    """List the columns that `COLUMNS('pattern')` stands for; of other forms, all."""
    pattern = columns.this.name if isinstance(columns.this, exp.Literal) else ""
    for relation in scope.items.values():
        for name, sources in relation.columns.values():
            if re.search(pattern, name):
                yield name, sources
        for table, column in relation.rest:
            yield column, {(table, column): None}


def _bound_names(node: exp.Expr) -> set[str]:
    """Name the variables of lambdas and list comprehensions; they are no columns."""
    bound = {each.name.lower() for function in node.find_all(exp.Lambda) for each in function.expressions}
    for each in node.find_all(exp.Comprehension):
        bound.add(each.expression.name.lower())
    return bound


def _own_nodes(node: exp.Expr) -> Iterator[exp.Expr]:
    """Walk an expression; of a query inside it only the query itself is given."""
    yield node
    if not isinstance(node, exp.Query):
        for child in node.iter_expressions():
            yield from _own_nodes(child)
