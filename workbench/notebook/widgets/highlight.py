"""A transform's statement cut into pieces of one colour."""

from __future__ import annotations

from workbench.language.scan import pieces
from workbench.transform.steps import STEPS

_MAGIC = "%%mlstore"
_HEADER = ("transform", "ON", "KEY", "WHEN", "REFIT", "AS")
_TRIGGERS = ("manual", "on", "write", "changed", "every", "cron", "or", "and")
_WORDS = frozenset((*_HEADER, *_TRIGGERS, "select", "as", "from"))
_KINDS = {"string": "text", "number": "number", "comment": "comment"}


def highlighted(cell: str) -> list[tuple[str, str]]:
    r"""Cut a cell into pieces: what each is, and its text.

    Examples
    --------
    >>> highlighted("%%mlstore transform f AS\nselect min_max(a)")[:4]
    [('magic', '%%mlstore'), ('', ' '), ('word', 'transform'), ('', ' f ')]
    """
    start = len(_MAGIC) if cell.startswith(_MAGIC) else 0
    found = [("magic", cell[:start])] if start else []
    for piece in pieces(cell, start):
        text = cell[piece.start : piece.end]
        kind = _KINDS.get(piece.kind, "")
        if piece.kind == "word":
            called = text in STEPS and cell[piece.end : piece.end + 1] == "("
            kind = "call" if called else "word" if text in _WORDS else ""
        if found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + text)
        else:
            found.append((kind, text))
    return found
