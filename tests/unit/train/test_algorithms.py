"""The algorithms by their short names, weights of rows and classes, and early stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.train import algorithms, estimators
from workbench.train.boosting import Examples, validation_rows
from workbench.train.dataset import ColumnSpec, FeatureSpec
from workbench.train.label import Label
from workbench.train.weights import class_weights, read_weights

SPEC = FeatureSpec(tuple(ColumnSpec(f"x{place}", "number") for place in range(4)))


def examples(task: str, rows: int = 400, weights: bool = False) -> Examples:
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(rows, 4)).astype(np.float32)
    matrix[::17, 1] = np.nan
    signal = matrix[:, 0] * 2 - matrix[:, 2] + rng.normal(scale=0.3, size=rows)
    label: Any = signal
    if task != "regression":
        label = np.digitize(signal, [0.0] if task == "binary" else [-1.0, 1.0]).astype(np.int64)
    return Examples(matrix, label, rng.uniform(0.1, 3, rows) if weights else None)


def build(name: str, task: Any, params: dict[str, Any] | None = None) -> Any:
    choice = algorithms.Choice(name, params or {})
    return estimators.build(choice, task, SPEC, prepare="auto", seed=3, rows=400)


@pytest.mark.parametrize("name", sorted(algorithms.ALGORITHMS))
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_every_short_name_learns(name: str, task: Any) -> None:
    """Better than chance on the rows it saw, with gaps in them; or it says that it is for the other task."""
    if name == "tab_transformer":
        pytest.importorskip("torch")
    rows = examples(task)
    kind = "regression" if task == "regression" else "classes"
    if kind not in algorithms.ALGORITHMS[name]:
        with pytest.raises(Unsupported, match=name):
            build(name, task)
        return
    estimator = build(name, task)
    estimators.fit(estimator, rows)
    answered = estimators.answer(estimator, rows.matrix, task)
    if name == "baseline":
        return
    if task == "regression":
        assert np.corrcoef(answered, rows.label)[0, 1] > 0.8
    else:
        assert answered.shape == (400, 2 if task == "binary" else 3)
        assert np.allclose(answered.sum(axis=1), 1, atol=1e-5)
        assert (answered.argmax(axis=1) == rows.label).mean() > 0.75


def test_what_only_decides_is_calibrated_as_scikit_learn_does() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import Perceptron
    from sklearn.preprocessing import StandardScaler

    rows = examples("binary")
    rows = Examples(np.nan_to_num(rows.matrix), rows.label)
    estimator = build("sklearn.linear_model.Perceptron", "binary")
    estimators.fit(estimator, rows)
    other = CalibratedClassifierCV(Perceptron(random_state=3, n_jobs=1), ensemble=False)
    scaled = StandardScaler().fit_transform(rows.matrix)
    wanted = other.fit(scaled, rows.label).predict_proba(scaled)
    assert np.allclose(estimators.answer(estimator, rows.matrix, "binary"), wanted, atol=1e-4)


@pytest.mark.parametrize("name", ["xgboost", "ridge", "random_forest"])
def test_weights_of_rows_are_those_of_the_library(name: str) -> None:
    """A weight of 2 is the same as the row twice, where nothing is drawn at random."""
    rows = examples("regression", weights=True)
    estimator = build(name, "regression")
    estimators.fit(estimator, rows)
    plain = build(name, "regression")
    estimators.fit(plain, Examples(rows.matrix, rows.label))
    weighted = estimators.answer(estimator, rows.matrix, "regression")
    assert not np.allclose(weighted, estimators.answer(plain, rows.matrix, "regression"))
    if name == "xgboost":
        from xgboost import XGBRegressor

        other = XGBRegressor(tree_method="hist", random_state=3, n_jobs=1)
        other.fit(rows.matrix, rows.label, sample_weight=rows.weights)
        assert estimator.get_booster().get_dump() == other.get_booster().get_dump()


def test_balanced_weights_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    numbers = np.array([0, 0, 0, 1, 0, 2, 0, 0])
    label = Label("multiclass", ("a", "b", "c"), numbers)
    found = class_weights("balanced", label, numbers)
    assert found is not None
    assert np.allclose(found, compute_sample_weight("balanced", numbers))
    named = class_weights({"B": 5}, label, numbers)
    assert named is not None
    assert named.tolist() == [1, 1, 1, 5, 1, 1, 1, 1]
    with pytest.raises(NotFound, match="'d'"):
        class_weights({"d": 1}, label, numbers)
    with pytest.raises(InvalidData, match="balanced"):
        class_weights("even", label, numbers)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, None], "in every row"),
        ([1.0, -1.0], "from 0 on"),
        ([0.0, 0.0], "nothing to learn"),
        (["a"], "string"),
    ],
)
def test_weights_that_are_none(values: list[Any], said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        read_weights("w", pa.chunked_array([values]))


def test_early_stopping_keeps_the_trees_that_help() -> None:
    """The same trees as xgboost by hand with save_best, and no more of them."""
    import xgboost

    rows = examples("binary", 2000)
    chosen = validation_rows(np.arange(2000) % 1000, rows.label, 2)
    assert chosen.sum() == 200
    learned, validation = rows.take(~chosen), rows.take(chosen)
    params = {"n_estimators": 500, "learning_rate": 0.5, "early_stopping_rounds": 5}
    estimator = build("xgboost", "binary", params)
    grown = estimators.fit(estimator, learned, validation=validation)
    kept = estimator.get_booster().num_boosted_rounds()
    assert kept < grown < 500
    stop = xgboost.callback.EarlyStopping(rounds=5, save_best=True)
    other = xgboost.XGBClassifier(
        n_estimators=500, learning_rate=0.5, tree_method="hist", random_state=3, n_jobs=1, callbacks=[stop]
    )
    other.fit(learned.matrix, learned.label, eval_set=[(validation.matrix, validation.label)], verbose=False)
    assert estimator.get_booster().get_dump() == other.get_booster().get_dump()
    again = build("xgboost", "binary", {**params, "n_estimators": grown})
    estimators.fit(again, learned, validation=validation)
    assert again.get_booster().get_dump() == estimator.get_booster().get_dump()


def test_the_part_for_early_stopping_leaves_all_classes_to_learn() -> None:
    folds = np.array([950, 950, 100, 100, 500])
    assert validation_rows(folds, np.array([0, 1, 0, 1, 0]), 2).tolist() == [True, True, False, False, False]
    assert validation_rows(folds, np.array([0, 2, 0, 1, 0]), 3).tolist() == [False, False, False, False, True]
    with pytest.raises(InvalidData, match="cannot be divided for early stopping"):
        validation_rows(folds, np.array([0, 2, 0, 1, 0]), 3, last=True)


def _fit_for(seconds: float, rows: Examples) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        estimators.fit(build("xgboost", "binary", {"n_estimators": 1}), rows)


@pytest.mark.parametrize("delay", [0.05, 0.11, 0.17, 0.23])
def test_an_interrupt_is_never_lost(delay: float) -> None:
    """XGBoost calls Python from C while it reads rows; an error raised there is only printed."""
    rows = examples("binary", 200)
    estimators.fit(build("xgboost", "binary", {"n_estimators": 1}), rows)  # nor is its import torn
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        _fit_for(20, rows)
    timer.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_monotone_constraint_goes_by_name_and_binds() -> None:
    """The label falls with x2; forbidden to fall, the answer does not."""
    rows = examples("regression")
    steps = np.zeros((50, 4), np.float32)
    steps[:, 2] = np.linspace(-2, 2, 50)
    for sign in (1, -1):
        estimator = build("xgboost", "regression", {"monotone_constraints": {"X2": sign}})
        estimators.fit(estimator, rows)
        slopes = np.diff(estimators.answer(estimator, steps, "regression"))
        assert (slopes * sign >= 0).all()
    with pytest.raises(NotFound, match="Did you mean 'x2'"):
        build("xgboost", "regression", {"monotone_constraints": {"x22": 1}})


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_the_linear_booster_answers_once_it_has_names(task: Any) -> None:
    rows = examples(task)
    estimator = build("xgboost", task, {"booster": "gblinear", "n_estimators": 30})
    estimators.fit(estimator, rows)
    estimators.name_features(estimator, SPEC.names)
    answered = estimators.answer(estimator, rows.matrix, task)
    scores = answered if task == "regression" else answered[:, 1]
    assert np.corrcoef(scores, rows.label)[0, 1] > 0.6


IMPORTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "scipy.sparse":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from workbench.train.algorithms import load_class
try:
    load_class("xgboost.XGBClassifier")
except KeyboardInterrupt:
    print("interrupted")
print(load_class("xgboost.XGBClassifier").__name__)
"""


def test_an_interrupt_while_a_library_is_imported_does_not_break_it() -> None:
    """Half imported, it could not be imported again: every training until the end of the process failed."""
    command = [sys.executable, "-c", IMPORTED]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.split() == ["interrupted", "XGBClassifier"], found.stderr
