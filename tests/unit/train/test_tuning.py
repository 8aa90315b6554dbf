"""The search for settings: what it tries, how it judges, when it ends, and how it goes on."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from workbench.errors import InvalidData, ModelError
from workbench.progress import watch
from workbench.ranges import Range
from workbench.train import algorithms, tuning
from workbench.train.boosting import Examples
from workbench.train.dataset import ColumnSpec, FeatureSpec
from workbench.train.label import Label
from workbench.train.search_problem import Limits, Problem
from workbench.train.space import Space
from workbench.train.trials import Trial
from workbench.train.tuning import search


def problem(task: Any = "regression", rows: int = 300, seed: int = 0, **changed: Any) -> Problem:
    """A line with noise, which a linear model learns best."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(rows, 5)).astype(np.float32)
    signal = matrix @ np.array([3.0, -2.0, 1.0, 0.0, 0.0]) + rng.normal(scale=2.0, size=rows)
    classes = () if task == "regression" else (False, True)
    numbers = signal if task == "regression" else (signal > 0).astype(np.int64)
    made = {
        "name": "m",
        "spec": FeatureSpec(tuple(ColumnSpec(f"x{place}", "number") for place in range(5))),
        "label": Label(task, classes, numbers),
        "rows": Examples(matrix, numbers),
        "folds": np.arange(rows) * 7919 % 1000,
        "metric": "r2" if task == "regression" else "auc",
        "prepare": "auto",
        "seed": seed,
    }
    return Problem(**{**made, **changed})


def auto(task: Any = "regression", *, stops: bool = False) -> Space:
    return Space.of("auto", {}, task, stops=stops)


def test_auto_tries_the_usual_settings_first_and_finds_the_line() -> None:
    found = search(problem(), auto(), Limits(8))
    assert [trial.algorithm for trial in found.trials[:5]] == [
        "xgboost",
        "ridge",
        "lasso",
        "extra_trees",
        "knn",
    ]
    assert len(found.trials) == 8
    assert found.choice.name in ("ridge", "lasso")
    assert "best of 8 settings: r2" in found.choice.reason


def test_a_value_is_the_mean_over_folds_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    from sklearn.preprocessing import StandardScaler

    asked = problem()
    space = Space.of("ridge", {"alpha": Range(1.0, 1.0000001)}, "regression", stops=False)
    trial = search(asked, space, Limits(1)).trials[0]
    places = asked.folds // 200
    scores = []
    for fold in range(5):
        rest, part = places != fold, places == fold
        scaler = StandardScaler().fit(asked.rows.matrix[rest])
        model = Ridge(alpha=1.0).fit(scaler.transform(asked.rows.matrix[rest]), asked.rows.label[rest])
        answered = model.predict(scaler.transform(asked.rows.matrix[part]))
        scores.append(r2_score(asked.rows.label[part], answered))
    assert trial.value == pytest.approx(np.mean(scores), abs=1e-4)
    assert trial.spread == pytest.approx(np.std(scores), abs=1e-4)
    assert (trial.folds, trial.rows, trial.status) == (5, 300, "ok")


def test_the_same_seed_tries_the_same() -> None:
    def settings(seed: int) -> list[Any]:
        space = Space.of("ridge", {}, "regression", stops=False)
        found = search(problem(seed=seed), space, Limits(16))
        return [(dict(trial.params), trial.value) for trial in found.trials]

    assert settings(0) == settings(0)
    assert settings(0) != settings(1)


def test_ranges_hold_and_single_values_stay() -> None:
    params = {"max_depth": Range(3, 5), "learning_rate": Range(0.01, 0.3, log=True), "n_estimators": 7}
    found = search(problem(rows=100), Space.of("xgboost", params, "regression", stops=True), Limits(6))
    for trial in found.trials:
        assert 3 <= trial.params["max_depth"] <= 5
        assert 0.01 <= trial.params["learning_rate"] <= 0.3
        assert trial.params["n_estimators"] == 7


def test_what_an_interrupted_search_tried_counts() -> None:
    kept: list[Trial] = []
    calls = 0

    def stop(event: Any) -> None:
        nonlocal calls
        calls += bool(event.note)
        if calls == 4:
            raise KeyboardInterrupt

    space = Space.of("ridge", {}, "regression", stops=False)
    with pytest.raises(KeyboardInterrupt), watch(stop):
        search(problem(), space, Limits(9), tried=kept)
    assert len(kept) == 4
    found = search(problem(), space, Limits(9), known=kept)
    assert list(found.trials[:4]) == kept
    assert len(found.trials) == 9
    assert len({trial.params["alpha"] for trial in found.trials}) == 9


