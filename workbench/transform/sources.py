"""What a transform reads: its tables and named queries, as the planner asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import WorkbenchError
from workbench.lake import TableInfo
from workbench.lake.inputs import view_texts
from workbench.lake.snapshots import Journal, read_journal
from workbench.names import SCHEMAS
from workbench.transform.units import Division, Source, Surroundings, Undivided, divide

if TYPE_CHECKING:
    from workbench.lake import Lake
    from workbench.transform.definition import Transform

_REMEMBERED = 256
_divisions: dict[object, Division] = {}
_catalogs: WeakKeyDictionary[Lake, tuple[int, Catalog]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Catalog:
    """The relations of a lake: by their qualified names, the views' texts, and the tables' names by id."""

    tables: Mapping[str, TableInfo]
    views: Mapping[str, str]
    names: Mapping[int, str]

    @classmethod
    def read(cls, lake: Lake, cursor: Cursor, journal: Journal | None = None) -> Catalog:
        """Read it as `cursor` sees it, which has written nothing itself.

        Tables, views and keys change only with the schema of the lake, which has a version; `journal`
        knows it.
        """
        if journal is None:
            head = lake.head(cursor)
            journal = read_journal(cursor, head, head)
        version = journal.versions[journal.head]
        known = _catalogs.get(lake)
        if known is None or known[0] != version:
            tables = {each.qualified: each for each in lake.tables.all(cursor)}
            read = cls(tables, view_texts(cursor), lake.tables.numbers(cursor))
            known = _catalogs[lake] = (version, read)
        return known[1]

    def source(self, name: str) -> Source | str | None:
        """Look up a table, or the text of a view, by `schema.name` or `name`."""
        low = name.lower()
        candidates = [low] if "." in low else [f"{schema}.{low}" for schema in SCHEMAS]
        by_name = {each.lower(): each for each in self.tables}
        found = next((by_name[each] for each in candidates if each in by_name), None)
        if found is None:
            return None
        if found in self.views:
            return self.views[found]
        table = self.tables[found]
        return Source(table.qualified, f"lake.{table.sql}", tuple(table.columns), table.key)


def division_of(lake: Lake, transform: Transform, catalog: Catalog) -> Division:
    """Find by which units a transform's query falls apart; remembered while what it reads looks the same."""
    shape = tuple(
        (name, tuple(catalog.tables[name].columns.items()), catalog.tables[name].key, catalog.views.get(name))
        for name in transform.inputs
        if name in catalog.tables
    )
    known = (str(lake.folder), transform.expanded, transform.key, shape)
    if known not in _divisions:
        while len(_divisions) >= _REMEMBERED:
            del _divisions[next(iter(_divisions))]
        around = Surroundings(catalog.source, lambda query: _describe(lake, query))
        _divisions[known] = divide(transform.expanded, transform.key, around)
    return _divisions[known]


def say_refresh(lake: Lake, transform: Transform, catalog: Catalog) -> str:
    """Say, for a change of each input, whether it is followed row by row or by computing all."""
    division = division_of(lake, transform, catalog)
    obstacles: dict[str, list[str]] = {}
    for name in transform.inputs:
        if not name.startswith("queries."):
            obstacles.setdefault(division.obstacle([name]), []).append(name.partition(".")[2])
    followed = obstacles.pop("", [])
    said = []
    if followed:
        said.append(f"by ({', '.join(division.unit)}) when {_either(followed)} changes")
    said += [f"in full when {_either(names)} changes: {why}" for why, names in obstacles.items()]
    return "; ".join(said) or "in full: it reads no table"


def _either(names: list[str]) -> str:
    return " or ".join(names)


def _describe(lake: Lake, query: str) -> tuple[str, ...]:
    try:
        # The names that the columns have for whoever reads the query, repeated ones numbered.
        rows = execute(lake.cursor(), f"DESCRIBE SELECT * FROM ({query}) AS described").fetchall()
    except WorkbenchError as error:
        raise Undivided("a part of it cannot be read by itself") from error
    return tuple(row[0] for row in rows)
