"""Refresh transforms: compute at a pinned snapshot what changed, write the difference in one commit."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.derivation import Full, Incremental, Noop, Plan, Run
from workbench.engines.duckdb import Cursor
from workbench.errors import Conflict, WorkbenchError
from workbench.lake import write
from workbench.progress import step
from workbench.transform.compute import (
    Computed,
    TooMuch,
    compute_full,
    compute_part,
    decide,
)
from workbench.transform.create import finish, start_run, write_new
from workbench.transform.definition import KIND, Transform

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction


def plan_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Plan:
    """Decide what a refresh would do now."""
    with lake.pinned() as (cursor, head):
        return decide(lake, cursor, transform, head, full=full)


def refresh_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Run:
    """Bring a transform's table up to the head of its inputs, in one commit.

    Raises
    ------
    WorkbenchError
        If the query fails; the table stays as it was, and the failure is recorded.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plan: Plan = Full("asked for") if full else Noop()
    try:
        plan = plan_transform(lake, transform, full=full)
        if isinstance(plan, Noop):
            return Run(transform.name, KIND, "noop", plan.reason, seconds=time.perf_counter() - clock)
        with step(f"Refreshing {transform.name}"):
            return lake.retry(lambda: _refresh(lake, transform, started, clock, full=full))
    except Conflict:
        raise
    except WorkbenchError as error:
        _record_failure(lake, transform, plan, error, started, clock)
        raise


def _refresh(lake: Lake, transform: Transform, started: datetime, clock: float, *, full: bool) -> Run:
    cursor = lake.new_cursor()
    try:
        computed = _compute(lake, cursor, transform, full=full)
        if computed is None:
            return Run(transform.name, KIND, "noop", Noop().reason, seconds=time.perf_counter() - clock)
        run = start_run(transform, computed)
        with lake.commit(f"refresh {transform.name}", run_id=run.id, cursor=cursor) as tx:
            _check_newest(lake, tx, transform)
            _check_watermarks(lake, tx, transform, computed)
            delta = computed.delta
            if delta is None:
                write_new(lake, tx, transform, computed.columns)
                run = replace(run, rows_written=computed.rows)
            else:
                # The staged rows' key was checked, against the table as it still is.
                table = lake.tables.resolve(transform.output, cursor)
                write.apply(tx, table, delta, sealed=True)
                run = replace(run, rows_written=delta.inserted + delta.updated, rows_deleted=delta.deleted)
            run = finish(lake, tx, transform, run, computed, started, clock)
        return replace(run, snapshot=tx.snapshot)
    finally:
        cursor.close()


def _compute(lake: Lake, cursor: Cursor, transform: Transform, *, full: bool) -> Computed | None:
    """Compute what a refresh now has to write; None if nothing has to be done."""
    try:
        with lake.pinned(cursor) as (_, head):
            plan = decide(lake, cursor, transform, head, full=full)
            if isinstance(plan, Noop):
                return None
            if isinstance(plan, Incremental):
                return compute_part(lake, cursor, transform, plan)
            return compute_full(lake, cursor, transform, plan)
    except TooMuch as why:
        with lake.pinned(cursor):
            return compute_full(lake, cursor, transform, Full(str(why)))


def _check_newest(lake: Lake, tx: Transaction, transform: Transform) -> None:
    """Refuse to write by a definition that somebody replaced or dropped meanwhile."""
    newest = lake.records.definition(transform.name, cursor=tx.cursor)
    if newest is None or newest["status"] == "dropped" or newest["version"] != transform.version:
        raise Conflict(f"{transform.name!r} was defined anew meanwhile.", hint="Run it again.")


def _check_watermarks(lake: Lake, tx: Transaction, transform: Transform, computed: Computed) -> None:
    """Refuse to write over a refresh that finished meanwhile; `Lake.retry` starts over."""
    if lake.records.watermarks(transform.name, cursor=tx.cursor) != computed.watermarks:
        raise Conflict(f"{transform.name!r} was refreshed by somebody else meanwhile.", hint="Run it again.")


def _record_failure(
    lake: Lake, transform: Transform, plan: Plan, error: WorkbenchError, started: datetime, clock: float
) -> None:
    run = Run(
        transform.name,
        KIND,
        plan.mode if not isinstance(plan, Noop) else "full",
        plan.reason if not isinstance(plan, Noop) else "",
        seconds=time.perf_counter() - clock,
        status="failed",
        error=str(error),
    )
    with lake.commit(f"refresh {transform.name} failed", run_id=run.id) as tx:
        lake.records.append_run(tx, run, started)
