"""Train a model: read at a pinned snapshot, fit, evaluate, log to MLflow, decide, commit once."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Full, Mode, Noop, Plan, Run
from workbench.errors import Conflict, InvalidData, WorkbenchError
from workbench.lake.inputs import moved
from workbench.progress import step
from workbench.train import algorithms, contest, gate, mlflow_client, reading, registry, tracking
from workbench.train.definition import KIND, Training
from workbench.train.entry import Entry
from workbench.train.fitting import Fit, Tuning, fit
from workbench.train.matrix import matrix_query
from workbench.train.model import Model
from workbench.train.preparation import ROWS
from workbench.train.split import Split
from workbench.train.trials import Trial
from workbench.train.tuning import Limits

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction
    from workbench.train.reading import Rows, Source
    from workbench.train.tracking import Logged


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done, and what was there before."""

    training: Training
    force: bool
    reason: str
    started: datetime
    clock: float
    expanded: str = ""


def train(lake: Lake, training: Training) -> Model:
    """Train a model and return its new version.

    The same definition on the same rows again changes nothing and returns the version there is.

    Parameters
    ----------
    training : Training
        From `Training.define`.

    Raises
    ------
    InvalidData, NotFound
        If the rows or columns are not fit to learn from.
    ModelError
        If the estimator fails.
    Conflict
        If another training of the same name kept finishing first.
    """
    training = replace(training, name=lake.records.spelling(training.name))
    _check_free(lake, training.name)
    return _train(lake, training, force=False, reason="asked for")[0]


def plan_model(lake: Lake, model: Model, *, full: bool = False) -> Plan:
    """Decide whether a refresh would train."""
    if full:
        return Full("asked for")
    with lake.pinned() as (cursor, head):
        changed = moved(cursor, lake.records.watermarks(model.name, cursor=cursor), model.inputs, head)
    return Full(f"{', '.join(changed)} changed") if changed else Noop()


