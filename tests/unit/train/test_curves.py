"""Curves and counts against scikit-learn's and NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, confusion_matrix, precision_recall_curve, roc_curve

from workbench.train.curves import BINS, MOST_CLASSES, POINTS, QUANTILES, confusion, curves
from workbench.train.evaluate import Answers


def binary(rows: int = 4000, seed: int = 0, places: int = 12) -> Answers:
    rng = np.random.default_rng(seed)
    truth = (rng.random(rows) < 0.3).astype(np.int64)
    score = np.round(1 / (1 + np.exp(-rng.normal(truth * 1.5 - 1.2))), places)
    return Answers(truth, (score > 0.5).astype(np.int64), np.column_stack((1 - score, score)))


def multiclass(rows: int = 3000, classes: int = 4) -> Answers:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, classes, rows)
    margin = rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[truth]
    probabilities = np.exp(margin) / np.exp(margin).sum(axis=1, keepdims=True)
    return Answers(truth, probabilities.argmax(axis=1), probabilities)


def points(answers: Answers, curve: str, classes=("no", "yes"), series: str | None = None) -> np.ndarray:
    rows = [row for row in curves(answers, classes) if row["curve"] == curve]
    rows = [row for row in rows if series in (None, row["series"])]
    assert [row["position"] for row in rows] == list(range(len(rows)))
    return np.array([(row["x"], row["y"]) for row in rows])


def inside(few: np.ndarray, many: np.ndarray) -> bool:
    """Whether each of a few points is one of many."""
    return all(np.isclose(many, point, atol=1e-12).all(axis=1).any() for point in few)


@pytest.mark.parametrize("places", [12, 1], ids=["different", "tied"])
def test_a_roc_curve_is_scikit_learns_thinned(places: int) -> None:
    answers = binary(places=places)
    x, y, _ = roc_curve(answers.truth, answers.probabilities[:, 1], drop_intermediate=False)
    found = points(answers, "roc")
    assert inside(found, np.column_stack((x, y)))
    assert len(found) == min(len(x), POINTS)
    assert found[0].tolist() == [0, 0] and found[-1].tolist() == [1, 1]
    assert auc(found[:, 0], found[:, 1]) == pytest.approx(auc(x, y), abs=2e-3)


@pytest.mark.parametrize("places", [12, 1], ids=["different", "tied"])
def test_a_precision_recall_curve_is_scikit_learns_thinned(places: int) -> None:
    answers = binary(places=places)
    precision, recall, _ = precision_recall_curve(answers.truth, answers.probabilities[:, 1])
    found = points(answers, "precision_recall")
    assert inside(found, np.column_stack((recall, precision)))
    assert len(found) <= POINTS
    assert found[-1] == pytest.approx([1, answers.truth.mean()])
    assert auc(found[:, 0], found[:, 1]) == pytest.approx(auc(recall, precision), abs=1e-2)


def test_a_threshold_gives_its_point() -> None:
    answers = binary()
    rows = [row for row in curves(answers, ("no", "yes")) if row["curve"] == "roc"]
    assert rows[0]["threshold"] is None
    row = rows[50]
    found = answers.probabilities[:, 1] >= row["threshold"]
    assert found[answers.truth == 1].mean() == pytest.approx(row["y"])
    assert found[answers.truth == 0].mean() == pytest.approx(row["x"])


@pytest.mark.parametrize("places", [12, 1], ids=["different", "tied"])
def test_calibration_is_scikit_learns(places: int) -> None:
    answers = binary(places=places)
    true, predicted = calibration_curve(
        answers.truth, answers.probabilities[:, 1], n_bins=BINS, strategy="quantile"
    )
    assert points(answers, "calibration") == pytest.approx(np.column_stack((predicted, true)))
    rows = [row["rows"] for row in curves(answers, ("no", "yes")) if row["curve"] == "calibration"]
    assert sum(rows) == len(answers.truth)


def test_several_classes_have_a_curve_each_and_share_the_calibration() -> None:
    answers, names = multiclass(), ("a", "b", "c", "d")
    for place, name in enumerate(names):
        x, y, _ = roc_curve(answers.truth == place, answers.probabilities[:, place], drop_intermediate=False)
        found = points(answers, "roc", names, name)
        assert inside(found, np.column_stack((x, y)))
        assert len(found) <= POINTS / 4
    right = answers.truth == answers.predicted
    true, predicted = calibration_curve(
        right, answers.probabilities.max(axis=1), n_bins=BINS, strategy="quantile"
    )
    assert points(answers, "calibration", names) == pytest.approx(np.column_stack((predicted, true)))


def test_one_class_alone_has_no_roc_curve() -> None:
    score = np.linspace(0.1, 0.9, 50)
    both = np.column_stack((1 - score, score))
    none = Answers(np.zeros(50, np.int64), (score > 0.5).astype(np.int64), both)
    assert {row["curve"] for row in curves(none, (False, True))} == {"calibration"}
    every = Answers(np.ones(50, np.int64), none.predicted, both)
    assert {row["curve"] for row in curves(every, (False, True))} == {"precision_recall", "calibration"}


@pytest.mark.parametrize("answers", [binary(), multiclass()], ids=["binary", "multiclass"])
def test_the_confusion_matrix_is_scikit_learns(answers: Answers) -> None:
    names = [str(place) for place in range(answers.probabilities.shape[1])]
    found = np.zeros((len(names), len(names)), int)
    for row in confusion(answers, names):
        found[int(row["actual"]), int(row["predicted"])] = row["rows"]
    assert found.tolist() == confusion_matrix(answers.truth, answers.predicted).tolist()


def test_of_many_classes_the_rare_ones_are_counted_together() -> None:
    classes = 50
    rng = np.random.default_rng(2)
    truth = np.minimum(rng.geometric(0.06, 20_000) - 1, classes - 1)
    predicted = np.where(rng.random(len(truth)) < 0.7, truth, rng.permutation(truth))
    answers = Answers(truth, predicted, np.eye(classes)[predicted])
    rows = confusion(answers, [f"c{place}" for place in range(classes)])
    named = {row["actual"] for row in rows} - {None}
    assert len(named) == MOST_CLASSES and "c0" in named and "c45" not in named
    assert sum(row["rows"] for row in rows) == len(truth)
    whole = confusion_matrix(truth, predicted)
    others = [place for place in range(classes) if f"c{place}" not in named]
    together = next(row["rows"] for row in rows if row["actual"] is None and row["predicted"] is None)
    assert together == whole[np.ix_(others, others)].sum()
    assert len({row["series"] for row in curves(answers, range(classes)) if row["curve"] == "roc"}) == 10


def test_residuals_are_quantiles_by_predicted_value() -> None:
    rng = np.random.default_rng(3)
    predicted = rng.normal(size=1000) * 10
    truth = predicted + rng.normal(size=1000) * (1 + abs(predicted))
    rows = curves(Answers(truth, predicted), ())
    assert {row["curve"] for row in rows} == {"residuals"}
    order = np.argsort(predicted)
    part = order[300:400]  # the fourth of ten bins of 100 rows each
    found = [row for row in rows if row["position"] == 3]
    assert [row["y"] for row in found] == pytest.approx(np.quantile((truth - predicted)[part], QUANTILES))
    assert [row["series"] for row in found] == ["5%", "25%", "50%", "75%", "95%"]
    assert found[0]["x"] == pytest.approx(predicted[part].mean()) and found[0]["rows"] == 100
    assert confusion(Answers(truth, predicted), ()) == []


def test_a_constant_prediction_has_one_bin() -> None:
    rows = curves(Answers(np.arange(20.0), np.full(20, 7.0)), ())
    assert len(rows) == len(QUANTILES)
    assert rows[2]["y"] == pytest.approx(2.5)
