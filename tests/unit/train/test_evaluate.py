"""Metrics agree with scikit-learn, also weighted; intervals are what a bootstrap gives."""

import numpy as np
import pytest
from sklearn import metrics as sk

from workbench.errors import NotFound
from workbench.train import evaluate as ours
from workbench.train.evaluate import Answers, check_metric, constant_answers, evaluate, measures, point

RNG = np.random.default_rng(7)


def binary(rows: int = 300) -> Answers:
    # Few different scores, so that ties matter.
    score = RNG.integers(0, 20, rows) / 20
    truth = (RNG.random(rows) < 0.2 + 0.6 * score).astype(np.int64)
    return Answers(truth, (score > 0.5).astype(np.int64), np.column_stack((1 - score, score)))


def many(rows: int = 300) -> Answers:
    probability = RNG.dirichlet(np.ones(4), rows)
    truth = np.array([RNG.choice(4, p=each) for each in probability])
    return Answers(truth, probability.argmax(axis=1), probability)


def numbers(rows: int = 300) -> Answers:
    truth = RNG.normal(1000, 3, rows)
    return Answers(truth, truth + RNG.normal(0, 1, rows))


def expected(task: str, a: Answers, w: np.ndarray) -> dict[str, float]:
    if task == "regression":
        return {
            "rmse": sk.root_mean_squared_error(a.truth, a.predicted, sample_weight=w),
            "mae": sk.mean_absolute_error(a.truth, a.predicted, sample_weight=w),
            "r2": sk.r2_score(a.truth, a.predicted, sample_weight=w),
        }
    shared = {
        "accuracy": sk.accuracy_score(a.truth, a.predicted, sample_weight=w),
        "logloss": sk.log_loss(
            a.truth, a.probabilities, sample_weight=w, labels=range(a.probabilities.shape[1])
        ),
    }
    if task == "multiclass":
        return {**shared, "macro_f1": sk.f1_score(a.truth, a.predicted, sample_weight=w, average="macro")}
    return {
        **shared,
        "auc": sk.roc_auc_score(a.truth, a.probabilities[:, 1], sample_weight=w),
        "f1": sk.f1_score(a.truth, a.predicted, sample_weight=w),
        "precision": sk.precision_score(a.truth, a.predicted, sample_weight=w),
        "recall": sk.recall_score(a.truth, a.predicted, sample_weight=w),
    }


@pytest.mark.parametrize(
    ("task", "make"), [("binary", binary), ("multiclass", many), ("regression", numbers)]
)
def test_values_agree_with_scikit_learn(task: str, make) -> None:
    answers = make()
    assert point(task, answers) == pytest.approx(
        expected(task, answers, np.ones(len(answers.truth))), rel=1e-6
    )


@pytest.mark.parametrize(
    ("task", "make"), [("binary", binary), ("multiclass", many), ("regression", numbers)]
)
def test_each_resample_agrees_with_scikit_learn(task: str, make) -> None:
    answers = make()
    weights = ours.resample(np.random.default_rng(0), len(answers.truth))[:5]
    assert (weights.sum(axis=1) == len(answers.truth)).all()
    for name, measure in measures(task).items():
        found = measure.compute(answers, weights)
        assert found == pytest.approx([expected(task, answers, w)[name] for w in weights], rel=1e-6)


def test_the_interval_holds_the_value_and_has_the_right_width() -> None:
    rows = 4000
    truth = (RNG.random(rows) < 0.3).astype(np.int64)
    answers = Answers(truth, np.zeros(rows, np.int64), np.full((rows, 2), 0.5))
    score = evaluate("binary", answers, answers, seed=0)["accuracy"]
    assert score["low"] < score["value"] < score["high"]
    assert score["high"] - score["low"] == pytest.approx(2 * 1.96 * (0.21 / rows) ** 0.5, rel=0.2)


def test_a_sample_gives_intervals_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = numbers(20_000)
    monkeypatch.setattr(ours, "SAMPLE_ROWS", 20_000)
    whole = evaluate("regression", answers, answers, seed=0)["mae"]
    monkeypatch.setattr(ours, "SAMPLE_ROWS", 2_000)
    sampled = evaluate("regression", answers, answers, seed=0)["mae"]
    assert sampled["value"] == whole["value"]
    assert sampled["high"] - sampled["low"] == pytest.approx(whole["high"] - whole["low"], rel=0.25)


def test_the_same_seed_gives_the_same_interval() -> None:
    answers = binary()
    assert evaluate("binary", answers, answers, seed=1) == evaluate("binary", answers, answers, seed=1)
    assert evaluate("binary", answers, answers, seed=1) != evaluate("binary", answers, answers, seed=2)


def test_what_cannot_be_computed_is_none() -> None:
    ones = Answers(np.ones(20, np.int64), np.ones(20, np.int64), np.tile([0.2, 0.8], (20, 1)))
    score = evaluate("binary", ones, ones, seed=0)
    assert score["auc"] == {"value": None, "low": None, "high": None, "baseline": None}
    assert score["accuracy"]["value"] == 1


def test_a_certain_mistake_has_a_finite_loss() -> None:
    wrong = Answers(np.array([1, 0]), np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert 36 < point("binary", wrong)["logloss"] < 37


def test_the_baseline_knows_only_the_training_rows() -> None:
    training, truth = np.array([0, 0, 0, 1]), np.array([1, 1])
    answers = constant_answers("binary", training, truth, 2)
    assert answers.predicted.tolist() == [0, 0]
    assert answers.probabilities.tolist() == [[0.75, 0.25]] * 2
    assert constant_answers("regression", np.array([1.0, 3.0]), np.array([9.0]), 0).predicted.tolist() == [
        2.0
    ]


def test_metrics_belong_to_tasks() -> None:
    check_metric("auc", "binary")
    assert next(iter(measures("multiclass"))) == "accuracy"
    with pytest.raises(NotFound, match="'auc'"):
        check_metric("auc", "regression")
    with pytest.raises(NotFound, match="Did you mean 'accuracy'"):
        check_metric("acuracy")
