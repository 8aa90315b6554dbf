"""Lists and structs as columns of their own, for formats that have no such types.

They are named as training names the numbers of such a column: `zone.0`, `hour.sin`.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.duckdb import Cursor, execute
from workbench.names import literal, quote


def flat_columns(cursor: Cursor, query: str, columns: Sequence[str]) -> str:
    """Write the select list by which lists of one length and structs of `columns` become columns.

    Lists of different lengths, and what is nested deeper, stay as they are, as text; so does a column
    whose parts would have the name of another.
    """
    kinds = {row[0]: row[1] for row in execute(cursor, f"DESCRIBE SELECT * FROM ({query}\n)").fetchall()}
    lengths = _lengths(cursor, query, [name for name in columns if _is_list(kinds[name])])
    taken = {name.lower() for name in columns}
    listed: list[str] = []
    for name in columns:
        here = quote(name)
        parts: dict[str, str] = {}
        if kinds[name].startswith("STRUCT("):
            described = execute(cursor, f"DESCRIBE SELECT unnest({here}) FROM ({query}\n)").fetchall()
            parts = {f"{name}.{row[0]}": f"struct_extract({here}, {literal(row[0])})" for row in described}
        elif lengths.get(name):
            parts = {f"{name}.{place}": f"{here}[{place + 1}]" for place in range(lengths[name])}
        if not parts or taken & {part.lower() for part in parts}:
            parts = {name: here}
        listed += [f"{text} AS {quote(part)}" for part, text in parts.items()]
    return ", ".join(listed)


def _is_list(kind: str) -> bool:
    return kind.endswith("[]") and not kind.endswith("[][]") and not kind.startswith(("STRUCT", "MAP"))


def _lengths(cursor: Cursor, query: str, names: Sequence[str]) -> dict[str, int]:
    """Return the length of the lists of each column in which all have the same."""
    if not names:
        return {}
    asked = ", ".join(f"min(len({quote(name)})), max(len({quote(name)}))" for name in names)
    row = execute(cursor, f"SELECT {asked} FROM ({query}\n)").fetchone() or ()
    pairs = zip(names, row[::2], row[1::2], strict=True)
    return {name: low for name, low, high in pairs if low is not None and low == high}
