"""The calls of built-in functions in a query: where they stand, and over which rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from workbench.engines.sql import FunctionCall, find_calls, replace_spans
from workbench.engines.sql_text import parse, render, tokens_of
from workbench.errors import StatementError, Unsupported
from workbench.names import quote
from workbench.transform.call_rows import CLAUSES, OUTPUT, TAG, cut, kept, misplaced, place, tagged, with_ctes
from workbench.transform.steps import STEPS, State, Step

_COLUMN = "mlstore_argument_"

_AFTER = {"expressions", "windows", "distinct", "order"}
_OPENING = ("(", "[", "{", ".", "::")
_CLOSING = (")", "]", "}", ".", "::", ",", ":")


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
        return self.level == OUTPUT

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
        tags = [(span.start, span.start + len(span.name), f"{TAG}{n}") for n, span in enumerate(spans)]
        trees = parse(replace_spans(sql, tags))
        nodes = {node.name: node for tree in trees for node in tagged(tree)}
        scopes: dict[str, list[exp.Select | None]] = {}
        self.calls = [_read(sql, span, nodes.get(f"{TAG}{n}"), scopes) for n, span in enumerate(spans)]
        self._by_tag = {f"{TAG}{n}": call for n, call in enumerate(self.calls)}
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
                raise misplaced(self.sql, call.span, why, "Use it in a SELECT.")
            if not any(tagged(self._relation([key], states))):
                groups.setdefault((id(call.scope), self._level(key)), []).append(key)
        return list(groups.values())

    def _level(self, key: str) -> int:
        """Return the level of the widest rows: the same call twice in a SELECT means the same thing."""
        return min(call.level for call in self._by_key[key])

    def relation(self, keys: list[str], states: Mapping[str, State], also: Sequence[str] = ()) -> str:
        """Write the query for the arguments of calls that are fitted over the same rows.

        `also` names columns of the query's result that are wanted beside them, as `also_name(0)`, ….
        """
        return render(self._relation(keys, states, also))

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

    def _relation(self, keys: list[str], states: Mapping[str, State], also: Sequence[str] = ()) -> exp.Expr:
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
        named = {each.alias_or_name.lower(): each.unalias() for each in select.expressions}
        for n, name in enumerate(also):
            column = named.get(name.lower(), exp.column(name, quoted=True))
            wanted.append(exp.alias_(column.copy(), also_name(n)))
        self._fill(select, states)
        for argument in wanted:
            self._fill(argument, states)
        for n, name in enumerate(also):
            if any(tagged(wanted[n - len(also)])):
                raise Unsupported(
                    f"{name!r} is fitted itself, and decides on which rows there are to fit on.",
                    hint="Compute it in a transform, and train on its table.",
                )
        cut(select, level, self.sql, calls[0].span)
        select.set("expressions", [*kept(select, wanted), *wanted])
        return with_ctes(select, scope, lambda cte: self._fill(cte.copy(), states))

    def _fill(self, tree: exp.Expr, states: Mapping[str, State]) -> exp.Expr:
        """Write out the calls below `tree` that are fitted, from the inside out."""
        for node in reversed(list(tagged(tree))):
            call = self._by_tag[node.name]
            unfitted = call.needs_fit and call.key not in states
            if unfitted or any(any(tagged(argument)) for argument in node.expressions):
                continue
            arguments = tuple(render(argument) for argument in node.expressions)
            text = call.step.apply(arguments, states.get(call.key, {}))
            node.replace(parse(f"SELECT {text}")[0].expressions[0])
        return tree


def complete(sql: str, key: Sequence[str]) -> str:
    """Write out the arguments of built-in functions that depend on the key of the whole query.

    Raises
    ------
    StatementError
        If a function is called wrongly, or needs a key and there is none.

    Examples
    --------
    >>> complete("select target_encode(city, price) from t", ["id"])
    'select target_encode(city, price, "id") from t'
    """
    for call in find_calls(sql, STEPS):
        with _placed(sql, call):
            STEPS[call.name].check(call.arguments)
            arguments = STEPS[call.name].complete(call.arguments, key)
        if arguments != call.arguments:
            text = f"{call.name}({', '.join(arguments)})"
            # A call inside this one has another place then.
            return complete(replace_spans(sql, [(call.start, call.end, text)]), key)
    return sql


# -- reading a call --------------------------------------------------------------------------------


def _read(
    sql: str, span: FunctionCall, node: exp.Anonymous | None, scopes: dict[str, list[exp.Select | None]]
) -> Call:
    if node is None:
        raise misplaced(sql, span, "cannot stand here")
    if isinstance(node.parent, exp.Window | exp.Filter | exp.IgnoreNulls | exp.WithinGroup):
        raise misplaced(sql, span, "is no aggregate and no window function", "Leave OVER and FILTER out.")
    if any(isinstance(each, exp.Distinct | exp.Order | exp.Columns | exp.Star) for each in node.expressions):
        raise misplaced(sql, span, "takes single columns", f"Call it as {STEPS[span.name].signature}.")
    step = STEPS[span.name]
    parent = node.parent_select
    scope = parent if isinstance(parent, exp.Select) else None
    key = canonical_call(sql[span.start : span.end])
    seen = scopes.setdefault(key, [])
    if not any(each is scope for each in seen):
        seen.append(scope)
    ordinal = next(n for n, each in enumerate(seen, start=1) if each is scope)
    level = _level(sql, span, node, scope) if step.fits(span.arguments) else OUTPUT
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
        line, column = place(sql, span)
        raise StatementError(
            error.message, hint=error.hint, line=line, column=column, expected=error.expected
        ) from error


def _level(sql: str, span: FunctionCall, node: exp.Anonymous, scope: exp.Select | None) -> int:
    """Count the clauses that leave the rows which a call sees."""
    if scope is None:
        return OUTPUT
    child: exp.Expr = node
    in_aggregate = False
    while child.parent is not None and child.parent is not scope:
        child = child.parent
        # Over a window, an aggregate leaves the rows as they are.
        in_aggregate |= isinstance(child, exp.AggFunc) and not isinstance(child.parent, exp.Window)
    clause = child.arg_key or ""
    if clause not in _AFTER and clause not in CLAUSES:
        raise misplaced(sql, span, "cannot stand in FROM or JOIN", "Compute it in a subquery, and join that.")
    level = CLAUSES.index(clause) if clause in CLAUSES else OUTPUT
    return min(level, CLAUSES.index("group")) if in_aggregate else level


def _stands_alone(call: Call) -> bool:
    """Tell whether a call is a column of its own, without a name."""
    return call.scope is not None and call.node.parent is call.scope and call.node.arg_key == "expressions"


def _alias(call: Call) -> str:
    """Make a readable name: `standardize(t.x)` → `standardize_x`."""
    words = re.sub(r'("[^"]*"|\w+)\s*\.\s*(?=["A-Za-z_])', "", call.text)
    return re.sub(r"\W+", "_", words).strip("_")[:60]
