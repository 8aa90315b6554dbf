"""Compute a transform's rows at a pinned snapshot: all of them, or those that a change touches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from workbench import trust
from workbench.derivation import Full, Incremental, Noop, Plan
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound, StatementError
from workbench.lake import write
from workbench.lake.images import Window, count_changed, count_rows, stage_images, window_in
from workbench.lake.inputs import behind
from workbench.lake.keys import check_key
from workbench.lake.snapshots import Journal, read_journal
from workbench.lake.write import Delta
from workbench.names import quote, quote_all, spelled
from workbench.transform.definition import Transform
from workbench.transform.sources import Catalog, division_of
from workbench.transform.units import Changes, Division, Steps, Undivided, image_name

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo

T = TypeVar("T")

STAGED = "mlstore_staged"
_TOUCHED = "temp.mlstore_touched"

# Beyond this share of changed rows or touched units, computing all is about as cheap; below so many
# rows it does not matter.
LARGE_SHARE = 0.3
SMALL_TABLE = 10_000
FEW = LARGE_SHARE * SMALL_TABLE

# So many changed rows at most are copied into a table of their own to be joined.
COPIED = 100_000


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
        What to write; None if the table is made anew, or `nothing` is to be written.
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
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a refresh finds before it computes anything, at the snapshot it is pinned to.

    Attributes
    ----------
    plan : Plan
    head : int
    watermarks : mapping of str to int
    catalog : Catalog or None
        With what follows only where the plan is incremental: what happened to the changed tables,
        how the query falls apart, what a refresh makes first, and what it then asks.
    """

    plan: Plan
    head: int
    watermarks: Mapping[str, int]
    catalog: Catalog | None = None
    windows: Mapping[str, Window] = field(default_factory=dict)
    division: Division | None = None
    changes: Changes | None = None
    steps: Steps | None = None


def look(lake: Lake, cursor: Cursor, transform: Transform, head: int, *, full: bool = False) -> Look:
    """Decide what a refresh at a pinned snapshot has to do."""
    watermarks = lake.records.watermarks(transform.name, cursor=cursor)
    if full:
        return Look(Full("asked for"), head, watermarks)
    journal = read_journal(cursor, min(watermarks.values(), default=head), head)
    catalog = Catalog.read(lake, cursor, journal)
    changed = behind(watermarks, transform.inputs, journal.changed_tables(catalog.names))
    if not changed:
        return Look(Noop(), head, watermarks)
    obstacle = _first_obstacle(watermarks, changed)
    if obstacle:
        return Look(Full(obstacle), head, watermarks)
    try:
        windows = _windows(cursor, catalog, journal, {name: watermarks[name] for name in changed})
        division = division_of(lake, transform, catalog)
        few = all(window.rows <= COPIED for window in windows.values())
        changes = division.changes({name: watermarks[name] for name in changed}, few=few)
        steps = division.steps(changes, _TOUCHED)
    except TooMuch as why:
        _check_whole(lake, transform)
        return Look(Full(str(why)), head, watermarks)
    except Undivided as why:
        return Look(Full(f"{', '.join(changed)} changed; {why.message}"), head, watermarks)
    plan = Incremental(division.unit, f"{', '.join(changed)} changed")
    return Look(plan, head, watermarks, catalog, windows, division, changes, steps)


def _check_whole(lake: Lake, transform: Transform) -> None:
    """Find out before anything is computed whether all that the query names is still there."""
    try:
        lake.run(lake.cursor(), f"DESCRIBE {transform.expanded}")
    except NotFound as error:
        raise _name_both_ends(error, transform) from error


def _first_obstacle(watermarks: Mapping[str, int], changed: list[str]) -> str:
    for name in changed:
        if name not in watermarks:
            return f"{name} was never read"
        if name.startswith("queries."):
            return f"the query {name.partition('.')[2]} was defined anew"
    return ""


