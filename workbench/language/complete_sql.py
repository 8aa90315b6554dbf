"""What can stand at the cursor in SQL: columns, relations, functions, keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from workbench.language.functions import engine_functions, store_functions
from workbench.language.kinds import identifier
from workbench.language.scope import KEYWORDS, Catalog, columns_of, inside_text, scope, wants_relation


class Offer(NamedTuple):
    """What completion offers: the text, its kind, what to show beside it, and what to say of it."""

    text: str
    kind: str
    detail: str = ""
    help: str = ""


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
        What to show beside it: the type of a column, the arguments of a function.
    help : str
        What to say of it, in some lines.
    """

    text: str
    start: int
    end: int
    kind: str
    detail: str = ""
    help: str = ""

    def moved(self, by: int) -> Completion:
        """Return it for a text that begins `by` characters earlier."""
        return replace(self, start=self.start + by, end=self.end + by)


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
        offered = [*_relations(sql, catalog), *(Offer(each, "schema") for each in schemas)]
        return matching(offered, before, cursor)
    upper = word is not None and word[0].isupper()
    keywords = [Offer(each.upper() if upper else each, "keyword") for each in KEYWORDS]
    # Of the hundreds of the engine only those that begin as what was typed.
    foreign = engine_functions() if word is not None else ()
    return matching([*_named(sql, catalog), *keywords, *_functions(foreign)], before, cursor)


def matching(
    offered: Iterable[Offer], before: str, cursor: int, pattern: re.Pattern[str] = WORD
) -> list[Completion]:
    """Keep what begins with the word at the cursor, each thing once."""
    match = pattern.search(before)
    typed = match[0].lower() if match else ""
    found: dict[str, Completion] = {}
    for each in offered:
        # The beginning of a name fits with and without its quote.
        text = each.text.lower()
        if text.startswith(typed) or text.lstrip('"').startswith(typed.lstrip('"')):
            made = Completion(each.text, cursor - len(typed), cursor, each.kind, each.detail, each.help)
            found.setdefault(each.text, made)
    return list(found.values())


def relations(catalog: Catalog) -> list[str]:
    """List the relations as they are written, those with a schema last."""
    ordered = sorted(catalog, key=lambda name: "." in name)
    return [".".join(identifier(part) for part in name.split(".")) for name in ordered]


def unique(words: Iterable[str]) -> list[str]:
    """Drop repeated words; the order stays."""
    return list(dict.fromkeys(words))


def column_offers(relation: str, catalog: Catalog) -> list[Offer]:
    """Offer the columns of a relation, with their types."""
    plain = relation.partition("@")[0].replace('"', "")
    return [
        Offer(identifier(name), "column", kind, f"{name}: {kind}\nA column of {plain}.")
        for name, kind in columns_of(relation, catalog).items()
    ]


def table_offer(name: str, catalog: Catalog, kind: str = "table") -> Offer:
    """Offer a relation, with its columns."""
    columns = columns_of(name, catalog)
    said = "\n".join(f"  {column}  {type_}" for column, type_ in columns.items())
    return Offer(name, kind, "", f"{name}: {len(columns)} columns\n{said}" if said else "")


def _relations(sql: str, catalog: Catalog) -> list[Offer]:
    return [table_offer(each, catalog) for each in unique([*scope(sql).ctes, *relations(catalog)])]


def _named(sql: str, catalog: Catalog) -> list[Offer]:
    found = scope(sql)
    offered = [
        each for relation in unique(found.aliases.values()) for each in column_offers(relation, catalog)
    ]
    offered += [
        Offer(each, "table", name, table_offer(name, catalog).help)
        for each, name in found.aliases.items()
        if each != name.lower()
    ]
    return [*offered, *_relations(sql, catalog), *_functions(store_functions())]


def _functions(known: Iterable[tuple[str, str, str]]) -> Iterator[Offer]:
    return (Offer(name, "function", signature, does) for name, signature, does in known)


def _members(qualifier: str, sql: str, catalog: Catalog) -> list[Offer]:
    """List what can stand behind `qualifier.`: columns of a relation, or relations of a schema."""
    plain = qualifier.replace('"', "").lower()
    relation = scope(sql).aliases.get(plain, qualifier)
    inside = [each[len(plain) + 1 :] for each in catalog if each.lower().startswith(plain + ".")]
    return column_offers(relation, catalog) or [
        table_offer(identifier(each), catalog, "table") for each in inside
    ]
