"""The columns of a query as they are written: where each begins and ends, and whether it has a name."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot.tokenizer_core import Token, TokenType

OPEN = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
CLOSE = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}

# Beginnings of clauses that hold expressions between commas.
_CLAUSES = {
    TokenType.SELECT,
    TokenType.FROM,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.ORDER_BY,
    TokenType.PARTITION_BY,
    TokenType.HAVING,
    TokenType.QUALIFY,
    TokenType.VALUES,
    TokenType.SET,
    TokenType.ON,
}
_AFTER_COLUMN = {
    TokenType.COMMA,
    TokenType.FROM,
    TokenType.SEMICOLON,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.QUALIFY,
    TokenType.WINDOW,
    TokenType.USING,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.OFFSET,
    TokenType.UNION,
    TokenType.EXCEPT,
    TokenType.INTERSECT,
}
# An expression that ends with one of these has no name behind it.
_ENDS_A_VALUE = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END, TokenType.NULL}
# What stands behind one of these belongs to the expression.
_BEFORE_A_VALUE = {
    TokenType.PLUS,
    TokenType.DASH,
    TokenType.STAR,
    TokenType.SLASH,
    TokenType.DIV,
    TokenType.MOD,
    TokenType.DPIPE,
    TokenType.DCOLON,
    TokenType.LT,
    TokenType.LTE,
    TokenType.GT,
    TokenType.GTE,
    TokenType.EQ,
    TokenType.NEQ,
    TokenType.AND,
    TokenType.OR,
    TokenType.NOT,
    TokenType.LIKE,
    TokenType.ILIKE,
}


def nameless_column(tokens: Sequence[Token], index: int) -> tuple[int, int] | None:
    """Find the column of a SELECT in which a token stands, by its first and last token.

    None if it stands in no column, in a star or in one that has a name, also where that cannot be told.
    """
    first = _first(tokens, index)
    if first is None:
        return None
    last = _last(tokens, first)
    return (first, last) if last >= index and not _may_have_a_name(tokens[first : last + 1]) else None


def _first(tokens: Sequence[Token], index: int) -> int | None:
    """Go left, and out of parentheses, until a SELECT; out of another clause leads only a parenthesis."""
    depth, first, elsewhere = 0, None, False
    for place in range(index - 1, -1, -1):
        kind = tokens[place].token_type
        if kind in CLOSE:
            depth += 1
        elif kind in OPEN and depth == 0:
            first, elsewhere = None, False
        elif kind in OPEN:
            depth -= 1
        elif depth or elsewhere:
            continue
        elif kind is TokenType.COMMA:
            first = place + 1 if first is None else first
        elif kind is TokenType.SELECT:
            begin = place + 1 if first is None else first
            return begin + (tokens[begin].token_type is TokenType.DISTINCT)
        elif kind in _CLAUSES and not _is_distinct_from(tokens, place):
            elsewhere = True
    return None


def _last(tokens: Sequence[Token], first: int) -> int:
    depth = 0
    for place in range(first, len(tokens)):
        kind = tokens[place].token_type
        depth += (kind in OPEN) - (kind in CLOSE)
        if depth < 0 or (depth == 0 and kind in _AFTER_COLUMN and not _is_distinct_from(tokens, place)):
            return place - 1
    return len(tokens) - 1


def _is_distinct_from(tokens: Sequence[Token], place: int) -> bool:
    """Tell the FROM of IS DISTINCT FROM from that of a query."""
    return tokens[place].token_type is TokenType.FROM and tokens[place - 1].token_type is TokenType.DISTINCT


def _may_have_a_name(column: Sequence[Token]) -> bool:
    depth, outer = 0, []
    for token in column:
        depth -= token.token_type in CLOSE
        if depth == 0:
            outer.append(token)
        depth += token.token_type in OPEN
    kinds = [token.token_type for token in outer]
    if (
        TokenType.ALIAS in kinds
        or TokenType.COLON in kinds
        or any(_is_star(kinds, i) for i in range(len(kinds)))
    ):
        return True
    if "COLUMNS" in {token.text.upper() for token in column}:
        return True
    return not (kinds[-1] in _ENDS_A_VALUE or (len(kinds) > 1 and kinds[-2] in _BEFORE_A_VALUE))


def _is_star(kinds: Sequence[TokenType], place: int) -> bool:
    """Tell the star of all columns from that of a product."""
    return kinds[place] is TokenType.STAR and (place == 0 or kinds[place - 1] is TokenType.DOT)
