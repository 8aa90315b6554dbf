"""What a training leaves in the lake: a model with its report, trials and decision, as one commit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Mode, Run
from workbench.errors import Conflict
from workbench.lake.inputs import moved
from workbench.train import registry
from workbench.train.definition import KIND, Training
from workbench.train.fitting import Fit, Tuning
from workbench.train.model import Model
from workbench.train.trials import Trial

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction
    from workbench.train.reading import Rows, Source
    from workbench.train.tracking import Logged


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What is to be done, and what was there before."""

    training: Training
    force: bool
    reason: str
    started: datetime
    clock: float
    expanded: str = ""


def make_draft(task: TrainingTask, source: Source, rows: Rows, found: Fit, logged: Logged) -> Model:
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


def commit_model(
    lake: Lake,
    task: TrainingTask,
    draft: Model,
    found: Fit,
    watermarks: Mapping[str, int],
    champion: Model | None,
) -> tuple[Model, Run]:
    """Write model, report, decision, deployment, definition, run and watermarks as one snapshot.

    Raises
    ------
    Conflict
        If another training of that name was recorded meanwhile.
    """
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


def _trial_record(training: Training, model: Model, trial: Trial) -> dict[str, Any]:
    made = {"name": model.name, "version": model.version, "problem": training.problem}
    return {**made, "digest": model.digest, **trial.to_record()}


def keep_model(
    lake: Lake, task: TrainingTask, model: Model, source: Source, watermarks: Mapping[str, int]
) -> tuple[Model, Run]:
    """Leave the model as it is; note that its inputs have been looked at, and a new trigger.

    Raises
    ------
    Conflict
        If another training of that name was recorded meanwhile.
    """
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


def keep_trials(lake: Lake, task: TrainingTask, source: Source, tuning: Tuning | None) -> None:
    """Record what was tried in vain, so that the next training need not try it again."""
    count = len(tuning.tried) if tuning else 0
    if tuning is None or count <= len(tuning.known):
        return
    training = task.training
    same = {"name": training.name, "problem": training.problem, "digest": source.digest}
    next_step = f"train again to go on, or TUNE {count} to take the best"
    with lake.commit(f"keep {count} trials of {training.name}: {next_step}") as tx:
        lake.records.append(tx, "trials", [{**same, **trial.to_record()} for trial in tuning.tried])


def _moved(lake: Lake, source: Source, watermarks: Mapping[str, int]) -> bool:
    with lake.pinned() as (cursor, _):
        return bool(moved(cursor, watermarks, source.inputs, source.snapshot))


def _run(task: TrainingTask, model: Model, watermarks: Mapping[str, int], mode: Mode, reason: str) -> Run:
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


def _define(lake: Lake, tx: Transaction, task: TrainingTask, model: Model) -> None:
    """Record the definition if it is another one than before, under the version first trained by it."""
    before = lake.records.definition(model.name, cursor=tx.cursor)
    if _is_defined(before, task.training):
        return
    definition = {**task.training.to_record(), "expanded": task.expanded, "inputs": list(model.inputs)}
    lake.records.define(tx, KIND, model.name, model.version, task.training.fingerprint, definition)


def _finish(lake: Lake, tx: Transaction, task: TrainingTask, model: Model, run: Run) -> Run:
    run = replace(run, seconds=time.perf_counter() - task.clock)
    lake.records.append_run(tx, run, task.started)
    lake.records.set_watermarks(tx, model.name, dict.fromkeys(model.inputs, model.snapshot))
    return run


def _check_watermarks(lake: Lake, tx: Transaction, model: Model, watermarks: Mapping[str, int]) -> None:
    """Refuse to write over a training that finished meanwhile; `Lake.retry` starts over."""
    if lake.records.watermarks(model.name, cursor=tx.cursor) != watermarks:
        raise Conflict(f"{model.name!r} was trained by somebody else meanwhile.", hint="Run it again.")
