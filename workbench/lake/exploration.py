"""The noun Exploration: a relation of any size, read page by page, sorted, filtered, as of a snapshot."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute, fetch, one_query
from workbench.errors import NotFound, WorkbenchError
from workbench.lake.conditions import condition
from workbench.lake.difference import diff
from workbench.lake.distribution import Distribution, distributions
from workbench.lake.past import Relation, relation_at
from workbench.lake.snapshots import changes_by_snapshot
from workbench.names import quote, quote_all, quote_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake

PAGE = 200
"""How many rows a page usually has."""

_KEPT = 100_000
_SHALLOW = 5_000
_ROWS = "mlstore_rows"
_SORTED = "temp.mlstore_sorted"
_PLACES = "temp.mlstore_places"


@dataclass(frozen=True, slots=True)
class View:
    """Which rows are looked at, and in which order.

    Attributes
    ----------
    order : tuple of (str, bool)
        Columns, and whether each is descending. Rows that tie are in the order in which they came into
        the table; without a column to sort by, rows are in the order in which they lie in it.
    filters : mapping of str to str
        What was typed into the filter of a column; see `workbench.lake.conditions`.
    where : str
        A condition in SQL.
    """

    order: tuple[tuple[str, bool], ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


EVERYTHING = View()


class Exploration:
    """The rows of a table at one snapshot, or rows in memory, to be read page by page.

    Get one with `Store.explore`. Any page can be read in any order: deep in a table of many
    millions of rows too, because where a sorted or filtered row stands is found out once for each
    view and kept, as the number of the row, until the view changes. Can be used from several
    threads.

    Attributes
    ----------
    name : str
    snapshot : int
        The snapshot at which it is read; it stays, whatever is written meanwhile.
    columns : mapping of str to str
        Names and DuckDB types.
    """

    def __init__(self, lake: Lake, name: str, snapshot: int, rows: pa.Table | None) -> None:
        self.name, self.snapshot = name, snapshot
        self._lake, self._rows = lake, rows
        self._lock = threading.RLock()
        self._cursor: Cursor | None = None
        self._columns: dict[str, str] | None = None
        self._first: pa.Table | None = None
        self._counts: dict[str, int] = {}
        self._kept: tuple[str, str, str] | None = None

    @classmethod
    def of_table(cls, lake: Lake, relation: Relation) -> Exploration:
        """Look at a table at a snapshot; nothing of it is read yet."""
        made = cls(lake, relation.name, relation.snapshot, None)
        made._source = f"lake.{quote_name(relation.qualified)} AT (VERSION => {relation.snapshot})"
        made._table = relation.qualified
        return made

    @classmethod
    def of_rows(cls, lake: Lake, name: str, snapshot: int, rows: pa.Table) -> Exploration:
        """Look at rows that are in memory."""
        return cls(lake, name, snapshot, rows)

    _source = _ROWS
    _table = ""

    @property
    def columns(self) -> dict[str, str]:
        """Names and DuckDB types."""
        with self._lock:
            if self._columns is None:
                described = self._run(f"SELECT * FROM {self._source} LIMIT 0")
                self._columns = _described(described)
            return self._columns

    @property
    def is_table(self) -> bool:
        """Whether it is a table with a past, and not rows in memory."""
        return self._rows is None

    def close(self) -> None:
        """Forget what was found out of the view; it can still be used, and finds it out again."""
        with self._lock:
            if self._cursor is not None:
                self._cursor.close()
            self._cursor = self._kept = None

    def count(self, view: View = EVERYTHING) -> int:
        """Count the rows of a view.

        Raises
        ------
        StatementError, NotFound, InvalidData
            If a condition is no SQL, names what is not there, or compares what cannot be compared.
        """
        where = self._where(view)
        with self._lock:
            if where not in self._counts:
                row = self._run(f"SELECT count(*) FROM {self._source}{where}").fetchone()
                self._counts[where] = int(row[0]) if row else 0
            return self._counts[where]

    def page(self, start: int = 0, count: int = PAGE, view: View = EVERYTHING) -> pa.Table:
        """Return `count` rows of a view from `start` on, fewer at its end.

        Raises
        ------
        StatementError, NotFound, InvalidData
            See `count`.
        """
        where, order = self._where(view), self._order(view)
        limit = _limit(start, count)
        with self._lock:
            if not where and not order:
                return self._unsorted(start, count)
            if self._rows is not None or self.count(view) <= _KEPT:
                return self._from_sorted(where, order, start, count)
            if start + count <= _SHALLOW:
                return self._fetch(f"SELECT * FROM {self._source}{where}{_by_place(order)}{limit}")
            return self._from_places(where, order, start, count)

    def everything(self, columns: str = "*") -> pa.Table:
        """Return all rows, or these columns of them in SQL, at once."""
        with self._lock:
            return self._fetch(f"SELECT {columns} FROM {self._source}")

    def profile(self, columns: Sequence[str] | None = None, view: View = EVERYTHING) -> list[Distribution]:
        """Describe the values of columns: how many, NULLs, range, distribution, commonest values.

        Pages can be read meanwhile.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        wanted = {name: self._type(name) for name in self.columns if columns is None or name in columns}
        for name in columns or ():
            self._type(name)
        with self.reading() as (cursor, relation):
            return distributions(cursor, f"(SELECT * FROM {relation}{self._where(view)})", wanted)

    @contextmanager
    def reading(self) -> Iterator[tuple[Cursor, str]]:
        """Give a cursor of its own, and the relation of all rows in SQL, for queries over them."""
        cursor = self._new_cursor()
        try:
            yield cursor, self._source
        finally:
            cursor.close()

    def snapshots(self) -> list[int]:
        """List the snapshots up to now that changed the table, oldest first; none of rows in memory."""
        if not self.is_table:
            return []
        with self._lake.pinned() as (cursor, head):
            changed = changes_by_snapshot(cursor, -1, head)
        return [snapshot for snapshot, tables in sorted(changed.items()) if self._table in tables]

    def commits(self) -> pa.Table:
        """List what changed the table up to this snapshot, oldest first: snapshot, time, message."""
        mine = [snapshot for snapshot in self.snapshots() if snapshot <= self.snapshot]
        listed = ", ".join(map(str, mine)) or "NULL"
        return fetch(
            execute(
                self._lake.cursor(),
                "SELECT snapshot_id AS snapshot, snapshot_time AS time, commit_message AS message "
                "FROM lake.snapshots() WHERE snapshot_id IN (" + listed + ") ORDER BY snapshot",
            )
        )

    def at(self, snapshot: int) -> Exploration:
        """Return the table at another snapshot."""
        return Exploration.of_table(self._lake, relation_at(self._lake, self._table, snapshot))

    def changes(self, snapshot: int) -> Exploration:
        """Return what the last change up to a snapshot did, as `diff` does; of the first, all rows."""
        *before, last = [each for each in self.snapshots() if each <= snapshot]
        if before:
            rows = diff(self._lake, self._table, before[-1], last).to_arrow()
        else:
            rows = self.at(last).everything("'added' AS change, *")
        return Exploration.of_rows(self._lake, self.name, snapshot, rows)

    # -- within ----------------------------------------------------------------------------------

    def _where(self, view: View) -> str:
        tests = [condition(name, self._type(name), text) for name, text in view.filters.items()]
        if view.where.strip():
            # A line of its own, so that a comment at its end does not swallow what follows.
            tests.append(f"(\n{view.where}\n)")
            one_query(f"SELECT 1 WHERE (\n{view.where}\n)")
        said = " AND ".join(test for test in tests if test)
        return f" WHERE {said}" if said else ""

    def _order(self, view: View) -> str:
        for name, _ in view.order:
            self._type(name)
        return ", ".join(f"{quote(name)}{' DESC' if down else ''} NULLS LAST" for name, down in view.order)

    def _type(self, name: str) -> str:
        if name not in self.columns:
            raise NotFound.named("column", name, self.columns, within=self.name)
        return self.columns[name]

    def _open(self) -> Cursor:
        if self._cursor is None:
            self._cursor = self._new_cursor()
        return self._cursor

    def _new_cursor(self) -> Cursor:
        cursor = self._lake.new_cursor()
        if self._rows is not None:
            cursor.register(_ROWS, self._rows)
        return cursor

    def _run(self, sql: str) -> Cursor:
        return self._lake.run(self._open(), sql)

    def _fetch(self, sql: str) -> pa.Table:
        return fetch(self._run(sql))

    def _unsorted(self, start: int, count: int) -> pa.Table:
        """Read a page of all rows; the first stays, for whoever opens an explorer reads it again."""
        if self._rows is not None:
            return self._rows.slice(start, count)
        if self._first is not None and start + count <= self._first.num_rows:
            return self._first.slice(start, count)
        # It needs no cursor of its own, whose making would ask the catalog.
        cursor = self._lake.run(self._lake.cursor(), f"SELECT * FROM {self._source}{_limit(start, count)}")
        self._columns = self._columns or _described(cursor)
        page = fetch(cursor)
        if start == 0 and count <= PAGE:
            self._first = page
        return page

    def _keep(self, what: str, where: str, order: str, sql: str) -> None:
        """Make a temporary table for a view, unless it is the one that is there."""
        if self._kept == (what, where, order):
            return
        self._kept = None
        for name in (_SORTED, _PLACES):
            with suppress(WorkbenchError):
                self._run(f"DROP TABLE IF EXISTS {name}")
        self._run(f"CREATE TEMP TABLE {what.partition('.')[2]} AS {sql}")
        self._kept = (what, where, order)

    def _from_sorted(self, where: str, order: str, start: int, count: int) -> pa.Table:
        """Read a page from a sorted copy: of few rows, and of those that have no number."""
        by = _by_place(order) if self.is_table else (f" ORDER BY {order}" if order else "")
        self._keep(_SORTED, where, order, f"SELECT * FROM {self._source}{where}{by}")
        return self._fetch(f"SELECT * FROM {_SORTED} WHERE {_window(start, count)} ORDER BY rowid")

    def _from_places(self, where: str, order: str, start: int, count: int) -> pa.Table:
        """Read a page of many rows: their numbers are kept in order, and the rows looked up by them."""
        self._keep(
            _PLACES, where, order, f"SELECT rowid AS place FROM {self._source}{where}{_by_place(order)}"
        )
        places = self._fetch(f"SELECT place FROM {_PLACES} WHERE {_window(start, count)} ORDER BY rowid")
        numbers: Sequence[int] = places.column(0).to_pylist()
        if not numbers:
            return self._fetch(f"SELECT * FROM {self._source} LIMIT 0")
        wanted = ", ".join(map(str, numbers))
        found = self._fetch(
            f"SELECT rowid AS {quote(_free(self.columns))}, {quote_all(self.columns)} FROM {self._source} "
            f"WHERE rowid BETWEEN {min(numbers)} AND {max(numbers)} AND rowid IN ({wanted})"
        )
        return _in_order(found, numbers)


def _described(cursor: Cursor) -> dict[str, str]:
    """Name the columns of what a cursor has run, with their types."""
    return {name: str(kind) for name, kind, *_ in cursor.description or ()}


def _by_place(order: str) -> str:
    return f" ORDER BY {order}, rowid" if order else ""


def _limit(start: int, count: int) -> str:
    return f" LIMIT {int(count)} OFFSET {int(start)}"


def _window(start: int, count: int) -> str:
    return f"rowid >= {int(start)} AND rowid < {int(start) + int(count)}"


def _free(columns: Mapping[str, Any]) -> str:
    name = "place"
    while name in {each.lower() for each in columns}:
        name += "_"
    return name


def _in_order(found: pa.Table, numbers: Sequence[int]) -> pa.Table:
    """Put rows, each with its number first, into the order of `numbers`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    asked = pa.array(numbers, found.column(0).type)
    return found.take(pc.index_in(asked, value_set=found.column(0))).remove_column(0)
