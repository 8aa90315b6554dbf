"""How good predictions are: metrics with bootstrap intervals, and those of a baseline.

Every metric is computed for many weightings of the same rows at once (weights: resamples × n
rows), so that a bootstrap is a few matrix products and not 200 calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from workbench.errors import NotFound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.label import Task

    Floats = npt.NDArray[np.float64]

RESAMPLES = 200
SAMPLE_ROWS = 10_000
"""Intervals come from at most so many rows and are narrowed by the square root of the ratio."""

_LEAST = 2.0**-52  # keeps the logarithm of a probability finite; scikit-learn takes the same


class Score(TypedDict):
    """A metric on the held-out rows, its 95 % interval, and what the baseline reaches there.

    A value that cannot be computed (an AUC of one class) is None.
    """

    value: float | None
    low: float | None
    high: float | None
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What was true and what was predicted for the same rows.

    Attributes
    ----------
    truth : ndarray (n)
        Class numbers, or the values of a regression.
    predicted : ndarray (n)
        The same for the prediction.
    probabilities : ndarray (n × classes) or None
        None for a regression.
    quantities : mapping of str to ndarray (n)
        Where there is no truth, what the metrics are computed of; NaN where a row has none.
    """

    truth: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    probabilities: Floats | None = None
    quantities: Mapping[str, Floats] = field(default_factory=dict)

    def take(self, rows: npt.NDArray[np.int64]) -> Answers:
        """Return the answers for some of the rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        quantities = {name: each[rows] for name, each in self.quantities.items()}
        return Answers(self.truth[rows], self.predicted[rows], probabilities, quantities)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric: for which tasks, whether more is better, and how to compute it for each weighting."""

    tasks: tuple[Task, ...]
    more_is_better: bool
    compute: Callable[[Answers, Floats], Floats]


def measures(task: Task) -> dict[str, Measure]:
    """Return the metrics of a task, the one that decides first."""
    return {name: measure for name, measure in MEASURES.items() if task in measure.tasks}


def check_metric(name: str, task: Task | None = None) -> None:
    """Raise NotFound unless there is a metric of this name (for the task)."""
    known = measures(task) if task else MEASURES
    if name not in known:
        raise NotFound.named("metric", name, known, within=f"a {task} task" if task else "")


def point(task: Task, answers: Answers) -> dict[str, float]:
    """Return the value of every metric of a task; NaN where it cannot be computed."""
    import numpy as np

    ones = np.ones((1, len(answers.truth)))
    return {name: _compute(measure, answers, ones) for name, measure in measures(task).items()}


def value_of(metric: str, answers: Answers) -> float:
    """Return the value of one metric; NaN where it cannot be computed."""
    import numpy as np

    return _compute(MEASURES[metric], answers, np.ones((1, len(answers.truth))))


def evaluate(task: Task, answers: Answers, baseline: Answers, *, seed: int) -> dict[str, Score]:
    """Return every metric of a task with its interval and that of `baseline` on the same rows."""
    values, base = point(task, answers), point(task, baseline)
    bounds = _intervals(task, answers, values, seed)
    return {
        name: Score(
            value=_finite(values[name]),
            low=_finite(bounds[name][0]),
            high=_finite(bounds[name][1]),
            baseline=_finite(base[name]),
        )
        for name in values
    }


def constant_answers(
    task: Task, training: npt.NDArray[Any], truth: npt.NDArray[Any], classes: int
) -> Answers:
    """Predict for every row what is most frequent among the training rows, or their mean."""
    import numpy as np

    if task == "regression":
        return Answers(truth, np.full(len(truth), training.mean()))
    share = np.bincount(training, minlength=classes) / len(training)
    return Answers(truth, np.full(len(truth), share.argmax()), np.tile(share, (len(truth), 1)))


