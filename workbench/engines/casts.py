"""Values of one type as another that a model takes: only where nothing is lost, and value by value.

This is the one place that says what that means. A text that reads as a number, a date or a truth can
be given for one. A whole number fits into any kind of number that is wide enough; a fraction is no
whole number. A whole number, a truth and a date are written in one way, so they can be given for a
text; other numbers are written in several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines.duckdb import execute, scratch, type_name
from workbench.errors import InvalidData, InvalidRows

if TYPE_CHECKING:
    import pyarrow as pa

_FAMILIES = {
    **{f"{sign}{size}INT": "whole" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")},
    **dict.fromkeys(("INTEGER", "UINTEGER"), "whole"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "floating"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "time"),
    "TIMESTAMP WITH TIME ZONE": "time",
    "DATE": "date",
    "TIME": "clock",
    "BOOLEAN": "boolean",
    "VARCHAR": "text",
}
_NUMBERS = ("whole", "floating", "decimal", "boolean")
_POSSIBLE = {
    "text": (*_NUMBERS, "time", "date", "clock"),
    "whole": (*_NUMBERS, "text"),
    "boolean": (*_NUMBERS, "text"),
    "floating": _NUMBERS,
    "decimal": _NUMBERS,
    "time": ("time", "date"),
    "date": ("time", "date", "text"),
}
"""What each kind of values can be given for, if the values themselves allow it."""

_SHOWN = 60


def family(kind: str) -> str:
    """Return the kind of values of a type of the engine's; the type itself where it is the only one.

    Examples
    --------
    >>> family("UTINYINT"), family("DECIMAL(9,2)"), family("BLOB")
    ('whole', 'decimal', 'BLOB')
    """
    if kind.startswith("ENUM"):
        return "text"
    return "decimal" if kind.startswith("DECIMAL") else _FAMILIES.get(kind, kind)


def fits(given: str, kind: str) -> bool:
    """Say whether values of the type `given` can be used as `kind` as they are.

    Any number can be used as a floating-point one: that is how precise models are. What is no plain
    value, such as a list, is left to whoever takes it.

    Examples
    --------
    >>> fits("INTEGER", "DOUBLE"), fits("DOUBLE", "INTEGER"), fits("VARCHAR", "DOUBLE")
    (True, False, False)
    """
    if family(kind) == kind:
        return True
    if family(kind) == "floating":
        return family(given) in _NUMBERS
    return given == kind or (family(given) == family(kind) and family(kind) not in ("whole", "decimal"))


def cast(values: pa.Array, kind: str, column: str, model: str) -> pa.Array:
    """Convert a column to a type that a model takes, where nothing is lost; NaN counts as missing.

    Parameters
    ----------
    kind : str
        A type, as DuckDB calls it.
    column, model : str
        For errors.

    Raises
    ------
    InvalidData
        If values of their type can never be given for that one.
    InvalidRows
        If some of the values cannot, with each of them.

    Examples
    --------
    >>> import pyarrow as pa
    >>> cast(pa.array(["1", " 2.5", None]), "DOUBLE", "price", "fare@1").to_pylist()
    [1.0, 2.5, None]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == len(values):
        values = pa.nulls(len(values), pa.string())  # Of a plain NULL the engine makes a whole number.
    given = type_name(values.type)
    if values.null_count < len(values) and family(kind) not in _POSSIBLE.get(family(given), ()):
        raise InvalidData(
            f"The column {column!r} holds {given} where {model} takes {kind}.",
            hint=f"Convert it in the query of the table, as in CAST({column} AS {kind}).",
        )
    with scratch() as cursor:
        cursor.register("given", pa.table({"x": values}))
        x = "nullif(x, 'NaN'::DOUBLE)" if family(given) == "floating" else "x"
        found = execute(
            cursor,
            f"SELECT y, x IS NULL OR coalesce({_kept(given, kind)}, false) AS fits "
            f"FROM (SELECT x, TRY_CAST(x AS {kind}) AS y FROM (SELECT {x} AS x FROM given))",
        ).to_arrow_table()
    places = pc.indices_nonzero(pc.invert(whole(found["fits"]))).to_pylist()
    if places:
        bad = {place: f"{column} is {_shown(values[place])}, not {kind}" for place in places}
        raise InvalidRows(
            f"The column {column!r} holds {given} where {model} takes {kind}, and {len(bad):,} of "
            f"{len(values):,} values cannot be that: {bad[places[0]]}.",
            hint=f"Mend them, or leave their rows out; TRY_CAST({column} AS {kind}) makes them NULL.",
            rows=bad,
        )
    return whole(found["y"])


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column
    return pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _kept(given: str, kind: str) -> str:
    """Write the condition that `y` is the same as the value `x` that it was made from."""
    if family(given) != "text":
        return f"TRY_CAST(y AS {given}) = x"
    if family(kind) == "floating":
        return "isfinite(y)"
    return "TRY_CAST(x AS DOUBLE) = y" if family(kind) in ("whole", "decimal") else "y IS NOT NULL"


def _shown(value: pa.Scalar) -> str:
    text = repr(value.as_py())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
