"""Data that is not fit to be learned from, in part or at all, and interrupts at every step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import (
    InvalidData,
    ModelError,
    NotFound,
    StatementError,
    Unsupported,
    WorkbenchError,
)
from workbench.lake import Lake
from workbench.progress import Event, watch
from workbench.ranges import Range
from workbench.train import registry
from workbench.train.definition import Training
from workbench.train.model import Model
from workbench.train.training import train

_names = (f"bad{number}" for number in itertools.count())

QUERY = """
SELECT id, speed, late, NULL::DOUBLE AS nothing, NULL::VARCHAR AS no_text, 7 AS same, 'one' AS same_text,
       CASE id % 5 WHEN 0 THEN 'inf'::DOUBLE WHEN 1 THEN '-inf' WHEN 2 THEN 'nan' WHEN 3 THEN 1e300
            ELSE speed END AS wild
FROM flights
"""


def fit(lake: Lake, query: str = QUERY, **words: Any) -> Model:
    given = {"label": "late", "key": "id", "model": "xgboost", "params": {}, **words}
    if given["model"] == "xgboost" and not given["params"]:
        given["params"] = {"n_estimators": 5}
    return train(lake, Training.define(next(_names), query, **given))


@pytest.mark.parametrize(
    ("model", "prepare"),
    [
        *((model, "auto") for model in ("xgboost", "random_forest", "logistic", "hist_gradient_boosting")),
        *((model, "none") for model in ("xgboost", "random_forest", "hist_gradient_boosting")),
    ],
)
def test_gaps_constants_and_infinities_are_learned_with(lake: Lake, model: str, prepare: str) -> None:
    query = QUERY if prepare == "auto" else QUERY.replace("'one' AS same_text", "1 AS same_text")
    if prepare == "none" and model == "random_forest":
        query = query.replace("NULL::VARCHAR AS no_text", "1 AS no_text")
    made = fit(lake, query, model=model, prepare=prepare)
    assert (made.metrics["auc"]["value"] or 0) > 0.7
    rows = lake.cursor().execute(query).to_arrow_table()
    scores = registry.load(lake, made).predict(rows)["score"].to_pylist()
    assert all(math.isfinite(score) for score in scores)


def test_a_text_of_a_hundred_thousand_values_is_left_out_or_cut(lake: Lake) -> None:
    query = """
        SELECT i AS id, 'v' || i AS word, hash(i) % 1000 / 1000 AS x, hash(i) % 1000 > 500 AS late
        FROM range(120000) AS r(i)
    """
    made = fit(lake, query)
    assert made.features.inputs == ("x",)
    assert "word is left out: nearly every row has a value of its own" in made.reason
    kept = fit(lake, query, prepare="none")
    [word, _] = kept.features.columns
    assert len(word.categories) == 1000
    assert (kept.metrics["auc"]["value"] or 0) > 0.99


def test_fewer_rows_than_folds_are_said(lake: Lake) -> None:
    """Where too few are left to judge a setting by, the search says so, and there is no model."""
    few = "SELECT id, speed, id = 3 AS late FROM flights WHERE id <= 10"
    with pytest.raises(ModelError, match="All 2 trials failed: auc could not be computed"):
        fit(lake, few, tune=2)


def test_the_label_is_no_feature(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="'late' cannot be a feature as well"):
        fit(lake, features=["speed", "LATE"])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("day", "holds timestamp.*which cannot be predicted"),
        ("DATE '2024-01-01' + id::INTEGER", "holds date.*which cannot be predicted"),
        ("[speed, speed]", "holds list.*which cannot be predicted"),
        ("uuid()", "cannot be predicted|no classes|more than 1000 classes"),
        ("CASE id % 9 WHEN 0 THEN 'inf'::DOUBLE WHEN 1 THEN 1e200 ELSE speed END", "are not finite"),
        ("10::HUGEINT ** 30 + id % 2", "beyond 64 bits"),
    ],
)
@pytest.mark.parametrize("model", ["xgboost", "auto"])
def test_what_cannot_be_a_label_is_said_of_the_label(lake: Lake, label: str, words: str, model: str) -> None:
    """Not of what the engine could not do with it."""
    if "HUGEINT" in label:
        label = label.replace("10::HUGEINT ** 30", "1000000000000000000000000000000::HUGEINT")
    with pytest.raises(WorkbenchError, match=words) as caught:
        fit(lake, f"SELECT id, speed, {label} AS wrong FROM flights", label="wrong", model=model)
    assert "mlstore_" not in str(caught.value)


def test_fractions_are_no_classes(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="1,200 different fractions, which are no classes"):
        fit(lake, "SELECT id, speed, delay + id / 1e6 AS delay FROM flights", label="delay", model="logistic")


def test_an_enum_is_a_label_of_classes(lake: Lake) -> None:
    query = "SELECT id, speed, level::ENUM('low', 'mid', 'high') AS level FROM flights"
    made = fit(lake, query, label="level")
    assert (made.task, made.classes) == ("multiclass", ("high", "low", "mid"))


def test_the_label_is_no_part_of_the_key(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="'late' cannot be part of the key"):
        fit(lake, key=["id", "Late"])


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({"holdout": None}, InvalidData),
        ({"holdout": "20%"}, InvalidData),
        ({"seed": "a"}, InvalidData),
        ({"seed": None}, InvalidData),
        ({"budget": 60}, StatementError),
        ({"params": {"eta": 0.1, "learning_rate": 0.2}}, InvalidData),
        ({"params": {"eta": Range(0.1, math.inf)}}, InvalidData),
        ({"params": {"eta": Range("a", "b")}}, InvalidData),
    ],
)
def test_arguments_of_another_type_are_refused_before_anything_runs(
    words: dict[str, Any], kind: type[WorkbenchError]
) -> None:
    with pytest.raises(kind):
        Training.define("wrong", "FROM flights", label="late", **{"model": "xgboost", **words})


def test_short_names_are_the_same_in_any_case() -> None:
    one = Training.define("late", "FROM flights", label="late", model="XGBoost", metric="AUC", prepare="None")
    assert one == Training.define(
        "late", "FROM flights", label="late", model="xgboost", metric="auc", prepare="none"
    )
    assert Training.define("late", "FROM flights", label="late", model="AUTO").model == "auto"


ESTIMATORS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

class Right(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)
    def predict(self, X):
        return np.zeros(len(X), int)

class RaisesInFit(Right):
    def fit(self, X, y):
        raise OSError("no licence")

class ExitsInFit(Right):
    def fit(self, X, y):
        raise SystemExit(3)

class ExitsWhenAsked(Right):
    def predict_proba(self, X):
        raise SystemExit(4)

class OneTooMany(Right):
    def predict_proba(self, X):
        return np.zeros((len(X) + 1, 2))

class OtherClasses(Right):
    def predict_proba(self, X):
        return np.zeros((len(X), 5))

class Unknown(Right):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)

class Plain:
    def fit(self, X, y):
        return self
    def predict(self, X):
        return X
"""


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("RaisesInFit", ModelError, "RaisesInFit could not be trained: OSError: no licence"),
        ("ExitsInFit", ModelError, r"ExitsInFit could not be trained: it called exit\(3\)"),
        ("ExitsWhenAsked", ModelError, r"failed on 2\d\d rows: it called exit\(4\)"),
        ("OneTooMany", ModelError, "gives 2.. × 2 answers where 2.. × 2 were asked for"),
        ("OtherClasses", ModelError, "gives 2.. × 5 answers where 2.. × 2 were asked for"),
        ("Unknown", ModelError, "gives no number for (2..) of (2..) rows"),
        ("Plain", Unsupported, "is not an estimator as scikit-learn has them"),
        ("Wright", NotFound, "Did you mean 'Right'"),
    ],
)
def test_an_estimator_from_elsewhere_that_fails_leaves_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Exception], words: str
) -> None:
    (tmp_path / "their_estimators.py").write_text(ESTIMATORS)
    monkeypatch.syspath_prepend(tmp_path)
    head = lake.head()
    with pytest.raises(kind, match=words):
        fit(lake, "SELECT id, speed, late FROM flights", model=f"their_estimators.{name}")
    assert lake.head() == head


