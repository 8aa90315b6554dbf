"""Tables of any kind as Arrow, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

TARGET = "mlstore_y"
PLACE = "mlstore_place"


def is_ibis(rows: Any) -> bool:
    """Tell whether this is an Ibis expression."""
    return _library(rows) == "ibis"


def to_arrow(rows: Any) -> pa.Table:
    """Read a table of any kind as Arrow."""
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if is_ibis(rows):
        return rows.to_pyarrow()
    if _library(rows) == "polars":
        return rows.to_arrow()
    if _library(rows) == "pandas":
        return pa.Table.from_pandas(rows, preserve_index=False)
    import numpy as np

    array = np.asarray(rows)
    if array.ndim != 2:
        raise Unsupported(
            f"An array of {array.ndim} dimensions is no table.", hint="Give it the shape (rows, columns)."
        )
    columns = {f"x{place}": array[:, place] for place in range(array.shape[1])}
    # In an array of objects a missing value is NaN or None.
    missing = array.dtype == object
    return pa.table({name: pa.array(values, from_pandas=missing) for name, values in columns.items()})


def with_target(rows: pa.Table, y: Any) -> pa.Table:
    """Add the target and the place of each row, which tell rows apart.

    Raises
    ------
    InvalidData
        If the target is not of numbers.
    """
    import numpy as np
    import pyarrow as pa

    try:
        target = pa.nulls(rows.num_rows, pa.float64()) if y is None else pa.array(np.asarray(y, np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidData(
            f"The target is not a number: {error}.", hint="Give numbers; of two classes, 0 and 1."
        ) from error
    places = pa.array(np.arange(rows.num_rows))
    return rows.append_column(TARGET, target).append_column(PLACE, places)


def like(given: Any, made: pa.Table, fields: Mapping[str, Sequence[str] | None]) -> Any:
    """Return a table of the kind that was given; `fields` are the elements of lists and structs."""
    import pyarrow as pa

    if isinstance(given, pa.Table | pa.RecordBatch):
        return made
    flat = _flat(made, fields)
    if _library(given) == "polars":
        import polars

        return polars.from_arrow(flat)
    if _library(given) == "pandas":
        return flat.to_pandas().set_index(given.index)
    import numpy as np

    return np.column_stack([column.to_numpy() for column in flat.columns])


def _flat(made: pa.Table, fields: Mapping[str, Sequence[str] | None]) -> pa.Table:
    """Make a column of each element of lists and structs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for name, column in zip(made.column_names, made.columns, strict=True):
        names = [f"{name}_{field}" for field in fields[name] or ()]
        if pa.types.is_struct(column.type):
            columns |= zip(names, column.flatten(), strict=True)
        elif pa.types.is_list(column.type):
            if not names:
                raise Unsupported(
                    f"The lists of {name!r} are of different lengths.", hint="Give an Arrow table."
                )
            columns |= {each: pc.list_element(column, place) for place, each in enumerate(names)}
        else:
            columns[name] = column
    return pa.table(columns)


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]
