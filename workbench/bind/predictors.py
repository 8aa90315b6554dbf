"""What predicts: one protocol, and a registry of the kinds of models a reference can name.

A reference without a prefix is a model trained here. A new kind is a class and a line in
`PREFIXES`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import InvalidData, ModelError, NotFound, Unsupported
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake
    from workbench.train.registry import Fitted, Foreign, Model


class Predictor(Protocol):
    """Anything that can predict rows."""

    @property
    def ref(self) -> str:
        """The model with its version, so that another one makes old predictions stale."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns it needs."""
        ...

    @property
    def value_type(self) -> str:
        """The DuckDB type of its values."""
        ...

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Return `value` and `score` (DOUBLE) for each row, in order; other columns are ignored.

        Raises
        ------
        InvalidData
            If columns are missing or of another type.
        ModelError
            If the model fails.
        """
        ...


def resolve(lake: Lake, ref: str, schema: pa.Schema | None = None) -> Predictor:
    """Find the model that a reference names.

    Parameters
    ----------
    ref : str
        `late`, `late@2`, `late@champion`, `mlflow:name@alias` or `py:module:function`. A plain
        name means the champion.
    schema : pyarrow.Schema or None
        The columns that will be given, for models that do not say what they need.

    Raises
    ------
    NotFound
        If there is no such model, or it has no champion.
    Unsupported
        If the prefix is of a kind that is not there.
    """
    prefix, colon, rest = ref.partition(":")
    if not colon:
        return Trained(lake, ref)
    make = PREFIXES.get(prefix)
    if make is None:
        raise Unsupported(
            f"Models by {prefix}: cannot be bound yet.",
            hint=f"Use a model trained here, or one of {', '.join(f'{each}:' for each in PREFIXES)}.",
        )
    return make(lake, rest, schema)


class Trained:
    """A model trained by this store."""

    def __init__(self, lake: Lake, ref: str) -> None:
        self._model = _find(lake, ref)
        self._lake = lake
        self._fitted: Fitted | None = None

    @property
    def ref(self) -> str:
        """The model with its version, as in `late@3`."""
        return self._model.ref

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that its features are, or are computed from."""
        return self._model.raw_inputs

    @property
    def value_type(self) -> str:
        """The type of the label."""
        return self._model.value_type

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        if self._fitted is None:
            self._fitted = registry.load(self._lake, self._model)
        return self._fitted.predict(batch)


def _find(lake: Lake, ref: str) -> Model:
    model = registry.get(lake, ref)
    if "@" not in ref and not model.deployed:
        raise NotFound(
            f"No version of the model {ref!r} is deployed.",
            hint=f"Say deploy {model.ref}, or name the version: {model.ref}.",
        )
    return model


class Function:
    """A Python function: `py:module:function`, called with a RecordBatch of the bound columns.

    It returns an Array of as many values, or a struct array with the fields `value` and `score`.
    """

    def __init__(self, lake: Lake, rest: str, schema: pa.Schema | None) -> None:
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
            import pyarrow as pa

            schema = self._schema if self._schema is not None else pa.schema([])
            empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
            self._value_type = _duckdb_type(self.predict(empty).schema.field("value").type, self._name)
        return self._value_type

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        rows = _one_batch(batch)
        if self.inputs:
            rows = _select(rows, self.inputs, self._name)
        try:
            answer = self._function(rows)
        except Exception as error:  # foreign code may raise anything
            raise ModelError(f"{self._name} failed on {rows.num_rows:,} rows: {_said(error)}") from error
        return _answer_table(answer, rows.num_rows, self._name)


