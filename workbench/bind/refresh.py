"""Fill a binding: stream the rows that need it through the model, write them in one commit."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.bind.definition import KIND, Binding
from workbench.bind.fill import predict_rows
from workbench.bind.isolation import open_predictor
from workbench.bind.predictors import Predictor
from workbench.bind.view import endings, show_bindings
from workbench.derivation import Full, Incremental, Noop, Plan, Run, fingerprint
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import Conflict, InvalidData, NotFound, Unsupported, WorkbenchError
from workbench.lake import write
from workbench.lake.inputs import moved
from workbench.lake.tables import TableInfo
from workbench.names import check_name, literal, quote, quote_all, quote_name
from workbench.progress import step

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction

_DONE = "mlstore_predicted"


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be predicted, as found at a pinned snapshot."""

    todo: str
    rows: int
    gone: int
    head: int
    watermark: int | None


def create_binding(lake: Lake, draft: Binding) -> Binding:
    """Attach a model to a column and predict all rows; the same binding again changes nothing.

    Raises
    ------
    NotFound
        If there is no such table or model.
    InvalidData
        If the table lacks an input of the model, or has a column of that name already.
    Unsupported
        If the table has no key, or the isolation asked for is not there.
    """
    check_name(draft.column, "bound column")
    table = lake.tables.resolve(draft.on)
    _check_table(draft, table)
    _check_free(lake, draft.column)
    predictor = _resolve(lake, draft, table)
    _check_inputs(draft, table, predictor)
    draft = replace(draft, on=table.qualified, key=table.key)
    earlier = lake.records.definition(draft.name)
    if earlier:
        draft = replace(draft, column=earlier["definition"]["column"])
    draft = replace(
        draft, fingerprint=fingerprint(KIND, draft.on, draft.model, draft.columns, draft.on_error)
    )
    previous = lake.records.definition(draft.name)
    if previous and previous["status"] != "dropped":
        known = Binding.from_record(previous)
        if replace(known, version=1, status="active", snapshot=None) == draft and known.status == "active":
            return known
    version = previous["version"] + 1 if previous else 1
    binding = _define(lake, replace(draft, version=version), predictor)
    if binding.mode == "sync":
        refresh_binding(lake, binding)
    return binding


def plan_binding(lake: Lake, binding: Binding, *, full: bool = False) -> Plan:
    """Decide what a refresh would do now."""
    if full:
        return Full("asked for")
    last = _last_run(lake, binding)
    if last is None:
        return Full("first run")
    predictor = _resolve(lake, binding, lake.tables.resolve(binding.on))
    if last["details"].get("model") != predictor.ref:
        return Full(f"the model is now {predictor.ref}")
    with lake.pinned() as (cursor, head):
        watermarks = lake.records.watermarks(binding.name, cursor=cursor)
        if not moved(cursor, watermarks, binding.inputs, head):
            return Noop()
    return Incremental(binding.key, f"{binding.on} changed")


