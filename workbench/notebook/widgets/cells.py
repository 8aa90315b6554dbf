"""Rows as the texts that a widget shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.plain.values import column_values, is_number, texts, type_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.distribution import Distribution


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Write the rows of a table, each as `{"cells": …}`; NULL is None.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows(pa.table({"id": [1, 2], "km": [0.5, None]}))
    [{'cells': ('1', '0.5')}, {'cells': ('2', None)}]
    """
    written = [texts(column_values(column)) for column in table.columns]
    return [{"cells": row} for row in zip(*written, strict=True)]


def columns(table: pa.Table) -> list[dict[str, Any]]:
    """Describe the columns of a table: name, type, and whether values stand right."""
    return [
        {"name": each.name, "type": type_name(each.type), "right": is_number(each.type)}
        for each in table.schema
    ]


def distribution(found: Distribution) -> dict[str, Any]:
    """Write how the values of a column are distributed, as `profile.js` draws it."""
    ends = {f"{each}Short": _short(getattr(found, each), found.kind) for each in ("low", "high")}
    return {**asdict(found), **ends}


def _short(value: str | None, kind: str) -> str:
    """Write an end of a range so that two of them fit under a chart.

    Examples
    --------
    >>> _short("199999", "number"), _short("0.125", "number"), _short("2024-01-01 12:30:00", "time")
    ('200k', '0.125', '2024-01-01')
    """
    if value is None or kind not in ("number", "time"):
        return ""
    if kind == "time":
        return value[:10]
    number = float(value)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(number) < 1e13:
            return f"{number / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{number:.4g}"


def differences(table: pa.Table) -> list[dict[str, Any]]:
    """Write the rows of a difference: with what became of each as `tone`, and changed cells `marked`.

    Its first column says what became of a row; the column of lists, where there is one, names the
    columns that changed, which follow as `x_before` and `x_after`.
    """
    change = table.column(0).to_pylist()
    lists = [place for place, each in enumerate(table.schema) if type_name(each.type) == "varchar[]"]
    which = table.column(lists[0]).to_pylist() if lists else [None] * table.num_rows
    places = {name: place for place, name in enumerate(table.column_names)}
    return [
        row | {"tone": kind, "marked": _marked(names or (), places)}
        for row, kind, names in zip(rows(table), change, which, strict=True)
    ]


def _marked(names: Sequence[str], places: dict[str, int]) -> list[int]:
    wanted = [f"{name}_{side}" for name in names for side in ("before", "after")]
    return [places[each] for each in wanted if each in places]
