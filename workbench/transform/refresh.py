"""Create and refresh transforms: compute at a pinned snapshot, write the difference in one commit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Full, Noop, Plan, Run, fingerprint
from workbench.engines.duckdb import Cursor, one_query
from workbench.engines.sql import column_lineage, normalise, source_tables
from workbench.errors import Conflict, InvalidData, NotFound, Unsupported, WorkbenchError
from workbench.lake import write
from workbench.lake.inputs import base_tables, moved
from workbench.lake.keys import check_nulls, check_unique
from workbench.names import check_name
from workbench.progress import step
from workbench.transform.definition import KIND, Transform
from workbench.transform.fitting import Fitted, fit

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction

_STAGED = "mlstore_staged"


@dataclass(frozen=True, slots=True)
class _Computed:
    """What a computation at a pinned snapshot left on its cursor."""

    columns: dict[str, str]
    head: int
    watermarks: Mapping[str, int]
    rows: int


def create_transform(
    lake: Lake,
    name: str,
    query: str,
    *,
    on: str | None,
    key: tuple[str, ...],
    when: str,
    refit_when: str | None,
    using: str,
) -> Transform:
    """Define a transform and fill its table; the same definition again changes nothing.

    Raises
    ------
    InvalidData
        If the query does not return its key, or the key is NULL or not unique.
    NotFound
        If it reads a table that does not exist.
    """
    check_name(name, KIND)
    if using not in ("sql", "ibis"):
        raise Unsupported(f"A transform in {using!r} is not there yet.", hint="Write it in SQL or Ibis.")
    if not key:
        raise InvalidData(f"The transform {name!r} needs a key.", hint="Name the columns: KEY (id).")
    _check_free(lake, name)
    body = one_query(query)
    draft = Transform(name, body, "", key, (), on, when, refit_when, using)
    draft = replace(draft, fingerprint=fingerprint(KIND, normalise(body), key, on, using, _below(lake, body)))
    previous = lake.records.definition(name)
    known = previous if previous and previous["kind"] == KIND and previous["status"] != "dropped" else None
    if known and known["fingerprint"] == draft.fingerprint:
        return _retrigger(lake, Transform.from_record(known), when, refit_when)
    version = previous["version"] + 1 if previous else 1
    with step(f"Building {name}"):
        return lake.retry(lambda: _define(lake, replace(draft, version=version)))


def redefine(lake: Lake, transform: Transform, *, refit: bool = False) -> Transform:
    """Make the definition of a version the newest one; `refit` fits its built-in functions anew."""
    previous = lake.records.definition(transform.name)
    assert previous is not None
    if not refit and previous["version"] == transform.version:
        return Transform.from_record(previous)
    with step(f"Building {transform.name}"):
        return lake.retry(lambda: _define(lake, replace(transform, version=previous["version"] + 1)))


def plan_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Plan:
    """Decide what a refresh would do now."""
    with lake.pinned() as (cursor, head):
        changed = moved(
            cursor, lake.records.watermarks(transform.name, cursor=cursor), transform.inputs, head
        )
    return _decide(changed, full)


def _decide(changed: list[str], full: bool) -> Plan:
    if full:
        return Full("asked for")
    if not changed:
        return Noop()
    return Full(f"{', '.join(changed)} changed")


def refresh_transform(lake: Lake, transform: Transform, *, full: bool = False) -> Run:
    """Bring a transform's table up to the head of its inputs, in one commit.

    Raises
    ------
    WorkbenchError
        If the query fails; the table stays as it was, and the failure is recorded.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plan = plan_transform(lake, transform, full=full)
    if isinstance(plan, Noop):
        return Run(transform.name, KIND, "noop", plan.reason, seconds=time.perf_counter() - clock)
    try:
        with step(f"Refreshing {transform.name}"):
            return lake.retry(lambda: _refresh(lake, transform, plan, started, clock))
    except Conflict:
        raise
    except WorkbenchError as error:
        _record_failure(lake, transform, plan, error, started, clock)
        raise


