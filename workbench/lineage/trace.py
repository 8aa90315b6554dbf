"""The trace of one row: the rows it came from, as they were, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbench.engines.duckdb import fetch
from workbench.engines.sql import inline_views, provenance, source_tables
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.lake import Result, TableInfo
from workbench.lineage.head import Head
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake

Since = Literal["unchanged", "changed", "deleted"]

MOST_ROWS = 20
"""Of a source with more rows than this, the rows behind them are not looked up."""

_THEN = "mlstore_then"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that went into the traced row.

    Attributes
    ----------
    table : str
        Qualified name.
    snapshot : int
        The snapshot they were read at.
    as_it_was : Result
        The rows at that snapshot.
    since : {"unchanged", "changed", "deleted"}
        What became of them; "deleted" means that none is left.
    now : Result
        The rows of the same keys at the head.
    """

    table: str
    snapshot: int
    as_it_was: Result
    since: Since
    now: Result


@dataclass(frozen=True, slots=True)
class Trace:
    """A row and where it came from.

    Attributes
    ----------
    table : str
        Qualified name.
    key : tuple
        The values of the key.
    row : Result
        The row as it is now.
    sources : list of Source
        From near to far.
    not_traced : tuple of str
        Tables that were read, but whose rows could not be told: those read only in subqueries of
        expressions, and those behind more than `MOST_ROWS` rows.
    """

    table: str
    key: tuple[Any, ...]
    row: Result
    sources: list[Source] = field(default_factory=list)
    not_traced: tuple[str, ...] = ()


def trace(lake: Lake, table: str, key: Any) -> Trace:
    """Follow a row to the rows it came from.

    A transform's row leads to the rows its query read in the run that made it, a prediction to the
    row it was made for, and each of those further back. Rows are shown as they were at the time.

    Parameters
    ----------
    table : str
        A table, a transform, a table of predictions (`predictions.flights` or the side table of
        one binding), or a binding by its column, as in `late` or `flights.late`.
    key : value, sequence of values or mapping
        The row's key, in the order of the key's columns.

    Raises
    ------
    NotFound
        If there is no such table or row.
    InvalidData
        If the key has other columns than the table's, or values of another type.
    Unsupported
        If the table has no key.
    """
    with lake.pinned() as (cursor, head):
        here = Head(lake, cursor, head)
        info = _find(here, table)
        columns = _key_of(here, info)
        values = _values(here, info, columns, key)
        row = here.rows(cursor, f"FROM lake.{info.sql}", columns, info, values, head)
        if not len(row):
            raise NotFound(f"There is no row with {_say(columns, values)} in {info.qualified}.")
        walk = _Walk(here)
        if info.schema == "predictions":
            walk.predictions(info, columns, values)
        else:
            walk.behind(info, columns, values, head)
    seen = {source.table for source in walk.sources}
    missed = tuple(each for each in dict.fromkeys(walk.missed) if each not in seen)
    return Trace(info.qualified, values, row, walk.sources, missed)


# -- the row ---------------------------------------------------------------------------------------


def _find(here: Head, name: str) -> TableInfo:
    found = here.find(name)
    if found is None:
        for row in here.bindings():
            on, column = row["definition"]["on"].rpartition(".")[2], row["definition"]["column"]
            if name in (column, f"{on}.{column}", f"predictions.{on}.{column}"):
                found = here.find(f"predictions.{row['name']}")
    if found is None:
        known = {table.name for table in here.tables if table.kind != "record"}
        raise NotFound.named("table", name, known)
    return found


def _key_of(here: Head, info: TableInfo) -> tuple[str, ...]:
    bound = _bindings(here, info)
    columns = info.key or (tuple(bound[0]["definition"]["key"]) if bound else ())
    if not columns:
        what = "A query" if info.kind == "query" else "A table without a key"
        raise Unsupported(
            f"{info.name!r} cannot be traced. {what} has no rows that can be named.",
            hint="Trace a row of a table it reads."
            if info.kind == "query"
            else f"Give it a key, as in: ALTER TABLE {info.name} ADD PRIMARY KEY (id).",
        )
    return columns


def _bindings(here: Head, info: TableInfo) -> list[dict[str, Any]]:
    """Return the bindings that a table or view of predictions shows."""
    if info.schema != "predictions":
        return []
    rows = here.bindings()
    return [row for row in rows if info.name in (row["name"], row["definition"]["on"].rpartition(".")[2])]


def _bound_tables(here: Head, binding: Mapping[str, Any]) -> list[str]:
    """Name the tables whose rows a binding predicts: those under a query or a view of predictions."""
    definition = binding["definition"]
    names = [name for name in definition["inputs"] if name.partition(".")[0] in ("main", "features")]
    key = {each.lower() for each in definition["key"]}
    return [name for name in names if {each.lower() for each in here.info(name).key} == key]


