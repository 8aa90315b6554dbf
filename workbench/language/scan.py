"""Finding the places of a statement before it is parsed: flags, comments, the header's end, the body.

Everything here knows strings, quoted names and comments, and nothing of verbs and clauses.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from workbench.language.mistakes import mistake, nearest
from workbench.language.values import FLAGS, Flags

_PIECE = re.compile(
    r"""(?P<flag>--(?=[^\W\d_])[\w-]*)
      | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<string>(?:[eE]'(?:[^'\\]|\\.|'')*|'(?:[^']|'')*)(?:'|\Z))
      | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
      | (?P<quoted>"(?:[^"]|"")*(?:"|\Z))
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<word>[@$.]?[^\W\d][\w$]*)
      | (?P<number>\d[\w.]*)
      | (?P<space>\s+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_ARGUMENT = re.compile(r"[ \t]*=?[ \t]*([^\s;]+)")
_SEPARATOR = re.compile(r"---[ \t]*\r?")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: a word, a string, a comment, …; `kind` is a group of the expression above."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a statement.

    Attributes
    ----------
    masked : str
        The header with flags, comments and inner queries blanked out; places stay the same.
    flags : Flags
    body : int or None
        Where the body begins; None where no AS was found.
    """

    masked: str
    flags: Flags
    body: int | None


def pieces(text: str, position: int = 0, end: int | None = None) -> Iterator[Piece]:
    """Cut a text into pieces; something that is not closed reaches to the end.

    Examples
    --------
    >>> [piece.kind for piece in pieces("a 'b' -- c")]
    ['word', 'space', 'string', 'space', 'comment']
    """
    end = len(text) if end is None else end
    while position < end:
        match = _PIECE.match(text, position, end)
        assert match is not None  # the last alternative takes any character
        yield Piece(match.lastgroup or "other", position, match.end())
        position = match.end()


def sql_pieces(text: str, position: int = 0, end: int | None = None) -> Iterator[Piece]:
    """Cut SQL into pieces: in SQL, what looks like a flag is a comment."""
    end = len(text) if end is None else end
    while position < end:
        piece = next(pieces(text, position, end))
        if piece.kind == "flag":
            piece = Piece("comment", position, min(end, _line_end(text, position)))
        yield piece
        position = piece.end


def read_flag(text: str, piece: Piece, flags: Flags) -> tuple[Flags, int]:
    """Read one flag with its argument; return the flags and where it ends."""
    name = text[piece.start + 2 : piece.end].lower()
    if name not in FLAGS:
        known = [f"--{each}" for each in FLAGS]
        otherwise = f"The options are {', '.join(known)}. A comment needs a space after its dashes."
        near = nearest(name, FLAGS)
        hint = otherwise if near is None else f"Did you mean '--{near}'?"
        raise mistake(text, piece.start, f"There is no option --{name}.", hint=hint, expected=known)
    attribute = "as_" if name == "as" else name
    if getattr(flags, attribute) not in (None, False):
        raise mistake(text, piece.start, f"The option --{name} is there twice.")
    if not FLAGS[name][0]:
        return replace(flags, **{attribute: True}), piece.end  # type: ignore[arg-type]
    match = _ARGUMENT.match(text, piece.end)
    value, end = (match[1], match.end()) if match else ("", piece.end)
    if name == "limit" and value.isdecimal():
        return replace(flags, limit=int(value)), end
    if name == "as" and value.isidentifier() and not keyword.iskeyword(value):
        return replace(flags, as_=value), end
    wanted = "the name of a Python variable" if name == "as" else "a number of rows"
    raise mistake(text, piece.end, f"The option --{name} needs {wanted}.", expected=[wanted])


def _is_meant(text: str, piece: Piece) -> bool:
    """Tell an option, even a misspelt one, from a comment that has no space after its dashes."""
    return piece.kind == "flag" and nearest(text[piece.start + 2 : piece.end], FLAGS) is not None


def _line_end(text: str, position: int) -> int:
    stop = text.find("\n", position)
    return len(text) if stop < 0 else stop


def first_word(text: str) -> Piece | None:
    """Find the first word of a statement after comments and flags; None where there is another thing."""
    position = 0
    while position < len(text):
        piece = next(pieces(text, position))
        position = piece.end
        if _is_meant(text, piece):
            position = read_flag(text, piece, Flags())[1]
        elif piece.kind == "flag":
            position = _line_end(text, position)
        elif piece.kind not in ("space", "comment"):
            return piece if piece.kind == "word" else None
    return None


def is_empty(text: str) -> bool:
    """Tell whether there is nothing but space and comments."""
    return all(piece.kind in ("space", "comment") for piece in sql_pieces(text))


def take_flags(text: str) -> tuple[Flags, str]:
    """Take the flags off a line of SQL; return them and the SQL that is left.

    Examples
    --------
    >>> take_flags("select '--plan' --plan --limit 5")
    (Flags(as_=None, plan=True, limit=5, quiet=False, help=False, debug=False), "select '--plan'")
    """
    flags, left, position = Flags(), "", 0
    while position < len(text):
        piece = next(pieces(text, position))
        if _is_meant(text, piece):
            flags, position = read_flag(text, piece, flags)
            continue
        end = _line_end(text, position) if piece.kind == "flag" else piece.end
        left += text[position:end]
        position = end
    return (flags, text) if flags == Flags() else (flags, left.strip(" \t"))


def read_header(text: str, start: int) -> Header:
    """Find the flags and the end of the header that starts at `start` (the verb).

    Raises
    ------
    StatementError
        If a quote or parenthesis is not closed, or an option is unknown.
    """
    masked, flags, depth, position = list(text), Flags(), 0, 0  # flags may stand before the verb too
    inner = query_span(text, start)
    while position < len(text):
        piece = next(pieces(text, position))
        end = piece.end
        if inner is not None and piece.start == inner[0]:
            end = inner[1]
            _blank(masked, piece.start + 1, end - 1)
        elif piece.kind == "flag":
            flags, end = read_flag(text, piece, flags)
            _blank(masked, piece.start, end)
        elif piece.kind == "comment":
            _blank(masked, piece.start, end)
        elif piece.kind in ("string", "quoted"):
            check_closed(text, piece)
        elif piece.kind in ("open", "close"):
            depth += 1 if piece.kind == "open" else -1
        elif depth <= 0 and text[piece.start : end].lower() == "as":
            flags, end = _flags_after(text, end, flags)
            return Header("".join(masked[: piece.start]), flags, _body_start(text, end))
        position = end
    return Header("".join(masked), flags, None)


def _flags_after(text: str, position: int, flags: Flags) -> tuple[Flags, int]:
    """Read flags that stand right behind AS on its line; return them and where they end."""
    last = position
    while position < len(text):
        piece = next(pieces(text, position))
        if piece.kind == "space" and "\n" not in text[piece.start : piece.end]:
            position = piece.end
        elif _is_meant(text, piece):
            flags, position = read_flag(text, piece, flags)
            last = position
        else:
            break
    return flags, last


def check_closed(text: str, piece: Piece) -> None:
    """Raise the error for a string or quoted name that has no end."""
    quote = text[piece.start] if text[piece.start] in "'\"" else "'"
    inside = text[piece.start : piece.end].lstrip("eE")[1:]
    if not inside.endswith(quote) or inside.count(quote) % 2 == 0:
        raise mistake(text, piece.start, f"The {quote} here is not closed.", expected=[quote])


_OF_QUERIES = ("explore", "export")
"""The verbs that a query in parentheses can follow."""


def query_span(text: str, start: int) -> tuple[int, int] | None:
    """Find the parenthesised query right after a verb: from its ( to behind its )."""
    verb = next(pieces(text, start), None)
    if verb is None or text[verb.start : verb.end].lower() not in _OF_QUERIES:
        return None
    skipped = ("space", "comment", "flag")
    opening = next((each for each in pieces(text, verb.end) if each.kind not in skipped), None)
    if opening is None or text[opening.start] != "(":
        return None
    depth = 0
    for piece in sql_pieces(text, opening.start):
        depth += {"open": 1, "close": -1}.get(piece.kind, 0)
        if depth == 0:
            return opening.start, piece.end
    raise mistake(text, opening.start, "The ( here is not closed.", expected=[")"])


def _blank(masked: list[str], start: int, end: int) -> None:
    masked[start:end] = [each if each == "\n" else " " for each in masked[start:end]]


def _body_start(text: str, end: int) -> int:
    match = re.compile(r"[ \t\f\v]*(?:\r?\n)?").match(text, end)
    assert match is not None  # the expression takes nothing too
    return match.end()


def split_file(text: str) -> list[tuple[int, str]]:
    r"""Split a file into its statements, at lines that are just `---`.

    Parameters
    ----------
    text : str
        What the file holds.

    Returns
    -------
    list of (int, str)
        The number of each statement's first line, counted from 1, and its text, untouched.
        Stretches of nothing but comments are left out.

    Examples
    --------
    >>> split_file("tables\n---\nselect 1\n")
    [(1, 'tables\n'), (3, 'select 1\n')]
    """
    found: list[tuple[int, str]] = []
    first, lines = 1, list[str]()
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):
        if _SEPARATOR.fullmatch(line.rstrip("\n")):
            found.append((first, "".join(lines)))
            first, lines = number + 1, []
        else:
            lines.append(line)
    found.append((first, "".join(lines)))
    return [(number, chunk) for number, chunk in found if not is_empty(chunk)]