def _refresh(lake: Lake, transform: Transform, plan: Plan, started: datetime, clock: float) -> Run:
    cursor = lake.new_cursor()
    try:
        with lake.pinned(cursor):
            computed = _compute(lake, cursor, transform)
            table = lake.tables.resolve(transform.output, cursor)
            same = computed.columns == table.columns
            if same:
                delta = write.compare(cursor, table, _STAGED, transform.key, replace=True)
        run = _run(transform, plan, computed)
        with lake.commit(f"refresh {transform.name}", run_id=run.id, cursor=cursor) as tx:
            _check_newest(lake, tx, transform)
            _check_watermarks(lake, tx, transform, computed)
            if same:
                write.apply(tx, table, delta, transform.key)
                run = replace(run, rows_written=delta.inserted + delta.updated, rows_deleted=delta.deleted)
            else:
                _write_new(lake, tx, transform, computed.columns)
                run = replace(run, rows_written=computed.rows)
            run = _finish(lake, tx, transform, run, computed, started, clock)
        return replace(run, snapshot=tx.snapshot)
    finally:
        cursor.close()


def _define(lake: Lake, draft: Transform) -> Transform:
    started, clock = datetime.now(UTC), time.perf_counter()
    cursor = lake.new_cursor()
    try:
        with lake.pinned(cursor):
            inputs = base_tables(lake, source_tables(draft.query), source_tables, cursor)
            _check_inputs(lake, draft, inputs)
            fitted = fit(cursor, draft.query)
            transform = replace(draft, expanded=fitted.sql, inputs=inputs)
            computed = _compute(lake, cursor, transform)
            schema = {each.qualified: each.columns for each in lake.tables.all(cursor)}
            edges = column_lineage(fitted.sql, schema)
        run = _run(transform, Full("first run" if draft.version == 1 else "a new version"), computed)
        with lake.commit(
            f"transform {draft.name}, version {draft.version}", run_id=run.id, cursor=cursor
        ) as tx:
            lake.records.define(tx, KIND, draft.name, draft.version, draft.fingerprint, transform.to_record())
            lake.records.append(tx, "fitted", _fitted_rows(transform, fitted, computed.head))
            lake.records.append(tx, "lineage", _lineage_rows(lake, transform, edges, tx.cursor))
            _write_new(lake, tx, transform, computed.columns)
            run = replace(run, rows_written=computed.rows)
            _finish(lake, tx, transform, run, computed, started, clock)
        return replace(transform, snapshot=tx.snapshot)
    finally:
        cursor.close()


def _compute(lake: Lake, cursor: Cursor, transform: Transform) -> _Computed:
    """Compute the query into a temporary table at the snapshot that `cursor` is pinned to."""
    try:
        columns = write.stage(cursor, _STAGED, transform.expanded)
    except WorkbenchError as error:
        if isinstance(error, NotFound):
            _name_both_ends(error, transform)
        raise
    missing = [column for column in transform.key if column not in columns]
    if missing:
        found = NotFound.named("column", missing[0], columns, within=f"the result of {transform.name}")
        raise InvalidData(
            f"The query of {transform.name!r} does not return its key ({', '.join(missing)}).",
            hint=found.hint,
        )
    check_nulls(cursor, f"FROM temp.{_STAGED}", transform.key, transform.name)
    check_unique(cursor, f"FROM temp.{_STAGED}", transform.key, transform.name)
    row = lake.run(cursor, f"SELECT count(*) FROM temp.{_STAGED}").fetchone()
    assert row is not None
    watermarks = lake.records.watermarks(transform.name, cursor=cursor)
    return _Computed(columns, lake.head(cursor), watermarks, row[0])


def _name_both_ends(error: NotFound, transform: Transform) -> None:
    raise NotFound(
        f"The transform {transform.name!r} reads something that is gone: {error.message}",
        hint=error.hint or f"Define {transform.name} anew, or bring back what it reads.",
        nearest=error.nearest,
    ) from error


def _write_new(lake: Lake, tx: Transaction, transform: Transform, columns: Mapping[str, str]) -> None:
    table = write.create(tx, "features", transform.name, columns)
    lake.tables.declare(tx, "features", transform.name, transform.key)
    write.insert_all(tx, table, _STAGED)


def _run(transform: Transform, plan: Plan, computed: _Computed) -> Run:
    inputs = {name: (computed.watermarks.get(name), computed.head) for name in transform.inputs}
    details = {"version": transform.version}
    return Run(transform.name, KIND, plan.mode, plan.reason, inputs, rows_read=computed.rows, details=details)


