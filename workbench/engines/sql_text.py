"""SQL as text and tokens: parsing with the errors of the store, calls, canonical text."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from workbench.engines.sql import FunctionCall
from workbench.engines.sql_columns import CLOSE, OPEN, nameless_column
from workbench.errors import StatementError

_TEXT = {
    TokenType.STRING,
    TokenType.IDENTIFIER,
    TokenType.HEREDOC_STRING,
    TokenType.BYTE_STRING,
    TokenType.RAW_STRING,
    TokenType.NUMBER,
}
# After these a name with parentheses declares something: a table, a macro, an alias with columns.
_DECLARES = {TokenType.DOT, TokenType.INTO, TokenType.TABLE, TokenType.FUNCTION, TokenType.ALIAS}

# sqlglot takes what stands behind it for one text.
_EXPLAIN = re.compile(r"(\A|;)(\s*EXPLAIN(?:\s+ANALYZE)?\b)", re.IGNORECASE)

# What a node of these holds is the user's own text, not a keyword.
_VERBATIM = (
    exp.Literal,
    exp.RawString,
    exp.ByteString,
    exp.HexString,
    exp.BitString,
    exp.National,
    exp.UnicodeString,
    exp.Heredoc,
    exp.Parameter,
    exp.Placeholder,
    exp.Command,
)

_logger = logging.getLogger("sqlglot")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep sqlglot from printing that it reads a statement as plain text."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    _logger.addFilter(drop)
    try:
        yield
    finally:
        _logger.removeFilter(drop)


def tokens_of(sql: str) -> list[Token]:
    """Split `sql` into tokens.

    Raises
    ------
    StatementError
        If a string or a comment is left open.
    """
    try:
        return DuckDB().tokenize(sql)
    except TokenError as error:
        raise StatementError(
            f"The SQL cannot be read: {error}", hint="Is a quote or a comment left open?"
        ) from error


def parse(sql: str) -> list[exp.Expr]:
    """Parse the statements in `sql`.

    Raises
    ------
    StatementError
        If sqlglot cannot parse it, with the place.
    """
    try:
        with quiet():
            return [each for each in DuckDB().parse(sql) if isinstance(each, exp.Expr)]
    except ParseError as error:
        place = error.errors[0] if error.errors else {}
        near = str(place.get("highlight") or "").strip()
        why = str(place.get("description", error)).rstrip(".")
        place_said = f" near {near!r}" if near else ""
        raise StatementError(
            # sqlglot names its own classes in some messages; the place says more than they do.
            f"The SQL cannot be read{place_said}{'' if '<class' in why else f': {why}'}.",
            line=place.get("line"),
            column=place.get("col"),
        ) from error
    except TokenError as error:
        raise StatementError(
            f"The SQL cannot be read: {error}", hint="Is a quote or a comment left open?"
        ) from error
    except (SqlglotError, RecursionError) as error:
        raise StatementError(f"The SQL cannot be read: {error}") from error


def parse_query(sql: str) -> exp.Query:
    """Parse one query.

    Raises
    ------
    StatementError
        If sqlglot cannot parse it, or it is something else.
    """
    statements = parse(sql)
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise StatementError("One query was expected here.", hint="Write one SELECT.")
    return statements[0]


def render(node: exp.Expr) -> str:
    """Write a tree as DuckDB SQL on one line, without its comments."""
    return node.sql(dialect="duckdb", comments=False)


# -- calls -----------------------------------------------------------------------------------------


def find_calls(sql: str, names: Collection[str]) -> list[FunctionCall]:
    """Find the calls of the functions `names`; see `workbench.engines.sql.find_calls`."""
    if not any(name in sql.lower() for name in names):
        return []
    return list(_find_calls(sql, frozenset(names)))


# A query that is asked again and again, with other parameters, is read once.
@lru_cache(maxsize=256)
def _find_calls(sql: str, names: frozenset[str]) -> tuple[FunctionCall, ...]:
    tokens = tokens_of(_EXPLAIN.sub(lambda found: found[1] + " " * len(found[2]), sql))
    places = [index for index in range(len(tokens) - 1) if _is_call(tokens, index, names)]
    return tuple(_read_call(sql, tokens, index) for index in places)


def _is_call(tokens: list[Token], index: int, names: Collection[str]) -> bool:
    token = tokens[index]
    if token.token_type in _TEXT or token.text.lower() not in names:
        return False
    if tokens[index + 1].token_type is not TokenType.L_PAREN:
        return False
    before = tokens[index - 1] if index else None
    if before and (before.token_type in _DECLARES or before.text.upper() == "MACRO"):
        return False
    return not _names_a_cte(tokens, index + 1)


def _names_a_cte(tokens: list[Token], opening: int) -> bool:
    """Tell `WITH f(x) AS (…)` from a call: after the columns comes AS with a parenthesis."""
    closing = _closing(tokens, opening)
    if closing is None:
        return False
    first, *rest = [token.text.upper() for token in tokens[closing + 1 : closing + 5]] or [""]
    after = [each for each in rest if each not in ("NOT", "MATERIALIZED")]
    return first == "AS" and after[:1] == ["("]


def _closing(tokens: list[Token], opening: int) -> int | None:
    depth = 0
    for index in range(opening, len(tokens)):
        kind = tokens[index].token_type
        depth += (kind in OPEN) - (kind in CLOSE)
        if depth == 0:
            return index
    return None


def _read_call(sql: str, tokens: list[Token], index: int) -> FunctionCall:
    name, opening = tokens[index], index + 1
    closing = _closing(tokens, opening)
    if closing is None:
        raise StatementError(
            f"The parenthesis of {name.text}( is never closed.",
            line=name.line,
            column=name.col - len(name.text) + 1,
            expected=(")",),
        )
    places = _split(tokens[opening + 1 : closing])
    arguments = tuple(sql[start:end] for start, end in places)
    found = nameless_column(tokens, index)
    column = (tokens[found[0]].start, tokens[found[1]].end + 1) if found else None
    return FunctionCall(name.text.lower(), name.start, tokens[closing].end + 1, arguments, places, column)


def _split(tokens: list[Token]) -> tuple[tuple[int, int], ...]:
    """Cut at the commas outside all brackets; comments around an argument do not belong to it."""
    if not tokens:
        return ()
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.token_type in OPEN) - (token.token_type in CLOSE)
        if depth == 0 and token.token_type is TokenType.COMMA:
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple((part[0].start, part[-1].end + 1) if part else (0, 0) for part in parts)


# -- canonical text --------------------------------------------------------------------------------


def normalise(sql: str) -> str:
    """Return a canonical text; see `workbench.engines.sql.normalise`."""
    try:
        statements = parse(sql)
        if not any(statement.find(exp.Command) for statement in statements):
            return ";\n".join(render(_canonical(statement)) for statement in statements)
        return _even(tokens_of(sql))
    except StatementError:
        pass
    try:
        return _even(tokens_of(sql))
    except StatementError:
        return " ".join(sql.split())


def _even(tokens: list[Token]) -> str:
    """Join tokens by single spaces; what is quoted keeps its text."""
    words = []
    for token in tokens:
        if token.token_type is TokenType.IDENTIFIER:
            words.append(f'"{token.text}"')
        elif token.token_type in _TEXT and token.token_type is not TokenType.NUMBER:
            words.append(repr(token.text))
        else:
            words.append(token.text.lower())
    while words and words[-1] == ";":
        words.pop()
    return " ".join(words)


def _canonical(statement: exp.Expr) -> exp.Expr:
    """Even out the case, and put parentheses around every operator and nowhere else."""
    root = exp.Paren(this=statement)
    for paren in list(statement.find_all(exp.Paren)):
        # `(a).b` is a field of a; `a.b` can be a column of the table a.
        if not isinstance(paren.parent, exp.Dot):
            paren.replace(paren.this)
    for node in list(root.this.walk()):
        _even_case(node)
        inner = node.this if isinstance(node, exp.Subquery) else None
        if isinstance(inner, exp.Subquery) and (inner.is_wrapper or node.is_wrapper):
            (node if node.is_wrapper else inner).replace(inner if node.is_wrapper else inner.this)
    for node in list(root.this.walk()):
        if _is_operator(node):
            paren = exp.Paren()
            node.replace(paren)
            paren.set("this", node)
    statement = root.this
    bare = isinstance(statement, exp.Subquery) and statement.is_wrapper
    return statement.this if bare else statement


def _even_case(node: exp.Expr) -> None:
    if isinstance(node, exp.Identifier):
        node.set("this", node.name.lower())
        node.set("quoted", True)
    elif not isinstance(node, _VERBATIM):
        for argument, value in node.args.items():
            if isinstance(value, str):
                node.set(argument, value.upper())


def _is_operator(node: exp.Expr) -> bool:
    if isinstance(node, exp.Paren | exp.Dot | exp.PropertyEQ | exp.Kwarg):
        return False
    if isinstance(node.parent, exp.Pivot):
        return False
    return isinstance(node, exp.Binary | exp.Unary | exp.Between | exp.In)
