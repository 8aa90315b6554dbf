"""Rows into what a model takes, and what it answered into a prediction; shared by all predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.engines.casts import cast, fits
from workbench.engines.duckdb import execute, fetch, scratch, type_name
from workbench.errors import InvalidData, ModelError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa


def one_batch(rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
    """Return rows as one batch."""
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        return rows
    columns = [column.combine_chunks() for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def select(rows: pa.RecordBatch, names: Sequence[str], model: str) -> pa.RecordBatch:
    """Take columns by name, whatever their case, under the names the model has for them.

    Raises
    ------
    InvalidData
        If some are missing.
    """
    places = {name.lower(): place for place, name in enumerate(rows.schema.names)}
    missing = [name for name in names if name.lower() not in places]
    if missing:
        raise lacks(missing, rows.schema.names, model)
    return rows.select([places[name.lower()] for name in names]).rename_columns(list(names))


def lacks(missing: Sequence[str], given: Sequence[str], model: str) -> InvalidData:
    """Make the error for columns that are not given, with the nearest that are."""
    noun = "column" if len(missing) == 1 else "columns"
    hints = {NotFound.named("column", name, given).hint for name in missing}
    listed = ", ".join(missing)
    return InvalidData(f"{model} needs the {noun} {listed}, not given here.", hint=" ".join(sorted(hints)))


def converted(values: pa.Array, kind: pa.DataType, column: str, model: str) -> pa.Array:
    """Convert a column to the type that a model takes, where nothing is lost.

    A float32 may be given for a double: that is how precise the model is.

    Raises
    ------
    InvalidData
        If it holds another kind of values.
    InvalidRows
        If it holds some that do not fit.
    """
    import pyarrow as pa
    from pyarrow import types

    if values.type == kind:
        return values
    if types.is_dictionary(values.type):
        return converted(values.dictionary_decode(), kind, column, model)
    if values.null_count == len(values):
        return pa.nulls(len(values), kind)
    # The engine knows no half-precision numbers.
    wanted = type_name(pa.float32() if types.is_float16(kind) else kind)
    if not fits(type_name(values.type), wanted):
        values = cast(values, wanted, column, model)
    if types.is_floating(kind):
        middle = values.cast(pa.int8()) if types.is_boolean(values.type) else values
        return middle.cast(pa.float64(), safe=False).cast(kind, safe=False)
    try:
        return values.cast(kind)
    except pa.ArrowException as error:
        raise InvalidData(
            f"The column {column!r} holds {type_name(values.type)} that cannot be {type_name(kind)}, "
            f"as {model} takes: {error}",
            hint="Convert it in the query of the table.",
        ) from error


def prediction(value: Any, score: Any, count: int, model: str) -> pa.Table:
    """Bring what a model answered into the form of a prediction.

    Raises
    ------
    ModelError
        If the number of values is wrong, or the scores are no numbers.
    """
    import pyarrow as pa

    values = plain(value)
    if len(values) != count:
        raise ModelError(f"{model} returned {len(values):,} values for {count:,} rows.")
    if score is None:
        scores = pa.nulls(count, pa.float64())
    else:
        try:
            scores = plain(score).cast(pa.float64())
        except pa.ArrowException as error:
            raise ModelError(f"{model} returned scores that are not numbers: {error}") from error
    return pa.table({"value": values, "score": scores})


def plain(values: Any) -> pa.Array:
    """Return an array in one of few types: BIGINT for whole numbers, DOUBLE for others, plain lists."""
    import pyarrow as pa
    from pyarrow import types

    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    kind = array.type
    if types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if types.is_integer(kind) and kind != pa.uint64():
        return array.cast(pa.int64())
    if types.is_floating(kind):
        return array.cast(pa.float64())
    if types.is_large_string(kind):
        return array.cast(pa.string())
    if types.is_large_binary(kind):
        return array.cast(pa.binary())
    if types.is_duration(kind):  # The lake keeps it as an INTERVAL, to which Arrow has no cast.
        with scratch() as cursor:
            cursor.register("durations", pa.table({"value": array}))
            return fetch(execute(cursor, "FROM durations"))["value"].combine_chunks()
    # DuckLake keeps no arrays of a fixed length.
    if types.is_fixed_size_list(kind) or types.is_large_list(kind):
        return array.cast(pa.list_(kind.value_type))
    return array


def duckdb_type(kind: pa.DataType, model: str) -> str:
    """Return the type of values as DuckDB calls it.

    Raises
    ------
    ModelError
        If the model gives no type.
    """
    import pyarrow as pa

    if pa.types.is_null(kind):
        raise ModelError(
            f"{model} returned values of type {kind}.",
            hint="Give the array its type also when there are no rows, as in pa.array(values, pa.float64()).",
        )
    return type_name(kind)


def empty(schema: pa.Schema | None) -> pa.RecordBatch:
    """Make a batch of no rows."""
    import pyarrow as pa

    chosen = schema if schema is not None else pa.schema([])
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in chosen], schema=chosen)
