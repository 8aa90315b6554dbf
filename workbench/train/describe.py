"""What `describe MODEL` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.lake import Result
from workbench.lake.description import Description
from workbench.train import registry

if TYPE_CHECKING:
    from workbench.lake import Lake


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
        "label": model.label,
        "reads": ", ".join(model.inputs),
        "rows": model.rows,
        "held out": f"{model.holdout:.1%}, by {model.split['by']}",
        "snapshot": model.snapshot,
        "seed": model.seed,
        "parameters": ", ".join(f"{name} = {value}" for name, value in model.params.items()) or "defaults",
        "when": model.trigger,
        "decision": model.reason,
        "trained": model.trained_at,
        "took": f"{model.seconds:.1f} s",
        "mlflow run": model.mlflow_run_id,
        "query": model.query,
    }
    metrics = [{"metric": name, **score} for name, score in model.metrics.items()]
    tables = {
        "Metrics on the held-out rows": Result(pa.Table.from_pylist(metrics)),
        "Features": Result(pa.table({"feature": list(model.features.inputs)})),
        "Versions": _versions(lake, model.name),
    }
    return Description(model.ref, "model", facts, tables)


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
