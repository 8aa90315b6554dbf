"""Compute a transform's rows at a pinned snapshot: all of them, or those that a change touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.derivation import Full, Incremental, Noop, Plan
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound, StatementError
from workbench.lake import write
from workbench.lake.images import Window, count_changed, read_window, stage_images
from workbench.lake.inputs import moved
from workbench.lake.keys import check_nulls, check_unique
from workbench.lake.write import Delta
from workbench.names import quote, quote_all
from workbench.transform.definition import Transform
from workbench.transform.sources import Catalog, division_of
from workbench.transform.units import Changes, Division, Steps, Undivided, image_name

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

STAGED = "mlstore_staged"
_TOUCHED = "mlstore_touched"

# Beyond this share of changed rows or touched units, computing all is about as cheap; below so many
# rows it does not matter.
LARGE_SHARE = 0.3
SMALL_TABLE = 10_000


class TooMuch(Exception):
    """Computing everything is the better way after all; the message says why."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What a computation left on its cursor.

    Attributes
    ----------
    columns : dict of str to str
    head : int
        The snapshot that was read.
    watermarks : mapping of str to int
        Up to where the inputs had been read before.
    rows : int
        How many rows were computed.
    delta : Delta or None
        What to write; None if the table is made anew.
    plan : Plan
        What was done in the end.
    details : dict
    """

    columns: dict[str, str]
    head: int
    watermarks: Mapping[str, int]
    rows: int
    plan: Plan
    delta: Delta | None = None
    details: dict[str, Any] = field(default_factory=dict)


def decide(lake: Lake, cursor: Cursor, transform: Transform, head: int, *, full: bool = False) -> Plan:
    """Decide what a refresh at a pinned snapshot has to do."""
    watermarks = lake.records.watermarks(transform.name, cursor=cursor)
    changed = moved(cursor, watermarks, transform.inputs, head)
    if full:
        return Full("asked for")
    if not changed:
        return Noop()
    said = f"{', '.join(changed)} changed"
    obstacle = _first_obstacle(watermarks, changed)
    if obstacle:
        return Full(obstacle)
    catalog = Catalog.read(lake, cursor)
    windows = {}
    for name in changed:
        table = catalog.tables.get(name)
        if table is None:
            return Full(f"{name} is gone")
        windows[name] = read_window(cursor, table, watermarks[name], head)
        if windows[name].obstacle:
            return Full(windows[name].obstacle)
    division = division_of(lake, transform, catalog)
    why = division.obstacle(changed)
    if why:
        return Full(f"{said}; {why}")
    large = _large(cursor, catalog, windows)
    return Full(large) if large else Incremental(division.unit, said)


def _first_obstacle(watermarks: Mapping[str, int], changed: list[str]) -> str:
    for name in changed:
        if name not in watermarks:
            return f"{name} was never read"
        if name.startswith("queries."):
            return f"the query {name.partition('.')[2]} was defined anew"
    return ""


def _large(cursor: Cursor, catalog: Catalog, windows: Mapping[str, Window]) -> str:
    for name, window in windows.items():
        changed, rows = count_changed(cursor, catalog.tables[name], window)
        if rows > SMALL_TABLE and changed > LARGE_SHARE * rows:
            return f"{changed:,} of {rows:,} rows of {name} changed: computing all is cheaper"
    return ""


def compute_full(lake: Lake, cursor: Cursor, transform: Transform, plan: Plan) -> Computed:
    """Compute the whole result at the snapshot that `cursor` is pinned to."""
    columns = _stage(lake, cursor, transform, transform.expanded)
    head = lake.head(cursor)
    watermarks = lake.records.watermarks(transform.name, cursor=cursor)
    rows = _count(cursor, STAGED)
    table = lake.tables.find(transform.output, cursor)
    delta = None
    if table is not None and columns == table.columns and table.key == transform.key:
        delta = write.compare(cursor, table, STAGED, transform.key, replace=True, at=head)
    return Computed(columns, head, watermarks, rows, plan, delta)


def compute_part(lake: Lake, cursor: Cursor, transform: Transform, plan: Incremental) -> Computed:
    """Compute the units that the changes since the watermarks touch.

    Raises
    ------
    TooMuch
        If so many are touched that computing all is cheaper, or they cannot be computed by themselves.
    """
    head = lake.head(cursor)
    watermarks = lake.records.watermarks(transform.name, cursor=cursor)
    changed = moved(cursor, watermarks, transform.inputs, head)
    catalog = Catalog.read(lake, cursor)
    table = catalog.tables[transform.output]
    division = division_of(lake, transform, catalog)
    changes = division.changes({name: watermarks[name] for name in changed})
    try:
        steps = division.steps(changes, f"temp.{_TOUCHED}")
        found = _find_touched(cursor, division, steps, changes, catalog, head)
        if steps is None or found["units"] == 0:
            return _nothing(cursor, table, transform, plan, head, watermarks, found)
        _refuse_many(cursor, table, transform, division.unit, found["units"])
    except Undivided as error:
        raise TooMuch(error.message) from error
    try:
        columns = _stage(lake, cursor, transform, steps.rows)
    except (StatementError, NotFound) as error:
        raise TooMuch(
            f"a part of it cannot be computed by itself ({error.message.splitlines()[0]})"
        ) from error
    if columns != table.columns:
        raise TooMuch("the columns of the result changed")
    part = write.Part(division.unit, f"temp.{_TOUCHED}", steps.owned)
    delta = write.compare_part(cursor, table, STAGED, transform.key, part, at=head)
    return Computed(columns, head, watermarks, _count(cursor, STAGED), plan, delta, found)


def _find_touched(
    cursor: Cursor,
    division: Division,
    steps: Steps | None,
    changes: Changes,
    catalog: Catalog,
    head: int,
) -> dict[str, Any]:
    """Put the touched units into a temporary table; count them and the changed rows."""
    rows = 0
    for number, name in enumerate(changes.since):
        if name in changes.images:
            source = catalog.tables[name]
            window = read_window(cursor, source, changes.since[name], head)
            if window.obstacle:
                raise TooMuch(window.obstacle)
            columns = [each for each in source.columns if each in changes.images[name]]
            rows += _guarded(lambda: stage_images(cursor, source, window, columns, image_name(number)))  # noqa: B023
    for name, part in changes.staged:
        _guarded(lambda: execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {part}"))  # noqa: B023
    units = 0
    if steps is not None:
        chosen = f"SELECT {quote_all(division.unit)} FROM ({steps.touched})"
        _guarded(lambda: execute(cursor, f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS {chosen}"))
        units = _count(cursor, _TOUCHED)
    return {"unit": list(division.unit), "units": units, "changed_rows": rows}


def _guarded(work: Any) -> Any:
    """Run a query that the planner wrote; if it fails, everything is computed instead."""
    try:
        return work()
    except (StatementError, NotFound, InvalidData) as error:
        raise TooMuch(f"the change cannot be followed ({error.message.splitlines()[0]})") from error


def _refuse_many(
    cursor: Cursor, table: TableInfo, transform: Transform, unit: tuple[str, ...], touched: int
) -> None:
    row = execute(cursor, f"SELECT count(*) FROM lake.{table.sql}").fetchone()
    total = row[0] if row else 0
    if total <= SMALL_TABLE:
        return
    if not set(transform.key) <= set(unit):
        row = execute(
            cursor, f"SELECT count(*) FROM (SELECT DISTINCT {quote_all(unit)} FROM lake.{table.sql})"
        ).fetchone()
        total = row[0] if row else 0
    if touched > LARGE_SHARE * total:
        raise TooMuch(
            f"the change touches {touched:,} of {total:,} ({', '.join(unit)}): computing all is cheaper"
        )


def _nothing(
    cursor: Cursor,
    table: TableInfo,
    transform: Transform,
    plan: Incremental,
    head: int,
    watermarks: Mapping[str, int],
    found: dict[str, Any],
) -> Computed:
    """Say that no unit is touched, so that nothing is written but how far the inputs were read."""
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM lake.{table.sql} LIMIT 0")
    delta = write.compare(cursor, table, STAGED, transform.key, replace=False, at=head)
    return Computed(table.columns, head, watermarks, 0, plan, delta, found)


def _stage(lake: Lake, cursor: Cursor, transform: Transform, query: str) -> dict[str, str]:
    """Compute rows into the staging table, and check that their key is one."""
    try:
        columns = write.stage(cursor, STAGED, query)
    except NotFound as error:
        raise _name_both_ends(error, transform) from error
    missing = [column for column in transform.key if column not in columns]
    if missing:
        found = NotFound.named("column", missing[0], columns, within=f"the result of {transform.name}")
        raise InvalidData(
            f"The query of {transform.name!r} does not return its key ({', '.join(missing)}).",
            hint=found.hint,
        )
    check_nulls(cursor, f"FROM temp.{STAGED}", transform.key, transform.name)
    check_unique(cursor, f"FROM temp.{STAGED}", transform.key, transform.name)
    return columns


def _name_both_ends(error: NotFound, transform: Transform) -> NotFound:
    return NotFound(
        f"The transform {transform.name!r} reads something that is gone: {error.message}",
        hint=error.hint or f"Define {transform.name} anew, or bring back what it reads.",
        nearest=error.nearest,
    )


def _count(cursor: Cursor, name: str) -> int:
    row = execute(cursor, f"SELECT count(*) FROM temp.{quote(name)}").fetchone()
    return int(row[0]) if row else 0
