"""Errors that show the place, what could stand there, and the nearest word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from workbench.errors import StatementError

_SHOWN = 100


def mistake(
    text: str, offset: int, message: str, *, hint: str = "", expected: Iterable[str] = ()
) -> StatementError:
    """Make the error for something wrong at `offset` of `text`, with a caret under the place.

    Examples
    --------
    >>> print(mistake("trian late", 0, "There is no verb 'trian'.", hint="Did you mean 'train'?"))
    There is no verb 'trian'. (line 1, column 1)
        trian late
        ^
    Did you mean 'train'?
    """
    offset = min(max(offset, 0), len(text))
    start = text.rfind("\n", 0, offset) + 1
    line, column = text.count("\n", 0, offset) + 1, offset - start + 1
    shown = text[start:].partition("\n")[0].rstrip().replace("\t", " ")
    # Of a long line only the surroundings of the place are shown.
    cut = max(0, column - 1 - _SHOWN // 2) if len(shown) > _SHOWN else 0
    shown, caret = shown[cut : cut + _SHOWN], column - 1 - cut
    indent = min(caret, len(shown) - len(shown.lstrip()))
    shown, caret = shown[indent:], caret - indent
    message = f"{message} (line {line}, column {column})\n    {shown}\n    {' ' * caret}^"
    return StatementError(message, hint=hint, line=line, column=column, expected=tuple(expected))


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Suggest the nearest of the known words, whatever its case.

    Examples
    --------
    >>> did_you_mean("KYE", ["KEY", "WHEN"])
    "Did you mean 'KEY'?"
    """
    near = nearest(word, known)
    return otherwise if near is None else f"Did you mean {near!r}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is nearest to `word`, None where none is near."""
    lowered = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence: `a, b or c`."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