@pytest.mark.parametrize("limits", [Limits(9), Limits(None, 60.0)])
def test_a_search_that_is_told_to_stop_ends_with_the_best_so_far(limits: Limits) -> None:
    stop = threading.Event()

    def third(event: Any) -> None:
        if event.detail and len(event.detail) == 3:
            stop.set()

    limits = replace(limits, started=time.perf_counter())
    with watch(third, stop):
        found = search(problem(), Space.of("ridge", {}, "regression", stops=False), limits)
    assert len(found.trials) == 3
    best = max(found.trials, key=lambda trial: trial.value or 0.0)
    assert found.choice.params["alpha"] == best.params["alpha"]
    assert found.choice.reason.endswith("the search was stopped")


def test_a_search_told_to_stop_before_there_is_a_setting_tries_one() -> None:
    stop = threading.Event()
    stop.set()
    with watch(lambda _: None, stop):
        found = search(problem(), auto(), Limits(9))
    assert [trial.status for trial in found.trials] == ["ok"]
    assert found.trials[0].folds == 5


def test_as_many_trials_as_are_known_give_the_best_of_them_at_once() -> None:
    kept = [Trial(n, "ridge", {"alpha": float(n)}, "r2", n % 3 / 3, 0.1, 5, 300, 0.1) for n in (1, 2, 3)]
    found = search(problem(), Space.of("ridge", {}, "regression", stops=False), Limits(3), known=kept)
    assert found.choice.params == {"alpha": 2.0}
    assert list(found.trials) == kept


def test_a_budget_ends_it() -> None:
    started = time.perf_counter()
    found = search(problem(rows=60), Space.of("ridge", {}, "regression", stops=False), Limits(None, 4.0))
    # Two seconds are kept for what comes after the search.
    assert time.perf_counter() - started < 4.0
    assert len(found.trials) > 2


def test_half_of_the_budget_is_for_all_rows_and_less_where_they_take_less() -> None:
    space = Space.of("xgboost", {"max_depth": Range(1, 2)}, "regression", stops=True)

    def ends(*seconds: float) -> float | None:
        """Return when a search of 100 seconds ends that has tried settings which took so long."""
        trials = [
            Trial(n, "xgboost", {"max_depth": 1}, "r2", 0.5, 0.0, 1, 21_000, each)
            for n, each in enumerate(seconds)
        ]
        return tuning._Search(
            problem(rows=21_000), space, Limits(None, 100.0, started=0.0), trials
        )._search_deadline()

    assert ends() == 50
    assert ends(60.0) == 50
    assert 90 < (ends(1.0) or 0) < 98


def test_on_a_busy_machine_more_time_is_left_for_logging() -> None:
    """Logging a thousand trials takes 12 seconds of the processor, and 48 where it is shared with three."""
    trials = [Trial(n, "ridge", {"alpha": 1.0}, "r2", 0.5, 0.0, 5, 300, 0.001) for n in range(1, 1001)]
    space = Space.of("ridge", {}, "regression", stops=False)
    made = tuning._Search(problem(), space, Limits(None, 100.0, started=0.0), trials)
    assert made._search_deadline() == pytest.approx(100 - 5 - 12, abs=0.1)
    made._clocks = (time.perf_counter() - 40, time.process_time() - 10)
    assert made._search_deadline() == pytest.approx(100 - 5 - 48, abs=0.5)


