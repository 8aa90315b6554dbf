"""One value of a column as short text, and the short name of a column's type.

Everything is decided for a column as a whole, so that its values line up: how many decimals its
numbers need, and whether its times need seconds.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 2_000
"""Characters of a value that are kept at all, so that one document cannot fill a notebook."""

IMAGE_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}
"""How the files of pictures that every browser shows begin, and what they are."""

LARGEST_IMAGE = 100_000
"""Bytes of a picture that are shown at most, so that a table of them cannot fill a notebook."""

SIGNIFICANT = 6
_MOST_DECIMALS = 6
_WIDEST_NUMBER = 14
_SHOWN_ITEMS = 6

Format = Callable[[Any], str]


def count(number: int) -> str:
    """Write a count with thousands separators.

    Examples
    --------
    >>> count(336776)
    '336,776'
    """
    return f"{number:,}"


def count_rows(number: int) -> str:
    """Write how many rows there are.

    Examples
    --------
    >>> count_rows(1), count_rows(336776)
    ('1 row', '336,776 rows')
    """
    return f"{count(number)} row{'' if number == 1 else 's'}"


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> [seconds(each) for each in (0.0004, 0.123, 4.26, 75, 4000)]
    ['<1 ms', '0.12 s', '4.3 s', '1 min 15 s', '1 h 6 min']
    """
    if value < 0.001:
        return "<1 ms"
    if value < 0.095:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float) -> str:
    """Write a number with up to six significant digits, never cutting its whole part.

    Examples
    --------
    >>> [number(each) for each in (0.1 + 0.2, 1234567.891, 12.0, 3e-9, 2.5e20, float("nan"))]
    ['0.3', '1234567.9', '12.0', '3e-09', '2.5e+20', 'NaN']
    """
    return _float(value, _decimals(value))


def _decimals(value: float) -> int | None:
    """Count the decimals `value` needs; None where it is written with an exponent or as a word."""
    size = abs(value)
    if not math.isfinite(value) or (size and not 1e-4 <= size < 1e15):
        return None
    exponent = math.floor(math.log10(size)) if size else 0
    digits = max(1, SIGNIFICANT - 1 - exponent)
    return max(1, len(f"{value:.{digits}f}".rstrip("0").partition(".")[2]))


def _float(value: float, decimals: int | None) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if decimals is None:
        return f"{value:.{SIGNIFICANT}g}"
    return f"{value:.{decimals}f}"


def _float_format(values: Sequence[Any]) -> Format:
    """Give all numbers of a column the same decimals, unless that makes them unreasonably wide."""
    known = [value for value in values if value is not None]
    needed = max((d for d in map(_decimals, known) if d is not None), default=1)
    sizes = [len(_float(value, needed)) for value in known if _decimals(value) is not None]
    if needed > _MOST_DECIMALS or max(sizes, default=0) > _WIDEST_NUMBER:
        return number
    return lambda value: _float(value, None if _decimals(value) is None else needed)


def _time_format(values: Sequence[Any], *, brief: bool = False) -> Format:
    """Show seconds, and fractions of them, only where some value of the column has any."""
    known = [value for value in values if value is not None]
    if any(value.microsecond for value in known) and not brief:
        spec = "milliseconds" if not any(value.microsecond % 1000 for value in known) else "microseconds"
    else:
        spec = "seconds" if any(value.second or value.microsecond for value in known) else "minutes"

    def shorten(value: Any) -> str:
        text = str(value.isoformat(timespec=spec)).replace("T", " ")
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text

    return shorten


