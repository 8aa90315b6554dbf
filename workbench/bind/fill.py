"""Stream rows through a model, batch by batch, from one cursor into a temporary table of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from workbench.bind.definition import Binding
from workbench.bind.predictors import Predictor
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import ModelError, WorkbenchError
from workbench.names import quote

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 122_880
"""Rows per call of a model: one row group of DuckDB's."""


def predict_rows(
    reader: Cursor,
    writer: Cursor,
    binding: Binding,
    predictor: Predictor,
    todo: str,
    done: str,
    advance: Callable[[int], None],
) -> None:
    """Predict the rows of `todo`, a temporary table of `reader`, into `done`, one of `writer`.

    `done` gets the key, value, score, status, error and input_hash of each row.
    """
    import pyarrow as pa

    batch_rows = binding.batch or BATCH_ROWS
    rows = execute(reader, f"FROM temp.{quote(todo)}").to_arrow_reader(batch_rows)
    keys = [rows.schema.field(column) for column in binding.key]
    value = predictor.predict(pa.RecordBatch.from_pylist([], schema=rows.schema)).schema.field("value").type
    schema = pa.schema(
        [
            *keys,
            ("value", value),
            ("score", pa.float64()),
            ("status", pa.string()),
            ("error", pa.string()),
            ("input_hash", rows.schema.field("input_hash").type),
        ]
    )

    failures: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            try:
                predicted = _guarded(predictor, batch, binding)
            except BaseException as error:
                failures.append(error)
                raise
            columns = [batch.column(column) for column in binding.key]
            columns += [
                predicted.column(name).combine_chunks() for name in ("value", "score", "status", "error")
            ]
            yield pa.RecordBatch.from_arrays([*columns, batch.column("input_hash")], schema=schema)
            advance(batch.num_rows)

    stream = pa.RecordBatchReader.from_batches(schema, batches())
    writer.register("mlstore_stream", stream)
    try:
        execute(writer, f"CREATE OR REPLACE TEMP TABLE {quote(done)} AS FROM mlstore_stream")
    except WorkbenchError as error:
        # Arrow turns what went wrong inside the stream into text: raise it as it was.
        raise (failures[0] if failures else error) from None
    finally:
        writer.unregister("mlstore_stream")


def _guarded(predictor: Predictor, batch: pa.RecordBatch, binding: Binding) -> pa.Table:
    """Predict a batch; when the model fails, halve it until the failing rows stand alone."""
    import pyarrow as pa

    try:
        predicted = predictor.predict(batch)
    except ModelError as error:
        if binding.on_error == "fail":
            raise
        if batch.num_rows > 1:
            half = batch.num_rows // 2
            parts = [_guarded(predictor, each, binding) for each in (batch.slice(0, half), batch.slice(half))]
            return pa.concat_tables(parts, promote_options="permissive")
        value = predictor.predict(batch.slice(0, 0)).schema.field("value").type
        return pa.table(
            {
                "value": pa.nulls(1, value),
                "score": pa.nulls(1, pa.float64()),
                "status": pa.array(["error"]),
                "error": pa.array([error.message]),
            }
        )
    count = batch.num_rows
    return pa.table(
        {
            "value": predicted["value"],
            "score": predicted["score"].cast(pa.float64()),
            "status": pa.repeat("ok", count),
            "error": pa.nulls(count, pa.string()),
        }
    )