def refresh_model(lake: Lake, model: Model, *, full: bool = False) -> Run:
    """Train a new version by the recorded definition if the inputs moved.

    Raises
    ------
    WorkbenchError
        If the training fails; the models stay as they were, and the failure is recorded.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plan = plan_model(lake, model, full=full)
    if isinstance(plan, Noop):
        return Run(model.name, KIND, "noop", plan.reason, seconds=time.perf_counter() - clock)
    row = lake.records.definition(model.name)
    assert row is not None
    definition = row["definition"]
    try:
        training = Training.from_record(definition)
        return _train(lake, training, force=full, reason=plan.reason)[1]
    except Conflict:
        raise
    except WorkbenchError as error:
        seconds = time.perf_counter() - clock
        run = Run(
            model.name, KIND, plan.mode, plan.reason, seconds=seconds, status="failed", error=str(error)
        )
        with lake.commit(f"train {model.name} failed", run_id=run.id) as tx:
            lake.records.append_run(tx, run, started)
        raise


def _train(lake: Lake, training: Training, *, force: bool, reason: str) -> tuple[Model, Run]:
    task = _Task(training, force, reason, datetime.now(UTC), time.perf_counter())
    with step(f"Training {training.name}"):
        return lake.retry(lambda: _attempt(lake, task))


def _attempt(lake: Lake, task: _Task) -> tuple[Model, Run]:
    training = task.training
    with lake.pinned() as (cursor, _), step("Reading the rows"):
        known = registry.find_versions(lake, training.name, cursor)
        split = _split(training, known)
        source = reading.stage(lake, cursor, training, split)
        task = replace(task, expanded=source.expanded)
        watermarks = lake.records.watermarks(training.name, cursor=cursor)
        definition = lake.records.definition(training.name, cursor=cursor)
        dropped = definition is not None and definition["status"] == "dropped"
        same = None if task.force or dropped else _unchanged(known, training, source)
        unlabelled = algorithms.uses_unlabelled(training.model)
        rows = reading.read(lake, cursor, source, split, unlabelled=unlabelled) if same is None else None
        champion = next((model for model in known if model.deployed), None)
        if rows is not None and gate.parse(training.deploy).asks_champion:
            rows = contest.keep_back(lake, cursor, source, rows, champion)
    if rows is None:
        assert same is not None
        return _keep(lake, task, same, source, watermarks)
    tuning = _tuning(lake, task, source) if training.searches else None
    try:
        found = fit(training, source, rows, champion, lambda model: registry.load(lake, model), tuning)
        model, run = _log_and_commit(lake, task, source, rows, found, watermarks, champion)
    except BaseException:
        _keep_trials(lake, task, source, tuning)
        raise
    _tell_mlflow(lake, model)
    return model, run


def _tell_mlflow(lake: Lake, model: Model) -> None:
    """Tell MLflow what was decided. The model stands in the lake by now, so a failure is only warned of."""
    try:
        tracking.set_decision(lake.folder, model.name, model.mlflow_run_id, model.version, model.reason)
        if model.deployed:
            tracking.set_champion(lake.folder, model.name, model.mlflow_run_id, model.version)
    except WorkbenchError as error:
        warnings.warn(
            f"{model.ref} is {model.decision}, but MLflow does not know it: {error}",
            RuntimeWarning,
            stacklevel=2,
        )


def _log_and_commit(
    lake: Lake,
    task: _Task,
    source: Source,
    rows: Rows,
    found: Fit,
    watermarks: Mapping[str, int],
    champion: Model | None,
) -> tuple[Model, Run]:
    """Log to MLflow, then commit; MLflow forgets it again if the commit fails."""
    with step("Logging to MLflow"):
        logged = tracking.log(lake.folder, _entry(task.training, source, rows, found))
    try:
        draft = _draft(task, source, rows, found, logged)
        return _commit(lake, task, draft, found, watermarks, champion)
    except BaseException:
        tracking.discard(lake.folder, logged)
        raise


def _tuning(lake: Lake, task: _Task, source: Source) -> Tuning:
    """Take up what an interrupted search of the same rows has tried."""
    training = task.training
    wanted = {"problem": training.problem, "digest": source.digest}
    rows = lake.records.rows("trials", "name = $name", {"name": training.name})
    finished = max((row["snapshot_id"] for row in rows if row["version"] is not None), default=-1)
    left = [row for row in rows if row["snapshot_id"] > finished and wanted.items() <= row.items()]
    newest = max((row["snapshot_id"] for row in left), default=None)
    known = [Trial.from_record(row) for row in left if row["snapshot_id"] == newest]
    # What MLflow takes to wake up is part of the budget, so it is spent before the search.
    mlflow_client.wake(lake.folder)
    return Tuning(Limits(training.tune, training.budget, task.clock), known)


def _keep_trials(lake: Lake, task: _Task, source: Source, tuning: Tuning | None) -> None:
    """Record what was tried in vain, so that the next training need not try it again."""
    count = len(tuning.tried) if tuning else 0
    if tuning is None or count <= len(tuning.known):
        return
    training = task.training
    same = {"name": training.name, "problem": training.problem, "digest": source.digest}
    next_step = f"train again to go on, or TUNE {count} to take the best"
    with lake.commit(f"keep {count} trials of {training.name}: {next_step}") as tx:
        lake.records.append(tx, "trials", [{**same, **trial.to_record()} for trial in tuning.tried])


def _check_free(lake: Lake, name: str) -> None:
    row = lake.records.definition(name)
    if row and row["kind"] != KIND and row["status"] != "dropped":
        raise InvalidData(
            f"{name!r} is the name of a {row['kind']} already.", hint="Give the model another name."
        )
    table = lake.tables.find(name)
    if table is not None and table.schema in {"main", "queries", "features"}:
        raise InvalidData(
            f"{name!r} is the name of a {table.kind} already.", hint="Give the model another name."
        )


def _unchanged(known: list[Model], training: Training, source: Source) -> Model | None:
    """Return the newest version if it was trained by this definition on these very rows."""
    if known and (known[-1].fingerprint, known[-1].digest) == (training.fingerprint, source.digest):
        return known[-1]
    return None


def _split(training: Training, known: list[Model]) -> Split:
    """Return the rule, with the threshold of the newest version by the same rule."""
    rule = training.rule()
    wanted = rule.resolved(training.key, ())
    for model in reversed(known):
        before = Split.from_record(model.split)
        if rule.needs_threshold and wanted.same_rule(before):
            return before
    return rule


def _entry(training: Training, source: Source, rows: Rows, found: Fit) -> Entry:
    """Say what MLflow is to know of the model."""
    about = {
        "task": found.fitted.task,
        "label": source.label,
        "classes": list(found.fitted.classes),
        "features": found.fitted.features.to_record(),
    }
    return Entry(
        name=training.name,
        estimator=found.fitted.estimator,
        task=found.fitted.task,
        inputs=_raw_inputs(source, found),
        whole=_whole_inputs(source),
        sql=matrix_query(found.fitted.features, _relation(source)),
        about=about,
        params={
            "algorithm": found.choice.name,
            "seed": training.seed,
            "prepare": training.prepare,
            "split": rows.split.to_record(),
            **found.choice.params,
        },
        metrics=found.metrics,
        query=training.query,
        snapshot=source.snapshot,
        digest=source.digest,
        rows=source.rows,
        environment=found.environment,
        trials=found.trials,
    )


def _raw_inputs(source: Source, found: Fit) -> tuple[str, ...]:
    return source.preparation.inputs if source.preparation else found.fitted.features.inputs


def _whole_inputs(source: Source) -> list[str]:
    """Return the raw columns that a prepared model casts to whole numbers."""
    types = source.preparation.types if source.preparation else {}
    return [name for name, kind in types.items() if "INT" in kind]


def _relation(source: Source) -> str:
    """Name the relation that has the features, given the raw rows."""
    return f"({source.preparation.sql})" if source.preparation else ROWS


def _draft(task: _Task, source: Source, rows: Rows, found: Fit, logged: Logged) -> Model:
    """Make the model; its version is settled by the commit."""
    used = 0 if rows.unlabelled is None else len(rows.unlabelled)
    left_out = source.unlabelled - used
    without = (
        f"{used:,} rows without a label were learned from as well" if used else "",
        f"{left_out:,} rows without a label were left out" if left_out else "",
    )
    reasons = (found.decision.reason, *found.notes, *without)
    return Model(
        name=task.training.name,
        version=0,
        task=found.fitted.task,
        algorithm=found.choice.name,
        label=source.label,
        key=source.key,
        features=found.fitted.features,
        preparation=source.preparation,
        prepared_as=source.plan,
        query=task.training.query,
        inputs=source.inputs,
        input_versions=source.input_versions,
        snapshot=source.snapshot,
        digest=source.digest,
        rows=source.rows,
        split={
            **rows.split.to_record(),
            "types": {name: source.types[name] for name in rows.split.columns},
            "trained": found.trained,
            "held_out": found.held_out,
        },
        seed=task.training.seed,
        params=found.choice.params,
        metrics=found.metrics,
        classes=found.fitted.classes,
        mlflow_run_id=logged.run_id,
        model_uri=logged.uri,
        fingerprint=task.training.fingerprint,
        trained_at=datetime.now(UTC),
        seconds=time.perf_counter() - task.clock,
        reason="; ".join(each for each in reasons if each),
        deployed=found.decision.deploy,
        environment=found.environment,
        trigger=task.training.when,
    )


def _trial_record(training: Training, model: Model, trial: Trial) -> dict[str, Any]:
    made = {"name": model.name, "version": model.version, "problem": training.problem}
    return {**made, "digest": model.digest, **trial.to_record()}


def _commit(
    lake: Lake,
    task: _Task,
    draft: Model,
    found: Fit,
    watermarks: Mapping[str, int],
    champion: Model | None,
) -> tuple[Model, Run]:
    """Write model, report, decision, deployment, definition, run and watermarks as one snapshot."""
    run = _run(task, draft, watermarks, "full", task.reason)
    deployed = "" if draft.deployed else ", not deployed"
    with lake.commit(f"train {draft.name}{deployed}", run_id=run.id) as tx:
        _check_watermarks(lake, tx, draft, watermarks)
        before = registry.champion_version(lake, draft.name, tx.cursor)
        if before != (champion.version if champion else None):
            raise Conflict(
                f"Another champion of {draft.name!r} was deployed meanwhile.", hint="Run it again."
            )
        rows = lake.records.rows("models", "name = $name", {"name": draft.name}, cursor=tx.cursor)
        model = replace(draft, version=1 + max((row["version"] for row in rows), default=0))
        lake.records.append(tx, "models", [model.to_record()])
        lake.records.append(
            tx, "trials", [_trial_record(task.training, model, trial) for trial in found.trials]
        )
        found.report.record(lake, tx, model)
        registry.record_decision(lake, tx, model, found.decision)
        if model.deployed:
            registry.record_deployment(lake, tx, model, model.reason, before)
        _define(lake, tx, task, model)
        run = replace(run, details={**run.details, "model": model.ref, "deployed": model.deployed})
        run = _finish(lake, tx, task, model, run)
    return model, replace(run, snapshot=tx.snapshot)


def _keep(
    lake: Lake, task: _Task, model: Model, source: Source, watermarks: Mapping[str, int]
) -> tuple[Model, Run]:
    """Leave the model as it is; note that its inputs have been looked at, and a new trigger."""
    kept = replace(model, inputs=source.inputs, snapshot=source.snapshot)
    run = _run(task, kept, watermarks, "noop", "the rows are the same")
    behind = _moved(lake, source, watermarks)
    if not behind and _is_defined(lake.records.definition(model.name), task.training):
        return model, run
    with lake.commit(f"train {model.name}: {run.reason}", run_id=run.id) as tx:
        _check_watermarks(lake, tx, model, watermarks)
        _define(lake, tx, task, kept)
        run = _finish(lake, tx, task, kept, run)
    return replace(model, trigger=task.training.when), replace(run, snapshot=tx.snapshot)


def _moved(lake: Lake, source: Source, watermarks: Mapping[str, int]) -> bool:
    with lake.pinned() as (cursor, _):
        return bool(moved(cursor, watermarks, source.inputs, source.snapshot))


def _run(task: _Task, model: Model, watermarks: Mapping[str, int], mode: Mode, reason: str) -> Run:
    return Run(
        model.name,
        KIND,
        mode,
        reason,
        inputs={name: (watermarks.get(name), model.snapshot) for name in model.inputs},
        rows_read=model.rows,
        details={"model": model.ref},
    )


def _is_defined(row: Mapping[str, Any] | None, training: Training) -> bool:
    """Whether a recorded definition is this one, with this trigger, and active."""
    if row is None or row["kind"] != KIND or row["status"] != "active":
        return False
    found: tuple[str, str] = (row["fingerprint"], row["definition"]["when"])
    return found == (training.fingerprint, training.when)


def _define(lake: Lake, tx: Transaction, task: _Task, model: Model) -> None:
    """Record the definition if it is another one than before, under the version first trained by it."""
    before = lake.records.definition(model.name, cursor=tx.cursor)
    if _is_defined(before, task.training):
        return
    definition = {**task.training.to_record(), "expanded": task.expanded, "inputs": list(model.inputs)}
    lake.records.define(tx, KIND, model.name, model.version, task.training.fingerprint, definition)


def _finish(lake: Lake, tx: Transaction, task: _Task, model: Model, run: Run) -> Run:
    run = replace(run, seconds=time.perf_counter() - task.clock)
    lake.records.append_run(tx, run, task.started)
    lake.records.set_watermarks(tx, model.name, dict.fromkeys(model.inputs, model.snapshot))
    return run


def _check_watermarks(lake: Lake, tx: Transaction, model: Model, watermarks: Mapping[str, int]) -> None:
    """Refuse to write over a training that finished meanwhile; `Lake.retry` starts over."""
    if lake.records.watermarks(model.name, cursor=tx.cursor) != watermarks:
        raise Conflict(f"{model.name!r} was trained by somebody else meanwhile.", hint="Run it again.")
