"""What `describe` answers: facts, tables that say more, and charts of such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.lake.result import Result


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Rows to be drawn, and how. A room says what; the notebook draws it.

    Attributes
    ----------
    data : Result
    mark : {"line", "bar", "heat"}
        A line through the points in the order of the rows; a bar for each row, from the left, in
        their order; a coloured field for each row.
    x, y : str
        Columns of `data`. Of a bar, x is its length.
    series : str
        The column by which lines are told apart. Of a heat map, the column that is the colour.
    diagonal : bool
        Whether to draw the line x = y, to compare with.
    """

    data: Result
    mark: Literal["line", "bar", "heat"]
    x: str
    y: str
    series: str = ""
    diagonal: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """All that is to be said of a thing in the store.

    Attributes
    ----------
    name, kind : str
    facts : mapping of str to object
        Short answers, in the order to be shown.
    tables : mapping of str to Result
        Longer answers, by their title.
    charts : mapping of str to Chart
        Answers that are better seen, by their title.
    """

    name: str
    kind: str
    facts: Mapping[str, Any]
    tables: Mapping[str, Result] = field(default_factory=dict)
    charts: Mapping[str, Chart] = field(default_factory=dict)
