"""What a piece of SQL talks about, read off tolerantly: the relations it names and their aliases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workbench.language.scan import sql_pieces

_KEYWORDS = (
    "all and any array as asc between by case cast columns create cross cube delete desc describe "
    "distinct else end except exclude exists explain false filter following from full group having ilike "
    "in inner insert intersect into is join lateral left like limit natural not null nulls offset on or "
    "order outer over partition pivot positional preceding qualify range recursive replace returning "
    "right rollup row rows sample select set similar struct summarize table then true unbounded union "
    "unique unpivot update using values view when where window with"
)
KEYWORDS = _KEYWORDS.split()
"""The keywords of SQL that completion offers."""


Catalog = Mapping[str, Mapping[str, str]]
"""The columns of each relation, with their types, by its plain and its qualified name."""

# After these words a relation is named.
_RELATION_WORDS = {"from", "join", "into", "update", "table", "using", "describe", "summarize"}
_WORDS = frozenset(KEYWORDS) | {"asof", "anti", "semi", "tablesample", "do", "conflict", "set", "default"}


@dataclass(frozen=True, slots=True)
class Scope:
    """The relations of a query.

    Attributes
    ----------
    aliases : mapping of str to str
        Each alias or plain name, in lower case, and the relation it stands for.
    ctes : tuple of str
        The names that WITH gives.
    """

    aliases: Mapping[str, str]
    ctes: tuple[str, ...]


def scope(sql: str) -> Scope:
    """Find the relations that `sql` names, however unfinished it is.

    Examples
    --------
    >>> scope("select f. from flights f join main.planes as p using (").aliases
    {'f': 'flights', 'p': 'main.planes'}
    """
    tokens = list(_tokens(sql))
    aliases: dict[str, str] = {}
    position = 0
    while position < len(tokens):
        if tokens[position].lower() in _RELATION_WORDS:
            position = _relations(tokens, position + 1, aliases)
        else:
            position += 1
    ctes = tuple(
        tokens[i]
        for i in range(len(tokens) - 2)
        if tokens[i + 1].lower() == "as" and tokens[i + 2] == "(" and _is_name(tokens[i])
    )
    return Scope(aliases, ctes)


def wants_relation(before: str) -> bool:
    """Tell whether a relation must come at the end of this SQL."""
    tokens = list(_tokens(before))
    if tokens and tokens[-1] == ",":
        depth = 0
        for token in reversed(tokens):
            depth += {")": 1, "(": -1}.get(token, 0)
            if depth < 0 or (
                depth == 0 and token.lower() in {"select", "where", "by", "on", "set", "having"}
            ):
                return False
            if depth == 0 and token.lower() == "from":
                return True
    return bool(tokens) and tokens[-1].lower() in _RELATION_WORDS


def columns_of(name: str, catalog: Catalog) -> Mapping[str, str]:
    """Look up the columns of a relation, whatever the case of its name and with or without a version."""
    plain = name.partition("@")[0].replace('"', "").lower()
    return next((columns for known, columns in catalog.items() if known.lower() == plain), {})


def _relations(tokens: list[str], position: int, aliases: dict[str, str]) -> int:
    """Read `name [as] alias, name [as] alias …`; return where that ends."""
    while position < len(tokens) and _is_name(tokens[position]):
        name = tokens[position]
        position += 1
        while position + 1 < len(tokens) and tokens[position] == "." and _is_name(tokens[position + 1]):
            name += "." + tokens[position + 1]
            position += 2
        after = position + 1 if position < len(tokens) and tokens[position].lower() == "as" else position
        if after < len(tokens) and _is_name(tokens[after]):
            aliases[tokens[after].strip('"').lower()] = name
            position = after + 1
        else:
            aliases[name.rpartition(".")[2].strip('"').lower()] = name
        if position >= len(tokens) or tokens[position] != ",":
            break
        position += 1
    return position


def _is_name(token: str) -> bool:
    return token.startswith('"') or (re.match(r"[^\W\d]", token) is not None and token.lower() not in _WORDS)


def _tokens(sql: str) -> Iterator[str]:
    for piece in sql_pieces(sql):
        token = sql[piece.start : piece.end]
        if piece.kind in ("space", "comment"):
            continue
        if piece.kind == "word" and token[0] == ".":
            yield "."
            token = token[1:]
        yield token


def inside_text(sql: str) -> bool:
    """Tell whether the end of `sql` lies in a string or comment that is not closed."""
    last = next(iter([*sql_pieces(sql)][-1:]), None)
    if last is None or last.kind not in ("string", "dollar", "comment"):
        return False
    token = sql[last.start :]
    if last.kind == "comment":
        return token.startswith("--") or not token.endswith("*/") or len(token) < 4
    if last.kind == "dollar":
        tag = token[: token.index("$", 1) + 1]
        return len(token) < 2 * len(tag) or not token.endswith(tag)
    return re.fullmatch(r"[eE]?'(?:[^']|'')*'", token) is None
