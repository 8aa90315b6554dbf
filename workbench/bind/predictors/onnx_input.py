"""The inputs of an ONNX model: which columns they take, and the arrays made of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.columns import converted, lacks
from workbench.errors import InvalidData, ModelError, Unsupported

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_NUMBERS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
_TEXT = "tensor(string)"
_IMAGE_RANK = 4
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True)
class Given:
    """The array for an input: one entry per row, of which only those that are `valid` are computed."""

    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Feed:
    """An input of a model and the columns it takes.

    Attributes
    ----------
    kind : {"number", "text", "image"}
    dtype : str
        Of the array, as NumPy calls it.
    shape : tuple of int or None
        Without the rows; None where any size will do.
    rows : int
        How many rows it takes at once; 0 for any number.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[int | None, ...]
    rows: int
    columns: tuple[str, ...]

    def read(self, rows: pa.RecordBatch, model: str) -> Given:
        """Make the array of a batch's rows.

        Raises
        ------
        InvalidData
            If a column holds another kind of values.
        """
        arrays = [rows.column(name) for name in self.columns]
        if self.kind == "image":
            return _images(arrays[0], self, model)
        if self.kind == "text":
            return _texts(arrays, self, model)
        return _numbers(arrays, self, model)


def match_inputs(inputs: Sequence[Any], schema: pa.Schema | None, model: str) -> tuple[Feed, ...]:
    """Find the columns for the inputs of a model.

    Parameters
    ----------
    inputs : sequence of onnxruntime.NodeArg
    schema : pyarrow.Schema or None
        The columns that were bound; None takes the names of the inputs.

    Raises
    ------
    InvalidData
        If columns are missing, or there are more or fewer than a matrix has.
    Unsupported
        If an input is of a kind that no column can give.
    """
    shapes = [_shape(each) for each in inputs]
    kinds = [_kind(each, shape, model) for each, shape in zip(inputs, shapes, strict=True)]
    names = [each.name for each in inputs]
    given = list(schema.names) if schema is not None else names
    places = {name.lower(): name for name in given}
    absent = [name for name in names if name.lower() not in places]
    if absent and len(inputs) > 1:
        raise lacks(absent, given, model)
    feeds = []
    for each, shape, kind in zip(inputs, shapes, kinds, strict=True):
        named = each.name.lower() in places
        columns = (places[each.name.lower()],) if named else _columns(kind, shape, schema, each.name, model)
        first = each.shape[0] if each.shape else None
        rows = first if isinstance(first, int) and first > 0 else 0
        feeds.append(Feed(each.name, kind, _NUMBERS.get(each.type, "object"), shape, rows, columns))
    return tuple(feeds)


def _shape(each: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in each.shape[1:])


def _kind(each: Any, shape: tuple[int | None, ...], model: str) -> str:
    if each.type == _TEXT and len(shape) <= 1:
        return "text"
    if each.type in _NUMBERS:
        if len(shape) <= 1:
            return "number"
        if len(shape) == _IMAGE_RANK - 1:
            return "image"
    raise Unsupported(
        f"{model} takes {each.type} of shape {each.shape} as {each.name!r}, which no column can give.",
        hint="Numbers, texts and images (rank 4) are possible; wrap others in py:module:function.",
    )


def _columns(
    kind: str, shape: tuple[int | None, ...], schema: pa.Schema | None, name: str, model: str
) -> tuple[str, ...]:
    """Choose the bound columns for a model's only input."""
    from pyarrow import types

    fields = list(schema) if schema is not None else []
    if kind != "number":
        tests = {"image": types.is_binary, "text": types.is_string}
        fitting = [each for each in fields if tests[kind](each.type)] if len(fields) > 1 else fields
        if len(fitting) != 1 and (not shape or shape[-1] != len(fields)):
            noun = "image (a BLOB)" if kind == "image" else "text"
            raise InvalidData(
                f"{model} takes one {noun}, and there are {len(fitting)} among the columns bound.",
                hint="Name its column, as in: bind … ON table(column).",
            )
        return tuple(each.name for each in (fitting if len(fitting) == 1 else fields))
    wide = len(fields) == 1 and types.is_list(fields[0].type)
    wanted = shape[0] if shape else 1
    if not wide and wanted is not None and wanted != len(fields):
        listed = ", ".join(each.name for each in fields)
        raise InvalidData(
            f"{model} takes {wanted} numbers as {name!r}, not {len(fields)} ({listed}).",
            hint="Name the columns in their order, as in: bind … ON table(a, b).",
        )
    return tuple(each.name for each in fields)


