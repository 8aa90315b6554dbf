"""What is found out about a newly trained model beyond its metrics, as rows for the record tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.train.curves import confusion, curves
from workbench.train.encoding import encode
from workbench.train.evaluate import Answers, point
from workbench.train.importance import SAMPLE_ROWS, importance
from workbench.train.preparation import raw_rows
from workbench.train.slices import SAMPLE_CELLS, compare_metric, row_losses, worst_segments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.lake import Lake, Transaction
    from workbench.train.model import Model
    from workbench.train.scoring import Fitted
    from workbench.train.spool import Spool

TABLES = ("importance", "slices", "confusion", "curves")
"""The record tables that hold a report, in the schema `mlstore`."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Rows for each of `TABLES`, without the model and its version, and what is worth knowing of them."""

    tables: Mapping[str, Sequence[Row]]
    notes: tuple[str, ...] = ()

    def record(self, lake: Lake, tx: Transaction, model: Model) -> None:
        """Append the rows of a model, as part of the commit `tx`."""
        of = {"model": model.name, "version": model.version}
        for table, rows in self.tables.items():
            lake.records.append(tx, table, [{**of, **row} for row in rows])


def make_report(
    fitted: Fitted,
    tested: Spool,
    answers: Answers,
    *,
    metric: str,
    seed: int,
    trained: int,
) -> Report:
    """Look into the answers of a model on held-out rows.

    Parameters
    ----------
    tested : Spool (n rows)
        The held-out rows: the features, and the raw columns that they were made of, if any.
    answers : Answers
        What the model answers for them.
    metric : str
        The metric that decides. Where it cannot be computed on a sample, another one of the task is
        taken, and named in the rows.
    seed : int
        Of the samples and permutations.
    trained : int
        How many rows the model was trained on.
    """
    # Booleans as SQL writes them.
    classes = [str(each).lower() if isinstance(each, bool) else str(each) for each in fitted.classes]
    importances, note = _importance(fitted, tested, answers, metric, seed, trained)
    return Report(
        {
            "importance": importances,
            "slices": _slices(fitted, tested, answers, metric, seed),
            "confusion": confusion(answers, classes),
            "curves": curves(answers, classes),
        },
        (note,) if note else (),
    )


def _importance(
    fitted: Fitted, tested: Spool, answers: Answers, metric: str, seed: int, trained: int
) -> tuple[list[Row], str]:
    import numpy as np

    sample = _sample(tested.num_rows, SAMPLE_ROWS, seed)
    named = _computable(fitted, answers.take(sample), metric)
    matrix = encode(tested.take(sample), fitted.features)
    found = importance(fitted, matrix, answers.truth[sample], named, seed=seed, trained=trained)
    shap = np.full(len(fitted.features), np.nan) if found.shap is None else found.shap
    order = np.lexsort((-np.nan_to_num(shap), -np.nan_to_num(found.permutation, nan=-np.inf)))
    rows = [
        {
            "feature": fitted.features.inputs[place],
            "metric": named,
            "permutation": _known(found.permutation[place]),
            "permutation_sd": _known(found.deviation[place]),
            "rows": found.rows,
            "shap": _known(shap[place]),
            "shap_rows": found.shap_rows or None,
        }
        for place in order.tolist()
    ]
    return rows, found.note


def _slices(fitted: Fitted, tested: Spool, answers: Answers, metric: str, seed: int) -> list[Row]:
    sample = _sample(tested.num_rows, max(1, SAMPLE_CELLS // max(1, len(tested.schema))), seed)
    table, answers = segment_columns(fitted, tested.take(sample)), answers.take(sample)
    named = _computable(fitted, answers, metric)
    loss, losses = row_losses(answers, metric)
    rows = []
    for segment in worst_segments(table, losses):
        inside, outside = compare_metric(segment, answers, named)
        rows.append(
            {
                "segment": segment.condition,
                "rows": segment.rows,
                "of_rows": table.num_rows,
                "metric": named,
                "value": _known(inside),
                "rest": _known(outside),
                "loss": loss,
                "difference": segment.difference,
                "low": segment.low,
                "high": segment.high,
            }
        )
    return rows


def segment_columns(fitted: Fitted, tested: pa.Table) -> pa.Table:
    """Return the columns that a user knows: the raw ones where the features were computed from them."""
    if fitted.preparation is None:
        return tested.select(list(fitted.features.inputs))
    return raw_rows(tested).select(list(fitted.preparation.inputs))


def _computable(fitted: Fitted, answers: Answers, metric: str) -> str:
    """Return the metric, or the first of the task that can be computed where it cannot."""
    scores = point(fitted.task, answers)
    return next((name for name in (metric, *scores) if math.isfinite(scores[name])), next(reversed(scores)))


def _sample(rows: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Choose at most so many rows at random, in their order."""
    import numpy as np

    if rows <= most:
        return np.arange(rows)
    chosen: npt.NDArray[np.int64] = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return chosen


def _known(value: float) -> float | None:
    """Return a number as a Python float; None for NaN."""
    return float(value) if math.isfinite(value) else None