def test_a_module_that_cannot_be_imported_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_estimators.py").write_text("raise RuntimeError('not on this machine')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unsupported, match="RuntimeError: not on this machine"):
        Training.define("wrong", "FROM flights", label="late", model="broken_estimators.Any")


@pytest.mark.parametrize(
    "title", ["Reading the rows", "Fitting", "Sorting the values", "Evaluating", "Logging to MLflow"]
)
def test_an_interrupt_at_any_step_leaves_nothing(lake: Lake, title: str) -> None:
    tables = ("models", "deployments", "runs", "definitions", "watermarks", "trials")
    before = {table: len(lake.records.rows(table)) for table in tables}
    head = lake.head()

    def interrupt(event: Event) -> None:
        if event.title.startswith(title):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watch(interrupt):
        fit(lake)
    assert {table: len(lake.records.rows(table)) for table in tables} == before
    assert lake.head() == head


def test_a_damaged_database_of_mlflow_is_said_and_leaves_nothing(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(100)
    (lake.folder / "mlflow.db").write_bytes(b"no database" * 100)
    head = lake.head()
    with pytest.raises(ModelError, match=r"MLflow failed: file is not a database\.?\n.*mlflow\.db"):
        fit(lake, "SELECT id, speed, late FROM flights")
    assert lake.head() == head
