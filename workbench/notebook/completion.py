"""Completion in magic cells, and only there, through IPython's matchers.

The kernel answers with it in every front end; while the cell is no magic, the matcher is silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult

_CELL = re.compile(r"\s*(?=%%mlstore\b)")
_LINE = re.compile(r"\s*(?:[A-Za-z_]\w*\s*=\s*)?(?=%mlstore\b)")

Known = Callable[[], tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]]
"""Gives the catalog and the names of the store that is in use, both empty where there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """The magic around the cursor: its text from the `%` on, and the cursor in it."""

    text: str
    cursor: int


def statement_at(cell: str, cursor: int) -> Place | None:
    r"""Find the magic that the cursor is in; None outside of magics.

    Examples
    --------
    >>> statement_at("x = 1\ny = %mlstore tab\nz", 22)
    Place(text='%mlstore tab', cursor=12)
    >>> statement_at("x = 1", 5) is None
    True
    """
    head = _CELL.match(cell)
    start, end = (head.end(), len(cell)) if head is not None else (None, 0)
    if start is None:
        line = _LINE.match(cell, cell.rfind("\n", 0, cursor) + 1)
        if line is None:
            return None
        start, end = line.end(), cell.find("\n", cursor)
    if cursor < start:
        return None
    return Place(cell[start : end if end >= 0 else len(cell)], cursor - start)


def offset(cell: str, line: int, column: int) -> int:
    """Turn a line and a column, both from 0, into an offset."""
    return sum(len(each) + 1 for each in cell.split("\n")[:line]) + column


def matcher(known: Known) -> Any:
    """Make the matcher to append to `ip.Completer.custom_matchers`."""
    from IPython.core.completer import context_matcher

    @context_matcher(identifier="mlstore", priority=1000)  # type: ignore[untyped-decorator]
    def mlstore_matcher(context: CompletionContext) -> SimpleMatcherResult:
        return matches(context.full_text, context.cursor_line, context.cursor_position, known)

    return mlstore_matcher


def matches(cell: str, line: int, column: int, known: Known) -> SimpleMatcherResult:
    """Return what can stand at a place in a cell; nothing, and no opinion, outside of magics."""
    from IPython.core.completer import SimpleCompletion

    cursor = offset(cell, line, column)
    place = statement_at(cell, cursor)
    if place is None:
        return {"completions": [], "suppress": False}
    found = _completions(place, known)
    begin = min((each.start for each in found), default=place.cursor)
    fragment = place.text[begin : place.cursor]
    return {
        "completions": [
            SimpleCompletion(text=place.text[begin : each.start] + each.text, type=each.kind)
            for each in found
        ],
        "matched_fragment": fragment,
        "suppress": True,
    }


def _completions(place: Place, known: Known) -> list[Any]:
    from workbench.language import complete

    try:
        catalog, names = known()
        return list(complete(place.text, place.cursor, catalog, names))
    except WorkbenchError:
        return []  # A store that cannot be opened is told of when the cell is run.
