"""Reading statements: from a notebook cell, from a file, from a Python call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from workbench.errors import StatementError
from workbench.language.kinds import SQL_WORDS
from workbench.language.mistakes import did_you_mean, listed, mistake
from workbench.language.scan import first_word, is_empty, pieces, read_flag, read_header, take_flags
from workbench.language.statement import Statement, body_of, parts
from workbench.language.statements import Help, Sql
from workbench.language.values import Flags
from workbench.language.verbs import METHODS, VERBS

MAGIC = re.compile(r"\s*%%?mlstore(?=\s|\Z)")
"""The word that starts a cell of the language."""

_NEXT = r"\s+(?!--)[^\s;]"
_THINGS = (
    "table|view|schema|macro|function|index|sequence|type|secret|persistent|temporary|materialized|trigger"
    "|database|aggregate"
)
# Where a verb of the language is a word of SQL too: what follows it in SQL.
SQL_SHAPES = {
    "drop": rf"\s+(?:{_THINGS})\b{_NEXT}",
    "load": r"\s*'|\s+[\w.]+\s*;?\s*\Z|\s*\"[^\"]*\"\s*;?\s*\Z",
    "export": r"\s+database\b(?!\s+(?:to|format)\b)",
    "describe": rf"\s*[('$]|\s+(?:select|with|from|values|table|pivot|unpivot|summarize|show)\b{_NEXT}",
}


def parse(text: str) -> Statement:
    """Read one statement.

    Text whose first word is a verb of the language is a statement, other text is SQL. An optional
    `%mlstore` or `%%mlstore` in front is left out.

    Parameters
    ----------
    text : str
        The statement, with its body after AS.

    Returns
    -------
    Statement

    Raises
    ------
    StatementError
        If the text is neither; it says the place, what could stand there, and the nearest word.

    Examples
    --------
    >>> parse("diff flights@3 flights@9").call().to_python()
    'store.diff("flights", 3, 9)'
    >>> parse("select 1").call().to_python()
    'store.sql("select 1")'
    """
    magic = MAGIC.match(text)
    if magic is not None:
        # The places of mistakes are counted in the text as it was given.
        return _read_magic(re.sub(r"[^\n]", " ", magic[0]) + text[magic.end() :], magic.end())
    verb = verb_of(text)
    if verb is not None:
        return _read_statement(text, verb)
    flags, query = take_flags(text) if "\n" not in text.strip() else (Flags(), text)
    return _read_sql(text, query, flags)


def parse_cell(line: str, cell: str | None = None) -> Statement:
    r"""Read a cell of a notebook.

    Parameters
    ----------
    line : str
        What stands after `%%mlstore` or `%mlstore`.
    cell : str or None
        The lines below; None for a line magic.

    Returns
    -------
    Statement

    Raises
    ------
    StatementError
        As `parse`. Lines are counted from the line of the magic, columns from behind its name.

    Examples
    --------
    >>> parse_cell("", "tables").verb
    'sql'
    >>> parse_cell("transform late ON flights", "KEY (id) AS\nselect id from flights").query
    'select id from flights'
    """
    return _read_magic(line if cell is None else f"{line}\n{cell}", 0)


def _read_magic(text: str, start: int) -> Statement:
    line, newline, rest = text[start:].partition("\n")
    # With what stands before it, so that the places of mistakes are those in the whole text.
    flags, left = take_flags(text[:start] + line)
    if is_empty(left):
        for piece in pieces(left):
            if piece.kind == "flag":
                read_flag(text, piece, flags)
        return _read_sql(text, rest, flags)
    verb = verb_of(text)
    if verb is not None:
        return _read_statement(text, verb)
    return _read_sql(text, left.lstrip() + newline + rest, flags)


def _read_sql(text: str, query: str, flags: Flags) -> Statement:
    if flags.help:
        return Help(flags=flags)
    if is_empty(query):
        hint = f"Write SQL, or a statement that starts with {listed(VERBS)}."
        raise mistake(text, len(text.rstrip()), "There is nothing to run.", hint=hint)
    return Sql(query=query, flags=flags)


def verb_of(text: str) -> str | None:
    """Return the verb a text starts with; None where the text is SQL."""
    piece = first_word(text)
    if piece is None:
        return None
    word = text[piece.start : piece.end].lower()
    shape = SQL_SHAPES.get(word)
    if word in VERBS and not (shape and re.match(shape, text[piece.end :], re.IGNORECASE)):
        return word
    if word in SQL_WORDS:
        return None
    hint = did_you_mean(word, [*VERBS, *SQL_WORDS], otherwise=f"The verbs are {', '.join(VERBS)}.")
    raise mistake(text, piece.start, f"There is no verb '{word}'.", hint=hint, expected=VERBS)


def _read_statement(text: str, verb: str) -> Statement:
    from workbench.language import grammar  # lark is imported when the first statement is read

    word = first_word(text)
    header = read_header(text, 0 if word is None else word.start)
    if header.flags.help:
        return Help(topic=verb, flags=header.flags)
    found: dict[str, Any] = {}
    for said in grammar.read(text, header.masked, verb):
        if said.part.fields[0] in found:
            raise mistake(text, said.start, f"{said.part.keyword} is there twice.")
        found |= zip(said.part.fields, said.values, strict=True)
    end = len(header.masked.rstrip())
    _check(text, end, VERBS[verb], found)
    found |= _body(text, end, VERBS[verb], header.body)
    return VERBS[verb](flags=header.flags, **found)


def _check(text: str, end: int, verb: type[Statement], found: Mapping[str, Any]) -> None:
    for part in parts(verb):
        if part.required and part.kind_name != "body" and part.fields[0] not in found:
            message = f"{verb.verb} needs {part.synopsis}."
            raise mistake(text, end, message, hint=part.help, expected=[part.keyword])
    if "features" in found and "exclude" in found:
        hint = "Name the columns in one of them."
        raise mistake(text, end, "FEATURES and EXCEPT cannot both stand.", hint=hint)


def _body(text: str, end: int, verb: type[Statement], start: int | None) -> dict[str, Any]:
    part = body_of(verb)
    if part is None:
        if start is not None:
            raise mistake(text, end, f"{verb.verb} takes no body.", hint="Leave out AS and what follows.")
        return {}
    if start is None or not text[start:].strip():
        message = f"{verb.verb} needs a body."
        raise mistake(text, end, message, hint=f"Write AS, and below it: {part.help}", expected=["AS"])
    return {part.fields[0]: text[start:]}


def from_call(method: str, arguments: Mapping[str, Any]) -> Statement:
    """Make the statement that says a call of the Store.

    Parameters
    ----------
    method : str
        The name of the Store's method.
    arguments : mapping
        Its arguments by name.

    Returns
    -------
    Statement
        With the values as `parse` gives them: lists have become tuples, triggers have their
        normal form.

    Raises
    ------
    StatementError
        If there is no such method or argument, or a value cannot be said in a statement.

    Examples
    --------
    >>> print(from_call("load", {"table": "trips", "source": "trips.csv", "key": ["id"]}))
    load trips FROM 'trips.csv' KEY (id)
    """
    if method not in METHODS:
        hint = did_you_mean(method, METHODS, otherwise=f"There is: {', '.join(METHODS)}.")
        raise StatementError(f"There is no statement for store.{method}().", hint=hint)
    verb = METHODS[method]
    _check_arguments(verb, arguments)
    source = arguments.get("source")
    if method == "load" and not isinstance(source, str):
        # A data frame has no text; everything else is read as if it were a variable's.
        placed = from_call(method, {**arguments, "source": "-"})
        return replace(placed, source=source)  # type: ignore[call-arg]
    return _said_again(verb(**arguments))


def _check_arguments(verb: type[Statement], arguments: Mapping[str, Any]) -> None:
    known = {each.name: each.default for each in fields(verb) if each.name != "flags"}
    nullable = {part.fields[0] for part in parts(verb) if part.kind_name in ("values", "name or all")}
    for name, value in arguments.items():
        if name not in known:
            hint = did_you_mean(name, known, otherwise=f"It takes {', '.join(known) or 'none'}.")
            raise StatementError(f"{verb.verb} takes no argument {name!r}.", hint=hint)
        if value is None and known[name] is not None and name not in nullable:
            raise StatementError(f"{verb.verb} needs a value for {name}.")
    missing = [name for name, default in known.items() if default is MISSING and name not in arguments]
    if missing:
        raise StatementError(f"{verb.verb} needs {listed(missing)}.")


def _said_again(statement: Statement) -> Statement:
    """Write a statement and read it: so its values are checked and in their normal form."""
    try:
        text = str(statement)
    except (TypeError, AttributeError, ValueError) as error:
        raise StatementError(f"The arguments of {statement.verb} cannot be written: {error}.") from error
    again = parse(text)
    asked, read = statement.call().arguments, again.call().arguments
    part = body_of(type(statement))
    # A value such as when="manual LABEL x" would say more than one thing.
    same_body = part is None or read[part.fields[0]] == asked[part.fields[0]]
    if (
        (again.verb, again.flags) != (statement.verb, statement.flags)
        or set(read) - set(asked)
        or not same_body
    ):
        raise StatementError(f"The arguments of {statement.verb} do not make one statement: {text}")
    return again
