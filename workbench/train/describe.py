"""What `describe MODEL` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.lake import Result
from workbench.lake.description import Description
from workbench.train import registry
from workbench.train.evaluate import MEASURES
from workbench.train.findings import found_charts, found_tables
from workbench.train.split import Split
from workbench.train.trials import Trial, ranked

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake
    from workbench.train.model import Model


def describe_model(lake: Lake, ref: str) -> Description:
    """Describe a version of a model: what it was made from, how good it is, and its other versions.

    Raises
    ------
    NotFound
        If there is no such model or version.
    """
    import pyarrow as pa

    model = registry.get(lake, ref)
    facts: dict[str, Any] = {
        "version": model.version,
        "status": model.decision,
        "task": model.task,
        "algorithm": model.algorithm,
        **({"label": model.label} if model.label else {}),
        "reads": ", ".join(model.inputs),
        "rows": model.rows,
        "held out": f"{model.holdout:.1%}, by {Split.from_record(model.split)}",
        "snapshot": model.snapshot,
        "seed": model.seed,
        "parameters": ", ".join(f"{name} = {value}" for name, value in model.params.items()) or "defaults",
        "when": model.trigger,
        "decision": model.reason,
        "trained": model.trained_at,
        "took": f"{model.seconds:.1f} s",
        "mlflow run": model.mlflow_run_id,
        "query": model.query,
        **({"prepared as": model.prepared_as} if model.prepared_as else {}),
        **({"trained with": _environment(model)} if model.environment else {}),
    }
    metrics = [{"metric": name, **score} for name, score in model.metrics.items()]
    tables = {
        "Metrics on the held-out rows": Result(pa.Table.from_pylist(metrics)),
        **found_tables(lake, model),
        "Features": Result(_features(model)),
        **_trials(lake, model),
        "Versions": _versions(lake, model.name),
    }
    return Description(model.ref, "model", facts, tables, found_charts(lake, model))


def _trials(lake: Lake, model: Model) -> dict[str, Result]:
    """Return the settings that a search tried, the best first; nothing where none was made."""
    import pyarrow as pa

    found = lake.records.rows(
        "trials", "name = $name AND version = $version", {"name": model.name, "version": model.version}
    )
    if not found:
        return {}
    trials = [Trial.from_record(row) for row in found]
    best = ranked(trials, more_is_better=MEASURES[trials[0].metric].more_is_better)
    shown = [*best, *(trial for trial in trials if trial not in best)]
    columns = ("trial", "value", "spread", "folds", "seconds", "status", "clauses")
    rows = [{name: getattr(trial, name) for name in columns} for trial in shown]
    return {"Trials": Result(pa.Table.from_pylist(rows))}


def _environment(model: Model) -> str:
    return ", ".join(f"{name} {version}" for name, version in model.environment.items())


def _features(model: Model) -> pa.Table:
    """List the features, each with the SQL that makes it of raw columns where something does."""
    import pyarrow as pa

    names = list(model.features.inputs)
    if model.preparation is None:
        return pa.table({"feature": names})
    return pa.table({"feature": names, "made by": [model.preparation.columns[name] for name in names]})


def _versions(lake: Lake, name: str) -> Result:
    rows = registry.models(lake)
    import pyarrow.compute as pc

    columns = [
        "version",
        "champion",
        "metric",
        "value",
        "low",
        "high",
        "rows",
        "snapshot",
        "trained_at",
        "reason",
    ]
    return Result(rows.filter(pc.equal(rows.column("model"), name)).select(columns))