def _windows(
    cursor: Cursor, catalog: Catalog, journal: Journal, since: Mapping[str, int]
) -> dict[str, Window]:
    """Read what happened to each changed table; raise TooMuch where that cannot be followed."""
    windows, ids = {}, {name: number for number, name in catalog.names.items()}
    for name, snapshot in since.items():
        table = catalog.tables.get(name)
        if table is None:
            raise TooMuch(f"{name} is gone")
        window = windows[name] = window_in(cursor, table, snapshot, journal, ids.get(name))
        if window.obstacle:
            raise TooMuch(window.obstacle)
        changed = count_changed(cursor, table, window)
        windows[name] = replace(window, rows=changed)
        rows = count_rows(cursor, table) if changed > FEW else 0
        if rows > SMALL_TABLE and changed > LARGE_SHARE * rows:
            raise TooMuch(f"{changed:,} of {rows:,} rows of {name} changed: computing all is cheaper")
    return windows


def compute_full(
    lake: Lake, cursor: Cursor, transform: Transform, plan: Plan, watermarks: Mapping[str, int]
) -> Computed:
    """Compute the whole result at the snapshot that `cursor` is pinned to."""
    table = lake.tables.find(transform.output, cursor)
    like = table if transform.using != "python" else None
    columns = _stage(lake, cursor, transform, transform.expanded, like)
    rows = _check_key(cursor, transform, columns)
    head = lake.head(cursor)
    delta = None
    if table is not None and columns == table.columns and table.key == transform.key:
        delta = write.compare(cursor, table, STAGED, transform.key, replace=True, at=head)
    return Computed(columns, head, watermarks, rows, plan, delta)


def compute_part(lake: Lake, cursor: Cursor, transform: Transform, seen: Look) -> Computed:
    """Compute the units that the changes since the watermarks touch.

    Raises
    ------
    TooMuch
        If so many are touched that computing all is cheaper, or they cannot be computed by themselves.
    """
    catalog, division, steps = seen.catalog, seen.division, seen.steps
    assert catalog is not None
    assert division is not None
    table = catalog.tables[transform.output]
    found = _find_touched(cursor, seen)
    if steps is None or found["units"] == 0:
        return Computed(table.columns, seen.head, seen.watermarks, 0, seen.plan, None, found, nothing=True)
    _refuse_many(cursor, table, transform, division.unit, found["units"])
    rows_query = steps.rows
    if transform.using == "python":
        columns = _stage(lake, cursor, transform, rows_query, table)
    else:
        columns = _guarded(lambda: _stage(lake, cursor, transform, rows_query, table))
    if columns != table.columns or table.key != transform.key:
        raise TooMuch("the columns of the result changed")
    rows = _check_key(cursor, transform, columns)
    part = write.Part(division.unit, _TOUCHED, steps.owned)
    delta = write.compare_part(cursor, table, STAGED, transform.key, part, at=seen.head)
    return Computed(columns, seen.head, seen.watermarks, rows, seen.plan, delta, found)


