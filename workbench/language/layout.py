"""The SQL of a cell laid out anew. Only the space between its words changes, so it means the same."""

from __future__ import annotations

from workbench.errors import StatementError, Unsupported
from workbench.language.cells import Magic, magics
from workbench.language.check import bodies, check
from workbench.language.read import parse
from workbench.language.sql_lines import lines_of


def formatted(cell: str) -> str:
    r"""Lay out the SQL of a cell; what is not SQL stays as it is.

    Parameters
    ----------
    cell : str

    Raises
    ------
    StatementError
        If the cell has a mistake.
    Unsupported
        If the SQL cannot be laid out without a change of what it says.

    Examples
    --------
    >>> print(formatted("%%mlstore\nselect zone,count(*) as trips from trips where fare>3 group by zone"))
    %%mlstore
    select zone, count(*) as trips
    from trips
    where fare > 3
    group by zone
    """
    mistakes = check(cell)
    if mistakes:
        first = mistakes[0]
        raise StatementError(first.message, hint=first.hint, line=first.line, column=first.column)
    for magic in reversed(magics(cell)):
        cell = cell[: magic.start] + _formatted(magic) + cell[magic.end :]
    if check(cell):  # the engine takes a few characters for space, and others do not
        raise _changed()
    return cell


def _formatted(magic: Magic) -> str:
    text = magic.text
    if "\n" not in text:
        return text
    for body, language in bodies(parse(text)):
        at = text.rfind(body)
        if language == "sql" and at >= 0 and body.strip():
            text = text[:at] + laid_out(body) + text[at + len(body) :]
    return text.rstrip()


def laid_out(sql: str) -> str:
    """Lay out SQL.

    Raises
    ------
    StatementError
        If a string or comment has no end.
    Unsupported
        If it cannot be laid out without a change of what it says.

    Examples
    --------
    >>> laid_out("SELECT  1,2 -- both")
    'SELECT 1, 2 -- both'
    """
    made = lines_of(sql)
    if _said(made) != _said(sql):
        raise _changed()
    return made


def _changed() -> Unsupported:
    return Unsupported(
        "This SQL cannot be laid out without a change of what it says.", hint="It was left as it is."
    )


def _said(sql: str) -> list[tuple[object, str]]:
    """Return the tokens of SQL: the same tokens give the same tree."""
    from workbench.engines.sql_text import tokens_of

    comments = [(None, each.strip()) for token in tokens_of(sql) for each in token.comments]
    return [*((token.token_type, token.text) for token in tokens_of(sql)), *sorted(comments, key=str)]
