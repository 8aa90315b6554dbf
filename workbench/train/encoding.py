"""Rows → the float32 matrix that an estimator takes, column by column.

NULL, unseen categories and infinities become NaN, which every algorithm here reads as "missing".
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData
from workbench.train.dataset import ColumnSpec, FeatureSpec, kind_of, one_length

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Matrix = npt.NDArray[np.float32]

_BLOCK = 65_536  # rows filled at a time: 20 columns of float32 stay in the cache
_NOUNS = {
    "number": "numbers",
    "boolean": "booleans",
    "category": "text",
    "timestamp": "dates or times",
    "list": "lists",
    "struct": "structs",
}


def encode(rows: pa.Table | pa.RecordBatch, spec: FeatureSpec) -> Matrix:
    """Turn rows into the matrix (n rows × `len(spec.names)`); other columns are ignored.

    Columns are found by name, in any order, whatever the case of their letters.

    Raises
    ------
    InvalidData
        If columns are missing or of another type than the model was trained on.

    Examples
    --------
    >>> import pyarrow as pa
    >>> spec = FeatureSpec((ColumnSpec("city", "category", ("Bonn", "Ulm")), ColumnSpec("price", "number")))
    >>> encode(pa.table({"PRICE": [1.5, None], "city": ["Ulm", "Rome"]}), spec).tolist()
    [[1.0, 1.5], [nan, nan]]
    """
    import numpy as np
    import pyarrow as pa

    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    table = table.select(_positions(table.schema, spec))
    _check_kinds(table, spec)
    matrix = np.empty((table.num_rows, len(spec.leaves)), np.float32)
    start = 0
    for batch in table.to_batches(max_chunksize=_BLOCK):
        # Beyond the largest float32 is infinity, which is made missing below.
        with np.errstate(over="ignore"):
            _fill_batch(matrix[start : start + batch.num_rows], batch, spec)
        start += batch.num_rows
    infinite = np.isinf(matrix)
    if infinite.any():
        matrix[infinite] = np.nan
    return matrix


def _fill_batch(out: Matrix, batch: pa.RecordBatch, spec: FeatureSpec) -> None:
    place = 0
    for column, array in zip(spec.columns, batch.columns, strict=True):
        width = len(column.leaves)
        _fill(out[:, place : place + width], array, column)
        place += width


def _positions(schema: pa.Schema, spec: FeatureSpec) -> list[int]:
    """Find the columns of the spec in a schema."""
    exact = {name: place for place, name in enumerate(schema.names)}
    folded = {name.lower(): place for name, place in exact.items()}
    found = [exact.get(name, folded.get(name.lower())) for name in spec.inputs]
    missing = [name for name, place in zip(spec.inputs, found, strict=True) if place is None]
    if missing:
        raise _missing(missing, schema.names)
    return [place for place in found if place is not None]


def _missing(missing: Sequence[str], given: Sequence[str]) -> InvalidData:
    guesses = []
    for name in missing:
        nearest = get_close_matches(name.lower(), [each.lower() for each in given], n=1)
        guesses += [f"did you mean {nearest[0]!r} to be {name!r}?"] if nearest else []
    noun = "column" if len(missing) == 1 else "columns"
    shown = ", ".join(repr(name) for name in missing)
    there = ", ".join(given) or "none"
    hint = f"Given: {there}" + ("; " + " ".join(guesses) if guesses else ".")
    return InvalidData(f"The model needs the {noun} {shown}, not given here.", hint=hint)


def _check_kinds(table: pa.Table, spec: FeatureSpec) -> None:
    wrong = [
        f"{column.name!r} holds {values.type} where the model learned {_NOUNS[column.kind]}"
        for column, values in zip(spec.columns, table.columns, strict=True)
        # DuckDB gives a plain NULL the type INTEGER.
        if not _fits(values.type, column) and values.null_count < len(values)
    ]
    if wrong:
        raise InvalidData(
            f"Columns have another type: {'; '.join(wrong)}.", hint="Convert them in the query."
        )


def _fits(dtype: pa.DataType, column: ColumnSpec) -> bool:
    from pyarrow import types

    kind = kind_of(dtype)
    if types.is_null(dtype):
        return True
    if column.kind in {"number", "boolean"}:
        return kind in {"number", "boolean"}
    if kind != column.kind:
        return False
    if kind == "list":
        return _fits(dtype.value_type, column.fields[0])
    if kind == "struct":
        held = {field.name: field.type for field in dtype}
        return all(field.name in held and _fits(held[field.name], field) for field in column.fields)
    return True


def _fill(out: Matrix, array: pa.Array, column: ColumnSpec) -> None:
    """Write the numbers of `array` into `out` (n rows × width of the column)."""
    if array.null_count == len(array):
        out[:] = float("nan")
    elif column.kind == "category":
        out[:, 0] = _codes(array, column.categories)
    elif column.kind == "struct":
        _fill_struct(out, array, column)
    elif column.kind == "list":
        _fill_list(out, array, column)
    elif column.kind == "timestamp":
        out[:, 0] = _seconds(array)
    else:
        out[:, 0] = _numbers(array)


def _fill_struct(out: Matrix, array: pa.Array, column: ColumnSpec) -> None:
    parts = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    place = 0
    for field in column.fields:
        width = len(field.leaves)
        _fill(out[:, place : place + width], parts[field.name], field)
        place += width


def _fill_list(out: Matrix, array: pa.Array, column: ColumnSpec) -> None:
    import numpy as np
    import pyarrow.compute as pc

    present = array.drop_null()
    lengths = pc.min_max(pc.list_value_length(present)).as_py()
    length = one_length(column.name, lengths["min"], lengths["max"])
    if length != column.length:
        raise InvalidData(
            f"The lists of {column.name!r} have {length} elements where the model learned {column.length}."
        )
    flat = np.empty((len(present) * length, 1), np.float32)
    _fill(flat, present.flatten(), column.fields[0])
    out[:] = np.nan
    out[array.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(len(present), length)


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    import pyarrow as pa
    from pyarrow import types

    if types.is_decimal(array.type):
        array = array.cast(pa.float64())
    elif types.is_boolean(array.type):
        array = array.cast(pa.int8())
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _seconds(array: pa.Array) -> npt.NDArray[Any]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import types

    per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
    if types.is_date32(array.type):
        return _numbers(array.cast(pa.int32())) * np.float64(86_400)
    unit = "ms" if types.is_date64(array.type) else array.type.unit
    whole = pa.int32() if types.is_time32(array.type) else pa.int64()
    return _numbers(array.cast(whole)) / np.float64(per_second[unit])


def _codes(array: pa.Array, categories: tuple[str, ...]) -> npt.NDArray[Any]:
    """Return each value's place in the vocabulary; NaN for NULL and for what is not in it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    vocabulary = pa.array(categories, pa.string())
    if types.is_dictionary(array.type):
        # The last place stands for NULL, so that -1 finds it.
        places: npt.NDArray[Any] = np.append(_codes(array.dictionary, categories), np.float32(np.nan))
        codes: npt.NDArray[Any] = places[
            array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        ]
        return codes
    found = pc.index_in(array.cast(pa.string()), value_set=vocabulary, skip_nulls=True)
    return _numbers(found.cast(pa.float32()))
