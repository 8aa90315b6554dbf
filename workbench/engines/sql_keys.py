"""Tables that SQL makes: their primary keys, which DuckLake refuses to be told, and their queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from workbench.engines.sql import PrimaryKey


def primary_key(statement: str) -> PrimaryKey | None:
    """See `workbench.engines.sql.primary_key`."""
    try:
        tokens = DuckDB().tokenize(statement)
    except TokenError:
        return None
    kinds = [token.token_type for token in tokens]
    if kinds.count(TokenType.PRIMARY_KEY) != 1:
        return None
    place = kinds.index(TokenType.PRIMARY_KEY)
    if kinds[:2] == [TokenType.ALTER, TokenType.TABLE]:
        added = next((i for i, token in enumerate(tokens) if token.text.upper() == "ADD"), 0)
        if not 2 < added < place or kinds[place + 1 : place + 2] != [TokenType.L_PAREN]:
            return None
        return PrimaryKey(_written_name(statement, tokens, added), _columns_after(tokens, place), "")
    if not _makes_a_table(kinds):
        return None  # DuckDB itself keeps the keys of temporary tables.
    return _of_made(statement, tokens, place)


def made_query(statement: str) -> tuple[int, int] | None:
    """See `workbench.engines.sql.made_query`."""
    try:
        tokens = DuckDB().tokenize(statement)
    except TokenError:
        return None
    kinds = [token.token_type for token in tokens]
    if not _makes_a_table(kinds) or TokenType.ALIAS not in kinds:
        return None
    first, last = kinds.index(TokenType.ALIAS) + 1, len(tokens) - 1
    while last > first and kinds[last] is TokenType.SEMICOLON:
        last -= 1
    if first > last or TokenType.L_PAREN in kinds[:first]:
        return None  # With a list of columns, they have other names than those of the query.
    return tokens[first].start, tokens[last].end + 1


def _makes_a_table(kinds: Sequence[TokenType]) -> bool:
    """Tell whether a statement of these tokens makes a table that stays."""
    plain = [kind for kind in kinds[:4] if kind not in (TokenType.OR, TokenType.REPLACE)]
    return plain[:2] == [TokenType.CREATE, TokenType.TABLE]


def _of_made(statement: str, tokens: Sequence[Token], place: int) -> PrimaryKey:
    """Read the key of a CREATE TABLE: of a column, or of the table."""
    opened = next(i for i, token in enumerate(tokens) if token.token_type is TokenType.L_PAREN)
    table = _written_name(statement, tokens, opened)
    first, last = next((a, b) for a, b in _items(tokens, opened) if a <= place <= b)
    begin = place
    if begin - 2 >= first and tokens[begin - 2].token_type is TokenType.CONSTRAINT:
        begin -= 2
    if begin > first:
        cut = (tokens[begin].start, tokens[place].end)
        return PrimaryKey(table, (tokens[first].text,), _without(statement, *cut))
    # The comma that separated it from the others goes too.
    start = tokens[first - 1].start if first - 1 > opened else tokens[first].start
    end = tokens[last].end
    if first - 1 == opened and tokens[last + 1].token_type is TokenType.COMMA:
        end = tokens[last + 1].end
    return PrimaryKey(table, _columns_after(tokens, place), _without(statement, start, end))


def _written_name(statement: str, tokens: Sequence[Token], end: int) -> str:
    """Return the name that ends before a token as it is written, with its schema."""
    first = end - 1
    while tokens[first - 1].token_type is TokenType.DOT:
        first -= 2
    return statement[tokens[first].start : tokens[end - 1].end + 1]


def _items(tokens: Sequence[Token], opened: int) -> Iterator[tuple[int, int]]:
    """Find the items between the parenthesis at `opened` and its end, each by its first and last token."""
    depth, first = 0, opened + 1
    for index in range(opened, len(tokens)):
        kind = tokens[index].token_type
        if kind is TokenType.L_PAREN:
            depth += 1
        elif kind is TokenType.R_PAREN:
            depth -= 1
        if depth == 0 or (depth == 1 and kind is TokenType.COMMA):
            yield first, index - 1
            first = index + 1
        if depth == 0:
            return


def _columns_after(tokens: Sequence[Token], place: int) -> tuple[str, ...]:
    """Name the columns in the parentheses that follow."""
    return tuple(tokens[first].text for first, _ in _items(tokens, place + 1))


def _without(statement: str, start: int, end: int) -> str:
    return f"{statement[:start].rstrip(' ')} {statement[end + 1 :]}"
