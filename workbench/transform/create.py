"""Define transforms: check them, fit their built-in functions, fill their tables, in one commit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Full, Plan, Run, fingerprint
from workbench.engines.duckdb import Cursor, one_query
from workbench.engines.sql import Edge, column_lineage, normalise, source_tables
from workbench.errors import Conflict, InvalidData, StatementError
from workbench.lake import TableInfo, write
from workbench.lake.circles import find_circle
from workbench.lake.inputs import base_tables
from workbench.names import check_name, spelled
from workbench.progress import step
from workbench.transform.compute import STAGED, Computed, compute_full
from workbench.transform.definition import KIND, Transform, refit_name
from workbench.transform.fitting import Fitted, fit
from workbench.transform.sources import Catalog, say_refresh

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction


@dataclass(frozen=True, slots=True)
class _Draft:
    """A definition to be made: how its rows are computed is known when it has been fitted.

    `states` are the rows of `mlstore.fitted` to take over in place of fitting.
    """

    transform: Transform
    states: tuple[Mapping[str, Any], ...] | None = None


def create_transform(lake: Lake, draft: Transform) -> Transform:
    """Define a transform and fill its table; the same definition again changes nothing.

    Parameters
    ----------
    draft : Transform
        What was asked for: name, query, key, on, trigger, refit_when, using.

    Raises
    ------
    InvalidData
        If the query does not return its key, or the key is NULL or not unique.
    NotFound
        If it reads a table that does not exist.
    """
    check_name(draft.name, KIND)
    draft = replace(draft, name=lake.records.spelling(draft.name))
    if not draft.key:
        raise InvalidData(f"The transform {draft.name!r} needs a key.", hint="Name the columns: KEY (id).")
    check_free(lake, draft.name)
    draft = _with_body(draft)
    return lake.retry(lambda: _create(lake, draft))


def preview(lake: Lake, draft: Transform) -> str:
    """Say how the table of a transform, not made yet, would be refreshed; nothing is changed.

    Raises
    ------
    InvalidData, NotFound, StatementError
        As `create_transform` would, for what can be told without computing the table.
    """
    draft = _with_body(draft)
    with lake.pinned() as (cursor, _):
        inputs = _inputs(lake, draft, cursor)
        expanded, _ = _fitted(lake, cursor, _Draft(draft), draft)
        catalog = Catalog.read(lake, cursor)
        return say_refresh(lake, replace(draft, expanded=expanded, inputs=inputs), catalog)


def redefine(lake: Lake, transform: Transform, *, refit: bool = False) -> Transform:
    """Make the definition of a version the newest one.

    Its built-in functions keep what they were fitted to in that version; `refit` fits them anew.
    """

    def make() -> Transform:
        previous = lake.records.definition(transform.name)
        assert previous is not None
        if not refit and previous["version"] == transform.version and previous["status"] != "dropped":
            return Transform.from_record(previous)
        rows = lake.records.rows(
            "fitted",
            "name = $name AND version = $version",
            {"name": transform.name, "version": transform.version},
        )
        draft = _Draft(transform, None if refit else tuple(rows))
        with step(f"Building {transform.name}"):
            return _define(lake, draft, previous)

    return lake.retry(make)


def _with_body(draft: Transform) -> Transform:
    if draft.using == "python":
        return draft
    if draft.sql:
        return replace(draft, sql=one_query(draft.sql))
    return replace(draft, query=one_query(draft.query))


def _create(lake: Lake, draft: Transform) -> Transform:
    previous = lake.records.definition(draft.name)
    draft = replace(draft, fingerprint=_fingerprint(lake, draft))
    known = previous if previous and previous["kind"] == KIND and previous["status"] != "dropped" else None
    if known and known["fingerprint"] == draft.fingerprint:
        return _retrigger(lake, Transform.from_record(known), draft)
    with step(f"Building {draft.name}"):
        return _define(lake, _Draft(draft), previous)


def _fingerprint(lake: Lake, draft: Transform) -> str:
    if draft.using == "python":
        return fingerprint(KIND, draft.code, draft.key, draft.on, draft.using, _below(lake, [draft.on or ""]))
    body = draft.body
    below = _below(lake, source_tables(body))
    return fingerprint(KIND, normalise(body), draft.key, draft.on, draft.using, below)


def _define(lake: Lake, draft: _Draft, previous: Mapping[str, Any] | None) -> Transform:
    """Compute and commit a version; somebody else's definition in the meantime is a Conflict."""
    started, clock = datetime.now(UTC), time.perf_counter()
    version = previous["version"] + 1 if previous else 1
    wanted = replace(draft.transform, version=version, status="active", snapshot=None)
    cursor = lake.new_cursor()
    try:
        with lake.pinned(cursor):
            inputs = _inputs(lake, wanted, cursor)
            fitted, states = _fitted(lake, cursor, draft, wanted)
            transform = replace(wanted, expanded=fitted, inputs=inputs)
            computed = compute_full(
                lake,
                cursor,
                transform,
                Full(_first(version)),
                lake.records.watermarks(wanted.name, cursor=cursor),
            )
            transform = replace(transform, key=spelled(transform.key, computed.columns))
            edges = _edges(lake, transform, computed, cursor)
        run = start_run(transform, computed)
        with lake.commit(f"transform {wanted.name}, version {version}", run_id=run.id, cursor=cursor) as tx:
            _check_previous(lake, tx, wanted.name, previous)
            lake.records.define(tx, KIND, wanted.name, version, wanted.fingerprint, transform.to_record())
            stated = [{**row, "name": wanted.name, "version": version} for row in states]
            lake.records.append(tx, "fitted", [{"snapshot": computed.head, **row} for row in stated])
            lake.records.append(tx, "lineage", _lineage_rows(lake, transform, edges, tx.cursor))
            run = write_rows(lake, tx, transform, computed, run)
            finish(lake, tx, transform, run, computed, started, clock)
            _record_fit(lake, tx, transform, computed.head, started)
        return replace(transform, snapshot=tx.snapshot)
    finally:
        cursor.close()


