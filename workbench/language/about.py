"""What to say of the word under the pointer: the same as completion says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.language.cells import magic_at
from workbench.language.complete import Names, complete
from workbench.language.complete_sql import Completion
from workbench.language.scope import Catalog

_WORD = re.compile(r'--\w+|"[^"\n]*"|[^\W\d]\w*(?:@\w+)?')


@dataclass(frozen=True, slots=True)
class About:
    """What there is to say of a word in a cell.

    Attributes
    ----------
    start, end : int
        The word.
    kind : str
        As completion has it.
    title, text : str
        A line that shows how it is written, and what it does or is.
    """

    start: int
    end: int
    kind: str
    title: str
    text: str


def about(cell: str, offset: int, catalog: Catalog, names: Names) -> About | None:
    r"""Say what the word at an offset of a cell is; None where nothing is known of it.

    Parameters
    ----------
    cell : str
    offset : int
    catalog, names : mapping
        As for `complete`.

    Examples
    --------
    >>> about("%%mlstore\nselect one_hot(zone) from trips", 20, {}, {}).title
    "one_hot(c[, max[, least[, 'other']]])"
    >>> about("%%mlstore refit f", 12, {}, {}).text.partition("\n")[0]
    'Fit the statistics of a transform again: a new version of it.'
    """
    magic = magic_at(cell, offset)
    word = None if magic is None else _word(magic.text, offset - magic.start)
    if magic is None or word is None:
        return None
    start, end = word
    written = magic.text[start:end].lower()
    for each in complete(magic.text, end, catalog, names):
        said = each.text.lower()
        if said == written or (each.kind == "clause" and said.split()[0] == written):
            title, text = _said(each)
            return About(magic.start + start, magic.start + end, each.kind, title, text) if text else None
    return None


def _word(text: str, offset: int) -> tuple[int, int] | None:
    return next(
        (match.span() for match in _WORD.finditer(text) if match.start() <= offset < match.end()), None
    )


def _said(found: Completion) -> tuple[str, str]:
    first, _, rest = found.help.partition("\n")
    if found.kind in ("function", "clause"):
        return found.detail, found.help
    if found.kind == "option":
        return f"{found.text} {found.detail}".strip(), found.help
    return (first, rest.strip()) if rest else (found.text, first)
