"""Data that is not fit to be learned from, in part or at all, and interrupts at every step."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from workbench.errors import InvalidData, ModelError
from workbench.lake import Lake
from workbench.progress import Event, watch
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
    if given["model"] == "xgboost":
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
