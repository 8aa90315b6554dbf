"""The rows that a built-in function in a query is fitted over, and the places of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from workbench.engines.sql import FunctionCall
from workbench.engines.sql_tables import ctes_of, used_ctes
from workbench.errors import StatementError, Unsupported

TAG = "mlstore_call_"

# The clauses of a SELECT that decide on its rows, in the order in which they are computed. A call
# is fitted over the rows that its clause sees: those that the clauses before it leave.
CLAUSES = ("where", "group", "having", "qualify")
OUTPUT = len(CLAUSES)

# These say nothing about which rows there are to fit on, or are computed on the fitted values.
_DROPPED = ("distinct", "order", "limit", "offset", "into", "locks")


def tagged(tree: exp.Expr) -> Iterator[exp.Anonymous]:
    """Yield the calls below a node, each under a name of its own that begins with the tag."""
    return (node for node in tree.find_all(exp.Anonymous) if node.name.startswith(TAG))


def place(sql: str, span: FunctionCall) -> tuple[int, int]:
    """Return line and column of a call, counted from 1."""
    before = sql[: span.start]
    return before.count("\n") + 1, span.start - (before.rfind("\n") + 1) + 1


def misplaced(sql: str, span: FunctionCall, why: str, hint: str = "") -> StatementError:
    """Make the error for a call that stands where it cannot."""
    line, column = place(sql, span)
    return StatementError(f"{span.name} {why}.", hint=hint, line=line, column=column)


def cut(select: exp.Select, level: int, sql: str, span: FunctionCall) -> None:
    """Leave of a SELECT what decides on its rows, up to the clause `level`."""
    distinct = select.args.get("distinct")
    # DISTINCT ON keeps one row of each kind: the first in ORDER BY.
    keeps_first = level == OUTPUT and distinct is not None and distinct.args.get("on") is not None
    for clause in (*CLAUSES[level:], *_DROPPED):
        if not (keeps_first and clause in ("distinct", "order")):
            select.set(clause, None)
    group = select.args.get("group")
    for literal in list(group.expressions) if group else ():
        if isinstance(literal, exp.Literal) and literal.is_int:
            literal.replace(_numbered(select, int(literal.name), sql, span))


def _numbered(select: exp.Select, position: int, sql: str, span: FunctionCall) -> exp.Expr:
    """Find the column that GROUP BY names by its number."""
    before = select.expressions[:position]
    if len(before) < position or any(each.is_star or each.find(exp.Columns) for each in before):
        raise misplaced(sql, span, "needs GROUP BY to name its columns here", "Write the names.")
    expression: exp.Expr = before[-1].unalias().copy()
    if any(tagged(expression)):
        raise Unsupported(
            f"GROUP BY {position} groups by a column that is still to be fitted.",
            hint="Compute it in a subquery, and group that.",
        )
    return expression


def kept(select: exp.Select, wanted: list[exp.Expr]) -> list[exp.Expr]:
    """Return the columns of a SELECT that its other clauses, or `wanted`, refer to by their alias."""
    group = select.args.get("group")
    if group and group.args.get("all"):
        return [each for each in select.expressions if not any(tagged(each))]
    clauses = [select.args.get(clause) for clause in (*CLAUSES, "distinct", "order", "windows")]
    parts: list[object] = [*wanted, *clauses]
    kept: dict[int, exp.Expr] = {}
    while parts:
        names = {name for part in parts for name in _plain_columns(part)}
        parts = []
        for index, column in enumerate(select.expressions):
            aliased = isinstance(column, exp.Alias) and column.alias.lower() in names
            if aliased and index not in kept and not any(tagged(column)):
                kept[index] = column
                parts.append(column)
    return [kept[index] for index in sorted(kept)]


def _plain_columns(part: object) -> Iterator[str]:
    for tree in part if isinstance(part, list) else [part]:
        if isinstance(tree, exp.Expr):
            yield from (each.name.lower() for each in tree.find_all(exp.Column) if not each.table)


def with_ctes(relation: exp.Expr, scope: exp.Expr, fill: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Put the CTEs that enclosing queries define around a relation taken out of them."""
    inside: exp.Expr | None = None
    node = scope
    while node.parent is not None:
        if isinstance(node, exp.CTE):
            inside = node
        from_clause = isinstance(node, exp.With)
        node = node.parent
        visible = ctes_of(node)
        if from_clause and inside is not None:
            recursive = bool(node.args["with_"].args.get("recursive"))
            end = next(n for n, each in enumerate(visible) if each is inside)
            visible = visible if recursive else visible[:end]
        used = used_ctes(relation, visible)
        if used:
            clause = exp.With(expressions=[fill(cte) for cte in used])
            clause.set("recursive", node.args["with_"].args.get("recursive"))
            relation = exp.select("*").from_(exp.Subquery(this=relation, alias="mlstore_inner"))
            relation.set("with_", clause)
    return relation
