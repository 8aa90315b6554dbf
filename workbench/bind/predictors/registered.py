"""Models of MLflow that the store did not train: `mlflow:name@alias`, `mlflow:runs:/…`, `mlflow:/folder`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.columns import converted, one_batch, plain, prediction, select
from workbench.bind.predictors.protocol import BATCH_ROWS
from workbench.errors import ModelError, WorkbenchError, said
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake
    from workbench.train.registry import Foreign


class Registered:
    """A model of the store's MLflow that was made by other means, of any flavour."""

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake, rest: str, schema: pa.Schema | None) -> None:
        self._foreign: Foreign = registry.find_foreign(lake, rest)
        self._schema = schema
        self.ref = self._foreign.ref

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of its signature, or without one those that were bound."""
        if self._foreign.inputs or self._schema is None:
            return self._foreign.inputs
        return tuple(self._schema.names)

    @cached_property
    def value_type(self) -> str:
        """The type that its signature declares; without one, that of its answer for a row of zeros."""
        return self._foreign.output or self._tried()

    def _tried(self) -> str:
        """Ask about a made-up row for the type of the answer; a whole number there says nothing of others."""
        import numpy as np
        import pyarrow as pa

        schema = self._schema
        if schema is None or not schema.names:
            return "DOUBLE"
        try:
            row = pa.RecordBatch.from_arrays([_made_up(each.type) for each in schema], schema=schema)
            chosen = select(row, self.inputs, self.ref) if self.inputs else row
            answered = np.asarray(self._foreign.predict(self._typed(chosen))[0])
        except Exception:  # noqa: BLE001 (foreign code may raise anything; its first real rows will say what)
            return "DOUBLE"
        if answered.ndim == 2 and answered.shape[1] != 1:
            return "DOUBLE[]"
        first = answered.reshape(-1)[:1].tolist()
        return {str: "VARCHAR", bool: "BOOLEAN"}.get(type(first[0]) if first else float, "DOUBLE")

    @cached_property
    def _kind(self) -> pa.DataType:
        return arrow_types()[self.value_type]

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        import numpy as np
        import pyarrow as pa

        rows = one_batch(batch)
        chosen = self._typed(select(rows, self.inputs, self.ref) if self.inputs else rows)
        if not rows.num_rows:
            return prediction(pa.array([], self._kind), None, 0, self.ref)
        try:
            value, score = self._foreign.predict(chosen)
        except WorkbenchError:
            raise
        except Exception as error:  # foreign code may raise anything
            raise ModelError(f"{self.ref} failed on {rows.num_rows:,} rows: {said(error)}") from error
        values = self._values(np.asarray(value), rows.num_rows)
        return prediction(values, np_array(score) if score is not None else None, rows.num_rows, self.ref)

    def _typed(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Convert columns to the types of the signature; MLflow refuses whole numbers for doubles."""
        import pyarrow as pa

        types, tensor = self._foreign.types, self._foreign.tensor
        matrix = pa.from_numpy_dtype(tensor) if tensor is not None else None
        kinds = {name: types.get(name, matrix) for name in rows.schema.names}
        columns = [
            column if kinds[name] is None else converted(column, kinds[name], name, self.ref)
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)

    def _values(self, values: Any, count: int) -> pa.Array:
        import pyarrow as pa
        from pyarrow import types

        if values.shape == (count, 1) and not types.is_list(self._kind):
            values = values.reshape(-1)
        fits = values.ndim == 1 or (values.ndim == 2 and types.is_list(self._kind))
        if not fits or len(values) != count:
            raise ModelError(f"{self.ref} gave an answer of shape {values.shape} for {count:,} rows.")
        try:
            found = plain(pa.array(values if values.ndim == 1 else list(values), from_pandas=False))
            if types.is_string(found.type) and not types.is_string(self._kind):
                raise ModelError(f"{self.ref} gave texts where its signature promises {self.value_type}.")
            return found.cast(self._kind)
        except pa.ArrowException as error:
            raise ModelError(f"{self.ref} gave values that are not {self.value_type}: {error}") from error


def _made_up(kind: pa.DataType) -> pa.Array:
    """Make an array of one value: zero, or an empty text, of a type."""
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array([""], kind)
    try:
        return pa.array([0], pa.int64()).cast(kind)
    except pa.ArrowException:
        return pa.nulls(1, kind)


def np_array(values: Any) -> pa.Array:
    """Return a column of a frame as an array."""
    import numpy as np
    import pyarrow as pa

    return pa.array(np.asarray(values))


def arrow_types() -> dict[str, pa.DataType]:
    """Return the types that a signature can declare for the answer, by DuckDB's name."""
    import pyarrow as pa

    return {
        "BOOLEAN": pa.bool_(),
        "BIGINT": pa.int64(),
        "VARCHAR": pa.string(),
        "DOUBLE": pa.float64(),
        "FLOAT[]": pa.list_(pa.float32()),
        "DOUBLE[]": pa.list_(pa.float64()),
    }
