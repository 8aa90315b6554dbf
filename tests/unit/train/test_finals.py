"""The last round of a search: its best settings on all rows, within the time that is left."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from workbench.progress import watch
from workbench.train import estimators
from workbench.train.algorithms import Choice
from workbench.train.boosting import Examples
from workbench.train.dataset import ColumnSpec, FeatureSpec
from workbench.train.finals import best_of
from workbench.train.scoring import Fitted

SPEC = FeatureSpec((ColumnSpec("x", "number"), ColumnSpec("z", "number")))
GOOD, POOR = (Choice("xgboost", {"max_depth": depth, "n_estimators": 20}, "chosen") for depth in (6, 1))


class Learner:
    """Fits XGBoost to a label that only two numbers together tell, and notes what it was asked for."""

    def __init__(self, seconds: float = 0.0) -> None:
        rng = np.random.default_rng(0)
        matrix = rng.normal(size=(900, 2)).astype(np.float32)
        label = (matrix[:, 0] * matrix[:, 1] > 0).astype(np.int64)
        self.rows = Examples(matrix[:600], label[:600])
        self.validation = Examples(matrix[600:], label[600:])
        self.asked: list[Choice] = []
        self.times: list[tuple[float, float]] = []
        self._seconds = seconds

    def __call__(self, choice: Choice) -> tuple[Fitted, Choice]:
        self.asked.append(choice)
        began = time.perf_counter()
        time.sleep(self._seconds)
        estimator = estimators.build(choice, "binary", SPEC, prepare="auto", seed=0, rows=600)
        estimators.fit(estimator, self.rows)
        self.times.append((began, time.perf_counter()))
        return Fitted("m", "binary", SPEC, (False, True), estimator), choice


@pytest.mark.parametrize("metric", ["auc", "logloss"])
@pytest.mark.parametrize("order", [(GOOD, POOR), (POOR, GOOD)])
def test_the_best_on_all_rows_is_taken(metric: str, order: tuple[Choice, ...]) -> None:
    """Whatever came first in the search, and whether more of the metric is better or less."""
    learner = Learner()
    fitted, choice = best_of(order, learner, learner.validation, metric, time.perf_counter() + 60)
    assert learner.asked == list(order)
    assert choice.params == GOOD.params
    assert fitted.estimator.max_depth == 6
    assert f"chosen; of 2 settings fitted on all rows it was the best: {metric} " in choice.reason


def test_none_is_begun_that_would_not_end_in_time() -> None:
    learner = Learner(seconds=0.4)
    deadline = time.perf_counter() + 1.1
    found = best_of((POOR, GOOD, GOOD, GOOD), learner, learner.validation, "auc", deadline)
    assert len(learner.asked) < 4
    first = learner.times[0][1] - learner.times[0][0]
    assert all(began + first <= deadline + 0.2 for began, _ in learner.times[1:])
    late = Learner(seconds=0.2)
    fitted, choice = best_of((POOR, GOOD), late, late.validation, "auc", time.perf_counter() + 0.1)
    assert late.asked == [POOR]
    assert (choice, fitted.estimator.max_depth) == (POOR, 1)
    assert found[1].reason.startswith("chosen")


def test_who_says_stop_gets_the_first() -> None:
    stop, learner = threading.Event(), Learner()
    stop.set()
    with watch(lambda _: None, stop):
        _, choice = best_of((POOR, GOOD), learner, learner.validation, "auc", time.perf_counter() + 60)
    assert (learner.asked, choice) == ([POOR], POOR)
