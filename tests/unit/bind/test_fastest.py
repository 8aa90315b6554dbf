"""A model is asked by the fastest way that agrees with its library, on real models."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBClassifier

from workbench.bind.predictors import resolve
from workbench.bind.predictors.fastest import LEAST_ROWS, candidates_for, choose
from workbench.lake import Lake
from workbench.train.dataset import FeatureSpec
from workbench.train.definition import Training
from workbench.train.registry import Fitted
from workbench.train.training import train

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(2000, 4)).astype(np.float32)
CLASSES = (MATRIX[:, 0] + MATRIX[:, 1] > 0).astype(int)
VALUES = MATRIX[:, 0] * 2 + MATRIX[:, 2]


def fitted(model: Any, task: Any) -> Fitted:
    return Fitted("m@1", task, FeatureSpec(()), (0, 1), model)


def later(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def wait(matrix: Any) -> Any:
        time.sleep(0.02)
        return ask(matrix)

    return wait


def test_a_way_that_disagrees_is_out_however_fast_it_is() -> None:
    """It is right on all rows but one."""
    model = LogisticRegression().fit(MATRIX, CLASSES)
    answers = model.predict_proba(MATRIX)
    wrong = answers.copy()
    wrong[7] = wrong[7, ::-1]
    candidates = {
        "library": lambda: later(model.predict_proba),
        "native": lambda: later(model.predict_proba),
        "onnx": lambda: lambda matrix: wrong,
    }
    choice = choose(candidates, MATRIX)
    assert choice.engine == "native"
    assert "onnx differs by" in choice.describe()
    candidates["onnx"] = lambda: lambda matrix: answers
    assert choose(candidates, MATRIX).engine == "onnx"


def test_the_library_is_asked_where_the_native_way_disagrees() -> None:
    model = LinearRegression().fit(MATRIX, VALUES)
    wrong = {"library": lambda: model.predict, "native": lambda: lambda rows: model.predict(rows) + 1}
    assert choose(wrong, MATRIX).engine == "library"


def test_a_little_faster_is_not_faster() -> None:
    model = LinearRegression().fit(MATRIX, VALUES)
    same = {name: lambda: later(model.predict) for name in ("library", "native", "onnx")}
    assert choose(same, MATRIX).engine == "native"


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (LogisticRegression(), "binary"),
        (RandomForestClassifier(5), "binary"),
        (LinearRegression(), "regression"),
        (XGBClassifier(n_estimators=5), "binary"),
    ],
)
def test_the_ways_of_real_models_agree_where_they_should(model: Any, task: str) -> None:
    model.fit(MATRIX, VALUES if task == "regression" else CLASSES)
    wanted = None
    for name, make in candidates_for(fitted(model, task), 4).items():
        answered = make()(MATRIX)
        wanted = answered if wanted is None else wanted
        assert answered.shape == wanted.shape
        assert np.abs(answered - wanted).max() < 1e-4, name


def test_what_cannot_be_converted_is_said() -> None:
    class Own(LinearRegression):
        """An estimator that no converter knows."""

    own = Own().fit(MATRIX, VALUES)
    choice = choose(candidates_for(fitted(own, "regression"), 4), MATRIX)
    assert choice.engine == "native"
    assert "onnx" in choice.describe()


def test_a_large_batch_decides_and_a_small_one_does_not(lake: Lake) -> None:
    with lake.commit("test") as tx:
        tx.cursor.execute(
            "CREATE TABLE lake.main.points AS SELECT i AS id, (i * 7919) % 1000 / 10.0 AS a, "
            "(i * 7919) % 1000 > 500 AS high FROM range(400) AS r(i)"
        )
    train(lake, Training.define("high", "FROM points", label="high", key="id", model="logistic"))
    predictor: Any = resolve(lake, "high@1")
    rows = pa.table({"a": np.arange(LEAST_ROWS) % 1000 / 10})
    few = predictor.predict(rows.slice(0, 1000))
    assert predictor.choice is None
    many = predictor.predict(rows)
    assert predictor.choice.engine in ("native", "onnx")
    assert "× the library on 2,000 rows" in predictor.choice.describe()
    assert many["value"].slice(0, 1000).to_pylist() == few["value"].to_pylist()
    assert np.allclose(many["score"].slice(0, 1000).to_numpy(), few["score"].to_numpy(), atol=1e-5)