def _record_fit(lake: Lake, tx: Transaction, transform: Transform, head: int, started: datetime) -> None:
    """Record from where `REFIT WHEN` counts."""
    if transform.refit_when is None:
        return
    name = refit_name(transform.name)
    lake.records.set_watermarks(tx, name, dict.fromkeys(transform.inputs, head))
    lake.records.append_run(tx, Run(name, "refit", "full", f"version {transform.version}"), started)


def _first(version: int) -> str:
    return "first run" if version == 1 else "a new version"


def _fitted(
    lake: Lake, cursor: Cursor, draft: _Draft, wanted: Transform
) -> tuple[str, Iterable[Mapping[str, Any]]]:
    """Return the query in plain SQL, and the rows of `mlstore.fitted` that belong to it."""
    if wanted.using == "python":
        table = lake.tables.resolve(wanted.on or "", cursor)
        return f"SELECT * FROM {table.sql}", ()
    if draft.states is not None:
        kept = ("step", "call", "statistic", "position", "number", "text", "snapshot")
        return wanted.expanded, [{name: row[name] for name in kept} for row in draft.states]
    fitted: Fitted = fit(cursor, wanted.body, wanted.key)
    return fitted.sql, fitted.to_rows()


def _inputs(lake: Lake, draft: Transform, cursor: Cursor) -> tuple[str, ...]:
    if draft.using == "python":
        if draft.on is None:
            raise StatementError(
                f"The Python transform {draft.name!r} does not say whose rows it gets.",
                hint=f"Name the table: transform {draft.name} ON table …",
            )
        read: tuple[str, ...] = (draft.on,)
    else:
        read = source_tables(draft.body)
    inputs = base_tables(lake, read, source_tables, cursor, views_too=True)
    _check_circle(lake, draft, inputs)
    if draft.on is not None:
        on = lake.tables.resolve(draft.on)
        direct = {lake.tables.resolve(each).qualified for each in read}
        if on.qualified not in direct and on.qualified not in inputs:
            raise InvalidData(
                f"The query of {draft.name!r} does not read {draft.on!r}, the table it is attached to.",
                hint=f"It reads {', '.join(sorted(direct)) or 'no table'}.",
            )
    return inputs


def _check_circle(lake: Lake, draft: Transform, inputs: tuple[str, ...]) -> None:
    """Refuse a transform that would read itself, also through others."""
    circle = find_circle(lake, draft.output, inputs)
    if circle:
        raise InvalidData(
            f"The transform {draft.name!r} would read itself: {circle}.",
            hint="Read one of these tables as it was at a snapshot, or leave it out.",
        )


def _below(lake: Lake, names: Iterable[str]) -> list[str]:
    """List the fingerprints of the definitions that a query reads."""
    known = {row["name"]: row["fingerprint"] for row in lake.records.definitions()}
    return [known[each] for each in (name.rpartition(".")[2] for name in names) if each in known]


