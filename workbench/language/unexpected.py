"""What to say when a header does not follow the grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from workbench.errors import StatementError
from workbench.language.kinds import SQL_WORDS
from workbench.language.mistakes import did_you_mean, listed, mistake
from workbench.language.statement import Statement, body_of
from workbench.language.verbs import VERBS, clauses, takers

_SHOWN = {
    "IDENTIFIER": "a name",
    "STRING": "a text in single quotes",
    "ELSEWHERE": "a model from elsewhere such as mlflow:name",
    "NUMBER": "a number",
    "INTEGER": "a whole number",
    "VERSION": "@version",
    "MOMENT": "@'time'",
    "VARIABLE": "$variable",
    "_AT_LEAST": ">=",
    "COMPARE": "a comparison such as >=",
    "SIGN": "+ or -",
    "PERCENT": "%",
    "LOG": "log",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "DOT": ".",
    "COLON": ":",
    "LBRACE": "{",
    "RBRACE": "}",
    "LSQB": "[",
    "RSQB": "]",
    "$END": "the end",
}
_WORD = re.compile(r'"[^"\n]*"?|\'[^\'\n]*\'?|@?\w+(?:\.\d+)?|\S')
_STARTS = SQL_WORDS | {"def", "class", "async", "lambda", "@"}
_CLAUSES = sorted({keyword for verb in VERBS.values() for keyword in clauses(verb)})


def explain(text: str, masked: str, verb: type[Statement], error: UnexpectedInput) -> StatementError:
    """Make the error for what the parser did not expect.

    Parameters
    ----------
    text, masked : str
        The whole text, and the header that was parsed.
    verb : type of Statement
    error : UnexpectedInput
        What the parser raised.
    """
    offset, terminals = _place(masked, error)
    expected = _expected(verb, terminals)
    match = _WORD.match(masked, offset)
    if match is None:
        message = f"The {verb.verb} statement ends too early."
        return mistake(text, offset, message, hint=_wanted(expected), expected=expected)
    word = match[0]
    if word == "-" and re.search(r"\w\Z", masked[:offset]):
        hint = 'A name with other characters than letters, digits and _ is written in quotes: "my-table".'
    else:
        hint = _hint(verb, word, expected) or _wanted(expected)
    return mistake(text, offset, f"{_quoted(word)} cannot stand here.", hint=hint, expected=expected)


def _place(masked: str, error: UnexpectedInput) -> tuple[int, set[str]]:
    end = len(masked.rstrip())
    if isinstance(error, UnexpectedToken):
        # A mistake that the lexer found first knows no parser to ask.
        exact = error.accepts or error.expected
        return (end if error.token.type == "$END" else error.token.start_pos or 0), set(exact)
    if isinstance(error, UnexpectedCharacters):
        offset: int = error.pos_in_stream  # type: ignore[assignment]  # declared None, set by its __init__
        return offset, set(error.allowed or ())
    return end, set()


def _expected(verb: type[Statement], terminals: Iterable[str]) -> list[str]:
    """Name the terminals as the user writes them; clauses by all their words."""
    found = set()
    for terminal in terminals:
        if terminal == "SEMICOLON":
            continue
        if terminal in _SHOWN or not terminal.startswith("_"):
            found.add(_SHOWN.get(terminal, terminal))
            continue
        word = terminal[1:]
        full = [keyword for keyword in clauses(verb) if keyword.split()[0] == word]
        found.update(full or [word if any(word in each.split() for each in _CLAUSES) else word.lower()])
    if "$END" in terminals and body_of(verb) is not None:
        found.discard(_SHOWN["$END"])
        found.add("AS")
    return sorted(found, key=lambda each: (not each[0].isalpha(), each.lower()))


def _hint(verb: type[Statement], word: str, expected: list[str]) -> str:
    other = next((each for each in _CLAUSES if each.split()[0] == word.upper()), None)
    if other is not None and other not in clauses(verb):
        return f"{other} is a clause of {listed(takers(other))}, not of {verb.verb}."
    if word.lower() in _STARTS and _SHOWN["$END"] in expected:
        return f"{verb.verb} takes no body."
    if word.lower() in _STARTS and "AS" in expected:
        return "A line AS must stand between the clauses and the body."
    return did_you_mean(word, [each for each in expected if each.replace(" ", "").isalpha()])


def _wanted(expected: list[str]) -> str:
    return f"Expected {listed(expected)}." if expected else ""


def _quoted(word: str) -> str:
    return word if word[0] in "'\"" else f"'{word}'"
