"""Train a model: read at a pinned snapshot, fit, evaluate, log to MLflow, decide, commit once."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.derivation import Full, Noop, Plan, Run
from workbench.errors import Conflict, InvalidData, WorkbenchError
from workbench.lake.inputs import moved
from workbench.progress import step
from workbench.train import algorithms, contest, gate, mlflow_client, reading, registry, tracking
from workbench.train.definition import KIND, Training
from workbench.train.entry import make_entry
from workbench.train.fitting import Fit, Tuning, fit
from workbench.train.model import Model
from workbench.train.recording import TrainingTask, commit_model, keep_model, keep_trials, make_draft
from workbench.train.search_problem import Limits
from workbench.train.split import Split
from workbench.train.trials import Trial

if TYPE_CHECKING:
    from workbench.lake import Lake
    from workbench.train.reading import Rows, Source


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
        run = Run.failed(model.name, KIND, plan, error, time.perf_counter() - clock)
        with lake.commit(f"train {model.name} failed", run_id=run.id) as tx:
            lake.records.append_run(tx, run, started)
        raise


def _train(lake: Lake, training: Training, *, force: bool, reason: str) -> tuple[Model, Run]:
    task = TrainingTask(training, force, reason, datetime.now(UTC), time.perf_counter())
    with step(f"Training {training.name}"):
        return lake.retry(lambda: _attempt(lake, task))


def _attempt(lake: Lake, task: TrainingTask) -> tuple[Model, Run]:
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
        return keep_model(lake, task, same, source, watermarks)
    tuning = _tuning(lake, task, source) if training.searches else None
    try:
        found = fit(training, source, rows, champion, lambda model: registry.load(lake, model), tuning)
        model, run = _log_and_commit(lake, task, source, rows, found, watermarks, champion)
    except BaseException:
        keep_trials(lake, task, source, tuning)
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
    task: TrainingTask,
    source: Source,
    rows: Rows,
    found: Fit,
    watermarks: Mapping[str, int],
    champion: Model | None,
) -> tuple[Model, Run]:
    """Log to MLflow, then commit; MLflow forgets it again if the commit fails."""
    with step("Logging to MLflow"):
        logged = tracking.log(lake.folder, make_entry(task.training, source, rows, found))
    try:
        draft = make_draft(task, source, rows, found, logged)
        return commit_model(lake, task, draft, found, watermarks, champion)
    except BaseException:
        tracking.discard(lake.folder, logged)
        raise


def _tuning(lake: Lake, task: TrainingTask, source: Source) -> Tuning:
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
