"""What can stand at the cursor in SQL: columns, relations, functions, keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.language.kinds import identifier
from workbench.language.scope import KEYWORDS, columns_of, functions, inside_text, scope, wants_relation

Catalog = Mapping[str, Sequence[str]]
Offer = tuple[str, str, str]
"""What completion offers: the text, its kind, and what to show beside it."""

WORD = re.compile(r'"[^"\n]*\Z|[^\W\d][\w$]*\Z')
_QUALIFIER = re.compile(r'((?:\w+|"[^"\n]*")(?:\.(?:\w+|"[^"\n]*"))*)\.\Z')


@dataclass(frozen=True, slots=True)
class Completion:
    """One thing that can stand at the cursor.

    Attributes
    ----------
    text : str
        What to put in place of the text from `start` to `end`.
    start, end : int
    kind : str
        verb, clause, option, word, table, schema, model, transform, query, binding, column,
        function or keyword.
    detail : str
        What to show beside it.
    """

    text: str
    start: int
    end: int
    kind: str
    detail: str = ""


def in_sql(sql: str, start: int, cursor: int, catalog: Catalog) -> list[Completion]:
    """List what can stand at the cursor of a cell, in the SQL that begins at `start`."""
    before = sql[: cursor - start]
    if inside_text(before):
        return []
    word = WORD.search(before)
    behind = before[: word.start()] if word else before
    # The word at the cursor may be a quote that is not closed; it must not hide what comes behind it.
    sql = behind + " " + sql[len(before) :]
    qualifier = _QUALIFIER.search(behind)
    if qualifier is not None:
        return matching(_members(qualifier[1], sql, catalog), before, cursor)
    if wants_relation(behind):
        schemas = unique(each.partition(".")[0] for each in catalog if "." in each)
        offered = [*_relations(sql, catalog), *((each, "schema", "") for each in schemas)]
        return matching(offered, before, cursor)
    upper = word is not None and word[0].isupper()
    keywords = [(each.upper() if upper else each, "keyword", "") for each in KEYWORDS]
    return matching([*_named(sql, catalog), *keywords], before, cursor)


def matching(
    offered: Iterable[Offer], before: str, cursor: int, pattern: re.Pattern[str] = WORD
) -> list[Completion]:
    """Keep what begins with the word at the cursor, each thing once."""
    match = pattern.search(before)
    typed = match[0].lower() if match else ""
    found: dict[str, Completion] = {}
    for text, kind, detail in offered:
        # The beginning of a name fits with and without its quote.
        if text.lower().startswith(typed) or text.lower().lstrip('"').startswith(typed.lstrip('"')):
            found.setdefault(text, Completion(text, cursor - len(typed), cursor, kind, detail))
    return list(found.values())


def relations(catalog: Catalog) -> list[str]:
    """List the relations as they are written, those with a schema last."""
    ordered = sorted(catalog, key=lambda name: "." in name)
    return [".".join(identifier(part) for part in name.split(".")) for name in ordered]


def unique(words: Iterable[str]) -> list[str]:
    """Drop repeated words; the order stays."""
    return list(dict.fromkeys(words))


def _relations(sql: str, catalog: Catalog) -> list[Offer]:
    return [(each, "table", "") for each in unique([*scope(sql).ctes, *relations(catalog)])]


def _named(sql: str, catalog: Catalog) -> list[Offer]:
    found = scope(sql)
    offered = [
        (identifier(column), "column", relation)
        for relation in unique(found.aliases.values())
        for column in columns_of(relation, catalog)
    ]
    offered += [(each, "table", name) for each, name in found.aliases.items() if each != name.lower()]
    offered += _relations(sql, catalog)
    return offered + [(each, "function", shown) for each, shown in functions().items()]


def _members(qualifier: str, sql: str, catalog: Catalog) -> list[Offer]:
    """List what can stand behind `qualifier.`: columns of a relation, or relations of a schema."""
    plain = qualifier.replace('"', "").lower()
    relation = scope(sql).aliases.get(plain, qualifier)
    columns = [(identifier(each), "column", relation) for each in columns_of(relation, catalog)]
    inside = [each[len(plain) + 1 :] for each in catalog if each.lower().startswith(plain + ".")]
    return columns or [(identifier(each), "table", qualifier) for each in inside]