def _finish(
    lake: Lake,
    tx: Transaction,
    transform: Transform,
    run: Run,
    computed: _Computed,
    started: datetime,
    clock: float,
) -> Run:
    """Record the run and move the watermarks, in the commit that writes the rows."""
    run = replace(run, seconds=time.perf_counter() - clock)
    lake.records.append_run(tx, run, started)
    lake.records.set_watermarks(tx, transform.name, dict.fromkeys(transform.inputs, computed.head))
    return run


def _check_newest(lake: Lake, tx: Transaction, transform: Transform) -> None:
    """Refuse to write by a definition that somebody replaced or dropped meanwhile."""
    newest = lake.records.definition(transform.name, cursor=tx.cursor)
    if newest is None or newest["status"] == "dropped" or newest["version"] != transform.version:
        raise Conflict(f"{transform.name!r} was defined anew meanwhile.", hint="Run it again.")


def _check_watermarks(lake: Lake, tx: Transaction, transform: Transform, computed: _Computed) -> None:
    """Refuse to write over a refresh that finished meanwhile; `Lake.retry` starts over."""
    if lake.records.watermarks(transform.name, cursor=tx.cursor) != computed.watermarks:
        raise Conflict(f"{transform.name!r} was refreshed by somebody else meanwhile.", hint="Run it again.")


def _record_failure(
    lake: Lake, transform: Transform, plan: Plan, error: WorkbenchError, started: datetime, clock: float
) -> None:
    run = Run(
        transform.name,
        KIND,
        plan.mode,
        plan.reason,
        seconds=time.perf_counter() - clock,
        status="failed",
        error=str(error),
    )
    with lake.commit(f"refresh {transform.name} failed", run_id=run.id) as tx:
        lake.records.append_run(tx, run, started)


def _check_free(lake: Lake, name: str) -> None:
    known = lake.tables.find(name)
    if known is not None and known.schema != "features":
        raise InvalidData(
            f"{name!r} is the name of a {known.kind} already.", hint="Give the transform another name."
        )


def _check_inputs(lake: Lake, draft: Transform, inputs: tuple[str, ...]) -> None:
    if draft.output in inputs:
        raise InvalidData(f"The transform {draft.name!r} would read itself.")
    if draft.on is None:
        return
    on = lake.tables.resolve(draft.on)
    read = {lake.tables.resolve(each).qualified for each in source_tables(draft.query)}
    if on.qualified not in read and on.qualified not in inputs:
        raise InvalidData(
            f"The query of {draft.name!r} does not read {draft.on!r}, the table it is attached to.",
            hint=f"It reads {', '.join(sorted(read)) or 'no table'}.",
        )


def _below(lake: Lake, body: str) -> list[str]:
    """List the fingerprints of the definitions that a query reads."""
    known = {row["name"]: row["fingerprint"] for row in lake.records.definitions()}
    names = (each.rpartition(".")[2] for each in source_tables(body))
    return [known[name] for name in names if name in known]


def _retrigger(lake: Lake, known: Transform, when: str, refit_when: str | None) -> Transform:
    """Change only when a transform is refreshed; its version stays."""
    if (known.trigger, known.refit_when, known.status) == (when, refit_when, "active"):
        return known
    changed = replace(known, trigger=when, refit_when=refit_when, status="active")
    with lake.commit(f"transform {known.name} WHEN {when}") as tx:
        lake.records.define(tx, KIND, known.name, known.version, known.fingerprint, changed.to_record())
    return changed


def _fitted_rows(transform: Transform, fitted: Fitted, snapshot: int) -> list[dict[str, Any]]:
    return [
        {**row, "name": transform.name, "version": transform.version, "snapshot": snapshot}
        for row in fitted.to_rows()
    ]


def _lineage_rows(lake: Lake, transform: Transform, edges: Any, cursor: Cursor) -> list[dict[str, Any]]:
    def qualified(name: str) -> str:
        table = lake.tables.find(name, cursor)
        return table.qualified if table else name

    return [
        {
            "name": transform.name,
            "version": transform.version,
            "output_column": edge.output_column,
            "input": qualified(edge.table),
            "input_column": edge.column,
            "kind": edge.kind,
        }
        for edge in edges
    ]
