"""The label: what is to be predicted, as numbers to learn from and back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import InvalidData, Unsupported
from workbench.train.dataset import kind_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Task = Literal["regression", "binary", "multiclass", "clustering", "anomaly", "components"]
Value = bool | int | float | str
ValueType = Literal["BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "DOUBLE[]"]

UNSUPERVISED: dict[str, ValueType] = {"clustering": "BIGINT", "anomaly": "BOOLEAN", "components": "DOUBLE[]"}
"""The tasks without a label, and the type of what each predicts."""

MOST_WHOLE_CLASSES = 20
"""A whole-number label with more different values than this is a quantity, not a class."""

MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Label:
    """What the label turned out to be.

    Attributes
    ----------
    task : {"regression", "binary", "multiclass"}
    classes : tuple
        The different values, sorted; empty for a regression. Of two, the second is the positive one.
    numbers : ndarray (n rows)
        Class numbers (int64), or the values themselves (float64).
    note : str
        Why this task, where the label alone does not say.
    """

    task: Task
    classes: tuple[Value, ...]
    numbers: npt.NDArray[Any]
    note: str = ""


def read_label(name: str, column: pa.ChunkedArray, wanted: str | None = None) -> Label:
    """Read a label without NULLs.

    Booleans and text are classes, fractional numbers are quantities. Whole numbers are classes if
    there are at most 20 different ones. `wanted` ("regression" or "classes") overrides that for
    numbers.

    Raises
    ------
    InvalidData
        If all labels are the same, or there are too many classes.
    Unsupported
        If the type cannot be a label.
    """
    import pyarrow as pa

    check_type(name, column.type)
    kind = kind_of(column.type)
    if kind in {"boolean", "category"}:
        if wanted == "regression":
            raise Unsupported(
                f"The label {name!r} holds {column.type}, which has no regression.",
                hint="Convert it in the query, as in label::DOUBLE, or use a model and metric for classes.",
            )
        return _classes(name, column.cast(pa.string()) if kind == "category" else column)
    return _number(name, column, wanted)


def check_type(name: str, kind: pa.DataType) -> None:
    """Raise Unsupported unless a column of this type can be a label."""
    if kind_of(kind) not in {"boolean", "category", "number"}:
        raise Unsupported(
            f"The label {name!r} holds {kind}, which cannot be predicted.",
            hint="Convert it in the query to a boolean, a text or a number.",
        )


def _number(name: str, column: pa.ChunkedArray, wanted: str | None) -> Label:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    whole = types.is_integer(column.type) or (types.is_decimal(column.type) and column.type.scale == 0)
    if wanted == "regression" or (wanted is None and not whole):
        return _quantity(name, column)
    different = pc.count_distinct(column).as_py()
    if wanted is None and different > MOST_WHOLE_CLASSES:
        return _quantity(name, column)
    if not whole and different > MOST_WHOLE_CLASSES:
        raise InvalidData(
            f"The label {name!r} holds {different:,} different fractions, which are no classes.",
            hint="Choose a model and a metric for quantities, or group the values in the query.",
        )
    try:
        column = column.cast(pa.int64() if whole else pa.float64())
    except pa.ArrowInvalid as error:
        raise InvalidData(
            f"The label {name!r} has whole numbers beyond 64 bits, which cannot name classes.",
            hint=f"Convert them in the query: {name}::VARCHAR, or {name}::DOUBLE for a regression.",
        ) from error
    note = f"{name} has {different} whole numbers, read as classes ({name}::DOUBLE makes it a regression)"
    return _classes(name, column, "" if wanted or different <= 2 else note)


def _quantity(name: str, column: pa.ChunkedArray) -> Label:
    import numpy as np
    import pyarrow as pa

    numbers = column.cast(pa.float64()).to_numpy()
    if not np.isfinite(numbers).all():
        raise InvalidData(
            f"The label {name!r} has values that are not finite.",
            hint=f"Leave them out in the query: WHERE isfinite({name}).",
        )
    if numbers.size and (numbers == numbers[0]).all():
        raise _constant(name, numbers[0])
    return Label("regression", (), numbers)


def _classes(name: str, column: pa.ChunkedArray, note: str = "") -> Label:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = sorted(pc.unique(column).to_pylist())
    if len(values) == 1:
        raise _constant(name, values[0])
    if len(values) > MOST_CLASSES:
        raise InvalidData(
            f"The label {name!r} has {len(values)} different values, more than {MOST_CLASSES} classes.",
            hint="Is it an identifier? Group the values in the query, or predict a number.",
        )
    places = pc.index_in(column, value_set=pa.array(values, column.type))
    task: Task = "binary" if len(values) == 2 else "multiclass"
    return Label(task, tuple(values), places.to_numpy().astype(np.int64), note)


def _constant(name: str, value: object) -> InvalidData:
    return InvalidData(
        f"The label {name!r} is {value!r} in every row: there is nothing to learn.",
        hint="Check the WHERE clause of the query.",
    )


def value_type(classes: tuple[Value, ...], task: str = "") -> ValueType:
    """Return the DuckDB type of the predicted values; the task matters where there is no label.

    Examples
    --------
    >>> value_type((False, True)), value_type(()), value_type(("no", "yes"))
    ('BOOLEAN', 'DOUBLE', 'VARCHAR')
    >>> value_type((), "clustering")
    'BIGINT'
    """
    if task in UNSUPERVISED:
        return UNSUPERVISED[task]
    if not classes or isinstance(classes[0], float):
        return "DOUBLE"
    if isinstance(classes[0], bool):
        return "BOOLEAN"
    return "BIGINT" if isinstance(classes[0], int) else "VARCHAR"


def decode(numbers: npt.NDArray[np.int64], classes: tuple[Value, ...]) -> pa.Array:
    """Turn class numbers back into the label's own values."""
    import pyarrow as pa

    types = {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "VARCHAR": pa.string(), "DOUBLE": pa.float64()}
    return pa.array(classes, types[value_type(classes)]).take(pa.array(numbers))
