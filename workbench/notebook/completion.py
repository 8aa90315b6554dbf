"""Completion in magic cells, and only there, through IPython's matchers.

The kernel answers with it in every front end; while the cell is no magic, the matcher is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.language.cells import Magic, magic_at

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult

    from workbench.language.scope import Catalog

Known = Callable[[], tuple["Catalog", Mapping[str, Sequence[str]]]]
"""Gives the catalog and the names of the store that is in use, both empty where there is none."""


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
    magic = magic_at(cell, cursor)
    if magic is None:
        return {"completions": [], "suppress": False}
    cursor -= magic.start
    found = _completions(magic, cursor, known)
    begin = min((each.start for each in found), default=cursor)
    fragment = magic.text[begin:cursor]
    return {
        "completions": [
            SimpleCompletion(text=magic.text[begin : each.start] + each.text, type=each.kind)
            for each in found
        ],
        "matched_fragment": fragment,
        "suppress": True,
    }


def _completions(magic: Magic, cursor: int, known: Known) -> list[Any]:
    from workbench.language import complete

    try:
        catalog, names = known()
        return list(complete(magic.text, cursor, catalog, names))
    except WorkbenchError:
        return []  # A store that cannot be opened is told of when the cell is run.
