"""Built-in functions in a training query: fitted on training rows, computed again on raw rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from workbench.engines.duckdb import Cursor, execute
from workbench.engines.sql import find_calls, replace_spans
from workbench.engines.sql_text import parse, render, tokens_of
from workbench.errors import NotFound, StatementError, Unsupported
from workbench.names import quote
from workbench.transform.calls import Body, complete
from workbench.transform.fitting import Only, fit_body
from workbench.transform.steps import STEPS

RAW = "__raw_"
"""What the names of raw columns begin with where they stand beside the prepared ones."""

_HINT = "Compute it in a transform, and train on its table."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A training query whose built-in functions are fitted.

    Attributes
    ----------
    sql : str
        The query in plain SQL, with the raw columns as `__raw_<name>` beside its own.
    blind : str
        The same for rows whose target is not to be known.
    columns : dict of str to str
        For each column of the result that is not a raw one, its SQL over raw rows.
    reads : dict of str to tuple of str
        For each of these, the raw columns that it reads.
    """

    sql: str
    blind: str
    columns: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]


def calls_steps(sql: str) -> bool:
    """Tell whether a query calls built-in functions."""
    lowered = sql.lower()
    return any(name in lowered for name in STEPS) and bool(find_calls(sql, STEPS))


def prepare(cursor: Cursor, sql: str, key: Sequence[str], label: str, only: Only) -> Prepared:
    """Fit the built-in functions of a training query on `only` some of its rows.

    Raises
    ------
    Unsupported
        If one stands anywhere but in the columns of the outermost SELECT, or that SELECT does not
        compute each row from one row.
    StatementError
        If two of its columns have the same name, or one has none.
    StatementError, NotFound, InvalidData
        As `workbench.transform.fitting.fit`.
    """
    body = Body(complete(sql, key))
    _check_places(body)
    states = fit_body(cursor, body, only)
    plain = body.expanded(states, blind=True)
    tree = parse(plain)[0]
    columns = _columns(tree, {label.lower(), *(name.lower() for name in key)})
    inputs = _inputs(columns, _relations(tree))
    _check_names(cursor, plain)
    _check_raw(cursor, tree, inputs)
    names = {name.lower(): name for name in inputs}
    return Prepared(
        _with_raw(body.expanded(states), inputs),
        _with_raw(plain, inputs),
        {name: render(_unqualified(each)) for name, each in columns.items()},
        {
            name: tuple(dict.fromkeys(names[read.name.lower()] for read in each.find_all(exp.Column)))
            for name, each in columns.items()
        },
    )


def _check_places(body: Body) -> None:
    """See that all calls stand in the outermost SELECT, and that it maps rows to rows."""
    scopes = {id(call.scope): call.scope for call in body.calls}
    root = next(iter(scopes.values()))
    for call in body.calls:
        if len(scopes) > 1 or root is None or root.parent is not None or not call.in_output:
            raise Unsupported(
                f"{call.text} does not stand in the columns of the outermost SELECT of the training.",
                hint=_HINT,
            )
    assert root is not None
    if any(root.args.get(clause) for clause in ("group", "having", "qualify", "distinct", "limit")):
        raise Unsupported(
            "Built-in functions of a training cannot stand in a SELECT that groups or cuts off rows.",
            hint="Group in a subquery, and call the functions outside of it.",
        )
    for each in root.expressions:
        star = each.this if isinstance(each, exp.Column) else each
        changed = isinstance(star, exp.Star) and (star.args.get("replace") or star.args.get("rename"))
        if changed or (not each.is_star and _names_many(each)):
            raise Unsupported(
                f"{render(each)} makes columns of others unseen, beside built-in functions of a training.",
                hint="Write these columns out, or compute them in a subquery; * EXCLUDE (…) may stand.",
            )


def _names_many(column: exp.Expr) -> bool:
    """Tell whether an expression stands for several columns: COLUMNS(…), * LIKE …."""
    stars = (each for each in column.find_all(exp.Star) if not isinstance(each.parent, exp.Count))
    return column.find(exp.Columns) is not None or any(stars)


