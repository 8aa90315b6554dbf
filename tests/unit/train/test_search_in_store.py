"""A search as part of a training: trials as rows and runs, resuming, budgets, weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from workbench.errors import InvalidData
from workbench.lake import Lake
from workbench.language import parse
from workbench.progress import Event, watch
from workbench.ranges import Range
from workbench.train import mlflow_client, registry
from workbench.train.definition import Training
from workbench.train.describe import describe_model
from workbench.train.reproduce import reproduce
from workbench.train.training import train

QUERY = "select id, speed, distance, carrier, weekend, late from flights"


@pytest.fixture(scope="module")
def lake(make_lake: Callable[..., Lake]) -> Lake:
    return make_lake(600)


def define(name: str, **words: Any) -> Training:
    return Training.define(name, words.pop("query", QUERY), **{"label": "late", "key": "id", **words})


def trials(lake: Lake, name: str) -> list[dict[str, Any]]:
    return lake.records.rows("trials", "name = $name", {"name": name})


def test_trials_are_rows_and_runs_below_that_of_the_model(lake: Lake) -> None:
    model = train(lake, define("found", model="auto", tune=4, metric="auc"))
    rows = trials(lake, "found")
    assert [row["trial"] for row in rows] == [1, 2, 3, 4]
    assert {row["version"] for row in rows} == {1}
    assert {row["snapshot_id"] for row in rows} == {lake.head()}
    best = max(rows, key=lambda row: row["value"] if row["status"] == "ok" else 0)
    assert (model.algorithm, dict(model.params)) == (best["algorithm"], best["params"])
    assert f"{best['algorithm']} was the best of 4 settings: auc" in model.reason
    shown = describe_model(lake, "found").tables["Trials"].rows()
    assert shown[0]["value"] == best["value"]
    assert {row["clauses"] for row in shown} == {row["clauses"] for row in rows}
    pasted = parse(f"train pasted LABEL late KEY (id) METRIC auc {shown[0]['clauses']} AS {QUERY}")
    words = {name: getattr(pasted, name) for name in ("model", "params", "metric")}
    # Named, a linear model gets its features scaled in SQL and not by scikit-learn.
    again = train(lake, define("pasted", **words)).metrics["auc"]["value"]
    assert again == pytest.approx(model.metrics["auc"]["value"], abs=0.005)
    with mlflow_client.quiet(lake.folder):
        client = mlflow_client.open_client(lake.folder)
        run = client.get_run(model.mlflow_run_id)
        children = client.search_runs(
            [run.info.experiment_id], f"tags.mlflow.parentRunId = '{model.mlflow_run_id}'"
        )
    assert len(children) == 4
    logged = {run.data.params["algorithm"]: run.data.metrics for run in children}
    assert logged["logistic"]["auc"] == pytest.approx(rows[1]["value"])


def test_the_best_settings_are_fitted_on_all_rows_while_time_is_left(
    make_lake: Callable[..., Lake],
) -> None:
    """And what came of it comes again."""
    own = make_lake(30_000)
    model = train(own, define("finals", model="xgboost", tune=3, budget="10 min", metric="auc"))
    assert "of 3 settings fitted on all rows it was the best: auc " in model.reason
    assert "was reproduced exactly" in reproduce(own, model.ref).message


def test_the_held_out_rows_take_no_part(make_lake: Callable[..., Lake]) -> None:
    """Change the held-out labels beyond recognition: every trial stays what it was."""
    own = make_lake(600)
    words = {"model": "logistic", "tune": 5, "split": "column(side)"}
    query = "select *, case when id % 5 = 0 then 'test' else 'train' end as side from flights"
    train(own, define("blind", query=query, **words))
    changed = query.replace(
        "from flights", "from (select * replace (late != (id % 5 = 0) as late) from flights)"
    )
    train(own, define("blind", query=changed, **words))
    found = [(row["version"], row["params"], row["value"]) for row in trials(own, "blind")]
    assert [row[1:] for row in found if row[0] == 1] == [row[1:] for row in found if row[0] == 2]


def test_the_same_search_again_gives_the_same_model(lake: Lake) -> None:
    words = {"model": "xgboost", "params": {"max_depth": Range(2, 5), "n_estimators": 20}, "tune": 4}
    one, other = (train(lake, define(name, **words)) for name in ("twin", "other"))
    assert one.params == other.params
    assert one.metrics == other.metrics
    assert train(lake, define("twin", **words)).version == 1


def test_an_interrupted_search_goes_on_or_is_content(lake: Lake) -> None:
    done = 0

    def stop(event: Event) -> None:
        nonlocal done
        done += bool(event.note)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watch(stop):
        train(lake, define("halted", model="ridge", label="speed", tune=6))
    kept = trials(lake, "halted")
    assert [row["version"] for row in kept] == [None] * 3
    assert lake.records.definition("halted") is None
    content = train(lake, define("halted", model="ridge", label="speed", tune=3))
    assert content.version == 1
    assert [row["params"] for row in trials(lake, "halted")[3:]] == [row["params"] for row in kept]
    again = train(lake, define("halted", model="ridge", label="speed", tune=6))
    assert len([row for row in trials(lake, "halted") if row["version"] == again.version]) == 6


def test_a_budget_is_kept_and_one_too_small_says_so(lake: Lake) -> None:
    train(lake, define("before", model="logistic", tune=1))  # imports what it needs
    started = time.perf_counter()
    model = train(lake, define("quick", model="logistic", budget="8 s"))
    assert time.perf_counter() - started < 24  # other work may share the machine
    assert len(trials(lake, "quick")) > 1
    assert model.version == 1
    with pytest.raises(InvalidData, match="does not suffice for one trial"):
        train(lake, define("hasty", model="logistic", budget="0.1 s"))
    assert trials(lake, "hasty") == []


def test_a_weight_is_no_feature_and_counts(lake: Lake) -> None:
    query = QUERY.replace("late from", "late, 1 + id % 3 as w from")
    plain = train(lake, define("plain", query=query, model="logistic", exclude=["w"]))
    weighted = train(lake, define("weighted", query=query, model="logistic", weight="W"))
    assert weighted.features.inputs == plain.features.inputs
    assert weighted.metrics != plain.metrics


def test_balanced_classes_move_the_threshold(lake: Lake) -> None:
    rare = QUERY.replace("late from", "delay > 100 as late from")
    plain = train(lake, define("rare", query=rare, model="xgboost", params={"n_estimators": 20}))
    params = {"n_estimators": 20, "class_weight": "balanced"}
    balanced = train(lake, define("even", query=rare, model="xgboost", params=params))
    assert balanced.metrics["recall"]["value"] >= plain.metrics["recall"]["value"]
    assert registry.load(lake, balanced).estimator.get_params().get("class_weight") is None


def test_early_stopping_by_hand_is_recorded_so_that_it_comes_again(lake: Lake) -> None:
    params = {"n_estimators": 400, "learning_rate": 0.5, "early_stopping_rounds": 5}
    model = train(lake, define("stopped", model="xgboost", params=params))
    assert model.params["n_estimators"] < 400
    again = train(lake, define("again", model="xgboost", params=dict(model.params)))
    assert again.metrics == model.metrics


def test_a_searched_model_is_reproduced_by_what_was_found(lake: Lake) -> None:
    query = QUERY.replace("weekend", "weekend, day")
    for name, words in {
        "sought": {"model": "auto", "tune": 4, "query": query},
        "ranged": {"model": "xgboost", "params": {"max_depth": Range(2, 5), "n_estimators": 20}, "tune": 2},
        "halting": {"model": "xgboost", "params": {"early_stopping_rounds": 3, "learning_rate": 0.5}},
    }.items():
        train(lake, define(name, **words))
        again = reproduce(lake, f"{name}@1")
        assert "reproduced exactly" in (again.message or ""), again.to_arrow().to_pylist()


def test_a_search_that_fails_later_keeps_its_trials(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that comes in between costs no second search, and leaves no trials in MLflow."""
    from workbench.errors import Conflict
    from workbench.train import training

    commit, calls = training.commit_model, []

    def crossed(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise Conflict("somebody else was first")
        return commit(*arguments)

    monkeypatch.setattr(training, "commit_model", crossed)
    model = train(lake, define("crossed", model="ridge", label="speed", tune=3))
    rows = trials(lake, "crossed")
    assert [row["version"] for row in rows] == [None] * 3 + [1] * 3
    assert [row["params"] for row in rows[:3]] == [row["params"] for row in rows[3:]]
    with mlflow_client.quiet(lake.folder):
        client = mlflow_client.open_client(lake.folder)
        run = client.get_run(model.mlflow_run_id)
        runs = client.search_runs([run.info.experiment_id])
    assert len(runs) == 4


def test_a_dropped_model_that_is_trained_again_is_deployed_again(lake: Lake) -> None:
    train(lake, define("back", model="logistic"))
    registry.drop(lake, "back")
    again = train(lake, define("back", model="logistic"))
    assert (again.version, again.deployed) == (2, True)


def test_classes_are_weighted_by_their_values(lake: Lake) -> None:
    """Keys are the label's values, whatever the type: JSON makes texts of them."""
    query = QUERY.replace("late from", "late::INT + 1 as late from")
    light = train(
        lake, define("light", query=query, model="logistic", params={"class_weight": {1: 1, 2: 50}})
    )
    heavy = train(
        lake, define("heavy", query=query, model="logistic", params={"class_weight": {"1": 50, "2": 1}})
    )
    assert light.metrics["recall"]["value"] > 0.9 > heavy.metrics["recall"]["value"]
    with pytest.raises(InvalidData, match="class_weight is for classes"):
        train(lake, define("number", label="speed", model="xgboost", params={"class_weight": "balanced"}))


def test_by_time_the_last_rows_stop_early(lake: Lake) -> None:
    params = {"n_estimators": 300, "learning_rate": 0.3, "early_stopping_rounds": 5}
    query = QUERY.replace("late from", "late, day from")
    model = train(lake, define("timed", query=query, model="xgboost", params=params, split="time(day)"))
    assert model.params["n_estimators"] > 6
    assert registry.load(lake, model).estimator.get_booster().num_boosted_rounds() > 1


def test_names_that_xgboost_knows_are_known(lake: Lake) -> None:
    model = train(lake, define("greek", model="xgboost", params={"eta": 0.1, "lambda": 2, "n_estimators": 5}))
    assert dict(model.params) == {"learning_rate": 0.1, "reg_lambda": 2, "n_estimators": 5}