def compact(value: Any, depth: int = 0) -> str:
    """Write a nested or unusual value on one line.

    Examples
    --------
    >>> compact({"a": 1, "b": [0.5, None]})
    '{a: 1, b: [0.5, NULL]}'
    >>> compact(list(range(100)))
    '[0, 1, 2, 3, 4, 5, … 100 items]'
    >>> compact(b"abc")
    '0x616263 (3 bytes)'
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT}g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {compact(each, depth + 1)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return _compact_list(list(value), depth)
    if isinstance(value, bytes):
        return f"0x{value[:8].hex()}{'…' if len(value) > 8 else ''} ({len(value)} bytes)"
    if isinstance(value, dt.datetime):
        return _time_format([value], brief=True)(value)
    if isinstance(value, dt.timedelta):
        return str(value)
    return str(value)


def _compact_list(items: list[Any], depth: int) -> str:
    if items and all(isinstance(each, tuple) and len(each) == 2 for each in items):
        return compact(dict(items), depth)  # Arrow gives a map as a list of pairs.
    shown = [compact(each, depth + 1) for each in items[:_SHOWN_ITEMS]]
    if len(items) > _SHOWN_ITEMS:
        shown.append(f"… {count(len(items))} items")
    return "[" + ", ".join(shown) + "]"


def _whole(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def formatter(values: Sequence[Any], *, brief: bool = False) -> Format:
    """Choose how the values of a column are written, from their Python types."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {float, int} and float in kinds:
        return _float_format([float(value) if value is not None else None for value in values])
    if kinds in ({dt.datetime}, {dt.time}):
        return _time_format(values, brief=brief)
    if kinds <= {int, bool, Decimal, dt.date}:
        return _whole
    return compact


def texts(values: Sequence[Any], *, brief: bool = False) -> list[str | None]:
    """Write the values of a column; None stays None. `brief` leaves out fractions of seconds.

    Examples
    --------
    >>> texts([0.5, 12.25, None, 100.0])
    ['0.50', '12.25', None, '100.00']
    """
    write = formatter(values, brief=brief)
    return [None if value is None else _clip(write(value)) for value in values]


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… {count(len(text))} characters"


def column_values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values, or as the text Arrow gives where Python has no such value."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):  # Such as a date before the year 1 or after 9999.
        return list(column.cast(pa.string()).to_pylist())


_NAMES = {
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "utinyint",
    "uint16": "usmallint",
    "uint32": "uinteger",
    "uint64": "ubigint",
    "halffloat": "float",
    "float": "float",
    "double": "double",
    "bool": "boolean",
    "string": "varchar",
    "large_string": "varchar",
    "string_view": "varchar",
    "binary": "blob",
    "large_binary": "blob",
    "date32[day]": "date",
    "month_day_nano_interval": "interval",
    "null": "null",
}


def type_name(kind: pa.DataType) -> str:
    """Name an Arrow type with the word SQL has for it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> [type_name(each) for each in (pa.int64(), pa.list_(pa.float32()), pa.timestamp("us", "UTC"))]
    ['bigint', 'float[]', 'timestamptz']
    """
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return str(kind.extension_name).rpartition(".")[2]
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pa.types.is_time(kind):
        return "time"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_dictionary(kind):
        return "enum"
    if pa.types.is_struct(kind):
        return f"struct({', '.join(kind.field(i).name for i in range(kind.num_fields))})"
    if pa.types.is_map(kind):
        return f"map({type_name(kind.key_type)}, {type_name(kind.item_type)})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"{type_name(kind.value_type)}[]"
    if pa.types.is_fixed_size_list(kind):
        return f"{type_name(kind.value_type)}[{kind.list_size}]"
    return _NAMES.get(str(kind), str(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are aligned right."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def images(table: pa.Table) -> dict[tuple[int, int], bytes]:
    """Find the cells (row, column) of a table that hold pictures."""
    from pyarrow import types

    found = {}
    for place, column in enumerate(table.columns):
        if types.is_binary(column.type) or types.is_large_binary(column.type):
            for row, value in enumerate(column.to_pylist()):
                if value is not None and len(value) <= LARGEST_IMAGE and value.startswith(tuple(IMAGE_KINDS)):
                    found[row, place] = value
    return found