class Slow(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Takes the square of its rows: a minute for 16,000, a second for 2,000."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def fit(self, matrix: Any, label: Any) -> Slow:
        time.sleep((len(matrix) / 2_000) ** 2)
        return self

    def predict(self, matrix: Any) -> Any:
        return np.full(len(matrix), self.level)


def test_what_would_not_end_in_time_is_not_begun() -> None:
    space = Space.of(f"{__name__}.Slow", {"level": Range(0.1, 1.0)}, "regression", stops=False)
    started = time.perf_counter()
    with pytest.raises(InvalidData, match=r"does not suffice"):
        search(problem(rows=20_000), space, Limits(None, 6.0))
    assert time.perf_counter() - started < 6.0


def test_what_takes_too_long_gives_its_turn_to_what_can_end_at_any_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search goes on to the end of its time instead of asking for the same again."""
    monkeypatch.setattr(tuning._Search, "_timed", lambda *_: 1e9)
    asked = problem("binary", 21_000)
    found = search(asked, auto("binary", stops=True), Limits(None, 12.0))
    assert {trial.algorithm for trial in found.trials} == {"xgboost"}
    assert len(found.trials) > 3
    assert found.others
    assert all(other.params["early_stopping_rounds"] == 30 for other in found.others)


def test_a_budget_too_small_says_so() -> None:
    with pytest.raises(InvalidData, match=r"0.5 s does not suffice"):
        search(problem(), auto(), Limits(None, 0.5))


def test_many_rows_are_judged_by_a_part_of_a_sample_with_early_stopping() -> None:
    space = Space.of("xgboost", {}, "binary", stops=True)
    found = search(problem("binary", 21_000), space, Limits(3))
    assert {trial.folds for trial in found.trials} == {1}
    assert all(0 < trial.params["n_estimators"] < 2000 for trial in found.trials)
    assert found.choice.params["n_estimators"] == 2000
    assert found.choice.params["early_stopping_rounds"] == 30


def test_by_time_only_the_last_part_judges() -> None:
    space = Space.of("ridge", {}, "regression", stops=False)
    found = search(problem(by_time=True, folds=np.arange(300) * 1000 // 300), space, Limits(2))
    assert [trial.folds for trial in found.trials] == [1, 1]


def test_what_is_clearly_worse_is_cut_short() -> None:
    space = Space.of("ridge", {"alpha": Range(0.001, 1e9, log=True)}, "regression", stops=False)
    found = search(problem(), space, Limits(25))
    assert any(trial.status == "cut short" and trial.folds < 5 for trial in found.trials)
    assert found.choice.params["alpha"] < 100


def test_a_class_too_rare_to_divide() -> None:
    numbers = np.zeros(300, np.int64)
    numbers[5] = 1
    asked = replace(
        problem("binary"),
        label=Label("binary", (False, True), numbers),
        rows=Examples(problem().rows.matrix, numbers),
        folds=np.where(np.arange(300) == 5, 999, 0),
    )
    assert len(np.unique(asked.folds)) == 2
    with pytest.raises(InvalidData, match="cannot be divided"):
        search(asked, auto("binary"), Limits(3))


def test_an_algorithm_that_cannot_have_weights_is_one_that_failed() -> None:
    asked = problem(rows=120)
    asked = replace(asked, rows=Examples(asked.rows.matrix, asked.rows.label, np.ones(120)))
    found = search(asked, auto(), Limits(6))
    assert {trial.status for trial in found.trials if trial.algorithm == "knn"} == {"failed"}
    assert found.choice.name in ("ridge", "lasso")


def test_a_part_without_a_class_does_not_count() -> None:
    numbers = np.zeros(300, np.int64)
    numbers[:40] = 1
    folds = np.where(np.arange(300) < 40, np.arange(300) % 2 * 300 + 300, np.arange(300) * 7919 % 1000)
    asked = replace(
        problem("binary"),
        label=Label("binary", (False, True), numbers),
        rows=Examples(problem().rows.matrix, numbers),
        folds=folds,
    )
    trial = search(asked, Space.of("logistic", {}, "binary", stops=False), Limits(1)).trials[0]
    assert (trial.status, trial.folds) == ("ok", 2)


def test_what_a_user_says_of_early_stopping_holds() -> None:
    params = {"max_depth": Range(2, 4), "n_estimators": 40, "early_stopping_rounds": 3}
    found = search(problem(), Space.of("xgboost", params, "regression", stops=True), Limits(2))
    assert found.choice.params["n_estimators"] == 40
    assert found.choice.params["early_stopping_rounds"] == 3


def test_groups_that_are_not_in_the_last_fifth() -> None:
    asked = problem("binary", 21_000, folds=np.where(np.arange(21_000) % 2, 100, 500))
    found = search(asked, Space.of("xgboost", {}, "binary", stops=True), Limits(1))
    assert found.trials[0].folds == 1


def test_trials_of_another_sample_are_not_taken_up() -> None:
    other = [Trial(1, "ridge", {"alpha": 2.0}, "r2", 0.99, 0.1, 5, 299, 0.1)]
    found = search(problem(), Space.of("ridge", {}, "regression", stops=False), Limits(2), known=other)
    assert all(trial.rows == 300 for trial in found.trials)


def test_when_all_trials_fail_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space.of("sklearn.linear_model.Ridge", {"alpha": Range(1.0, 2.0)}, "regression", stops=False)
    asked = problem(prepare="none")
    asked.rows.matrix[0, 0] = np.nan
    with pytest.raises(ModelError, match=r"All 3 trials failed: .*NaN"):
        search(asked, space, Limits(3))


def test_a_search_sees_every_family_that_is_named() -> None:
    for task in ("regression", "binary"):
        for first in auto(task).first():
            params = {name.split(".")[1]: value for name, value in first.items() if "." in name}
            algorithms.check(first["model"], params)
