"""What is recorded of a derivation, as its trigger asks for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.derivation import Derivation
from workbench.engines.duckdb import Cursor, execute
from workbench.lake.changed import count_changed_rows
from workbench.lake.inputs import moved
from workbench.schedule import clock
from workbench.schedule.evaluate import Decision, Share, State, evaluate
from workbench.schedule.triggers import After, parse_trigger

if TYPE_CHECKING:
    from workbench.lake import Lake


def decide(lake: Lake, each: Derivation) -> Decision:
    """Decide whether a derivation's trigger is due now."""
    trigger = parse_trigger(each.trigger)
    named = [event.name for event in trigger.events() if isinstance(event, After)]
    with lake.pinned() as (cursor, head):
        watermarks = lake.records.watermarks(each.name, cursor=cursor)
        last, snapshot = _last_run(cursor, each.name)
        state = State(
            last=last,
            snapshot=snapshot,
            changed=bool(moved(cursor, watermarks, each.inputs, head)),
            share=lambda columns: _share(lake, cursor, each, watermarks, head, columns),
            refreshed={name: _last_run(cursor, name)[1] for name in named},
        )
        return evaluate(trigger, state, clock.now())


def _last_run(cursor: Cursor, name: str) -> tuple[datetime | None, int]:
    """Return when something was last run or tried, and the snapshot of its last success."""
    row = execute(
        cursor,
        "SELECT max(started_at), max(snapshot_id) FILTER (status = 'ok') FROM lake.mlstore.runs "
        "WHERE (lower(name) = lower($name) OR name LIKE '%\\_\\_' || $name ESCAPE '\\') AND kind <> 'drop'",
        {"name": name},
    ).fetchone()
    assert row is not None
    last = row[0]
    if last is not None and last.tzinfo is None:
        last = last.replace(tzinfo=UTC)
    return last, -1 if row[1] is None else int(row[1])


def _share(
    lake: Lake,
    cursor: Cursor,
    each: Derivation,
    watermarks: dict[str, int],
    head: int,
    columns: tuple[str, ...],
) -> Share:
    """Count what changed of the table that a derivation is attached to, else of all that it reads."""
    on = getattr(each, "on", None)
    names = [on] if on else [name for name in each.inputs if not name.startswith("queries.")]
    changed = rows = 0
    for name in names:
        table = lake.tables.resolve(name, cursor)
        since = watermarks.get(table.qualified)
        if since is None:
            continue
        wanted = {name.lower() for name in columns}
        present = [name for name in table.columns if name.lower() in wanted]
        if columns and not present:
            continue
        found = count_changed_rows(cursor, table, since, head, present)
        changed, rows = changed + found[0], rows + found[1]
    return Share(changed, rows, min(watermarks.values(), default=0))
