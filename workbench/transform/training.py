"""Built-in functions in a training query: fitted on training rows, computed again on raw rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from workbench.engines.duckdb import Cursor
from workbench.engines.sql import find_calls, replace_spans
from workbench.engines.sql_text import parse, render, tokens_of
from workbench.errors import StatementError, Unsupported
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
    StatementError, NotFound, InvalidData
        As `workbench.transform.fitting.fit`.
    """
    body = Body(complete(sql, key))
    _check_places(body)
    states = fit_body(cursor, body, only)
    plain = body.expanded(states, blind=True)
    columns = _columns(parse(plain)[0], {label.lower(), *(name.lower() for name in key)})
    inputs = _inputs(columns)
    return Prepared(
        _with_raw(body.expanded(states), inputs),
        _with_raw(plain, inputs),
        {name: render(_unqualified(tree)) for name, tree in columns.items()},
        {
            name: tuple(dict.fromkeys(each.name for each in tree.find_all(exp.Column)))
            for name, tree in columns.items()
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


def _columns(tree: exp.Expr, left_out: set[str]) -> dict[str, exp.Expr]:
    """Return the columns of the outermost SELECT that are computed, by their name."""
    found = {}
    for each in tree.expressions:
        name = each.alias_or_name
        if each.is_star or name.lower() in left_out:
            continue
        if any(each.find_all(exp.Window, exp.Subquery, exp.AggFunc)):
            raise Unsupported(f"The column {name!r} is not computed from one row alone.", hint=_HINT)
        found[name] = each.unalias()
    return found


def _inputs(columns: Mapping[str, exp.Expr]) -> dict[str, str]:
    """Return the raw columns that are read, by their name, as they are written in the query."""
    found: dict[str, str] = {}
    for tree in columns.values():
        for column in tree.find_all(exp.Column):
            written = render(column)
            if found.setdefault(column.name, written) != written:
                raise Unsupported(
                    f"The training reads two columns called {column.name!r}, not to be told apart later.",
                    hint="Give one of them another name in a subquery.",
                )
    return found


def _unqualified(tree: exp.Expr) -> exp.Expr:
    tree = tree.copy()
    for column in tree.find_all(exp.Column):
        column.set("table", None)
    return tree


def _with_raw(sql: str, inputs: Mapping[str, str]) -> str:
    """Add the raw columns to the outermost SELECT, before its FROM."""
    depth, before = 0, None
    for token in tokens_of(sql):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        starts = token.token_type is TokenType.FROM and before is not TokenType.DISTINCT
        if starts and depth == 0 and before is not None:
            added = ", ".join(f"{written} AS {quote(RAW + name)}" for name, written in inputs.items())
            comma = "" if before is TokenType.COMMA else ", "
            return replace_spans(sql, [(token.start, token.start, f"{comma}{added} ")])
        before = token.token_type
    raise StatementError(
        "The training query does not say SELECT … FROM a table.", hint="Write its columns first, then FROM."
    )
