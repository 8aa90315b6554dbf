"""Refresh transforms: compute at a pinned snapshot what changed, write the difference in one commit."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.derivation import Full, Incremental, Noop, Plan, Run
from workbench.engines.duckdb import Cursor
from workbench.errors import Conflict, WorkbenchError
from workbench.progress import step
from workbench.transform.compute import (
    Computed,
    TooMuch,
    compute_full,
    compute_part,
    look,
)
from workbench.transform.create import finish, start_run, write_rows
from workbench.transform.definition import KIND, Transform

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction


def plan_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Plan:
    """Decide what a refresh would do now."""
    with lake.pinned() as (cursor, head):
        return look(lake, cursor, transform, head, full=full).plan


def refresh_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Run:
    """Bring a transform's table up to the head of its inputs, in one commit.

    Raises
    ------
    WorkbenchError
        If the query fails; the table stays as it was, and the failure is recorded.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plans: list[Plan] = [Full("asked for" if full else "")]
    try:
        with step(f"Refreshing {transform.name}"):
            return lake.retry(lambda: _refresh(lake, transform, started, clock, plans, full=full))
    except Conflict:
        raise
    except WorkbenchError as error:
        _record_failure(lake, transform, plans[-1], error, started, clock)
        raise


def _refresh(
    lake: Lake, transform: Transform, started: datetime, clock: float, plans: list[Plan], *, full: bool
) -> Run:
    """Refresh once; `plans` is told what is tried."""
    cursor = lake.transaction_cursor()
    try:
        computed = _compute(lake, cursor, transform, plans, full=full)
        if computed is None:
            return Run(transform.name, KIND, "noop", Noop().reason, seconds=time.perf_counter() - clock)
        run = start_run(transform, computed)
        with lake.commit(f"refresh {transform.name}", run_id=run.id, cursor=cursor) as tx:
            _check_newest(lake, tx, transform)
            run = write_rows(lake, tx, transform, computed, run)
            run = finish(lake, tx, transform, run, computed, started, clock)
        return replace(run, snapshot=tx.snapshot)
    finally:
        cursor.close()


def _compute(
    lake: Lake, cursor: Cursor, transform: Transform, plans: list[Plan], *, full: bool
) -> Computed | None:
    """Compute what a refresh now has to write; None if nothing has to be done."""
    try:
        with lake.pinned(cursor) as (_, head):
            seen = look(lake, cursor, transform, head, full=full)
            plans.append(seen.plan)
            if isinstance(seen.plan, Noop):
                return None
            if isinstance(seen.plan, Incremental):
                return compute_part(lake, cursor, transform, seen)
            return compute_full(lake, cursor, transform, seen.plan, seen.watermarks)
    except TooMuch as why:
        plans.append(Full(str(why)))
        with lake.pinned(cursor):
            watermarks = lake.records.watermarks(transform.name, cursor=cursor)
            return compute_full(lake, cursor, transform, plans[-1], watermarks)


def _check_newest(lake: Lake, tx: Transaction, transform: Transform) -> None:
    """Refuse to write by a definition that somebody replaced or dropped meanwhile."""
    newest = lake.records.definition(transform.name, cursor=tx.cursor)
    if newest is None or newest["status"] == "dropped" or newest["version"] != transform.version:
        raise Conflict(f"{transform.name!r} was defined anew meanwhile.", hint="Run it again.")


def _record_failure(
    lake: Lake, transform: Transform, plan: Plan, error: WorkbenchError, started: datetime, clock: float
) -> None:
    run = Run.failed(transform.name, KIND, plan, error, time.perf_counter() - clock)
    with lake.commit(f"refresh {transform.name} failed", run_id=run.id) as tx:
        lake.records.append_run(tx, run, started)