def _find_touched(cursor: Cursor, seen: Look) -> dict[str, Any]:
    """Put the touched units into a temporary table; count them and the changed rows."""
    division, changes = seen.division, seen.changes
    assert seen.catalog is not None
    assert division is not None
    assert changes is not None
    rows = units = 0
    for number, name in enumerate(changes.since):
        if name in changes.images:
            table = seen.catalog.tables[name]
            columns = [each for each in table.columns if each in changes.images[name]]
            stage = partial(stage_images, cursor, table, seen.windows[name], columns, image_name(number))
            rows += _guarded(stage)
    for name, part in changes.staged:
        _guarded(partial(execute, cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {part}"))
    if seen.steps is not None:
        chosen = f"SELECT {quote_all(division.unit)} FROM ({seen.steps.touched})"
        _guarded(partial(execute, cursor, f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS {chosen}"))
        units = _count(cursor, _TOUCHED)
    return {"unit": list(division.unit), "units": units, "changed_rows": rows}


def _guarded(work: Callable[[], T]) -> T:
    """Run a query that the planner wrote; if it fails, everything is computed instead.

    If the fault lies in the user's query, that fails too, and says it in the user's words.
    """
    try:
        return work()
    except (StatementError, NotFound, InvalidData) as error:
        raise TooMuch(f"a part cannot be computed by itself ({error.message.splitlines()[0]})") from error


def _refuse_many(
    cursor: Cursor, table: TableInfo, transform: Transform, unit: tuple[str, ...], touched: int
) -> None:
    by_key = set(transform.key) <= set(unit)
    total = SMALL_TABLE if by_key and touched <= FEW else count_rows(cursor, table)
    if total <= SMALL_TABLE:
        return
    if not by_key:
        row = execute(
            cursor, f"SELECT count(*) FROM (SELECT DISTINCT {quote_all(unit)} FROM lake.{table.sql})"
        ).fetchone()
        total = row[0] if row else 0
    if touched > LARGE_SHARE * total:
        raise TooMuch(
            f"the change touches {touched:,} of {total:,} ({', '.join(unit)}): computing all is cheaper"
        )


def _stage(
    lake: Lake, cursor: Cursor, transform: Transform, query: str, like: TableInfo | None = None
) -> dict[str, str]:
    """Compute rows into the staging table, for the table `like`; return its columns."""
    try:
        if transform.using == "python":
            return _stage_python(lake, cursor, transform, query, like)
        return write.stage(cursor, STAGED, query, like=like.columns if like is not None else None)
    except NotFound as error:
        if transform.snapshot is None:  # It is being defined: the fault is in its text.
            raise
        raise _name_both_ends(error, transform) from error
    except (InvalidData, StatementError) as error:
        if transform.snapshot is None or transform.using == "python":  # That names its function itself.
            raise
        said = f"The transform {transform.name!r} cannot be computed: {error.message}"
        raise type(error)(said, hint=error.hint) from error


def _stage_python(
    lake: Lake, cursor: Cursor, transform: Transform, query: str, like: TableInfo | None
) -> dict[str, str]:
    """Send rows through the function of a transform; no rows get the columns of the table `like`."""
    from workbench.transform.code import compile_body, source_fingerprint
    from workbench.transform.python import BATCH_ROWS, stage_rows

    trust.require(
        source_fingerprint(transform.query), f"The transform {transform.name!r} is Python code", lake.folder
    )
    writer = lake.new_cursor()
    try:
        body = compile_body(transform.query)
        columns = stage_rows(cursor, writer, STAGED, query, body, transform.key, transform.name)
        if like is not None and _count(writer, f"temp.{STAGED}") == 0:
            execute(cursor, f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM lake.{like.sql} LIMIT 0")
            return like.columns
        cursor.register("mlstore_made", execute(writer, f"FROM temp.{STAGED}").to_arrow_reader(BATCH_ROWS))
        try:
            execute(cursor, f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT * FROM mlstore_made")
        finally:
            cursor.unregister("mlstore_made")
        return columns
    finally:
        writer.close()


def _check_key(cursor: Cursor, transform: Transform, columns: Mapping[str, str]) -> int:
    """Check that the staged rows have their key, once each; return how many there are."""
    missing = [column for column in spelled(transform.key, columns) if column not in columns]
    if missing:
        found = NotFound.named("column", missing[0], columns, within=f"the result of {transform.name}")
        raise InvalidData(
            f"The query of {transform.name!r} does not return its key ({', '.join(missing)}).",
            hint=found.hint,
        )
    return check_key(cursor, f"temp.{STAGED}", transform.key, transform.name)


def _name_both_ends(error: NotFound, transform: Transform) -> NotFound:
    return NotFound(
        f"The transform {transform.name!r} reads something that is gone: {error.message}",
        hint=error.hint or f"Define {transform.name} anew, or bring back what it reads.",
        nearest=error.nearest,
    )


def _count(cursor: Cursor, relation: str) -> int:
    row = execute(cursor, f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0
