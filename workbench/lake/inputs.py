"""What a query reads: base tables found through views, and whether they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import NotFound
from workbench.lake.snapshots import changed_tables
from workbench.lake.tables import TableInfo

if TYPE_CHECKING:
    from workbench.lake.lake import Lake

SourceTables = Callable[[str], Iterable[str]]


def base_tables(
    lake: Lake,
    names: Iterable[str],
    source_tables: SourceTables,
    cursor: Cursor,
    *,
    views_too: bool = False,
) -> tuple[str, ...]:
    """Resolve relation names to the tables under them, going through views; qualified, in order.

    With `views_too` the named queries gone through are listed as well.

    Raises
    ------
    NotFound
        If a name does not exist.
    """
    known = lake.tables.all(cursor)
    views = view_texts(cursor)
    found: dict[str, None] = {}

    def add(name: str, trail: tuple[str, ...]) -> None:
        table = _lookup(known, name)
        if table.qualified in trail:
            return
        if table.qualified in views:
            if views_too and table.kind == "query":
                found[table.qualified] = None
            for inner in source_tables(views[table.qualified]):
                add(inner, (*trail, table.qualified))
        else:
            found[table.qualified] = None

    for name in names:
        add(name, ())
    return tuple(found)


def moved(cursor: Cursor, watermarks: Mapping[str, int], inputs: Iterable[str], head: int) -> list[str]:
    """Name the inputs that changed since their watermark, or were never read."""
    inputs = list(inputs)
    if not inputs:
        return []
    read = [watermarks[name] for name in inputs if name in watermarks]
    changed = changed_tables(cursor, min(read), head) if read else {}
    return behind(watermarks, inputs, changed)


def behind(watermarks: Mapping[str, int], inputs: Iterable[str], changed: Mapping[str, int]) -> list[str]:
    """Name the inputs never read, then those that `changed` in a later snapshot than their watermark."""
    inputs = list(inputs)
    return [name for name in inputs if name not in watermarks] + [
        name for name in inputs if name in watermarks and changed.get(name, 0) > watermarks[name]
    ]


def view_texts(cursor: Cursor) -> dict[str, str]:
    """Return the query of each view, by its qualified name."""
    rows = execute(
        cursor,
        "SELECT schema_name || '.' || view_name, sql FROM duckdb_views() WHERE database_name = 'lake'",
    ).fetchall()
    return {name: _body(sql) for name, sql in rows}


def _body(sql: str) -> str:
    """Cut `CREATE VIEW name (columns) AS` off a view's text."""
    lowered = sql.lower()
    return sql[lowered.index(" as ") + 4 :].rstrip("; \n")


def _lookup(known: list[TableInfo], name: str) -> TableInfo:
    parts = [part.strip('"').lower() for part in name.split(".")]
    for table in known:
        if table.name.lower() == parts[-1] and (len(parts) == 1 or table.schema == parts[-2]):
            return table
    raise NotFound.named("table", name, [table.name for table in known if table.kind != "record"])
