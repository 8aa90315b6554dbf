"""A model is asked by the fastest way that agrees with its library, on real models."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBClassifier

import workbench
from workbench.bind.predictors import fastest, resolve, trained
from workbench.bind.predictors.fastest import LEAST_ROWS, candidates_for, choose
from workbench.lake import Lake
from workbench.plain import nouns, text
from workbench.store import Store
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


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[Any], Any]]:
    """Make a way to ask take so long by a clock that only such ways move."""
    passed = 0.0

    def take(ask: Callable[[Any], Any], seconds: float = 0.02) -> Callable[[Any], Any]:
        def wait(matrix: Any) -> Any:
            nonlocal passed
            passed += seconds
            return ask(matrix)

        return wait

    monkeypatch.setattr(fastest, "time", SimpleNamespace(perf_counter=lambda: passed))
    return take


def test_a_way_that_disagrees_is_out_however_fast_it_is(later: Callable[..., Callable[[Any], Any]]) -> None:
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


@pytest.mark.parametrize(("seconds", "engine"), [(0.02, "native"), (0.017, "native"), (0.016, "onnx")])
def test_a_little_faster_is_not_faster(
    later: Callable[..., Callable[[Any], Any]], seconds: float, engine: str
) -> None:
    model = LinearRegression().fit(MATRIX, VALUES)
    ways = {name: lambda: later(model.predict) for name in ("library", "native")}
    assert choose(ways | {"onnx": lambda: later(model.predict, seconds)}, MATRIX).engine == engine


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


def test_trees_of_xgboost_are_not_converted() -> None:
    """Its own code is always faster; a busy machine once made the store think otherwise."""
    model = XGBClassifier(n_estimators=5).fit(MATRIX, CLASSES)
    choice = choose(candidates_for(fitted(model, "binary"), 4), MATRIX)
    assert [each.engine for each in choice.trials] == ["library", "native"]


def test_a_store_that_chose_onnx_for_xgboost_asks_it_natively(store: Store) -> None:
    store.load("points", store.sql(ROWS.format(3000)), key="id")
    store.train("high", "FROM points", label="high", key="id", model="xgboost")
    predictor: Any = resolve(store._lake, "high")
    predictor.prefer({"model": predictor.ref, "engine": "onnx", "engine_rows": 2000})
    rows = pa.table({"a": np.arange(LEAST_ROWS) % 1000 / 10})
    assert predictor.predict(rows).slice(0, 1000).equals(predictor.predict(rows.slice(0, 1000)))


def test_what_cannot_be_converted_is_said() -> None:
    class Own(LinearRegression):
        """An estimator that no converter knows."""

    own = Own().fit(MATRIX, VALUES)
    choice = choose(candidates_for(fitted(own, "regression"), 4), MATRIX)
    assert choice.engine == "native"
    assert "onnx" in choice.describe()


def test_on_few_rows_nothing_is_converted() -> None:
    model = LogisticRegression().fit(MATRIX, CLASSES)
    choice = choose(candidates_for(fitted(model, "binary"), 4), MATRIX[:500])
    assert choice.describe().endswith("onnx was not tried: there are few rows")


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


ROWS = "SELECT i AS id, (i * 7919) % 1000 / 10.0 AS a, (i * 7919) % 1000 > 500 AS high FROM range({}) AS r(i)"


def test_the_way_is_chosen_when_a_model_is_bound_and_shown(store: Store) -> None:
    store.load("points", store.sql(ROWS.format(3000)), key="id")
    store.train("high", "FROM points", label="high", key="id", model="logistic")
    binding = store.bind("p", on="points", model="high")
    assert re.match(r"high@1: (native|onnx), \d+\.\d× the library on 2,000 rows, (at|with)", binding.asked)
    assert binding.asked in text.render(nouns.blocks(binding))
    assert store.describe("p").facts["asked"] == binding.asked
    # The same cell again, and a refresh, leave it as it was.
    head = store.head()
    assert store.bind("p", on="points", model="high").asked == binding.asked
    assert store.head() == head
    assert store.bind("p", on="points", model="high", when="every '1 hour'").asked == binding.asked
    assert store.bind("p", on="points", model="high", isolate="process").asked == ""
    binding = store.bind("p", on="points", model="high")
    store.sql("INSERT INTO points VALUES (5000, 1.5, NULL)")
    assert store.describe("p").facts["asked"] == binding.asked
    # Another version is another model: it is chosen anew by the refresh that follows it.
    store.train("high", "FROM points WHERE id < 2000", label="high", key="id", model="xgboost")
    assert store.describe("p").facts["asked"].startswith("high@2: ")


def test_the_way_that_was_chosen_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the next process: it stands in the record of the binding."""
    store.load("points", store.sql(ROWS.format(60_000)), key="id")
    store.train("high", "FROM points WHERE id < 5000", label="high", key="id", model="logistic")
    asked: list[int] = []

    class Watched(fastest.Compiled):
        def answer(self, matrix: Any) -> Any:
            asked.append(len(matrix))
            return super().answer(matrix)

    monkeypatch.setattr(fastest, "_best", lambda trials: "onnx")
    monkeypatch.setattr(trained, "Compiled", Watched)
    trained._compiled.cache_clear()
    store.bind("p", on="points", model="high", when="manual")
    assert sum(asked) == 60_000
    wanted = store.sql("SELECT id, p FROM predictions.points").to_arrow()
    with workbench.connect(store.folder) as again:
        del asked[:]
        again.refresh("p", full=True)
        assert sum(asked) == 60_000
        assert again.sql("SELECT id, p FROM predictions.points").to_arrow().equals(wanted)
        monkeypatch.setattr(fastest, "_best", lambda trials: "library")
        again.bind("q", on="points", model="high")
        assert "library, 1.0× the library" in again.describe("q").facts["asked"]
    trained._compiled.cache_clear()


