"""Python functions: `py:module:function`."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.columns import duckdb_type, empty, one_batch, prediction, select
from workbench.bind.predictors.protocol import BATCH_ROWS
from workbench.errors import InvalidData, ModelError, NotFound, said

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake


class Function:
    """A Python function: `py:module:function`, called with a RecordBatch of the bound columns.

    It returns an Array of as many values, or a struct array with the fields `value` and `score`.
    """

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake | None, rest: str, schema: pa.Schema | None) -> None:
        self._name = f"py:{rest}"
        self._function = _import(rest)
        self._schema = schema
        self.ref = f"{self._name}#{_digest(self._function)}"
        self._value_type: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that were bound; a function does not say which it reads."""
        return tuple(self._schema.names) if self._schema is not None else ()

    @property
    def value_type(self) -> str:
        """The type it returns, found by asking it about no rows.

        Raises
        ------
        ModelError
            If it gives no typed answer for that.
        """
        if self._value_type is None:
            kind = self.predict(empty(self._schema)).schema.field("value").type
            self._value_type = duckdb_type(kind, self._name)
        return self._value_type

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        rows = one_batch(batch)
        if self.inputs:
            rows = select(rows, self.inputs, self._name)
        try:
            answer = self._function(rows)
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise ModelError(f"{self._name} failed on {rows.num_rows:,} rows: {said(error)}") from error
        return _answered(answer, rows.num_rows, self._name)


def _answered(answer: object, count: int, model: str) -> pa.Table:
    """Check what a function returned."""
    import pyarrow as pa

    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    if not isinstance(answer, pa.Array):
        raise ModelError(
            f"{model} returned a {type(answer).__name__} for {count:,} rows.",
            hint="It must return a pyarrow.Array, or a StructArray with the fields value and score.",
        )
    if not pa.types.is_struct(answer.type):
        return prediction(answer, None, count, model)
    parts = dict(zip((field.name for field in answer.type), answer.flatten(), strict=True))
    if parts.keys() != {"value", "score"}:
        raise ModelError(f"{model} returned a struct of {', '.join(parts)}; value and score were expected.")
    return prediction(parts["value"], parts["score"], count, model)


def _import(rest: str) -> Callable[[Any], Any]:
    module, _, name = rest.partition(":")
    if not module or not name:
        raise InvalidData(f"'py:{rest}' does not name a function.", hint="Write py:module:function.")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise NotFound(f"py:{rest} cannot be imported: {error}.", hint="Is it on the Python path?") from error
    function = getattr(loaded, name, None)
    if not callable(function):
        known = [each for each, value in vars(loaded).items() if callable(value)]
        raise NotFound.named("function", name, known, within=module)
    found: Callable[[Any], Any] = function
    return found


def _digest(function: Callable[[Any], Any]) -> str:
    """Digest the module of a function, so that changed code is another model."""
    module = inspect.getmodule(function)
    try:
        text = inspect.getsource(module) if module else inspect.getsource(function)
    except (OSError, TypeError):
        text = repr(function)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
