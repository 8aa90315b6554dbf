"""Relations and scopes: what the names in a query stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

ANY = "*"

Sources = dict[tuple[str, str], None]
"""Base columns (table, column), in order; the column is '*' where only the table is known."""


@dataclass(slots=True)
class Relation:
    """The columns that a FROM item or a query offers.

    `columns` maps the name in lower case to (the name as written, what is behind it). `rest` is
    what is behind a column that is not listed: of a table of unknown columns, (table, '*').
    """

    columns: dict[str, tuple[str, Sources]] = field(default_factory=dict)
    rest: Sources = field(default_factory=dict)

    def get(self, name: str) -> Sources | None:
        """Return what is behind a column, None if there is no such column."""
        if name.lower() in self.columns:
            return self.columns[name.lower()][1]
        if not self.rest:
            return None
        return {(table, name if column == ANY else column): None for table, column in self.rest}

    def everything(self) -> Sources:
        """Return what is behind all columns together."""
        return merged([*(sources for _, sources in self.columns.values()), self.rest])

    def add(self, name: str, sources: Sources) -> None:
        """Add a column; the second of a name gets a number, as in DuckDB."""
        unique, count = name, 0
        while unique.lower() in self.columns:
            count += 1
            unique = f"{name}_{count}"
        self.columns[unique.lower()] = (unique, sources)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean at a place: CTEs, the FROM items by alias, and the scope around."""

    ctes: Mapping[str, Relation] = field(default_factory=dict)
    items: Mapping[str, Relation] = field(default_factory=dict)
    outer: Scope | None = None
    aliases: Mapping[str, Sources] = field(default_factory=dict)


def merged(parts: Iterable[Sources]) -> Sources:
    """Join sources, each kept once, in order."""
    return {source: None for part in parts for source in part}


def look_up(parts: Sequence[str], scope: Scope) -> Sources | None:
    """Return what is behind a dotted name at one level of scope, None if nothing is known by it."""
    for index, part in enumerate(parts[:-1]):
        item = scope.items.get(part.lower())
        if item is not None:
            return item.everything() if parts[index + 1] == ANY else item.get(parts[index + 1])
    name = parts[0]
    known = [each.columns[name.lower()][1] for each in scope.items.values() if name.lower() in each.columns]
    if known:
        return merged(known)
    if name.lower() in scope.aliases:
        return scope.aliases[name.lower()]
    if name.lower() in scope.items:
        return scope.items[name.lower()].everything()
    unknown = [each for each in scope.items.values() if each.rest]
    if len(unknown) == 1:
        return unknown[0].get(name)
    return merged(each.rest for each in unknown) or None


def aliases_of(outputs: Relation) -> dict[str, Sources]:
    """Return what is behind the columns made so far, which later ones can name."""
    return {name: sources for name, (_, sources) in outputs.columns.items()}


def renamed(relation: Relation, alias: exp.Expr | None) -> Relation:
    """Apply the column names of an alias, as in `AS t(a, b)`."""
    names = [each.name for each in alias.args.get("columns") or []] if alias is not None else []
    if not names:
        return relation
    columns = list(relation.columns.values())
    result = Relation(rest=relation.rest)
    for index, name in enumerate(names):
        result.add(name, columns[index][1] if index < len(columns) else relation.rest)
    for name, sources in columns[len(names) :]:
        result.add(name, sources)
    return result
