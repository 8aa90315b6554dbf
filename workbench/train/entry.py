"""What is to be logged of one trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.train.matrix import matrix_query
from workbench.train.preparation import ROWS

if TYPE_CHECKING:
    from workbench.train.definition import Training
    from workbench.train.evaluate import Score
    from workbench.train.fitting import Fit
    from workbench.train.label import Task
    from workbench.train.reading import Rows, Source
    from workbench.train.trials import Trial


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be logged of one trained model.

    `inputs` are the raw columns; `about` goes into the model's metadata, so that whoever loads it
    elsewhere knows how they become the matrix of the estimator, and `sql` does it.
    """

    name: str
    estimator: Any
    task: Task
    inputs: Sequence[str]
    whole: list[str]
    sql: str
    about: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, Score]
    query: str
    snapshot: int
    digest: str
    rows: int
    environment: Mapping[str, str]
    trials: Sequence[Trial] = ()


def make_entry(training: Training, source: Source, rows: Rows, found: Fit) -> Entry:
    """Say what MLflow is to know of a model that was trained on these rows."""
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
