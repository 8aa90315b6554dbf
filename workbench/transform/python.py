"""Rows through a Python function, batch by batch, into a temporary table."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.engines.feed import feed
from workbench.errors import InvalidData, WorkbenchError
from workbench.lake import write
from workbench.transform.code import PythonBody, describe_error

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 122_880
_SHOWN_LINES = 10


def stage_rows(
    reader: Cursor, writer: Cursor, staged: str, rows: str, body: PythonBody, key: Sequence[str], name: str
) -> dict[str, str]:
    """Send the rows of a query through a function into the temporary table `staged` of `writer`.

    Parameters
    ----------
    reader, writer : duckdb cursor
        Two of them: one hands out rows while the other takes them in.
    rows : str
        The query, run on `reader`.
    key : sequence of str
        Columns that the result gets from the rows where the function does not return them.
    name : str
        Of the transform, for messages.

    Returns
    -------
    dict of str to str
        The columns of `staged` and their types.

    Raises
    ------
    InvalidData
        If the function raises, naming the row; or returns another number of rows, or other types.
    """
    import pyarrow as pa

    stream = execute(reader, rows).to_arrow_reader(BATCH_ROWS)
    called = _Called(body, tuple(key), name)
    first = next(stream, None)
    if first is None:
        first = pa.RecordBatch.from_pylist([], schema=stream.schema)
    made = called.made(first)
    schema = _storable(made.schema)
    failures: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from called.fitting(made, schema).to_batches()
            for batch in stream:
                yield from called.fitting(called.made(batch), schema).to_batches()
        except BaseException as error:
            failures.append(error)
            raise

    try:
        with feed(writer, "mlstore_stream", schema, batches()):
            return write.stage(writer, staged, "SELECT * FROM mlstore_stream")
    except WorkbenchError as error:
        # Arrow turns what went wrong inside the stream into text: raise it as it was.
        raise (failures[0] if failures else error) from None
    finally:
        writer.unregister("mlstore_stream")
        called.show_printed()


def _storable(schema: pa.Schema) -> pa.Schema:
    """Give a column that is all NULL so far a type."""
    import pyarrow as pa

    return pa.schema(
        [pa.field(each.name, pa.string()) if pa.types.is_null(each.type) else each for each in schema]
    )


class _Called:
    """The function of a transform, with what is known of its calls so far."""

    def __init__(self, body: PythonBody, key: tuple[str, ...], name: str) -> None:
        self._body, self._key, self._name = body, key, name
        self._position = 0
        self._printed: list[str] = []

    def made(self, batch: pa.RecordBatch) -> pa.Table:
        """Return what the function makes of a batch, with the key."""
        table = self._call(batch, self._position)
        self._position += batch.num_rows
        return table

    def _call(self, batch: pa.RecordBatch, position: int) -> pa.Table:
        """Call the function; when it raises, halve the batch until the row that it is about stands alone."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                result = self._body.function(_given(batch, self._body.takes))
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            if batch.num_rows > 1:
                half = batch.num_rows // 2
                self._call(batch.slice(0, half), position)
                self._call(batch.slice(half), position + half)
            raise self._failed(batch, position, error) from error
        finally:
            self._printed += printed.getvalue().splitlines()
        return self._with_key(batch, self._table(result, batch.num_rows))

    def _failed(self, batch: pa.RecordBatch, position: int, error: BaseException) -> InvalidData:
        said = describe_error(error, self._body)
        if batch.num_rows != 1:
            return InvalidData(f"The function of {self._name!r} fails on {batch.num_rows:,} rows: {said}")
        row = batch.to_pylist()[0]
        shown = ", ".join(f"{each} = {row[each]!r}" for each in self._key if each in row)
        which = f"row {position + 1:,}" + (f" ({shown})" if shown else "")
        return InvalidData(
            f"The function of {self._name!r} fails on {which}: {said}",
            hint="Mend the function or the row; nothing was changed.",
        )

    def _table(self, result: Any, rows: int) -> pa.Table:
        table = _as_table(result, self._name)
        if table is None:
            raise InvalidData(
                f"The function of {self._name!r} returns a {type(result).__name__}.",
                hint="Return a table, a frame, a dict of columns, or one column.",
            )
        if table.num_rows != rows:
            raise InvalidData(
                f"The function of {self._name!r} returns {table.num_rows:,} rows for {rows:,}.",
                hint="It must return one row for each that it gets; leave rows out in SQL.",
            )
        low = [each.lower() for each in table.column_names]
        repeated = sorted({each for each in low if low.count(each) > 1})
        if repeated:
            raise InvalidData(f"The function of {self._name!r} returns {', '.join(repeated)} more than once.")
        return table

    def _with_key(self, batch: pa.RecordBatch, table: pa.Table) -> pa.Table:
        for place, column in enumerate(self._key):
            if column not in batch.schema.names:
                continue
            mine = batch.column(column)
            if column not in table.column_names:
                table = table.add_column(place, column, mine)
            elif (
                table.column(column).combine_chunks().cast(mine.type, safe=False).to_pylist()
                != mine.to_pylist()
            ):
                raise InvalidData(
                    f"The function of {self._name!r} returns other values of the key {column}.",
                    hint="Leave the key out of the result: it is added.",
                )
        return table

    def fitting(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """Bring a result to the columns and types of the first one."""
        import pyarrow as pa

        missing = [each for each in schema.names if each not in table.column_names]
        other = [each for each in table.column_names if each not in schema.names]
        if missing or other:
            raise InvalidData(
                f"The function of {self._name!r} returns other columns for some rows than for the first: "
                f"{', '.join((*missing, *other))}."
            )
        columns = []
        for field in schema:
            column = table.column(field.name)
            try:
                columns.append(_converted(column, field.type))
            except pa.ArrowException as error:
                raise InvalidData(
                    f"The function of {self._name!r} returns {field.name} as {column.type} for some rows, "
                    f"for the first as {field.type}.",
                    hint="Convert it to one type in the function.",
                ) from error
        return pa.table(columns, schema=schema)

    def show_printed(self) -> None:
        """Say once what the function printed."""
        if self._printed:
            more = len(self._printed) - _SHOWN_LINES
            shown = "\n".join(self._printed[:_SHOWN_LINES])
            tail = f"\n… and {more:,} more lines" if more > 0 else ""
            warnings.warn(
                f"The function of {self._name!r} printed:\n{shown}{tail}", RuntimeWarning, stacklevel=2
            )


def _converted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert numbers to numbers, NULLs to anything, and nothing else."""
    import pyarrow as pa

    def number(each: pa.DataType) -> bool:
        return bool(pa.types.is_integer(each) or pa.types.is_floating(each))

    same = column.type == kind or pa.types.is_null(column.type)
    if not same and not (number(column.type) and number(kind)):
        raise pa.ArrowTypeError(f"{column.type} is no {kind}")
    return column.cast(kind)


def _given(batch: pa.RecordBatch, takes: str) -> Any:
    if takes == "pandas":
        return batch.to_pandas()
    if takes == "polars":
        import polars as pl

        return pl.from_arrow(batch)
    return batch


def _as_table(result: Any, name: str) -> pa.Table | None:
    import pyarrow as pa

    library = type(result).__module__.partition(".")[0]
    if isinstance(result, pa.Table):
        return result
    if isinstance(result, pa.RecordBatch):
        return pa.Table.from_batches([result])
    try:
        if isinstance(result, dict):
            return pa.table(result)
        if library == "pandas" and hasattr(result, "columns"):
            return pa.Table.from_pandas(result, preserve_index=False)
        if library == "polars" and hasattr(result, "columns"):
            return result.to_arrow()
        if isinstance(result, pa.Array | pa.ChunkedArray) or library in ("numpy", "pandas"):
            return pa.table({name: result})
        if library == "polars":
            return pa.table({name: result.to_arrow()})
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidData(
            f"What the function of {name!r} returns is no table: {error}",
            hint="Give each column one type and as many values as there are rows.",
        ) from error
    return None
