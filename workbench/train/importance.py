"""Which features matter: permutation importance on held-out rows, and mean |SHAP| of XGBoost's trees.

A feature is an input column; the numbers that a list or a struct gives are one feature.

Permutation importance: Breiman, "Random Forests", Machine Learning 45 (2001). SHAP values of trees:
Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2 (2020), as XGBoost computes them itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.train.evaluate import MEASURES, Answers

if TYPE_CHECKING:
    import numpy.typing as npt

    from workbench.train.dataset import FeatureSpec
    from workbench.train.encoding import Matrix
    from workbench.train.evaluate import Floats
    from workbench.train.scoring import Fitted

REPEATS = 5
SAMPLE_ROWS = 5_000
BUDGET = 3.0
"""Seconds after which no further column is permuted."""

_LEAST_ROWS = 500
_BLOCK_CELLS = 4_000_000  # numbers in the matrix of one prediction
_SHAP_LEAST_ROWS = 20
_NODE_BYTES = 45  # of a node of a tree as XGBoost writes it
# Steps of TreeSHAP: some 4 ns each. Long trainings may be followed by more of them than short ones.
_SHAP_STEPS = 20_000_000
_SHAP_STEPS_PER_ROW = 2_000
_SHAP_MOST_STEPS = 500_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """How much each feature matters.

    Attributes
    ----------
    metric : str
        The metric whose loss is measured.
    permutation, deviation : ndarray (features)
        How much worse the metric becomes when the feature is shuffled, as the mean of 5 times and
        the standard deviation; NaN of features that time did not suffice for.
    rows : int
        The held-out rows sampled for it.
    shap : ndarray (features) or None
        The mean absolute SHAP value, in the units of the margin (log odds of a class), summed over
        several classes; None of models that are not XGBoost's.
    shap_rows : int
    note : str
        What was cut, if anything.
    """

    metric: str
    permutation: Floats
    deviation: Floats
    rows: int
    shap: Floats | None
    shap_rows: int
    note: str = ""


def importance(
    fitted: Fitted,
    matrix: Matrix,
    truth: npt.NDArray[Any],
    metric: str,
    *,
    seed: int,
    trained: int,
    budget: float = BUDGET,
) -> Importance:
    """Measure how much each feature matters, on a sample of the held-out rows.

    Parameters
    ----------
    matrix : ndarray (n × numbers)
        The held-out rows, encoded.
    truth : ndarray (n)
        Class numbers, or the values of a regression.
    metric : str
        One that can be computed on these rows.
    seed : int
    trained : int
        How many rows it was trained on: SHAP values may take longer after a long training.
    budget : float
        Seconds for the permutations.
    """
    import numpy as np

    groups = column_groups(fitted.features)
    shap, shap_rows = shap_values(fitted, matrix, groups, trained)
    order = np.arange(len(groups)) if shap is None else np.argsort(-shap, kind="stable")
    jobs = [(feature, repeat) for feature in order.tolist() for repeat in range(REPEATS)]
    drops, rows, done = _permute(fitted, matrix, truth, metric, jobs, groups, seed, budget)
    note = ""
    if done < len(jobs):
        found = f"{done // REPEATS} of {len(groups)} features"
        note = f"permutation importance was computed of {found}, until {budget:g} s were over"
    return Importance(metric, drops.mean(axis=1), drops.std(axis=1, ddof=1), rows, shap, shap_rows, note)


def column_groups(spec: FeatureSpec) -> list[slice]:
    """Return for each input column the columns of the matrix that it gives.

    Examples
    --------
    >>> from workbench.train.dataset import ColumnSpec, FeatureSpec
    >>> number = ColumnSpec("v", "number")
    >>> column_groups(FeatureSpec((number, ColumnSpec("list", "list", length=3, fields=(number,)))))
    [slice(0, 1, None), slice(1, 4, None)]
    """
    groups, place = [], 0
    for column in spec.columns:
        width = len(column.leaves)
        groups.append(slice(place, place + width))
        place += width
    return groups


def shap_values(
    fitted: Fitted, matrix: Matrix, groups: Sequence[slice], trained: int
) -> tuple[Floats | None, int]:
    """Return the mean |SHAP| of each feature, and of how many rows; None where there are no trees."""
    if not type(fitted.estimator).__module__.startswith("xgboost.") or not len(matrix):
        return None, 0
    import numpy as np
    from xgboost import DMatrix

    booster = fitted.estimator.get_booster()
    sample = matrix[: _shap_rows(booster, trained)]
    best = booster.attr("best_iteration")  # set where training was stopped early
    contributions = booster.predict(
        DMatrix(sample, feature_names=booster.feature_names),
        pred_contribs=True,
        iteration_range=(0, int(best) + 1) if best else (0, 0),
    )
    # (rows × [classes ×] numbers + bias): the values of a row add up, so those of a column do, too.
    each = np.reshape(contributions, (len(sample), -1, contributions.shape[-1])).astype(np.float64)
    columns = [np.abs(each[:, :, group].sum(axis=2)).sum(axis=1).mean() for group in groups]
    return np.array(columns), len(sample)


def _shap_rows(booster: Any, trained: int) -> int:
    """Return for how many rows to compute SHAP values: their cost is leaves × depth² for each row."""
    trees = max(1, booster.num_boosted_rounds())
    nodes = len(booster.save_raw("ubj")) / _NODE_BYTES
    depth = math.log2(nodes / trees + 2)
    steps = min(_SHAP_MOST_STEPS, _SHAP_STEPS + _SHAP_STEPS_PER_ROW * trained)
    return max(_SHAP_LEAST_ROWS, int(steps / (nodes / 2 * depth**2)))


def _permute(
    fitted: Fitted,
    matrix: Matrix,
    truth: npt.NDArray[Any],
    metric: str,
    jobs: Sequence[tuple[int, int]],
    groups: Sequence[slice],
    seed: int,
    budget: float,
) -> tuple[Floats, int, int]:
    """Do the jobs (feature, repeat) until time is up.

    Returns
    -------
    tuple
        How much worse the metric becomes (features × repeats), on how many rows, and how many jobs
        were done.
    """
    import numpy as np

    started = time.perf_counter()
    base = _score(fitted.answers(matrix, truth), metric)
    once = time.perf_counter() - started
    rows = max(_LEAST_ROWS, int(len(matrix) * budget / (once * len(jobs) + budget)))
    if once * len(jobs) > budget and rows < len(matrix):
        once *= rows / len(matrix)
        matrix, truth = matrix[:rows], truth[:rows]
        base = _score(fitted.answers(matrix, truth), metric)
    drops = np.full((len(groups), REPEATS), np.nan)
    # Large blocks spare a quick model many calls; before a slow one's the clock is looked at.
    most = min(_BLOCK_CELLS // max(1, matrix.size), int(budget / max(once, 1e-9)))
    done = 0
    while done < len(jobs) and (not done or time.perf_counter() - started < budget):
        block = jobs[done : done + max(1, most)]
        scores = _permuted(fitted, matrix, truth, metric, groups, block, seed)
        for (feature, repeat), score in zip(block, scores, strict=True):
            drops[feature, repeat] = base - score
        done += len(block)
    return drops if MEASURES[metric].more_is_better else -drops, len(matrix), done


def _permuted(
    fitted: Fitted,
    matrix: Matrix,
    truth: npt.NDArray[Any],
    metric: str,
    groups: Sequence[slice],
    jobs: Sequence[tuple[int, int]],
    seed: int,
) -> list[float]:
    """Score the rows once for each (feature, repeat), with that feature shuffled, in one prediction."""
    import numpy as np

    rows = len(matrix)
    stacked = np.tile(matrix, (len(jobs), 1))
    for place, (feature, repeat) in enumerate(jobs):
        shuffled = np.random.default_rng((seed, feature, repeat)).permutation(rows)
        stacked[place * rows : (place + 1) * rows, groups[feature]] = matrix[shuffled, groups[feature]]
    answers = fitted.answers(stacked, np.tile(truth, len(jobs)))
    return [
        _score(answers.take(np.arange(place * rows, (place + 1) * rows)), metric)
        for place in range(len(jobs))
    ]


def _score(answers: Answers, metric: str) -> float:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(MEASURES[metric].compute(answers, np.ones((1, len(answers.truth))))[0])
