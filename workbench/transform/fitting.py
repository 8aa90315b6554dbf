"""Fitting the built-in functions of a query: their statistics, and the plain SQL they become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.engines.sql import find_calls
from workbench.errors import InvalidData, NotFound, StatementError
from workbench.transform.steps import STEPS, State, Value

if TYPE_CHECKING:
    from workbench.transform.calls import Body


@dataclass(frozen=True, slots=True)
class FittedStep:
    """One built-in function with what it was fitted to.

    Attributes
    ----------
    step : str
        The function's name.
    call : str
        The call as canonical text; the same call in another SELECT of the query, over other rows,
        has `#2`, `#3`, … after it.
    arguments : tuple of str
        As they are written in the query.
    state : mapping
        The statistics; empty for a function that needs none.
    """

    step: str
    call: str
    arguments: tuple[str, ...]
    state: State

    def describe(self) -> str:
        """Say what was fitted, as in `standardize(x): mean 3, standard deviation 2`."""
        said = STEPS[self.step].describe(self.state) if self.state else ""
        call = f"{self.step}({', '.join(self.arguments)})"
        return f"{call}: {said}" if said else call


@dataclass(frozen=True, slots=True)
class Fitted:
    """A query with the built-in functions in it fitted.

    Attributes
    ----------
    steps : tuple of FittedStep
        Each call once, in the order of the text.
    sql : str
        The query in plain DuckDB SQL, with the statistics as constants. Outside the calls it is
        the query byte for byte.
    """

    steps: tuple[FittedStep, ...]
    sql: str

    def to_rows(self) -> list[dict[str, Any]]:
        """Return the statistics as rows for `mlstore.fitted`: step, call, statistic, position, number, text.

        A list has a row for each element, by position from 0; of anything else `position` is None.
        """
        return [
            {"step": step.step, "call": step.call, "statistic": statistic, **cell}
            for step in self.steps
            for statistic, value in step.state.items()
            for cell in _cells(value)
        ]


def _cells(value: Value) -> list[dict[str, Any]]:
    if isinstance(value, tuple):
        return [{**_cell(each), "position": position} for position, each in enumerate(value)]
    return [{**_cell(value), "position": None}]


def _cell(value: float | str | None) -> dict[str, Any]:
    is_text = isinstance(value, str)
    return {"number": None if is_text else value, "text": value if is_text else None}


@dataclass(frozen=True, slots=True)
class Only:
    """The rows that a query may be fitted on.

    `columns` are columns of its result. Given a relation that has them, and their names there,
    `where` writes the condition.
    """

    columns: tuple[str, ...]
    where: Callable[[str, Sequence[str]], str]


def fit(cursor: Cursor, sql: str, key: Sequence[str] = ()) -> Fitted:
    """Fit the built-in functions in a query, and write them out as plain SQL.

    A function is fitted over the rows its SELECT reads: the same FROM, WHERE, GROUP BY, HAVING and
    QUALIFY, without LIMIT. Inside an aggregate, or in WHERE, these are the rows before grouping,
    or before the filter; the same call twice in one SELECT means the same thing, so the widest rows
    count. All aggregates of one SELECT are one pass over it; each call that ranks values is a pass
    over its own columns. Nested calls, and those over a subquery or CTE with calls in it, are fitted
    from the inside out.

    Parameters
    ----------
    cursor : duckdb cursor
        Reads the tables; what it is pinned to is what is fitted on.
    sql : str
        One or more statements. Without built-in functions in it the text is not even parsed.
    key : sequence of str
        The columns that tell the rows of the result apart, for functions that need some.

    Raises
    ------
    StatementError
        If a function is called wrongly or at a place where it has no rows to be fitted on, or
        DuckDB rejects the query.
    NotFound
        If the query names a table or column that does not exist.
    InvalidData
        If the values cannot be computed with, such as text that is not a number.
    """
    if not find_calls(sql, STEPS):
        return Fitted((), sql)
    from workbench.transform.calls import Body, complete

    body = Body(complete(sql, key))
    return _finish(body, fit_body(cursor, body))


def fit_body(cursor: Cursor, body: Body, only: Only | None = None) -> dict[str, State]:
    """Fit the calls of a query on the rows that its SELECTs read, or `only` on some of them."""
    states: dict[str, State] = {}
    pending = list(dict.fromkeys(call.key for call in body.calls if call.needs_fit))
    while pending:
        fitted = _fit_round(cursor, body, pending, states, only)
        states.update(fitted)
        pending = [key for key in pending if key not in fitted]
    return states


def read_states(rows: Iterable[Mapping[str, Any]]) -> dict[str, State]:
    """Read the states of calls, by the call, from the rows that `Fitted.to_rows` gave."""
    found: dict[str, dict[str, Value]] = {}
    for row in sorted(rows, key=lambda row: -1 if row["position"] is None else row["position"]):
        state = found.setdefault(row["call"], {})
        value: float | str | None = row["number"] if row["number"] is not None else row["text"]
        if row["position"] is None:
            state[row["statistic"]] = value
        else:
            known = state.get(row["statistic"], ())
            state[row["statistic"]] = (*known, value) if isinstance(known, tuple) else (value,)
    return {**found}


def expand(sql: str, states: Mapping[str, State]) -> str:
    """Replace the built-in functions in a query by plain SQL, given what they were fitted to.

    Parameters
    ----------
    sql : str
        The query.
    states : mapping of str to mapping
        `FittedStep.call` → `FittedStep.state`.

    Raises
    ------
    InvalidData
        If a call has not been fitted.

    Examples
    --------
    >>> expand("select  f(x), impute(x, 'constant', 0) as y from t", {})[:33]
    'select  f(x), CASE WHEN x IS NULL'
    """
    if not find_calls(sql, STEPS):
        return sql
    from workbench.transform.calls import Body

    body = Body(sql)
    for call in body.calls:
        if call.needs_fit and call.key not in states:
            raise InvalidData(f"{call.text} has not been fitted.", hint="Refit what uses it.")
    return body.expanded(states)


def _finish(body: Body, states: Mapping[str, State]) -> Fitted:
    steps = {
        call.key: FittedStep(call.step.name, call.key, call.arguments, states.get(call.key, {}))
        for call in body.calls
    }
    return Fitted(tuple(steps.values()), body.expanded(states))


def _fit_round(
    cursor: Cursor, body: Body, pending: list[str], states: Mapping[str, State], only: Only | None
) -> dict[str, State]:
    """Fit what can be fitted now: for each SELECT whose rows are known, all calls in one pass."""
    failure: Exception | None = None
    fitted: dict[str, State] = {}
    for group in body.ready(pending, states):
        try:
            fitted.update(_run(cursor, body, group, states, only))
            continue
        except (StatementError, NotFound) as error:
            failure = error
        # A call on an alias that another call defines must wait for it; the others need not.
        for key in group if len(group) > 1 else ():
            try:
                fitted.update(_run(cursor, body, [key], states, only))
            except (StatementError, NotFound) as error:
                failure = error
    if fitted:
        return fitted
    if failure is not None:
        raise failure
    raise StatementError(
        f"{body.by_key(pending[0]).text} depends on itself, so it cannot be fitted.",
        hint="Compute the inner part in a subquery.",
    )


_ROWS = "mlstore_fitting"
_BATCH = 10_000


def _run(
    cursor: Cursor, body: Body, keys: list[str], states: Mapping[str, State], only: Only | None
) -> dict[str, State]:
    """Fit calls over the same rows."""
    calls = {key: body.by_key(key) for key in keys}
    known = {key: call.step.knows(call.arguments) for key, call in calls.items()}
    try:
        fitted = _compute(cursor, body, keys, _relation(body, keys, states, only))
    except (StatementError, NotFound, InvalidData) as error:
        message = without_place(error.message)
        hint = "" if isinstance(error, NotFound) and not error.nearest else error.hint
        texts = ", ".join(call.text for call in calls.values())
        raise type(error)(f"{texts} cannot be fitted: {message}", hint=hint) from error
    return {key: {**known[key], **state} for key, state in fitted.items()}


def without_place(message: str) -> str:
    r"""Leave out of an engine's message the place in a query of ours, which the user has never seen.

    Examples
    --------
    >>> without_place("Binder Error: No function matches 'f'.\n\nLINE 1: SELECT f(x)")
    "Binder Error: No function matches 'f'."
    """
    return re.split(r"\n+LINE | when casting from source column ", message)[0].strip()


def _relation(body: Body, keys: list[str], states: Mapping[str, State], only: Only | None) -> str:
    """Write the query for the arguments of calls, over the rows they are fitted on."""
    if only is None:
        return body.relation(keys, states)
    from workbench.transform.calls import also_name

    relation = body.relation(keys, states, only.columns)
    names = [also_name(place) for place in range(len(only.columns))]
    return f"SELECT * FROM ({relation}) WHERE {only.where(relation, names)}"


def _compute(cursor: Cursor, body: Body, keys: list[str], relation: str) -> dict[str, State]:
    columns, names = body.aggregates(keys)
    rankings = body.rankings(keys)
    fitted: dict[str, dict[str, Value]] = {key: {} for key in keys}
    rows = f"({relation}) AS mlstore_rows"
    lessons = body.lessons(keys)
    if len(rankings) + len(lessons) + bool(columns) > 1 and not body.reads_plainly(keys):
        execute(cursor, f"CREATE OR REPLACE TEMP TABLE {_ROWS} AS {relation}")
        rows = f"temp.{_ROWS}"
    if columns:
        found = execute(cursor, f"SELECT {', '.join(columns)} FROM {rows}").fetchone() or ()
        for (key, statistic), value in zip(names, found, strict=True):
            fitted[key][statistic] = _plain(value)
    for key, query in rankings.items():
        ranked = execute(cursor, query.replace("{rows}", rows))
        statistics = [each[0] for each in ranked.description]
        fitted[key] |= zip(statistics, map(_plain, ranked.fetchone() or ()), strict=True)
    for key, query in lessons.items():
        call = body.by_key(key)
        values = _values(execute(cursor, query.replace("{rows}", rows)))
        fitted[key] |= call.step.learn(call.arguments, values)
    return {**fitted}


def _values(cursor: Cursor) -> Iterator[str]:
    """Yield the texts of a query's column, without NULLs."""
    for batch in cursor.to_arrow_reader(_BATCH):
        yield from batch.column(0).drop_null().to_pylist()


def _plain(value: object) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_scalar(each) for each in value)
    return _scalar(value)


def _scalar(value: object) -> float | str | None:
    return float(value) if isinstance(value, int | float) else None if value is None else str(value)
