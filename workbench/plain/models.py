"""A trained model as blocks: what it predicts, what it was made from, and its metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.plain.blocks import TONES, Block, Facts, Grid, Heading
from workbench.plain.values import count_rows, number, seconds

_MANY = 40


def show_model(model: Any, limit: int) -> Iterable[Block]:
    """Show a model; all of it, whatever the limit."""
    rows = count_rows(model.rows)
    yield Heading(f"{model.name}@{model.version}", "model", model.decision, TONES.get(model.decision, ""))
    yield Facts.of(
        {
            "predicts": f"{model.label} ({model.task})" if model.label else model.task,
            "algorithm": model.algorithm,
            "trained on": f"{rows} at snapshot {model.snapshot}, from {', '.join(model.inputs)}",
            "held out": _split(model.split),
            "features": ", ".join(_features(model.features)),
            "gate": model.reason,
            "seed": str(model.seed),
            "took": seconds(model.seconds),
            "MLflow run": model.mlflow_run_id,
        }
    )
    if model.metrics:
        yield _metrics(model.metrics)


def _split(split: Mapping[str, Any]) -> str:
    """Write the rule by which rows are held out, and how many were.

    Examples
    --------
    >>> _split({"by": "hash", "columns": ["id"], "holdout": 0.2, "held_out": 67355})
    '20% by hash(id): 67,355 rows'
    """
    columns = f"({', '.join(split['columns'])})" if split.get("columns") else ""
    text = f"{split['holdout'] * 100:.3g}% by {split['by']}{columns}"
    return text + (f": {count_rows(split['held_out'])}" if "held_out" in split else "")


def _features(features: Iterable[Any]) -> list[str]:
    """Name the features, and the kind of those that are no numbers."""
    columns = list(getattr(features, "columns", features))
    named = [
        f"{each.name} ({each.kind})"
        if getattr(each, "kind", "number") != "number"
        else getattr(each, "name", each)
        for each in columns[:_MANY]
    ]
    return named + ([f"and {len(columns) - _MANY} more"] if len(columns) > _MANY else [])


def _metrics(metrics: Mapping[str, Any]) -> Grid:
    """Show metrics as a table: value, 95 % interval and baseline, as far as they are recorded."""
    rows = []
    for name, value in metrics.items():
        parts = value if isinstance(value, Mapping) else {"value": value}
        low, high = parts.get("low"), parts.get("high")
        interval = f"{number(low)} to {number(high)}" if low is not None and high is not None else None
        rows.append((name, parts.get("value"), interval, parts.get("baseline")))
    keep = [0, 1, *(i for i in (2, 3) if any(row[i] is not None for row in rows))]
    names = ["metric", "value", "95 % interval", "baseline"]
    grid = Grid.of_rows([names[i] for i in keep], [[row[i] for i in keep] for row in rows], title="metrics")
    right = tuple(dataclasses.replace(column, right=i > 0) for i, column in enumerate(grid.columns))
    return dataclasses.replace(grid, columns=right)