def _numbers(arrays: list[pa.Array], feed: Feed, model: str) -> Given:
    import numpy as np
    import pyarrow as pa

    if len(arrays) == 1 and pa.types.is_list(arrays[0].type):
        return _lists(arrays[0], feed, model)
    kind = pa.from_numpy_dtype(np.dtype(feed.dtype))
    columns = [converted(array, kind, name, model) for name, array in zip(feed.columns, arrays, strict=True)]
    count = len(arrays[0])
    valid = np.ones(count, bool)
    if not pa.types.is_floating(kind):
        # Only a floating-point number can say that it is missing.
        for column in columns:
            valid &= column.is_valid().to_numpy(zero_copy_only=False)
        columns = [column.fill_null(0) for column in columns]
    matrix = np.empty((count, len(columns)), feed.dtype)
    for place, column in enumerate(columns):
        matrix[:, place] = column.to_numpy(zero_copy_only=False)
    return Given(matrix if feed.shape else matrix.reshape(count), valid)


def _lists(array: pa.Array, feed: Feed, model: str) -> Given:
    """Make a matrix of lists of one length; a row without a list is left out."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    valid = array.is_valid().to_numpy(zero_copy_only=False)
    present = array.drop_null()
    kind = pa.from_numpy_dtype(np.dtype(feed.dtype))
    lengths = set(pc.list_value_length(present).unique().to_pylist())
    width = feed.shape[0] if feed.shape else 1
    wanted = width if width is not None else next(iter(lengths), 0)
    if lengths - {wanted}:
        found = ", ".join(str(each) for each in sorted(lengths - {wanted}))
        raise ModelError(f"{model} takes lists of {wanted} numbers; {feed.columns[0]!r} has some of {found}.")
    flat = converted(present.flatten(), kind, feed.columns[0], model).to_numpy(zero_copy_only=False)
    matrix = np.zeros((len(array), wanted), feed.dtype)
    matrix[valid] = flat.reshape(len(present), wanted)
    return Given(matrix, valid)


def _texts(arrays: list[pa.Array], feed: Feed, model: str) -> Given:
    import numpy as np
    import pyarrow as pa

    columns = [
        converted(array, pa.string(), name, model) for name, array in zip(feed.columns, arrays, strict=True)
    ]
    valid = np.ones(len(columns[0]), bool)
    for column in columns:
        valid &= column.is_valid().to_numpy(zero_copy_only=False)
    texts = [column.fill_null("").to_numpy(zero_copy_only=False).astype(object) for column in columns]
    return Given(np.column_stack(texts) if feed.shape else texts[0], valid)


def _images(array: pa.Array, feed: Feed, model: str) -> Given:
    """Decode images into an array (rows × channels × height × width, or channels last)."""
    import numpy as np
    import pyarrow as pa

    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise InvalidData(
            f"The column {feed.columns[0]!r} holds {array.type} where {model} takes images.",
            hint="Load the files of the images as BLOBs.",
        )
    height, width, channels, first = _layout(feed, model)
    whole = np.zeros((len(array), height, width, channels), np.uint8)
    for place, data in enumerate(array.to_pylist()):
        if data is None:
            continue
        try:
            whole[place] = _pixels(data, height, width, channels)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow's for a broken file
            # Of bytes that are no image at all it tells where they are in memory.
            why = "it is none" if type(error).__name__ == "UnidentifiedImageError" else str(error)
            raise ModelError(f"An image in {feed.columns[0]!r} cannot be read: {why}") from None
    values = whole.transpose(0, 3, 1, 2) if first else whole
    if feed.dtype.startswith("float"):
        values = values.astype(feed.dtype) / np.array(255, feed.dtype)
    return Given(values, array.is_valid().to_numpy(zero_copy_only=False))


def _layout(feed: Feed, model: str) -> tuple[int, int, int, bool]:
    """Return height, width, the number of channels, and whether the channels come first."""
    sizes = feed.shape
    for first, order in ((True, (1, 2, 0)), (False, (0, 1, 2))):
        height, width, channels = (sizes[place] for place in order)
        if channels in _MODES and height and width:
            return height, width, channels, first
    raise Unsupported(
        f"{model} takes images of shape {sizes}, which does not say their size.",
        hint="Export it with a fixed height and width, and 1, 3 or 4 channels.",
    )


def _pixels(data: bytes, height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    import numpy as np

    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise Unsupported("Images need the library Pillow.", hint="pip install 'mlstore[onnx]'") from error
    with Image.open(io.BytesIO(data)) as image:
        ready = image.convert(_MODES[channels])
        if ready.size != (width, height):
            ready = ready.resize((width, height))
        return np.asarray(ready, np.uint8).reshape(height, width, channels)
