"""What can stand at the cursor of a cell: verbs, clauses, options, names, SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workbench.errors import StatementError, WorkbenchError
from workbench.language.complete_sql import (
    Completion,
    Offer,
    column_offers,
    in_sql,
    matching,
    relations,
    table_offer,
    unique,
)
from workbench.language.help import help_text, summary
from workbench.language.read import MAGIC, verb_of
from workbench.language.scan import first_word, is_empty, pieces, sql_pieces
from workbench.language.scope import Catalog, columns_of, inside_text, scope
from workbench.language.statement import Part, Statement, body_of, parts
from workbench.language.values import FLAGS
from workbench.language.verbs import VERBS

Names = Mapping[str, Sequence[str]]

_DOTTED = re.compile(r'(?:[^\W\d][\w@]*\.)*(?:"[^"\n]*|[^\W\d][\w@]*)?\Z')
_OPTION = re.compile(r"(?<!\S)--?[\w-]*\Z")
_ARGUMENT = re.compile(r"--(?:as|limit)[ =]+\w*\Z", re.IGNORECASE)
_GIVEN_OPTION = re.compile(r"(?<!\S)--(?:as|limit)(?:[ =]+\w+)?|(?<!\S)--?\w*", re.IGNORECASE)
_FOREIGN = re.compile(r"\busing\s+(?:python|ibis)\b", re.IGNORECASE)
_WORDS_WANTED = {
    "trigger": ("manual", "on write", "every", "cron", "changed >=", "drift(psi) >", "metric", "after"),
    "split": ("hash", "group", "stratified", "time", "random", "column"),
    "algorithm": ("auto",),
}
_WORDS_OF_KIND = {"key": ("auto",), "name or all": ("all",), "gate": ("always", "never", "WHEN")}
_NAMES_WANTED = {
    "model": ("model", "version"),
    "transform": ("transform",),
    "derivation": ("transform", "model", "binding"),
    "any": ("table", "transform", "query", "model", "binding", "version"),
}


@dataclass(slots=True)
class _Header:
    """What a header says before the cursor, and what is known to complete it."""

    verb: type[Statement]
    catalog: Catalog
    names: Names
    sql: str
    part: Part | None
    value: list[str] = field(default_factory=list)
    depth: int = 0
    said: dict[str, list[str]] = field(default_factory=dict)


def complete(text: str, cursor: int, catalog: Catalog, names: Names) -> list[Completion]:
    """List what can stand at the cursor.

    Parameters
    ----------
    text : str
        The whole cell, with its `%%mlstore` line.
    cursor : int
        An offset in `text`.
    catalog : mapping
        The columns of each relation, with their types, by its plain and its qualified name.
    names : mapping
        The names of each kind: table, transform, query, model, version, binding.

    Returns
    -------
    list of Completion
        The likeliest first; empty where nothing is known.

    Examples
    --------
    >>> [each.text for each in complete("%%mlstore tra", 13, {}, {})]
    ['transform', 'train', 'trace']
    """
    magic = MAGIC.match(text)
    start = magic.end() if magic else 0
    if magic and cursor <= start:
        return []
    line = text[start:].partition("\n")[0]
    body = start + len(line) + 1
    if magic and cursor >= body and is_empty(_without_options(line)):
        return in_sql(text[body:], body, cursor, catalog)
    verb = _verb(text[start:], cursor - start)
    if verb is not None:
        return _in_statement(text, start, cursor, _Header(VERBS[verb], catalog, names, "", None))
    before = text[start:cursor]
    option = _OPTION.search(before)
    if option is not None and "\n" not in before:
        return _options(before, start + option.start(), cursor)
    if _is_at_first_word(before):
        verbs = [Offer(name, "verb", summary(cls), help_text(name)) for name, cls in VERBS.items()]
        return matching(verbs, before, cursor)
    return in_sql(text[start:], start, cursor, catalog)


def _verb(text: str, cursor: int) -> str | None:
    """Return the verb if the cursor stands behind it."""
    try:
        word, verb = first_word(text), verb_of(text)
    except StatementError:
        return None
    return verb if word and cursor > word.end else None


def _is_at_first_word(before: str) -> bool:
    if not _without_options(before).strip():
        return True
    try:
        word = first_word(before)
    except StatementError:
        return False
    return word is not None and word.end == len(before)


def _in_statement(text: str, start: int, cursor: int, header: _Header) -> list[Completion]:
    word = first_word(text[start:])
    after = start + (word.end if word else 0)
    body = _body_start(text, after, header.verb)
    if body is not None and cursor >= body:
        foreign = _FOREIGN.search(text[after:body])
        return [] if foreign else in_sql(text[body:], body, cursor, header.catalog)
    query = _query(text, after) if header.verb.verb == "export" else None
    if query is not None and query[0] <= cursor <= query[1]:
        return in_sql(text[slice(*query)], query[0], cursor, header.catalog)
    before = text[after:cursor]
    option = _OPTION.search(before)
    if option is not None:
        return _options(text[start:cursor], after + option.start(), cursor)
    if _ARGUMENT.search(before) or inside_text(_without_options(before)):
        return []
    header.sql = text[body:] if body is not None else text[slice(*query)] if query else ""
    prefix = _DOTTED.search(before)
    _follow(header, before[: prefix.start()] if prefix else before)
    return matching(_offers(header), before, cursor, _DOTTED)


def _follow(header: _Header, text: str) -> None:
    """Find out which part of the header is being written at the end of `text`."""
    known = parts(header.verb)
    header.part = next((part for part in known if not part.is_clause and part.kind_name != "body"), None)
    clauses = sorted((part for part in known if part.is_clause), key=lambda part: -len(part.keyword))
    tokens = [text[each.start : each.end] for each in pieces(_without_options(text)) if _counts(each.kind)]
    position = 0
    while position < len(tokens):
        found = next((part for part in clauses if _starts(tokens, position, part.keyword)), None)
        if found is not None and _can_start_clause(header):
            header.part, header.value = found, header.said.setdefault(found.keyword, [])
            position += len(found.keyword.split())
            continue
        token = tokens[position]
        header.depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(token, 0)
        header.value.append(token)
        if header.part is not None and not header.part.is_clause:
            header.said[""] = header.value
        position += 1


def _can_start_clause(header: _Header) -> bool:
    """Tell a clause from the same word in a value, as in `WHEN on write` or `DEPLOY WHEN …`."""
    joined = bool(header.value) and header.value[-1].lower() in ("and", "or", ",")
    open_value = header.part is not None and header.part.kind_name != "flag" and not header.value
    return header.depth == 0 and not joined and not open_value


def _offers(header: _Header) -> Iterator[Offer]:
    part, value = header.part, header.value
    if part is not None and header.depth > 0:
        if part.wants in ("column", "split", "trigger") or part.kind_name == "inputs":
            yield from _column_offers(header)
        elif part.kind_name == "space" and value[-1] in ("{", ","):
            yield from _parameter_offers(header)
        return
    takes_value = part is not None and part.kind_name != "flag"
    if part is not None and takes_value and (not value or value[-1].lower() in ("and", "or")):
        yield from _value_offers(part, header)
        if part.required or part.is_clause or part.kind.always:
            return
    elif part is not None and part.wants == "trigger":
        yield from (Offer(each, "word") for each in ("or", "and", "COOLDOWN"))
    yield from (
        Offer(each.keyword, "clause", each.synopsis.strip("[]"), each.help) for each in _clauses_left(header)
    )
    body = body_of(header.verb)
    if body is not None:
        yield Offer("AS", "clause", body.synopsis, body.help)


def _clauses_left(header: _Header) -> list[Part]:
    return [each for each in parts(header.verb) if each.is_clause and each.keyword not in header.said]


def _value_offers(part: Part, header: _Header) -> Iterator[Offer]:
    words = part.words or _WORDS_OF_KIND.get(part.kind_name, ()) or _WORDS_WANTED.get(part.wants, ())
    yield from (Offer(each, "word", "", part.help) for each in words)
    if part.wants == "algorithm":
        yield from _algorithm_offers()
    if part.wants == "column":
        yield from _column_offers(header)
    for kind in _NAMES_WANTED.get(part.wants, ()):
        yield from (Offer(each, kind) for each in header.names.get(kind, ()))
    if part.wants in ("table", "any"):
        yield from (table_offer(each, header.catalog) for each in relations(header.catalog))
    if part.kind_name == "place":
        for relation in header.catalog:
            offered = column_offers(relation, header.catalog)
            yield from (each._replace(text=f"{relation}.{each.text}") for each in offered)


def _algorithm_offers() -> Iterator[Offer]:
    from workbench.train.algorithms import ALGORITHMS

    for name, classes in ALGORITHMS.items():
        said = "\n".join(f"For {kind}: {path}" for kind, path in classes.items())
        yield Offer(name, "algorithm", "", f"{name}\n{said}")


def _parameter_offers(header: _Header) -> Iterator[Offer]:
    """Offer what PARAMS can set of the algorithm that MODEL names."""
    from workbench.train.algorithms import parameters

    model = "".join(header.said.get("MODEL", ["auto"]))
    try:
        known = parameters(model)
    except WorkbenchError:  # no such algorithm, or its library is not installed
        return
    for name, default in known.items():
        yield Offer(name, "parameter", default, f"{name}: a parameter of {model}, {default} if not set.")


def _column_offers(header: _Header) -> Iterator[Offer]:
    """Offer the columns a clause can name: of the table the statement is on, else of its query."""
    made = header.verb.verb in ("transform", "train")
    named = header.said.get("ON") or ([] if made else header.said.get("", []))
    table = re.match(r'[\w."@]*', "".join(named))
    own = columns_of(table[0], header.catalog) if table else ()
    others = () if own else unique(scope(header.sql).aliases.values())
    return (
        each
        for relation in ([table[0]] if table and own else others)
        for each in column_offers(relation, header.catalog)
    )


def _options(before: str, start: int, cursor: int) -> list[Completion]:
    given = set(re.findall(r"--(\w+)(?=\W)", before))
    typed = before[len(before) - (cursor - start) :].lower()
    return [
        Completion(f"--{name}", start, cursor, "option", argument, does)
        for name, (argument, does) in FLAGS.items()
        if name not in given and f"--{name}".startswith(typed)
    ]


def _body_start(text: str, position: int, verb: type[Statement]) -> int | None:
    """Find where the body begins, in a header that may be unfinished."""
    if body_of(verb) is None:
        return None
    depth = 0
    for piece in pieces(_without_options(text), position):
        depth += {"open": 1, "close": -1}.get(piece.kind, 0)
        is_as = piece.kind == "word" and text[piece.start : piece.end].lower() == "as"
        if is_as and (depth <= 0 or re.match(r"[ \t\r]*\n", text[piece.end :])):
            return piece.end + 1
    return None


def _query(text: str, position: int) -> tuple[int, int] | None:
    """Find the inside of the parentheses right behind `export`, closed or not."""
    opening = re.compile(r"\s*\(").match(text, position)
    if opening is None:
        return None
    depth = 0
    for piece in sql_pieces(text, opening.end() - 1):
        depth += {"open": 1, "close": -1}.get(piece.kind, 0)
        if depth == 0:
            return opening.end(), piece.start
    return opening.end(), len(text)


def _without_options(text: str) -> str:
    """Blank out the options, so that they are not taken for comments."""
    return _GIVEN_OPTION.sub(lambda match: " " * len(match[0]), text)


def _starts(tokens: list[str], position: int, keyword: str) -> bool:
    words = keyword.split()
    return [each.upper() for each in tokens[position : position + len(words)]] == words


def _counts(kind: str) -> bool:
    return kind not in ("space", "comment", "flag")
