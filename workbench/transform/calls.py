"""The calls of built-in functions in a query: where they stand, and over which rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from workbench.engines.sql import FunctionCall, find_calls, replace_spans
from workbench.engines.sql_tables import ctes_of, used_ctes
from workbench.engines.sql_text import parse, render, tokens_of
from workbench.errors import StatementError, Unsupported
from workbench.names import quote
from workbench.transform.steps import STEPS, State, Step

_TAG = "mlstore_call_"
_COLUMN = "mlstore_argument_"

# The clauses of a SELECT that decide on its rows, in the order in which they are computed. A call
# is fitted over the rows that its clause sees: those that the clauses before it leave.
_CLAUSES = ("where", "group", "having", "qualify")
_OUTPUT = len(_CLAUSES)
_AFTER = {"expressions", "windows", "distinct", "order"}
_OPENING = ("(", "[", "{", ".", "::")
_CLOSING = (")", "]", "}", ".", "::", ",", ":")

# These say nothing about which rows there are to fit on, or are computed on the fitted values.
_DROPPED = ("distinct", "order", "limit", "offset", "into", "locks")


@dataclass(frozen=True, slots=True)
class Call:
    """A call in a query: its place in the text and its node in the tree.

    `key` names it among the fitted states, `scope` is the SELECT it stands in, and `level` the
    number of clauses of that SELECT that leave the rows it is fitted over.
    """

    key: str
    text: str
    step: Step
    span: FunctionCall
    node: exp.Anonymous
    scope: exp.Select | None
    level: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments as they are written."""
        return self.span.arguments

    @property
    def in_output(self) -> bool:
        """Whether it stands in the columns of its SELECT, outside of aggregates."""
        return self.level == _OUTPUT

    @property
    def needs_fit(self) -> bool:
        """Whether it has statistics."""
        return self.step.fits(self.arguments)


def also_name(place: int) -> str:
    """Return the name of a column wanted beside the arguments of calls."""
    return f"mlstore_also_{place}"