def refresh_binding(lake: Lake, binding: Binding, *, full: bool = False) -> Run:
    """Predict the rows that are new, changed, or predicted by another version of the model.

    Raises
    ------
    ModelError
        If the model fails and the binding says ON ERROR fail; nothing is written.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plan = plan_binding(lake, binding, full=full)
    if isinstance(plan, Noop):
        return Run(binding.name, KIND, "noop", plan.reason, seconds=time.perf_counter() - clock)
    try:
        return lake.retry(lambda: _refresh(lake, binding, plan, started, clock))
    except Conflict:
        raise
    except WorkbenchError as error:
        _record_failure(lake, binding, plan, error, started, clock)
        raise


def _refresh(lake: Lake, binding: Binding, plan: Plan, started: datetime, clock: float) -> Run:
    reader, writer = lake.new_cursor(), lake.new_cursor()
    try:
        with lake.pinned(reader):
            table = lake.tables.resolve(binding.on, reader)
            predictor = _resolve(lake, binding, table)
            _check_inputs(binding, table, predictor)
            work = _find_work(lake, reader, binding, table, predictor, plan)
            with step(f"Predicting {binding.column}", work.rows) as advance:
                predict_rows(reader, writer, binding, predictor, work.todo, _DONE, advance)
            execute(writer, "CREATE OR REPLACE TEMP TABLE mlstore_gone AS " + _gone(binding, table))
        run = Run(
            binding.name,
            KIND,
            plan.mode,
            plan.reason,
            {binding.on: (work.watermark, work.head)},
            rows_read=work.rows,
            details={"model": predictor.ref},
        )
        with lake.commit(f"predict {binding.column} ON {binding.table}", run_id=run.id, cursor=writer) as tx:
            if lake.records.watermarks(binding.name, cursor=writer).get(binding.on) != work.watermark:
                raise Conflict(f"{binding.name!r} was refreshed by somebody else meanwhile.")
            run = _write(lake, tx, binding, table, predictor, work, run)
            run = replace(run, seconds=time.perf_counter() - clock)
            lake.records.append_run(tx, run, started)
            lake.records.set_watermarks(tx, binding.name, {binding.on: work.head})
        return replace(run, snapshot=tx.snapshot)
    finally:
        reader.close()
        writer.close()


def _resolve(lake: Lake, binding: Binding, table: TableInfo) -> Predictor:
    """Find the model; one that does not say what it needs gets the bound columns."""
    columns = list(binding.columns or table.columns)
    absent = [column for column in columns if column.lower() not in {each.lower() for each in table.columns}]
    if absent:
        raise NotFound.named("column", absent[0], table.columns, within=table.name)
    rows = execute(lake.cursor(), f"SELECT {quote_all(columns)} FROM lake.{table.sql} LIMIT 0")
    schema = rows.to_arrow_table().schema
    return open_predictor(lake, binding.model, schema, isolate=binding.isolate)


def _find_work(
    lake: Lake, cursor: Cursor, binding: Binding, table: TableInfo, predictor: Predictor, plan: Plan
) -> _Work:
    """Select the rows whose prediction is missing, or made from other inputs or by another model."""
    watermark = lake.records.watermarks(binding.name, cursor=cursor).get(binding.on)
    columns = list(predictor.inputs)
    key = quote_all(binding.key)
    # A champion may have changed since the plan was made: then every row is looked at.
    last = _last_run(lake, binding)
    same = last is not None and last["details"].get("model") == predictor.ref
    since = f"WHERE snapshot_id > {watermark}" if same and isinstance(plan, Incremental) and watermark else ""
    source = (
        f"SELECT {quote_all(binding.key, 's.')}, "
        + "".join(f"s.{quote(column)}, " for column in columns if column not in binding.key)
        + f"hash({quote_all(columns, 's.')}) AS input_hash FROM lake.{table.sql} AS s {since}"
    )
    todo = source
    if plan.reason != "asked for":
        todo = (
            f"SELECT s.* FROM ({source}) AS s LEFT JOIN (SELECT {key}, input_hash, model_version FROM "
            f"lake.{quote_name(binding.output)}) AS p USING ({key}) WHERE p.input_hash IS NULL "
            f"OR p.input_hash <> s.input_hash OR p.model_version <> {literal(predictor.ref)}"
        )
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE mlstore_todo AS {todo}")
    row = execute(
        cursor,
        f"SELECT (SELECT count(*) FROM temp.mlstore_todo), (SELECT count(*) FROM ({_gone(binding, table)}))",
    ).fetchone()
    assert row is not None
    return _Work("mlstore_todo", row[0], row[1], lake.head(cursor), watermark)


def _gone(binding: Binding, table: TableInfo) -> str:
    key = quote_all(binding.key)
    return f"SELECT {key} FROM lake.{quote_name(binding.output)} ANTI JOIN lake.{table.sql} USING ({key})"


def _write(
    lake: Lake,
    tx: Transaction,
    binding: Binding,
    table: TableInfo,
    predictor: Predictor,
    work: _Work,
    run: Run,
) -> Run:
    side, key = f"lake.{quote_name(binding.output)}", quote_all(binding.key)
    if binding.on_error == "keep":
        _keep_old_values(tx.cursor, side, key)
    match = " AND ".join(f"p.{quote(column)} = d.{quote(column)}" for column in binding.key)
    keys = f"SELECT {key} FROM temp.{_DONE} UNION ALL SELECT {key} FROM temp.mlstore_gone"
    execute(tx.cursor, f"DELETE FROM {side} AS p USING ({keys}) AS d WHERE {match}")
    execute(
        tx.cursor,
        f"INSERT INTO {side} SELECT {key}, value, score, status, error, {literal(predictor.ref)}, "
        f"{work.head}, ?, input_hash FROM temp.{_DONE}",
        [datetime.now(UTC)],
    )
    assert tx.written is not None
    tx.written.add(binding.output)
    _show(lake, tx.cursor, binding)
    row = execute(tx.cursor, f"SELECT count(*) FILTER (status = 'error') FROM temp.{_DONE}").fetchone()
    errors = row[0] if row else 0
    return replace(
        run, rows_written=work.rows, rows_deleted=work.gone, details={**run.details, "errors": errors}
    )


def _keep_old_values(cursor: Cursor, side: str, key: str) -> None:
    """Let a row that failed keep the value it had, if it had one."""
    execute(
        cursor,
        f"UPDATE temp.{_DONE} AS d SET value = p.value, score = p.score FROM {side} AS p "
        f"WHERE d.status = 'error' AND "
        + " AND ".join(f"d.{column} = p.{column}" for column in key.split(", ")),
    )


def _define(lake: Lake, binding: Binding, predictor: Predictor) -> Binding:
    """Record the binding; make its side table (unless the same one is there) and its view."""
    table = lake.tables.resolve(binding.on)
    columns = {
        **{column: table.columns[column] for column in binding.key},
        "value": predictor.value_type,
        "score": "DOUBLE",
        "status": "VARCHAR",
        "error": "VARCHAR",
        "model_version": "VARCHAR",
        "source_snapshot": "BIGINT",
        "predicted_at": "TIMESTAMP WITH TIME ZONE",
        "input_hash": "UBIGINT",
    }
    existing = lake.tables.find(binding.output)
    with lake.commit(f"bind {binding.column} ON {binding.table} MODEL {binding.model}") as tx:
        if existing is None or existing.columns != columns:
            write.create(tx, "predictions", binding.name, columns)
            lake.tables.declare(tx, "predictions", binding.name, binding.key)
            lake.records.set_watermarks(tx, binding.name, {})
        record = binding.to_record()
        lake.records.define(tx, KIND, binding.name, binding.version, binding.fingerprint, record)
        lake.records.append(tx, "lineage", _lineage_rows(binding, predictor))
        _show(lake, tx.cursor, binding)
    return replace(binding, snapshot=tx.snapshot)


def _show(lake: Lake, cursor: Cursor, binding: Binding) -> None:
    """Make the view that shows a table with all its bindings, unless it stands already."""
    bound = [
        Binding.from_record(row)
        for row in lake.records.definitions(KIND, cursor=cursor)
        if row["definition"]["on"] == binding.on
    ]
    show_bindings(lake, cursor, binding.on, bound)


def _check_table(draft: Binding, table: TableInfo) -> None:
    if table.schema not in ("main", "features"):
        raise Unsupported(
            f"A model cannot be bound to the {table.kind} {table.name!r}.", hint="Bind it to a table."
        )
    if not table.key:
        raise Unsupported(
            f"{table.name!r} has no key, so predictions cannot be kept beside its rows.",
            hint=f"Load it with a key, as in: load {table.name} FROM … KEY (id).",
        )
    present = {column.lower() for column in table.columns}
    taken = [draft.column + end for end in endings() if (draft.column + end).lower() in present]
    if taken:
        raise InvalidData(
            f"{table.name!r} has a column {taken[0]!r} already.", hint="Bind under another name."
        )
    for option, value, allowed in (
        ("MODE", draft.mode, ("sync", "async")),
        ("ON ERROR", draft.on_error, ("null", "keep", "fail")),
    ):
        if value not in allowed:
            raise NotFound.named(option, value, allowed)


def _check_free(lake: Lake, column: str) -> None:
    """Refuse a column called like a table, for each verb takes the names of both."""
    other = lake.tables.find(column)
    if other is not None and other.schema in ("main", "queries", "features"):
        raise InvalidData(
            f"{column!r} is the name of a {other.kind} already.", hint="Bind under another name."
        )


def _check_inputs(binding: Binding, table: TableInfo, predictor: Predictor) -> None:
    present = {column.lower() for column in table.columns}
    for column in (*predictor.inputs, *(binding.columns or ())):
        if column.lower() not in present:
            raise NotFound.named("column", column, table.columns, within=table.name)
    named = {column.lower() for column in binding.columns or predictor.inputs}
    missing = [column for column in predictor.inputs if column.lower() not in named]
    if missing:
        raise InvalidData(
            f"The model {predictor.ref} also asks for {', '.join(missing)}.",
            hint=f"Bind it on {table.name}({', '.join(predictor.inputs)}).",
        )


def _lineage_rows(binding: Binding, predictor: Predictor) -> list[dict[str, object]]:
    model = predictor.ref.partition("@")[0]
    edges = [(binding.on, column) for column in predictor.inputs] + [(f"model.{model}", "*")]
    return [
        {
            "name": binding.name,
            "version": binding.version,
            "output_column": "value",
            "input": source,
            "input_column": column,
            "kind": "value",
        }
        for source, column in edges
    ]


def _last_run(lake: Lake, binding: Binding) -> dict[str, Any] | None:
    rows = lake.records.rows(
        "runs",
        "name = $name AND kind = 'binding' AND status = 'ok'",
        {"name": binding.name},
    )
    fresh = [row for row in rows if binding.snapshot is None or row["snapshot_id"] >= binding.snapshot]
    return fresh[-1] if fresh else None


def _record_failure(
    lake: Lake, binding: Binding, plan: Plan, error: WorkbenchError, started: datetime, clock: float
) -> None:
    run = Run(
        binding.name,
        KIND,
        plan.mode,
        plan.reason,
        seconds=time.perf_counter() - clock,
        status="failed",
        error=str(error),
    )
    with lake.commit(f"predict {binding.column} ON {binding.table} failed", run_id=run.id) as tx:
        lake.records.append_run(tx, run, started)
