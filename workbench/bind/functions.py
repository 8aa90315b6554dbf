"""`predict`, `predict_proba` and `held_out(model, columns…)` anywhere in SQL, by column name.

A prediction is a function of the engine; the side of a row is plain SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors import Predictor, resolve
from workbench.engines.sql import FunctionCall, find_calls, kept_calls, replace_spans
from workbench.errors import (
    InvalidData,
    NotFound,
    StatementError,
    Unsupported,
    WorkbenchError,
    show_as_written,
)
from workbench.names import literal, quote
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

FUNCTIONS = {"predict": "value", "predict_proba": "score"}
"""The functions that ask a model, and which column of a prediction each returns."""

PREFIX = "mlstore_predict"
"""How the engine's own functions that ask a model begin."""

HELD_OUT = "held_out"
"""The function that tells on which side of a model's split a row is."""

_NAMES = (*FUNCTIONS, HELD_OUT)

_NAME = r'(?:\w+|"(?:[^"]|"")+")'
_STAR = re.compile(
    rf"(?:(?P<alias>{_NAME}(?:\s*\.\s*{_NAME})*)\s*\.\s*)?\*"
    rf"(?:\s*EXCLUDE\s*(?:\((?P<without>[^()]*)\)|(?P<one>{_NAME})))?",
    re.IGNORECASE,
)
_COLUMN = re.compile(rf"(?:{_NAME}\s*\.\s*)*(?P<name>{_NAME})")
_NAMED = re.compile(rf"(?P<value>.*)\s+AS\s+(?P<name>{_NAME})", re.IGNORECASE | re.DOTALL)
_NAMES_IN = re.compile(_NAME)


def reads_predictions(sql: str) -> bool:
    """Say whether a query calls one of the functions."""
    return any(each in sql.lower() for each in _NAMES) and bool(find_calls(sql, _NAMES))


@contextmanager
def expand_predictions(lake: Lake, sql: str) -> Iterator[str]:
    """Give the text with a function of the engine in the place of `predict(model, …)` and of `predict_proba`.

    An error of the engine inside the block shows the text as it was written.

    Raises
    ------
    NotFound
        If there is no such model.
    StatementError, InvalidData
        If a call lacks its model, or its columns are not those of the model.
    Unsupported
        If a model from elsewhere is asked, or a view is made.
    """
    if not reads_predictions(sql):
        yield sql
        return
    written: list[tuple[str, str]] = []
    text = _expand(lake, sql, written)
    if "create" in text.lower() and kept_calls(text, PREFIX):
        raise Unsupported(
            "predict() does not go into a view or a macro, which are read without this store too.",
            hint="Bind the model to the table, or make a table: CREATE TABLE … AS SELECT ….",
        )
    try:
        yield text
    except WorkbenchError as error:
        show_as_written(error, written)
        raise


def _expand(lake: Lake, sql: str, written: list[tuple[str, str]]) -> str:
    """Expand all calls; `written` is told each text that was put in, with what it stands for."""
    columns = {call.column for call in find_calls(sql, _NAMES) if call.column is not None}
    # The engine would call a column by the functions that are its own.
    names = [(end, f" AS {quote(' '.join(sql[start:end].split()))}") for start, end in columns]
    sql = replace_spans(sql, [(end, end, name) for end, name in names])
    written += [(name, "") for _, name in names]
    # Inner calls stand inside outer ones: replace from the inside out, finding the places anew.
    while calls := find_calls(sql, _NAMES):
        inner = min(calls, key=lambda call: call.end - call.start)
        made = _expand_call(lake, inner)
        written.append((made, sql[inner.start : inner.end]))
        sql = replace_spans(sql, [(inner.start, inner.end, made)])
    return sql


def _expand_call(lake: Lake, call: FunctionCall) -> str:
    name = call.name.lower()
    if len(call.arguments) < 2:
        raise StatementError(
            f"{name}() needs a model and its columns.", hint=f"As in {name}(fare, t.*) or {name}(fare, a, b)."
        )
    ref = call.arguments[0].strip().strip("'\"")
    if ":" in ref:
        raise Unsupported(
            f"{name}() asks models of the store, not {ref!r}.", hint="Bind it to a column instead."
        )
    if name == HELD_OUT:
        model = registry.get(lake, ref)
        return f"({model.held_out(_given(model.ref, model.split_columns, call.arguments[1:], name))})"
    predictor = resolve(lake, ref)
    function = _register(lake, predictor, name)
    given = _given(predictor.ref, predictor.inputs, call.arguments[1:], name)
    return f"{function}({{{', '.join(f'{literal(column)}: {value}' for column, value in given.items())}}})"


def _given(ref: str, inputs: Sequence[str], arguments: tuple[str, ...], name: str) -> dict[str, str]:
    """Return the SQL that the arguments give for each column that the model asks for."""
    wanted = {column.lower(): column for column in inputs}
    given: dict[str, str] = {}
    named: set[str] = set()
    for argument in arguments:
        text = argument.strip()
        star = _STAR.fullmatch(text)
        if star:
            alias = f"{star['alias']}." if star["alias"] else ""
            without = {
                _plain(each).lower() for each in _NAMES_IN.findall(star["without"] or star["one"] or "")
            }
            given |= {
                key: alias + quote(column)
                for key, column in wanted.items()
                if key not in given and key not in without
            }
            continue
        column, value = _named(text, name)
        if column.lower() not in wanted:
            raise NotFound.named("column", column, inputs, within=f"the inputs of {ref}")
        if column.lower() in named:
            raise StatementError(f"{name}() is given {column} twice.", hint="Name each column once.")
        named.add(column.lower())
        given[column.lower()] = value
    missing = [column for key, column in wanted.items() if key not in given]
    if missing:
        raise InvalidData(
            f"{name}({ref}, …) lacks {', '.join(missing)}.",
            hint="Pass them by name, or all columns of a table as in t.*.",
        )
    return {wanted[key]: value for key, value in given.items()}


def _plain(name: str) -> str:
    """Take the quotes off a name."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _named(text: str, function: str) -> tuple[str, str]:
    named = _NAMED.fullmatch(text)
    if named:
        return _plain(named["name"]), named["value"]
    column = _COLUMN.fullmatch(text)
    if column:
        return _plain(column["name"]), text
    raise StatementError(
        f"The argument {text!r} of {function}() has no name.", hint=f"Give it one: {text} AS column."
    )


def _register(lake: Lake, predictor: Predictor, name: str) -> str:
    """Make the engine's function for a model version, once per lake, and return its name."""
    function = PREFIX + name.removeprefix("predict") + "_" + re.sub(r"\W", "_", predictor.ref)
    column = FUNCTIONS[name]
    kind = predictor.value_type if column == "value" else "DOUBLE"

    def compute(rows: Any) -> pa.Array:
        import pyarrow as pa

        struct = rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows
        if isinstance(struct, pa.ChunkedArray):
            struct = struct.chunk(0)
        return predictor.predict(pa.RecordBatch.from_struct_array(struct))[column].combine_chunks()

    lake.register_function(function, compute, kind)
    return function
