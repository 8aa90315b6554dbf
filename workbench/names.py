"""Names: quoting, versions (`fare@7`), and the schemas a plain name is looked up in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.errors import InvalidData

SCHEMAS = ("main", "queries", "features", "predictions", "mlstore")
"""The schemas of a lake, in the order in which a plain name is looked up."""

METADATA = "__ducklake_metadata_lake"
"""The schema in which DuckLake lets its own catalog of the lake be read."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Those that DuckDB reserves.
_SQL_WORDS = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint "
    "create default deferrable desc describe distinct do else end except false fetch for foreign from "
    "group having in initially intersect into lambda lateral leading limit not null offset on only or "
    "order pivot pivot_longer pivot_wider placing primary qualify references returning select show some "
    "summarize symmetric table then to trailing true union unique unpivot using variadic when where "
    "window with "
)
_RESERVED = frozenset(_SQL_WORDS.split())


@dataclass(frozen=True, slots=True)
class Ref:
    """A name with an optional version: a snapshot, a version number or an alias.

    Examples
    --------
    >>> Ref.parse("fare@7")
    Ref(name='fare', version='7')
    >>> str(Ref.parse("fare@champion"))
    'fare@champion'
    >>> Ref.parse("trips").number is None
    True
    """

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read `name` or `name@version`."""
        name, at, version = text.strip().partition("@")
        if not name or (at and not version):
            raise InvalidData(f"{text!r} is not a name or a name@version.")
        return cls(name, version or None)

    @property
    def number(self) -> int | None:
        """The version as a number, or None where it is absent or an alias."""
        return int(self.version) if self.version and self.version.isdigit() else None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


def check_name(name: str, noun: str) -> str:
    """Return `name` if it may be given to a new `noun`, else raise InvalidData.

    A name starts with a letter or underscore and has only letters, digits and underscores, so
    that it can be written without quotes in SQL and in file names. Two underscores in a row are
    kept for the store's own tables.

    Examples
    --------
    >>> check_name("trip_features", "transform")
    'trip_features'
    """
    if not _NAME.fullmatch(name):
        raise InvalidData(
            f"{name!r} cannot be the name of a {noun}.",
            hint="Use letters, digits and underscores, and start with a letter.",
        )
    if "__" in name:
        raise InvalidData(
            f"{name!r} cannot be the name of a {noun}: two underscores in a row are the store's own.",
        )
    return name


def plain(name: str) -> str:
    """Write a qualified name as users say it: the schema only where it tells things apart.

    Examples
    --------
    >>> plain("features.daily"), plain("predictions.trips")
    ('daily', 'predictions.trips')
    """
    schema, _, rest = name.partition(".")
    return rest if schema in ("main", "queries", "features") and rest else name


def quote(name: str) -> str:
    """Quote an identifier for SQL.

    Examples
    --------
    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def word(name: str) -> str:
    """Write an identifier in SQL as people do: quoted only where it must be.

    Examples
    --------
    >>> word("fare"), word("my fare"), word("order")
    ('fare', '"my fare"', '"order"')
    """
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED
    return name if plain else quote(name)


def words(name: str) -> str:
    """Write a name with its schema in SQL as people do.

    Examples
    --------
    >>> words("predictions.order")
    'predictions."order"'
    """
    return ".".join(map(word, name.split(".")))


def quote_name(name: str) -> str:
    """Quote a name with its schema for SQL.

    Examples
    --------
    >>> quote_name("main.flights")
    '"main"."flights"'
    """
    return ".".join(quote(part) for part in name.split("."))


def quote_all(names: Iterable[str], prefix: str = "") -> str:
    """Quote identifiers and join them with commas, each after `prefix`.

    Examples
    --------
    >>> quote_all(["a", "b"], prefix="t.")
    't."a", t."b"'
    """
    return ", ".join(prefix + quote(name) for name in names)


def listed(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names of which one may have been given by itself.

    Examples
    --------
    >>> listed("id"), listed(["id", "day"])
    (('id',), ('id', 'day'))
    """
    return (names,) if isinstance(names, str) else tuple(names)


def spelled(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Spell names as they are known, whatever their case; one that is not known stays as it is.

    Examples
    --------
    >>> spelled(["ID", "fare"], ["Id", "name"])
    ('Id', 'fare')
    """
    spelling = {each.lower(): each for each in known}
    return tuple(spelling.get(name.lower(), name) for name in names)


def literal(value: str) -> str:
    """Write a string as an SQL literal.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"
