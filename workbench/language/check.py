"""What is wrong in a cell, and where: before it is run, and from the error of a run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.errors import StatementError, WorkbenchError
from workbench.language.cells import NOTEBOOK_WORDS, Magic, magics
from workbench.language.read import MAGIC, parse
from workbench.language.scan import first_word, is_empty
from workbench.language.statement import Statement, body_of

_TOKEN = re.compile(r'--[\w-]+|"[^"\n]*"?|\'[^\'\n]*\'?|[@$]?\w+|\S')
_PLACE_SAID = re.compile(r" \(line \d+, column \d+\)\n.*", re.DOTALL)
_ENGINE_PLACE = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE)
_NEAR = re.compile(r'at or near "([^"]+)"')
_NAMED = re.compile(r"[\"'(]([^\"'()\n]+)[\"')]")
_PYTHON = ("python", "ibis")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that is wrong in a cell.

    Attributes
    ----------
    start, end : int
        What to underline.
    line, column : int
        Where that begins, both counted from 1.
    message, hint : str
        What is wrong, and what to do next.
    """

    start: int
    end: int
    line: int
    column: int
    message: str
    hint: str


def check(cell: str) -> list[Mistake]:
    r"""Find what is wrong in the statements of a cell, without running anything.

    Parameters
    ----------
    cell : str
        The whole cell, Python around `%mlstore` lines included.

    Returns
    -------
    list of Mistake
        At most one for each statement: the first, which often brings about the rest.

    Examples
    --------
    >>> found = check("%%mlstore trian late")
    >>> found[0].message, found[0].hint, (found[0].start, found[0].end)
    ("There is no verb 'trian'.", "Did you mean 'train'?", (10, 15))
    >>> check("%%mlstore\nselect 1 frm t")[0].message
    'syntax error at or near "t"'
    >>> check("print('no magic')")
    []
    """
    return [found for magic in magics(cell) for found in _check_magic(cell, magic)]


def _check_magic(cell: str, magic: Magic) -> Iterable[Mistake]:
    rest = magic.text[len(MAGIC.match(magic.text)[0]) :]  # type: ignore[index]
    if is_empty(rest) or _is_of_the_notebook(rest):
        return
    try:
        statement = parse(magic.text)
    except StatementError as error:
        yield _mistake(cell, magic.start + _offset(magic.text, error.line, error.column), error)
        return
    for body, language in bodies(statement):
        at = magic.text.rfind(body)
        start = magic.start + max(at, 0)
        try:
            place = _check_body(body, language)
        except WorkbenchError as error:
            yield _mistake(cell, start + _first(body), error)
            continue
        if place is not None:
            yield _mistake(cell, start + place[0] if at >= 0 else magic.start, place[1])


def _is_of_the_notebook(rest: str) -> bool:
    word = first_word(rest)
    return word is not None and rest[word.start : word.end].lower() in NOTEBOOK_WORDS


def bodies(statement: Statement) -> Iterable[tuple[str, str]]:
    """Give the body of a statement and the language it is in, if it has one."""
    part = body_of(type(statement))
    if part is not None:
        yield getattr(statement, part.fields[0]), getattr(statement, "using", "sql")


def _check_body(body: str, language: str) -> tuple[int, WorkbenchError] | None:
    """Ask the body's own parser; return the place and the error of what it cannot read."""
    if language in _PYTHON:
        try:
            ast.parse(body)
        except SyntaxError as error:
            return _offset(body, error.lineno, error.offset), StatementError(f"{error.msg}.")
        return None
    from workbench.engines.duckdb import classify

    try:
        classify(body)
    except StatementError as error:
        place = _engine_place(body, error.message)
        return None if place is None else (place, error)
    return None