def _columns(tree: exp.Expr, left_out: set[str]) -> dict[str, exp.Expr]:
    """Return the columns of the outermost SELECT that are computed, by their name."""
    found = {}
    for each in tree.expressions:
        name = each.alias_or_name
        if each.is_star or name.lower() in left_out:
            continue
        if not name:
            raise StatementError(f"The column {render(each)} has no name.", hint="Give it one with AS.")
        if any(each.find_all(exp.Window, exp.Subquery, exp.AggFunc)):
            raise Unsupported(f"The column {name!r} is not computed from one row alone.", hint=_HINT)
        found[name] = each.unalias()
    return found


def _relations(tree: exp.Expr) -> set[str]:
    """Return the names by which the outermost SELECT calls what it reads, in lower case."""
    sources = [tree.args.get("from_"), *(tree.args.get("joins") or ())]
    return {each.this.alias_or_name.lower() for each in sources if each is not None}


def _inputs(columns: Mapping[str, exp.Expr], relations: set[str]) -> dict[str, str]:
    """Return the raw columns that are read, by their name, as they are written in the query."""
    found: dict[str, exp.Column] = {}
    for column in (each for tree in columns.values() for each in tree.find_all(exp.Column)):
        if column.table and column.table.lower() not in relations:
            raise Unsupported(
                f"{render(column)} is a part of a column, or of no table in FROM.",
                hint="Give it a name in a subquery, and use that.",
            )
        known = found.setdefault(column.name.lower(), column)
        if known.table and column.table and known.table.lower() != column.table.lower():
            raise Unsupported(
                f"The training reads two columns called {column.name!r}, not to be told apart later.",
                hint="Give one of them another name in a subquery.",
            )
    return {column.name: render(column) for column in found.values()}


def _check_names(cursor: Cursor, plain: str) -> None:
    """See that no two columns of the result have the same name; DuckDB would rename one of them."""
    seen: set[str] = set()
    for name in (row[0] for row in execute(cursor, f"DESCRIBE {plain}").fetchall()):
        if name.lower() in seen:
            raise StatementError(
                f"The training query has two columns called {name!r}.",
                hint=f"Name one of them differently with AS, or leave it out with * EXCLUDE ({quote(name)}).",
            )
        seen.add(name.lower())


def _check_raw(cursor: Cursor, tree: exp.Expr, inputs: Mapping[str, str]) -> None:
    """See that what is read are columns of FROM, and not other columns of the same SELECT."""
    for name, written in inputs.items():
        select = tree.copy()
        for clause in ("where", "order", "windows", "offset", "sample"):
            select.set(clause, None)
        select.set("expressions", [parse(f"SELECT {written}")[0].expressions[0]])
        try:
            execute(cursor, f"DESCRIBE {render(select)}")
        except NotFound as error:
            raise Unsupported(
                f"{name!r} is computed in the same SELECT of the training that uses it.",
                hint="Compute it in a subquery.",
            ) from error


def _unqualified(tree: exp.Expr) -> exp.Expr:
    tree = tree.copy()
    for column in tree.find_all(exp.Column):
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return tree


def _with_raw(sql: str, inputs: Mapping[str, str]) -> str:
    """Add the raw columns to the outermost SELECT, before its FROM."""
    depth, before, selects = 0, None, False
    for token in tokens_of(sql):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        selects |= token.token_type is TokenType.SELECT and depth == 0
        starts = token.token_type is TokenType.FROM and before is not TokenType.DISTINCT
        if starts and selects and depth == 0:
            added = ", ".join(f"{written} AS {quote(RAW + name)}" for name, written in inputs.items())
            comma = "" if before is TokenType.COMMA else ", "
            return replace_spans(sql, [(token.start, token.start, f"{comma}{added} ")])
        before = token.token_type
    raise StatementError(
        "The training query does not say SELECT … FROM a table.", hint="Write its columns first, then FROM."
    )