class Registered:
    """A model that was registered in the store's MLflow by other means: `mlflow:name@alias`."""

    def __init__(self, lake: Lake, rest: str, schema: pa.Schema | None) -> None:
        name, _, alias = rest.partition("@")
        self._foreign: Foreign = registry.load_foreign(lake, name, alias or "champion")
        self._schema = schema
        self.ref = f"mlflow:{name}@{self._foreign.version}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of its signature, or without one those that were bound."""
        if self._foreign.inputs or self._schema is None:
            return self._foreign.inputs
        return tuple(self._schema.names)

    @property
    def value_type(self) -> str:
        """The type that its signature declares; DOUBLE without one."""
        return self._foreign.output or "DOUBLE"

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        import numpy as np
        import pyarrow as pa

        rows = _one_batch(batch)
        kind = _arrow_types()[self.value_type]
        if not rows.num_rows:
            return pa.table({"value": pa.array([], kind), "score": pa.array([], pa.float64())})
        chosen = _select(rows, self.inputs, self.ref) if self.inputs else rows
        try:
            answered = self._foreign.predict(chosen)
        except Exception as error:  # foreign code may raise anything
            raise ModelError(f"{self.ref} failed on {rows.num_rows:,} rows: {_said(error)}") from error
        values = np.asarray(answered)
        if values.shape not in {(rows.num_rows,), (rows.num_rows, 1)}:
            raise ModelError(f"{self.ref} gave an answer of shape {values.shape} for {rows.num_rows:,} rows.")
        try:
            value = pa.array(values.reshape(-1)).cast(kind)
        except pa.ArrowException as error:
            raise ModelError(f"{self.ref} gave values that are not {self.value_type}: {error}") from error
        return pa.table({"value": value, "score": pa.nulls(rows.num_rows, pa.float64())})


PREFIXES: dict[str, Callable[[Any, str, Any], Predictor]] = {"py": Function, "mlflow": Registered}


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


def _one_batch(rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        return rows
    columns = [column.combine_chunks() for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _select(rows: pa.RecordBatch, names: Sequence[str], model: str) -> pa.RecordBatch:
    """Take columns by name, whatever their case, under the names the model has for them."""
    places = {name.lower(): place for place, name in enumerate(rows.schema.names)}
    missing = [name for name in names if name.lower() not in places]
    if missing:
        found = NotFound.named("column", missing[0], rows.schema.names)
        raise InvalidData(f"{model} needs the columns {', '.join(missing)}, not given here.", hint=found.hint)
    return rows.select([places[name.lower()] for name in names]).rename_columns(list(names))


def _answer_table(answer: object, count: int, model: str) -> pa.Table:
    """Check what a function returned, and bring it into the form of a prediction."""
    import pyarrow as pa

    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    if not isinstance(answer, pa.Array):
        raise ModelError(
            f"{model} returned a {type(answer).__name__} for {count:,} rows.",
            hint="It must return a pyarrow.Array, or a StructArray with the fields value and score.",
        )
    if len(answer) != count:
        raise ModelError(f"{model} returned {len(answer):,} values for {count:,} rows.")
    if not pa.types.is_struct(answer.type):
        return pa.table({"value": answer, "score": pa.nulls(count, pa.float64())})
    parts = dict(zip((field.name for field in answer.type), answer.flatten(), strict=True))
    if parts.keys() != {"value", "score"}:
        raise ModelError(f"{model} returned a struct of {', '.join(parts)}; value and score were expected.")
    try:
        return pa.table({"value": parts["value"], "score": parts["score"].cast(pa.float64())})
    except pa.ArrowException as error:
        raise ModelError(f"{model} returned scores that are not numbers: {error}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _arrow_types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "VARCHAR": pa.string(), "DOUBLE": pa.float64()}


def _duckdb_type(dtype: pa.DataType, model: str) -> str:
    from pyarrow import types

    tests: dict[str, Callable[[pa.DataType], bool]] = {
        "BOOLEAN": types.is_boolean,
        "BIGINT": types.is_integer,
        "DOUBLE": types.is_floating,
        "VARCHAR": lambda each: types.is_string(each) or types.is_large_string(each),
    }
    for name, test in tests.items():
        if test(dtype):
            return name
    raise ModelError(
        f"{model} returned values of type {dtype}.",
        hint="Give the array its type also when there are no rows, as in pa.array(values, pa.float64()).",
    )