def _values(here: Head, info: TableInfo, columns: tuple[str, ...], key: Any) -> tuple[Any, ...]:
    """Read the key as the user gave it into values of the columns' types."""
    named = ", ".join(columns)
    if isinstance(key, Mapping):
        given = {str(name).lower(): value for name, value in key.items()}
        if set(given) != {column.lower() for column in columns}:
            raise InvalidData(f"The key of {info.name} is ({named}), not ({', '.join(map(str, key))}).")
        values: tuple[Any, ...] = tuple(given[column.lower()] for column in columns)
    else:
        many = isinstance(key, Sequence) and not isinstance(key, str | bytes)
        values = tuple(key) if many else (key,)
    if len(values) != len(columns):
        raise InvalidData(
            f"The key of {info.name} has {len(columns)} column{'s' * (len(columns) > 1)} ({named}), "
            f"but {len(values)} value{'s were' if len(values) != 1 else ' was'} given.",
            hint=f"Give a value for each of: {named}.",
        )
    casts = ", ".join(f"CAST(? AS {info.columns[column]})" for column in columns)
    try:
        row = here.lake.run(here.cursor, f"SELECT {casts}", list(values)).fetchone()
    except InvalidData as error:
        types = ", ".join(f"{column} {info.columns[column]}" for column in columns)
        raise InvalidData(f"{key!r} is no key of {info.name}, whose key is ({types}).") from error
    assert row is not None
    return tuple(row)


def _say(columns: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f"{column} = {value}" for column, value in zip(columns, values, strict=True))


# -- what is behind it -----------------------------------------------------------------------------