def mistakes_of_run(cell: str, error: str) -> list[Mistake]:
    r"""Find the place in a cell that the error of its run speaks of.

    Parameters
    ----------
    cell : str
    error : str
        The text of the error, as the kernel sent it.

    Returns
    -------
    list of Mistake
        One, or none where no place is known.

    Examples
    --------
    >>> found = mistakes_of_run("%%mlstore\nselect fare from tripps", "There is no table 'tripps'.")
    >>> found[0].start, found[0].end
    (27, 33)
    """
    known = magics(cell)
    message, _, more = error.partition("\n\nLINE ")
    said = WorkbenchError(message.strip(), hint=more.partition("^")[2].strip())
    for magic in known:
        body = _header_end(magic.text)
        place = _engine_place(magic.text[body:], error)
        if place is not None:
            return [_mistake(cell, magic.start + body + place, said)]
    named = _NAMED.findall(error.partition("\n")[0])
    places = [
        (_is_own(magic.text, found.start()), magic.start + found.start())
        for name in named
        for magic in known
        if (found := re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", magic.text)) is not None
    ]
    # What the statement makes is named in its errors too; it is to blame where nothing else is.
    return [_mistake(cell, min(places, key=lambda each: each[0])[1], said)] if places else []


def _is_own(text: str, offset: int) -> bool:
    """Tell whether a place is that of the name right behind the verb."""
    return re.fullmatch(r"%%?mlstore\s+\w+\s+", text[:offset]) is not None


def _header_end(text: str) -> int:
    """Return where the text that an engine counts lines in begins: behind AS, or the line of the magic."""
    from workbench.language.scan import read_header

    magic = MAGIC.match(text)
    start = magic.end() if magic else 0
    newline = text.find("\n") + 1 or len(text)
    if is_empty(text[start:newline]):
        return newline
    word = first_word(text[start:])
    try:
        header = read_header(text, start + (word.start if word else 0))
    except StatementError:
        return start
    return start if header.body is None else header.body


def _engine_place(sql: str, error: str) -> int | None:
    """Find the place that DuckDB shows as `LINE n: …` with a caret; of a long line it shows a part."""
    shown = _ENGINE_PLACE.search(error)
    if shown is None:
        return None
    number, text, caret = int(shown[1]), shown[2], len(shown[3]) - len(f"LINE {shown[1]}: ")
    lines = sql.split("\n")
    cut = text.removeprefix("...").removesuffix("...")
    at = lines[number - 1].find(cut) if number <= len(lines) else -1
    near = _NEAR.search(error)
    said = near[1] if near else next(iter(_TOKEN.findall(text[max(caret, 0) :])), "")
    if at < 0:
        # The engine was given the text as a part of another one.
        found = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", sql) if said else None
        return found.start() if found else None
    column = max(at + caret - (len(text) - len(text.removeprefix("..."))), 0)
    if near:
        # The caret does not stand right behind letters of several bytes; the word does.
        places = [each.start() for each in re.finditer(re.escape(said), lines[number - 1])]
        column = min(places, key=lambda each: abs(each - column), default=column)
    return sum(len(each) + 1 for each in lines[: number - 1]) + column


def _mistake(cell: str, offset: int, error: WorkbenchError) -> Mistake:
    start, end = _span(cell, offset)
    message = _PLACE_SAID.sub("", error.message).partition("\n\nLINE ")[0].strip()
    message = re.sub(r"\A(?:Parser|Binder|Catalog) Error: ", "", message)
    line = cell.count("\n", 0, start) + 1
    return Mistake(start, end, line, start - cell.rfind("\n", 0, start), message, error.hint)


def _span(cell: str, offset: int) -> tuple[int, int]:
    """Return the word at an offset; where none is, the last one before it."""
    found = _TOKEN.match(cell, min(offset, len(cell)))
    if found is None:
        before = list(_TOKEN.finditer(cell[:offset]))
        return before[-1].span() if before else (offset, offset)
    return found.span()


def _offset(text: str, line: int | None, column: int | None) -> int:
    lines = text.split("\n")
    before = lines[: (line or 1) - 1]
    return min(sum(len(each) + 1 for each in before) + (column or 1) - 1, len(text))


def _first(body: str) -> int:
    """Return where the first word of a body is."""
    return len(body) - len(body.lstrip())