def _compute(measure: Measure, answers: Answers, weights: Floats) -> float:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(measure.compute(answers, weights)[0])


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _intervals(
    task: Task, answers: Answers, values: Mapping[str, float], seed: int
) -> dict[str, tuple[float, float]]:
    """Bootstrap the metrics on a sample, and scale the deviations to all rows (m out of n)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    count = len(answers.truth)
    size = min(count, SAMPLE_ROWS)
    sample = answers if size == count else answers.take(rng.choice(count, size, replace=False))
    weights = resample(rng, size)
    narrower = (size / count) ** 0.5
    centre = point(task, sample)
    bounds = {}
    for name, measure in measures(task).items():
        with np.errstate(divide="ignore", invalid="ignore"):
            found = measure.compute(sample, weights)
        found = found[np.isfinite(found)]
        if len(found) < RESAMPLES // 2:
            bounds[name] = (np.nan, np.nan)
            continue
        low, high = np.quantile(found, [0.025, 0.975])
        bounds[name] = (
            values[name] + narrower * (low - centre[name]),
            values[name] + narrower * (high - centre[name]),
        )
    return bounds


def resample(rng: np.random.Generator, size: int) -> Floats:
    """Draw rows with replacement; return how often each row comes (resamples × size)."""
    import numpy as np

    drawn = rng.integers(0, size, (RESAMPLES, size)) + np.arange(RESAMPLES)[:, None] * size
    counts: Floats = np.bincount(drawn.ravel(), minlength=RESAMPLES * size).astype(np.float64)
    return counts.reshape(RESAMPLES, size)


def _mean(weights: Floats, each: npt.NDArray[Any]) -> Floats:
    result: Floats = (weights @ each.astype("float64")) / weights.sum(axis=1)
    return result


def _accuracy(answers: Answers, weights: Floats) -> Floats:
    return _mean(weights, answers.truth == answers.predicted)


def _logloss(answers: Answers, weights: Floats) -> Floats:
    import numpy as np

    assert answers.probabilities is not None
    true = answers.truth.astype(np.int64)
    probability = answers.probabilities[np.arange(len(true)), true]
    return -_mean(weights, np.log(np.clip(probability, _LEAST, 1.0)))


def _auc(answers: Answers, weights: Floats) -> Floats:
    """Compute the area under the ROC curve; equal scores count half."""
    import numpy as np

    assert answers.probabilities is not None
    order = np.argsort(answers.probabilities[:, 1], kind="stable")
    score, positive = answers.probabilities[order, 1], answers.truth[order] == 1
    starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    weights = weights[:, order]
    positives = np.add.reduceat(weights * positive, starts, axis=1)
    negatives = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    result: Floats = (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))
    return result


def _counts(answers: Answers, weights: Floats, label: int) -> tuple[Floats, Floats, Floats]:
    """Return the weight of the rows rightly predicted as `label`, of all so predicted, of all so labelled."""
    predicted, true = answers.predicted == label, answers.truth == label
    hit = weights @ (predicted & true).astype("float64")
    return hit, weights @ predicted.astype("float64"), weights @ true.astype("float64")


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; nothing by nothing is 0, as scikit-learn has it for precision, recall and F1."""
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _precision(answers: Answers, weights: Floats) -> Floats:
    hit, predicted, _ = _counts(answers, weights, 1)
    return _ratio(hit, predicted)


def _recall(answers: Answers, weights: Floats) -> Floats:
    hit, _, true = _counts(answers, weights, 1)
    return _ratio(hit, true)


def _f1_of(answers: Answers, weights: Floats, label: int) -> Floats:
    hit, predicted, true = _counts(answers, weights, label)
    return _ratio(2 * hit, predicted + true)


def _f1(answers: Answers, weights: Floats) -> Floats:
    return _f1_of(answers, weights, 1)


def _macro_f1(answers: Answers, weights: Floats) -> Floats:
    """Average F1 over the classes that are held out or predicted."""
    import numpy as np

    labels = np.union1d(answers.truth, answers.predicted)
    total = sum((_f1_of(answers, weights, label) for label in labels), start=np.zeros(len(weights)))
    return total / len(labels)


def _squares(answers: Answers) -> npt.NDArray[Any]:
    squares: npt.NDArray[Any] = (answers.truth - answers.predicted) ** 2
    return squares


def _rmse(answers: Answers, weights: Floats) -> Floats:
    result: Floats = _mean(weights, _squares(answers)) ** 0.5
    return result


def _mae(answers: Answers, weights: Floats) -> Floats:
    return _mean(weights, abs(answers.truth - answers.predicted))


def _r2(answers: Answers, weights: Floats) -> Floats:
    # Centred first: the difference of two large sums would lose the digits that count.
    centred = answers.truth - answers.truth.mean()
    spread = _mean(weights, centred**2) - _mean(weights, centred) ** 2
    return 1 - _mean(weights, _squares(answers)) / spread


def _quantity(name: str) -> Callable[[Answers, Floats], Floats]:
    """Return the metric that is the mean of a quantity over the rows that have it."""

    def compute(answers: Answers, weights: Floats) -> Floats:
        import numpy as np

        each = answers.quantities[name]
        known = np.isfinite(each)
        return _mean(weights[:, known], each[known])

    return compute


def _explained_variance(answers: Answers, weights: Floats) -> Floats:
    lost, spread = answers.quantities["lost"], answers.quantities["spread"]
    result: Floats = 1 - (weights @ lost) / (weights @ spread)
    return result


MEASURES: dict[str, Measure] = {
    "auc": Measure(("binary",), True, _auc),
    "accuracy": Measure(("binary", "multiclass"), True, _accuracy),
    "logloss": Measure(("binary", "multiclass"), False, _logloss),
    "f1": Measure(("binary",), True, _f1),
    "precision": Measure(("binary",), True, _precision),
    "recall": Measure(("binary",), True, _recall),
    "macro_f1": Measure(("multiclass",), True, _macro_f1),
    "rmse": Measure(("regression",), False, _rmse),
    "mae": Measure(("regression",), False, _mae),
    "r2": Measure(("regression",), True, _r2),
    "silhouette": Measure(("clustering",), True, _quantity("silhouette")),
    "distortion": Measure(("clustering",), False, _quantity("distortion")),
    "flagged": Measure(("anomaly",), False, _quantity("flagged")),
    "strangeness": Measure(("anomaly",), False, _quantity("strangeness")),
    "explained_variance": Measure(("components",), True, _explained_variance),
}