class _Walk:
    """Collects the sources of a row, from near to far."""

    def __init__(self, here: Head) -> None:
        self._here = here
        self.sources: list[Source] = []
        self.missed: list[str] = []

    def predictions(self, info: TableInfo, columns: tuple[str, ...], values: tuple[Any, ...]) -> None:
        """Add the predictions for a row, the row each was made for, and what is behind that."""
        here = self._here
        read: dict[tuple[str, int], None] = {}
        for binding in _bindings(self._here, info):
            side = here.info(f"predictions.{binding['name']}")
            made = here.rows(here.cursor, f"FROM lake.{side.sql}", side.key, side, values, here.snapshot)
            if info.name != side.name and len(made):
                self.sources.append(Source(side.qualified, here.snapshot, made, "unchanged", made))
            for row in made.rows():
                if row["source_snapshot"] is not None:
                    read |= {(on, row["source_snapshot"]): None for on in _bound_tables(here, binding)}
        for on, snapshot in read:
            table = here.info(on)
            with self._as_of(snapshot, [on]) as cursor:
                found = here.rows(cursor, f"FROM {table.sql}", columns, table, values, snapshot)
            self._add(table, snapshot, found)
            self.behind(table, columns, values, snapshot)

    def behind(
        self, info: TableInfo, columns: tuple[str, ...], values: tuple[Any, ...], snapshot: int
    ) -> None:
        """Add the sources of a transform's row as it stood at `snapshot`; of other tables, none."""
        run, definition = self._made_by(info, snapshot)
        if run is None or definition is None:
            return
        # A named query is gone through to the tables under it.
        inputs = {name: pair[1] for name, pair in run["inputs"].items() if not name.startswith("queries.")}
        if not inputs:
            return
        # A run reads all its inputs at one snapshot.
        read_at = max(inputs.values())
        with self._as_of(read_at, list(inputs)) as cursor:
            rows = self._contributions(cursor, definition, inputs, columns, values, read_at)
            added = [self._add(self._here.info(name), read_at, found) for name, found in rows.items()]
        self.missed += [name for name in inputs if name not in rows]
        for source in added:
            self._further(source)

    def _further(self, source: Source) -> None:
        table = self._here.info(source.table)
        if table.schema != "features" or not table.key:
            return
        if len(source.as_it_was) > MOST_ROWS:
            run, _ = self._made_by(table, source.snapshot)
            self.missed += list(run["inputs"]) if run else []
            return
        for row in source.as_it_was.rows():
            self.behind(table, table.key, tuple(row[column] for column in table.key), source.snapshot)

    def _made_by(self, info: TableInfo, snapshot: int) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Find the run that last wrote a transform's table up to a snapshot, and its definition."""
        if info.schema != "features":
            return None, None
        params = {"name": info.name, "snapshot": snapshot}
        known = "name = $name AND kind = 'transform' AND snapshot_id <= $snapshot"
        runs = self._here.records("runs", f"{known} AND status = 'ok' AND mode <> 'noop'", params)
        definitions = self._here.records("definitions", known, params)
        return (runs[-1] if runs else None), (definitions[-1]["definition"] if definitions else None)

    # -- rows of the past --------------------------------------------------------------------------

    @contextmanager
    def _as_of(self, snapshot: int, tables: Sequence[str]) -> Iterator[Cursor]:
        """Give a cursor on which the tables are as of a snapshot; the head's where nothing moved."""
        # A table that was dropped is not among those that moved.
        still_there = all(self._here.find(name) for name in tables)
        if still_there and self._here.moved(snapshot).isdisjoint(tables):
            yield self._here.cursor
            return
        with self._here.lake.at(snapshot) as past:
            yield past

    def _contributions(
        self,
        cursor: Cursor,
        definition: Mapping[str, Any],
        inputs: Mapping[str, int],
        columns: tuple[str, ...],
        values: tuple[Any, ...],
        snapshot: int,
    ) -> dict[str, Result]:
        """Return the rows of each input behind a key, by the definition or by the key's columns."""
        queries = self._provenance(cursor, definition, inputs, columns, snapshot)
        found = {name: self._run(cursor, query, values) for name, query in queries.items()}
        if found:
            return found
        for name in inputs:
            table = self._here.find(name)
            if table is not None and all(column in table.columns for column in columns):
                found[name] = self._here.rows(cursor, f"FROM {table.sql}", columns, table, values, snapshot)
        return found

    def _provenance(
        self,
        cursor: Cursor,
        definition: Mapping[str, Any],
        inputs: Iterable[str],
        columns: tuple[str, ...],
        snapshot: int,
    ) -> dict[str, str]:
        try:
            sql = inline_views(definition.get("expanded") or definition["query"], self._views(snapshot))
            names = source_tables(sql)
        except StatementError:
            return {}
        schema = {name: self._columns(cursor, name) for name in names}
        found = provenance(sql, schema, columns) or {}
        queries: dict[str, str] = {}
        for name, query in found.items():
            qualified = self._qualified(name, inputs)
            queries[qualified] = f"{queries[qualified]} UNION {query}" if qualified in queries else query
        return queries

    def _qualified(self, name: str, inputs: Iterable[str]) -> str:
        """Qualify a name; a table that is gone by now is known from the run."""
        table = self._here.find(name)
        ends = f".{name.rpartition('.')[2].lower()}"
        return table.qualified if table else next((each for each in inputs if each.endswith(ends)), name)

    def _views(self, snapshot: int) -> dict[str, str]:
        rows = self._here.records(
            "definitions", "kind = 'query' AND snapshot_id <= $snapshot", {"snapshot": snapshot}
        )
        views: dict[str, str] = {}
        for row in rows:
            views[row["name"].lower()] = row["definition"]["query"]
        return {**views, **{f"queries.{name}": query for name, query in views.items()}}

    def _columns(self, cursor: Cursor, name: str) -> dict[str, str]:
        relation = ".".join(quote(part) for part in name.split("."))
        described = self._here.lake.run(cursor, f"FROM {relation} LIMIT 0").description
        return {column[0]: str(column[1]) for column in described or ()}

    def _run(self, cursor: Cursor, query: str, values: Sequence[Any]) -> Result:
        given = {f"k{index}": value for index, value in enumerate(values) if f"$k{index}" in query}
        return Result(fetch(self._here.lake.run(cursor, query, given)), query=query)

    # -- and now -----------------------------------------------------------------------------------

    def _add(self, table: TableInfo, snapshot: int, rows: Result) -> Source:
        as_it_was = Result(_sorted(rows.to_arrow(), table.key), snapshot, query=rows.query)
        since, now = self._since(table, as_it_was, snapshot)
        source = Source(table.qualified, snapshot, as_it_was, since, now)
        self.sources.append(source)
        return source

    def _since(self, table: TableInfo, then: Result, snapshot: int) -> tuple[Since, Result]:
        here, cursor = self._here, self._here.cursor
        if here.find(table.qualified) is None:
            return "deleted", Result(then.to_arrow().slice(0, 0), here.snapshot)
        if table.qualified not in here.moved(snapshot):
            return "unchanged", then
        head = f"lake.{table.sql}"
        cursor.register(_THEN, then.to_arrow())
        try:
            if table.key:
                sql = f"FROM {head} SEMI JOIN {_THEN} USING ({quote_all(table.key)})"
            else:
                sql = f"FROM {_THEN} INTERSECT FROM {head}"
            now = Result(_sorted(fetch(here.lake.run(cursor, sql)), table.key), here.snapshot, query=sql)
            if not len(now) and len(then):
                return "deleted", now
            if len(now) != len(then) or now.columns != then.columns:
                return "changed", now
            # In SQL, because NaN equals NaN there.
            gone = here.lake.run(cursor, f"SELECT 1 FROM (FROM {_THEN} EXCEPT {sql}) LIMIT 1").fetchone()
            return ("changed" if gone else "unchanged"), now
        finally:
            cursor.unregister(_THEN)


def _sorted(table: Any, key: Sequence[str]) -> Any:
    present = [column for column in key if column in table.column_names]
    return table.sort_by([(column, "ascending") for column in present]) if present else table