def check_free(lake: Lake, name: str) -> None:
    """Raise InvalidData if a name belongs to something else than a transform or a query."""
    known = lake.tables.find(name)
    if known is not None and known.schema != "features":
        raise InvalidData(
            f"{name!r} is the name of a {known.kind} already.", hint="Give the transform another name."
        )
    row = lake.records.definition(name)
    if row is not None and row["kind"] not in (KIND, "query") and row["status"] != "dropped":
        raise InvalidData(
            f"{name!r} is the name of a {row['kind']} already.", hint="Give the transform another name."
        )


def _check_previous(lake: Lake, tx: Transaction, name: str, previous: Mapping[str, Any] | None) -> None:
    """Refuse to write a version that somebody else has written meanwhile."""
    now = lake.records.definition(name, cursor=tx.cursor)
    same = (now is None) == (previous is None) and (
        now is None
        or previous is None
        or (now["version"], now["status"]) == (previous["version"], previous["status"])
    )
    if not same:
        raise Conflict(f"{name!r} was defined by somebody else meanwhile.", hint="Run it again.")


def _retrigger(lake: Lake, known: Transform, draft: Transform) -> Transform:
    """Change only when a transform is refreshed; its version stays."""
    if (known.trigger, known.refit_when, known.status) == (draft.trigger, draft.refit_when, "active"):
        return known
    changed = replace(known, trigger=draft.trigger, refit_when=draft.refit_when, status="active")
    with lake.commit(f"transform {known.name} WHEN {draft.trigger}") as tx:
        lake.records.define(tx, KIND, known.name, known.version, known.fingerprint, changed.to_record())
        if known.refit_when is None and known.snapshot is not None:
            _record_fit(lake, tx, changed, known.snapshot, datetime.now(UTC))
    return changed


# -- what creating and refreshing share ------------------------------------------------------------


def start_run(transform: Transform, computed: Computed) -> Run:
    """Begin the record of a refresh: what was read, and how."""
    inputs = {name: (computed.watermarks.get(name), computed.head) for name in transform.inputs}
    details = {"version": transform.version, **computed.details}
    plan: Plan = computed.plan
    return Run(transform.name, KIND, plan.mode, plan.reason, inputs, rows_read=computed.rows, details=details)


def write_rows(lake: Lake, tx: Transaction, transform: Transform, computed: Computed, run: Run) -> Run:
    """Write what was computed: the difference, or the whole table where it has no such columns yet."""
    if computed.nothing:
        return run
    # The key of the staged rows was checked, where the table stays also against that as it still is.
    delta = computed.delta
    if delta is None:
        table = write.create(tx, "features", transform.name, computed.columns)
        lake.tables.declare(tx, "features", transform.name, transform.key)
        write.insert_all(tx, table, STAGED, sealed=True)
        lake.follow_columns(tx, False)
        return replace(run, rows_written=computed.rows)
    write.apply(tx, TableInfo("features", transform.name, computed.columns), delta, sealed=True)
    return replace(run, rows_written=delta.inserted + delta.updated, rows_deleted=delta.deleted)


def finish(
    lake: Lake,
    tx: Transaction,
    transform: Transform,
    run: Run,
    computed: Computed,
    started: datetime,
    clock: float,
) -> Run:
    """Record the run and move the watermarks, in the commit that writes the rows.

    Raises
    ------
    Conflict
        If a refresh that finished meanwhile has moved them already; `Lake.retry` starts over.
    """
    run = replace(run, seconds=time.perf_counter() - clock)
    lake.records.append_run(tx, run, started)
    read = dict.fromkeys(transform.inputs, computed.head)
    lake.records.set_watermarks(tx, transform.name, read, computed.watermarks)
    return run


def _edges(lake: Lake, transform: Transform, computed: Computed, cursor: Cursor) -> list[Edge]:
    if transform.using == "python":
        table = lake.tables.resolve(transform.on or "", cursor)
        return [Edge(name, table.qualified, "*", "value") for name in computed.columns]
    schema = {each.qualified: each.columns for each in lake.tables.all(cursor)}
    return column_lineage(transform.expanded, schema)


def _lineage_rows(
    lake: Lake, transform: Transform, edges: Iterable[Edge], cursor: Cursor
) -> list[dict[str, Any]]:
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