class Body:
    """A query with calls of built-in functions.

    Parameters
    ----------
    sql : str
        Its text.

    Raises
    ------
    StatementError
        If it cannot be parsed, or a function is called wrongly or where it cannot stand.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        spans = find_calls(sql, STEPS)
        for span in spans:
            with _placed(sql, span):
                STEPS[span.name].check(span.arguments)
        # Each call gets a name of its own, by which its node is found in the tree.
        tags = [(span.start, span.start + len(span.name), f"{_TAG}{n}") for n, span in enumerate(spans)]
        trees = parse(replace_spans(sql, tags))
        nodes = {node.name: node for tree in trees for node in _tagged(tree)}
        scopes: dict[str, list[exp.Select | None]] = {}
        self.calls = [_read(sql, span, nodes.get(f"{_TAG}{n}"), scopes) for n, span in enumerate(spans)]
        self._by_tag = {f"{_TAG}{n}": call for n, call in enumerate(self.calls)}
        self._by_key: dict[str, list[Call]] = {}
        for call in self.calls:
            self._by_key.setdefault(call.key, []).append(call)

    def by_key(self, key: str) -> Call:
        """Return the first call of that key."""
        return self._by_key[key][0]

    def expanded(self, states: Mapping[str, State], *, blind: bool = False) -> str:
        """Write the text in plain SQL, given the states of the calls; `blind` knows no targets."""
        return self._text(0, len(self.sql), states, blind=blind)

    def _text(self, start: int, end: int, states: Mapping[str, State], *, blind: bool) -> str:
        spans, position = [], start
        for call in self.calls:
            if call.span.start < position or call.span.end > end:
                continue
            position = call.span.end
            arguments = tuple(self._text(*place, states, blind=blind) for place in call.span.places)
            if blind and call.step.target is not None:
                arguments = tuple(
                    "NULL" if place == call.step.target else each for place, each in enumerate(arguments)
                )
            text = call.step.apply(arguments, states.get(call.key, {}))
            alias = f" AS {_alias(call)}" if _stands_alone(call) else ""
            spans.append((call.span.start - start, position - start, text + alias))
        return replace_spans(self.sql[start:end], spans)

    # -- fitting -----------------------------------------------------------------------------------

    def ready(self, pending: list[str], states: Mapping[str, State]) -> list[list[str]]:
        """Group the pending calls that can be fitted now by the rows they are fitted over."""
        groups: dict[tuple[int, int], list[str]] = {}
        for key in pending:
            call = self.by_key(key)
            if call.scope is None:
                why = "has no rows to be fitted on here"
                raise _misplaced(self.sql, call.span, why, "Use it in a SELECT.")
            if not any(_tagged(self._relation([key], states))):
                groups.setdefault((id(call.scope), self._level(key)), []).append(key)
        return list(groups.values())

    def _level(self, key: str) -> int:
        """Return the level of the widest rows: the same call twice in a SELECT means the same thing."""
        return min(call.level for call in self._by_key[key])

    def relation(self, keys: list[str], states: Mapping[str, State], also: Sequence[str] = ()) -> str:
        """Write the query for the arguments of calls that are fitted over the same rows.

        `also` names columns of the query's result that are wanted beside them, as `also_name(0)`, ….
        """
        relation = self._relation(keys, states)
        if also:
            scope = self.by_key(keys[0]).scope
            assert isinstance(relation, exp.Select)
            assert scope is not None
            columns = {each.alias_or_name.lower(): each.unalias() for each in scope.expressions}
            for place, name in enumerate(also):
                column = columns.get(name.lower(), exp.column(name, quoted=True))
                relation.append(
                    "expressions", exp.alias_(self._fill(column.copy(), states), also_name(place))
                )
        return render(relation)

    def reads_plainly(self, keys: list[str]) -> bool:
        """Whether the rows of calls are those of one table, so that reading them twice is cheap."""
        scope = self.by_key(keys[0]).scope
        assert scope is not None
        return (
            isinstance(scope.args["from_"].this if scope.args.get("from_") else None, exp.Table)
            and not any(scope.args.get(clause) for clause in ("joins", "group", "having", "qualify"))
            and not any(any(each.find_all(exp.Window)) for key in keys for each in self._nodes(key))
        )

    def _nodes(self, key: str) -> list[exp.Expr]:
        return list(self.by_key(key).node.expressions)

    def aggregates(self, keys: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """Write the aggregates over `relation`, and say for each the call's key and the statistic."""
        names, columns = [], []
        for key, arguments in self._given(keys):
            for statistic, aggregate in self.by_key(key).step.statistics(arguments).items():
                names.append((key, statistic))
                columns.append(aggregate)
        return columns, names

    def rankings(self, keys: list[str]) -> dict[str, str]:
        """Write the queries of one row over `{rows}`, whose columns are statistics, by the call's key."""
        found = {key: self.by_key(key).step.ranking(arguments) for key, arguments in self._given(keys)}
        return {key: query for key, query in found.items() if query}

    def lessons(self, keys: list[str]) -> dict[str, str]:
        """Write the queries for what is to be learnt from `{rows}`, by the call's key."""
        found = {key: self.by_key(key).step.learns(arguments) for key, arguments in self._given(keys)}
        return {key: query for key, query in found.items() if query}

    def _given(self, keys: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Pair the calls with their arguments as columns of `relation`."""
        for key, given in zip(keys, self._columns(keys), strict=True):
            call = self.by_key(key)
            yield key, (*given[: len(call.arguments)], *call.arguments[call.step.data :])

    def _columns(self, keys: list[str]) -> list[list[str]]:
        """Name the columns of the relation that hold the arguments of each call."""
        return [
            [f"{_COLUMN}{n}_{m}" for m in range(self.by_key(key).step.data)] for n, key in enumerate(keys)
        ]

    def _relation(self, keys: list[str], states: Mapping[str, State]) -> exp.Expr:
        """Build the SELECT whose columns are the arguments of the calls, with its CTEs in scope."""
        calls = [self.by_key(key) for key in keys]
        scope, level = calls[0].scope, self._level(keys[0])
        assert scope is not None
        select = scope.copy()
        wanted = [
            exp.alias_(node.copy(), name)
            for call, names in zip(calls, self._columns(keys), strict=True)
            for node, name in zip(call.node.expressions, names, strict=False)
        ]
        self._fill(select, states)
        for argument in wanted:
            self._fill(argument, states)
        _cut(select, level, self.sql, calls[0].span)
        select.set("expressions", [*_kept(select, wanted), *wanted])
        return _with_ctes(select, scope, lambda cte: self._fill(cte.copy(), states))

    def _fill(self, tree: exp.Expr, states: Mapping[str, State]) -> exp.Expr:
        """Write out the calls below `tree` that are fitted, from the inside out."""
        for node in reversed(list(_tagged(tree))):
            call = self._by_tag[node.name]
            unfitted = call.needs_fit and call.key not in states
            if unfitted or any(any(_tagged(argument)) for argument in node.expressions):
                continue
            arguments = tuple(render(argument) for argument in node.expressions)
            text = call.step.apply(arguments, states.get(call.key, {}))
            node.replace(parse(f"SELECT {text}")[0].expressions[0])
        return tree


def _tagged(tree: exp.Expr) -> Iterator[exp.Anonymous]:
    return (node for node in tree.find_all(exp.Anonymous) if node.name.startswith(_TAG))


def complete(sql: str, key: Sequence[str]) -> str:
    """Write out the arguments of built-in functions that depend on the key of the whole query.

    Raises
    ------
    StatementError
        If a function is called wrongly, or needs a key and there is none.

    Examples
    --------
    >>> complete("select target_encode(city, price) from t", ["id"])
    'select target_encode(city, price, id) from t'
    """
    spans = []
    for call in find_calls(sql, STEPS):
        with _placed(sql, call):
            STEPS[call.name].check(call.arguments)
            arguments = STEPS[call.name].complete(call.arguments, key)
        if arguments != call.arguments:
            spans.append((call.start, call.end, f"{call.name}({', '.join(arguments)})"))
    return replace_spans(sql, spans) if spans else sql


# -- reading a call --------------------------------------------------------------------------------


def _read(
    sql: str, span: FunctionCall, node: exp.Anonymous | None, scopes: dict[str, list[exp.Select | None]]
) -> Call:
    if node is None:
        raise _misplaced(sql, span, "cannot stand here")
    if isinstance(node.parent, exp.Window | exp.Filter | exp.IgnoreNulls | exp.WithinGroup):
        raise _misplaced(sql, span, "is no aggregate and no window function", "Leave OVER and FILTER out.")
    if any(isinstance(each, exp.Distinct | exp.Order | exp.Columns | exp.Star) for each in node.expressions):
        raise _misplaced(sql, span, "takes single columns", f"Call it as {STEPS[span.name].signature}.")
    step = STEPS[span.name]
    parent = node.parent_select
    scope = parent if isinstance(parent, exp.Select) else None
    key = canonical_call(sql[span.start : span.end])
    seen = scopes.setdefault(key, [])
    if not any(each is scope for each in seen):
        seen.append(scope)
    ordinal = next(n for n, each in enumerate(seen, start=1) if each is scope)
    level = _level(sql, span, node, scope) if step.fits(span.arguments) else _OUTPUT
    key = key if ordinal == 1 else f"{key}#{ordinal}"
    return Call(key, sql[span.start : span.end], step, span, node, scope, level)


def canonical_call(text: str) -> str:
    """Write a call so that whitespace, comments and the case of names make no difference.

    Examples
    --------
    >>> canonical_call("Standardize( T.X /* km */ *2)")
    'standardize(t.x * 2)'
    """
    words: list[str] = []
    for token in tokens_of(text):
        raw = text[token.start : token.end + 1]
        name = token.text.lower()
        if token.token_type is TokenType.IDENTIFIER:
            raw = name if re.fullmatch(r"[a-z_]\w*", name) else quote(name)
        elif "'" not in raw and "$" not in raw:
            raw = name
        before = words[-1].strip() if words else ""
        tight = not before or before in _OPENING or raw in _CLOSING
        words.append(raw if tight or (raw in "([" and before[-1:].isalnum()) else f" {raw}")
    return "".join(words)


@contextmanager
def _placed(sql: str, span: FunctionCall) -> Iterator[None]:
    """Give errors the place of a call."""
    try:
        yield
    except StatementError as error:
        line, column = _place(sql, span)
        raise StatementError(
            error.message, hint=error.hint, line=line, column=column, expected=error.expected
        ) from error


def _place(sql: str, span: FunctionCall) -> tuple[int, int]:
    before = sql[: span.start]
    return before.count("\n") + 1, span.start - (before.rfind("\n") + 1) + 1


def _misplaced(sql: str, span: FunctionCall, why: str, hint: str = "") -> StatementError:
    line, column = _place(sql, span)
    return StatementError(f"{span.name} {why}.", hint=hint, line=line, column=column)


def _level(sql: str, span: FunctionCall, node: exp.Anonymous, scope: exp.Select | None) -> int:
    """Count the clauses that leave the rows which a call sees."""
    if scope is None:
        return _OUTPUT
    child: exp.Expr = node
    in_aggregate = False
    while child.parent is not None and child.parent is not scope:
        child = child.parent
        # Over a window, an aggregate leaves the rows as they are.
        in_aggregate |= isinstance(child, exp.AggFunc) and not isinstance(child.parent, exp.Window)
    clause = child.arg_key or ""
    if clause not in _AFTER and clause not in _CLAUSES:
        raise _misplaced(
            sql, span, "cannot stand in FROM or JOIN", "Compute it in a subquery, and join that."
        )
    level = _CLAUSES.index(clause) if clause in _CLAUSES else _OUTPUT
    return min(level, _CLAUSES.index("group")) if in_aggregate else level


def _stands_alone(call: Call) -> bool:
    """Tell whether a call is a column of its own, without a name."""
    return call.scope is not None and call.node.parent is call.scope and call.node.arg_key == "expressions"


def _alias(call: Call) -> str:
    """Make a readable name: `standardize(t.x)` → `standardize_x`."""
    words = re.sub(r'("[^"]*"|\w+)\s*\.\s*(?=["A-Za-z_])', "", call.text)
    return re.sub(r"\W+", "_", words).strip("_")[:60]


# -- the rows of a SELECT --------------------------------------------------------------------------


def _cut(select: exp.Select, level: int, sql: str, span: FunctionCall) -> None:
    """Leave of a SELECT what decides on its rows, up to the clause `level`."""
    distinct = select.args.get("distinct")
    # DISTINCT ON keeps one row of each kind: the first in ORDER BY.
    keeps_first = level == _OUTPUT and distinct is not None and distinct.args.get("on") is not None
    for clause in (*_CLAUSES[level:], *_DROPPED):
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
        raise _misplaced(sql, span, "needs GROUP BY to name its columns here", "Write the names.")
    expression: exp.Expr = before[-1].unalias().copy()
    if any(_tagged(expression)):
        raise Unsupported(
            f"GROUP BY {position} groups by a column that is still to be fitted.",
            hint="Compute it in a subquery, and group that.",
        )
    return expression


def _kept(select: exp.Select, wanted: list[exp.Expr]) -> list[exp.Expr]:
    """Return the columns of a SELECT that its other clauses, or `wanted`, refer to by their alias."""
    group = select.args.get("group")
    if group and group.args.get("all"):
        return [each for each in select.expressions if not any(_tagged(each))]
    clauses = [select.args.get(clause) for clause in (*_CLAUSES, "distinct", "order", "windows")]
    parts: list[object] = [*wanted, *clauses]
    kept: dict[int, exp.Expr] = {}
    while parts:
        names = {name for part in parts for name in _plain_columns(part)}
        parts = []
        for index, column in enumerate(select.expressions):
            aliased = isinstance(column, exp.Alias) and column.alias.lower() in names
            if aliased and index not in kept and not any(_tagged(column)):
                kept[index] = column
                parts.append(column)
    return [kept[index] for index in sorted(kept)]


def _plain_columns(part: object) -> Iterator[str]:
    for tree in part if isinstance(part, list) else [part]:
        if isinstance(tree, exp.Expr):
            yield from (each.name.lower() for each in tree.find_all(exp.Column) if not each.table)


def _with_ctes(relation: exp.Expr, scope: exp.Expr, fill: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
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