def test_rows_that_cannot_be_used_are_left_out_of_the_trial(store: Store) -> None:
    store.load("points", store.sql(ROWS.format(3000)), key="id")
    store.train("high", "FROM points", label="high", key="id", model="logistic")
    text_rows = f"SELECT id, CASE WHEN id = 7 THEN '?' ELSE a || '' END AS a FROM ({ROWS.format(300)})"
    store.load("texts", store.sql(text_rows), key="id")
    assert "on 299 rows" in store.bind("p", on="texts", model="high").asked


def test_a_table_with_few_rows_is_asked_later(store: Store) -> None:
    store.load("points", store.sql(ROWS.format(3000)), key="id")
    store.train("high", "FROM points", label="high", key="id", model="logistic")
    store.load("few", store.sql(ROWS.format(9)), key="id")
    assert store.bind("p", on="few", model="high").asked == ""
    store.sql(f"INSERT INTO few SELECT id + 10, a, high FROM ({ROWS.format(2500)})")
    assert "on 2,000 rows" in store.describe("p").facts["asked"]


@pytest.mark.parametrize(
    ("wanted", "answered"),
    [
        ([1.0, 2.0, 3.0], [1.0, np.nan, 3.0]),
        ([1.0, np.nan, 3.0], [1.0, 2.0, 3.0]),
        ([[0.5, 0.5], [0.9, 0.1]], [[0.4999999, 0.5000001], [0.9, 0.1]]),
    ],
)
def test_nan_for_a_value_and_another_class_are_no_agreement(wanted: list[Any], answered: list[Any]) -> None:
    ways = {"library": lambda: lambda _: np.array(wanted), "native": lambda: lambda _: np.array(answered)}
    choice = choose(ways, np.zeros((len(wanted), 1), np.float32))
    assert choice.engine == "library"
    assert "native gives other answers" in choice.describe()


def test_nan_where_the_library_gives_it_too_is_agreement() -> None:
    ways = {name: lambda: lambda _: np.array([1.0, np.nan, 3.0]) for name in ("library", "native")}
    assert choose(ways, np.zeros((3, 1), np.float32)).engine == "native"
