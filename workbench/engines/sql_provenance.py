"""Which rows of the base tables are behind the output rows of a key.

The query is taken apart from the outside in. At each SELECT the wanted output rows are described
by conditions on what it reads; for a base table these become a query for its rows, for a subquery
or CTE they become the description of that query's wanted output rows, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp
from sqlglot.errors import SqlglotError

from workbench.engines.sql_lineage import Resolver
from workbench.engines.sql_relation import Relation, Scope
from workbench.engines.sql_tables import cte_name, ctes_of, is_relation, table_name, used_ctes
from workbench.engines.sql_text import parse_query, render
from workbench.errors import StatementError

_PRESENT = "mlstore_present"
_LINK = "mlstore_link"

# Functions whose value is another each time; a condition on them would not find the same rows.
_VOLATILE = {"random", "rand", "uuid", "gen_random_uuid", "nextval", "now", "current_timestamp", "setseed"}


def provenance(
    sql: str, schema: Mapping[str, Mapping[str, str]], key: Sequence[str]
) -> dict[str, str] | None:
    """Write the queries for the rows behind a key; see `workbench.engines.sql.provenance`."""
    try:
        tracer = _Tracer(schema)
        query = parse_query(sql)
        pins = {name.lower(): f"k{index}" for index, name in enumerate(key)}
        if not tracer.query(query, _Wanted(pins), []):
            return None
    except (StatementError, SqlglotError, _NotTraced, RecursionError):
        return None
    found = {name: " UNION ".join(queries) for name, queries in tracer.found.items()}
    return found or None


class _NotTraced(Exception):
    """A part of the query that the rows cannot be followed through."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The output rows of a query that are asked for.

    `pins` maps output columns to the parameters they must equal. `link` is a query for the wanted
    rows themselves, its columns renamed by `columns` (output column → name in the link); where the
    pins can be `enough`, it is used only if one of them is of no use. `names` are the outputs of a
    union, by which its branches are read.
    """

    pins: Mapping[str, str]
    link: exp.Select | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    enough: bool = False


@dataclass(frozen=True, slots=True)
class _Item:
    """A FROM item of a SELECT: its alias, its node, its columns, and how it is joined."""

    alias: str
    node: exp.Expr
    relation: Relation
    optional: bool = False
    join: exp.Join | None = None


class _Tracer:
    def __init__(self, schema: Mapping[str, Mapping[str, str]]) -> None:
        self._schema = schema
        self.found: dict[str, list[str]] = {}

    # -- queries -----------------------------------------------------------------------------------

    def query(self, node: exp.Expr, wanted: _Wanted, visible: list[exp.CTE]) -> bool:
        """Follow the wanted rows of a query; tell whether its pins could be used."""
        clause = node.args.get("with_")
        if clause is not None and clause.args.get("recursive"):
            raise _NotTraced
        inner = {cte_name(cte) for cte in ctes_of(node)}
        visible = [cte for cte in visible if cte_name(cte) not in inner] + ctes_of(node)
        if isinstance(node, exp.Subquery | exp.Paren):
            return self.query(node.this, wanted, visible)
        if isinstance(node, exp.Union):
            return self._union(node, wanted, visible)
        if isinstance(node, exp.Select):
            return _Select(self, node, visible).trace(wanted)
        raise _NotTraced

    def _union(self, node: exp.Union, wanted: _Wanted, visible: list[exp.CTE]) -> bool:
        if not node.args.get("by_name"):
            names = wanted.names or self.outputs(node, visible)
            if names is None:
                raise _NotTraced
            wanted = replace(wanted, names=names)
        left = self.query(node.this, wanted, visible)
        return self.query(node.expression, wanted, visible) and left

    def relation(self, node: exp.Expr, visible: list[exp.CTE]) -> Relation:
        """Return the columns of a FROM item or a query."""
        resolver = Resolver(self._schema)
        relations: dict[str, Relation] = {}
        for cte in visible:
            relations[cte_name(cte)] = resolver.item(
                exp.Subquery(this=cte.this.copy()), Scope(dict(relations))
            )[1]
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            return resolver.query(node, Scope(relations))
        return resolver.item(node, Scope(relations))[1]

    def outputs(self, node: exp.Expr, visible: list[exp.CTE]) -> tuple[str, ...] | None:
        """Name the output columns of a query in lower case, None if they are not all known."""
        relation = self.relation(node, visible)
        return None if relation.rest else tuple(relation.columns)


class _Select:
    """One SELECT, and the rows of it that are wanted."""

    def __init__(self, tracer: _Tracer, node: exp.Select, visible: list[exp.CTE]) -> None:
        self._tracer = tracer
        self._visible = visible
        self._node = _with_named_items(node)
        self._items = self._read_items()
        self._aliases = {
            each.alias.lower(): each.this for each in node.expressions if isinstance(each, exp.Alias)
        }

    def _read_items(self) -> list[_Item]:
        start = self._node.args.get("from_")
        if start is None:
            return []
        if self._node.args.get("laterals"):
            raise _NotTraced
        items = [self._item(start.this, None)]
        for join in self._node.args.get("joins") or []:
            side = str(join.args.get("side", "")).upper()
            if side in ("RIGHT", "FULL"):
                items = [_Item(each.alias, each.node, each.relation, True, each.join) for each in items]
            items.append(self._item(join.this, join, optional=side in ("LEFT", "FULL")))
        return items

    def _item(self, node: exp.Expr, join: exp.Join | None, *, optional: bool = False) -> _Item:
        if node.args.get("joins") or (isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table)):
            raise _NotTraced
        relation = self._tracer.relation(node, self._visible)
        return _Item(node.alias_or_name, node, relation, optional, join)

    # -- tracing -----------------------------------------------------------------------------------

    def trace(self, wanted: _Wanted) -> bool:
        """Follow the wanted rows into each FROM item; tell whether all pins could be used."""
        defined = self._defined(wanted.names)
        pinned = {name: defined[name] for name in wanted.pins if name in defined}
        complete = len(pinned) == len(wanted.pins)
        if wanted.link is None and not complete:
            return False
        conditions: list[exp.Expr] = [
            exp.NullSafeEQ(
                this=_operand(definition), expression=exp.Parameter(this=exp.var(wanted.pins[name]))
            )
            for name, definition in pinned.items()
        ]
        if wanted.link is not None and not (wanted.enough and complete):
            conditions.append(_exists(wanted.link, wanted.columns, defined))
        for item in self._items:
            if _kind(item) != "ANTI":
                self._follow(item, conditions, wanted, pinned)
        return complete

    def _follow(
        self, item: _Item, conditions: list[exp.Expr], wanted: _Wanted, pinned: Mapping[str, exp.Expr]
    ) -> None:
        query = self._cte(item.node) or (item.node if isinstance(item.node, exp.Subquery) else None)
        if query is not None:
            self._follow_query(item, query, conditions, wanted, pinned)
        elif isinstance(item.node, exp.Table) and is_relation(item.node) and not item.node.args.get("pivots"):
            rows = self._rows(item, conditions, [exp.column(exp.Star(), table=exp.to_identifier(item.alias))])
            self._tracer.found.setdefault(table_name(item.node), []).append(render(rows))

    def _follow_query(
        self,
        item: _Item,
        query: exp.Expr,
        conditions: list[exp.Expr],
        wanted: _Wanted,
        pinned: Mapping[str, exp.Expr],
    ) -> None:
        if item.relation.rest or item.node.args.get("pivots"):
            raise _NotTraced
        names = tuple(item.relation.columns)
        pins = {
            column.name.lower(): wanted.pins[name]
            for name, column in pinned.items()
            if isinstance(column, exp.Column) and self._owner(column) is item
        }
        columns = {name: f"{_LINK}_{index}" for index, name in enumerate(names)}
        chosen = [
            exp.alias_(exp.column(exp.to_identifier(name, quoted=True), table=item.alias), columns[name])
            for name in names
        ]
        link = self._rows(item, conditions, chosen)
        inner = query.this if isinstance(query, exp.CTE) else query
        visible = self._before(query) if isinstance(query, exp.CTE) else self._visible
        alone = len(self._items) == 1 and not self._node.args.get("where") and wanted.link is None
        enough = alone and len(pins) == len(wanted.pins)
        self._tracer.query(inner, _Wanted(pins, link, columns, names, enough), visible)

    def _rows(self, item: _Item, conditions: list[exp.Expr], columns: list[exp.Expr]) -> exp.Select:
        """Write the query for the rows of one FROM item that the conditions are about."""
        rows = exp.Select(distinct=exp.Distinct(), expressions=columns)
        node = self._node.copy()
        where = [self._inlined(each) for each in (node.args["where"].this,)] if node.args.get("where") else []
        rows.set("from_", node.args.get("from_"))
        rows.set("joins", node.args.get("joins"))
        for join in rows.args.get("joins") or []:
            if join.alias_or_name == item.alias and _kind(item) == "SEMI":
                join.set("kind", None)
        conditions = [*where, *(each.copy() for each in conditions)]
        if _kind(item) == "SEMI":
            # The columns of the other side, hidden until now, could be meant by the same names.
            conditions = [self._qualified(each) for each in conditions]
        if item.optional:
            conditions.append(_mark(rows, item, columns))
        if conditions:
            rows.set("where", exp.Where(this=exp.and_(*conditions, copy=False)))
        used = used_ctes(rows, self._visible)
        if used:
            rows.set("with_", exp.With(expressions=[cte.copy() for cte in used]))
        return rows

    # -- names -------------------------------------------------------------------------------------

    def _cte(self, node: exp.Expr) -> exp.CTE | None:
        if not isinstance(node, exp.Table) or len(node.parts) > 1:
            return None
        return next((cte for cte in reversed(self._visible) if cte_name(cte) == node.name.lower()), None)

    def _before(self, cte: exp.CTE) -> list[exp.CTE]:
        return self._visible[: next(n for n, each in enumerate(self._visible) if each is cte)]

    def _defined(self, names: tuple[str, ...] | None) -> dict[str, exp.Expr]:
        """Return the output columns that are expressions over the rows read, by name."""
        outputs: list[tuple[str, exp.Expr]] = []
        for column in self._node.expressions:
            outputs += self._outputs(column)
        if names is not None and len(names) == len(outputs):
            outputs = [(name, column) for name, (_, column) in zip(names, outputs, strict=True)]
        return {name.lower(): column for name, column in reversed(outputs) if _is_plain(column)}

    def _outputs(self, column: exp.Expr) -> list[tuple[str, exp.Expr]]:
        if not column.is_star:
            return [(column.alias_or_name.lower(), self._inlined(column.unalias().copy()))]
        star = column.this if isinstance(column, exp.Column) else column
        if any(star.args.get(clause) for clause in ("replace", "rename")) or column.find(exp.Columns):
            raise _NotTraced
        dropped = {each.name.lower() for each in star.args.get("except_") or []}
        wanted = column.table.lower() if isinstance(column, exp.Column) else ""
        merged = {
            each.name.lower()
            for item in self._items
            if item.join
            for each in item.join.args.get("using") or []
        }
        outputs: list[tuple[str, exp.Expr]] = []
        for item in self._items:
            hidden = _kind(item) in ("SEMI", "ANTI") or (wanted and item.alias.lower() != wanted)
            for name in () if hidden else item.relation.columns:
                known = any(name == each for each, _ in outputs)
                if name not in dropped and not (known and name in merged):
                    table = None if name in merged else item.alias
                    outputs.append((name, exp.column(exp.to_identifier(name, quoted=True), table=table)))
        return outputs

    def _owner(self, column: exp.Column) -> _Item | None:
        """Find the FROM item that a column is of."""
        if column.table:
            return next((item for item in self._items if item.alias.lower() == column.table.lower()), None)
        owners = [item for item in self._items if column.name.lower() in item.relation.columns]
        return owners[0] if len(owners) == 1 and not any(item.relation.rest for item in self._items) else None

    def _qualified(self, node: exp.Expr) -> exp.Expr:
        shown = [item for item in self._items if _kind(item) not in ("SEMI", "ANTI")]
        for column in node.find_all(exp.Column):
            owners = [item for item in shown if column.name.lower() in item.relation.columns]
            if owners and not column.table and column.parent_select is None:
                column.set("table", exp.to_identifier(owners[0].alias))
        return node

    def _inlined(self, node: exp.Expr) -> exp.Expr:
        """Write out the aliases that an expression uses: the rows are read without them."""
        for column in list(node.find_all(exp.Column)):
            name = column.name.lower()
            definition = self._aliases.get(name)
            known = any(name in item.relation.columns for item in self._items)
            if column.table or known or definition is None or definition is node:
                continue
            if any(each.name.lower() == name for each in definition.find_all(exp.Column)):
                continue
            inlined = exp.paren(self._inlined(definition.copy()))
            if column is node:
                return inlined
            column.replace(inlined)
        return node


def _with_named_items(node: exp.Select) -> exp.Select:
    """Give every FROM item an alias; a SELECT that begins with FROM gets its joins where others have them."""
    node = node.copy()
    start = node.args.get("from_")
    if start is None:
        return node
    if isinstance(start.this, exp.Table) and start.this.args.get("joins"):
        node.set("joins", [*start.this.args["joins"], *(node.args.get("joins") or [])])
        start.this.set("joins", None)
    for index, holder in enumerate([start, *(node.args.get("joins") or [])]):
        if isinstance(holder.this, exp.Subquery) and not holder.this.alias:
            holder.this.set("alias", exp.TableAlias(this=exp.to_identifier(f"mlstore_item_{index}")))
    return node


def _kind(item: _Item) -> str:
    return str(item.join.args.get("kind", "")).upper() if item.join is not None else ""


def _is_plain(node: exp.Expr) -> bool:
    """Tell whether an expression has one value for a row that is read, always the same."""
    if node.find(exp.AggFunc, exp.Window, exp.Query, exp.Columns, exp.Unnest, exp.Explode, exp.Star):
        return False
    called = {
        each.name if isinstance(each, exp.Anonymous) else each.sql_name() for each in node.find_all(exp.Func)
    }
    return _VOLATILE.isdisjoint(name.lower() for name in called)


def _operand(node: exp.Expr) -> exp.Expr:
    return node.copy() if isinstance(node, exp.Column) else exp.paren(node.copy())


def _exists(link: exp.Select, columns: Mapping[str, str], defined: Mapping[str, exp.Expr]) -> exp.Expr:
    """Write the condition that a row's output is among the rows of the link."""
    matches: list[exp.Expr] = [
        exp.NullSafeEQ(this=exp.column(column, table=_LINK), expression=_operand(defined[name]))
        for name, column in columns.items()
        if name in defined
    ]
    among = exp.select("1").from_(exp.Subquery(this=link.copy(), alias=_LINK))
    if matches:
        among.set("where", exp.Where(this=exp.and_(*matches, copy=False)))
    return exp.Exists(this=among)


def _mark(rows: exp.Select, item: _Item, columns: list[exp.Expr]) -> exp.Expr:
    """Mark the rows of an optional FROM item, to tell them from the padding of the outer join."""
    clauses = [rows.args["from_"], *(rows.args.get("joins") or [])]
    holder = next(each for each in clauses if each.this.alias_or_name == item.alias)
    marked = exp.select("*", f"TRUE AS {_PRESENT}").from_(holder.this.copy())
    holder.set("this", exp.Subquery(this=marked, alias=exp.TableAlias(this=exp.to_identifier(item.alias))))
    for column in columns:
        if isinstance(column, exp.Column) and isinstance(column.this, exp.Star):
            column.this.set("except_", [exp.column(_PRESENT)])
    return exp.column(_PRESENT, table=item.alias)
