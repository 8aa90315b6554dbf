"""The statements in a notebook cell: the whole cell after `%%mlstore`, or lines with `%mlstore`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CELL = re.compile(r"\s*(?=%%mlstore(?:\s|\Z))")
_LINE = re.compile(r"^[ \t]*(?:[A-Za-z_]\w*[ \t]*=[ \t]*)?(?=%mlstore(?:\s|\Z))", re.MULTILINE)


NOTEBOOK_WORDS = ("connect", "template")
"""The words after `%mlstore` that only a notebook has."""


@dataclass(frozen=True, slots=True)
class Magic:
    """A magic of the language in a cell.

    Attributes
    ----------
    text : str
        From the `%` on: to the end of the cell, or of the line.
    start : int
        Where it begins in the cell.
    """

    text: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends in the cell."""
        return self.start + len(self.text)


def magics(cell: str) -> list[Magic]:
    r"""List the magics in a cell.

    Examples
    --------
    >>> magics("x = 1\ny = %mlstore tables\nz")
    [Magic(text='%mlstore tables', start=10)]
    >>> magics("x = 1")
    []
    """
    head = _CELL.match(cell)
    if head is not None:
        return [Magic(cell[head.end() :], head.end())]
    starts = [match.end() for match in _LINE.finditer(cell)]
    return [Magic(cell[start:].partition("\n")[0], start) for start in starts]


def magic_at(cell: str, cursor: int) -> Magic | None:
    r"""Find the magic that the cursor is in; None outside of magics.

    Examples
    --------
    >>> magic_at("x = 1\ny = %mlstore tab\nz", 22)
    Magic(text='%mlstore tab', start=10)
    >>> magic_at("x = 1", 5) is None
    True
    """
    return next((each for each in magics(cell) if each.start <= cursor <= each.end), None)
