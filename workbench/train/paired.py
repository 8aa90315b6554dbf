"""How far two models are apart on the same rows, with the interval of the difference."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.train.evaluate import MEASURES, RESAMPLES, SAMPLE_ROWS, Answers, resample

if TYPE_CHECKING:
    from workbench.train.evaluate import Floats, Measure


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of one model minus that of another on the same rows, and its 95 % interval.

    What cannot be computed is NaN.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"difference {self.value:+.3g}"
        return f"difference {self.value:+.3g}, 95 % interval {self.low:+.3g} to {self.high:+.3g}"


def differences(one: Answers, other: Answers, metrics: Iterable[str], *, seed: int) -> dict[str, Difference]:
    """Return how far `one` is above `other` in each metric, with bootstrap intervals.

    Both are scored on the same resamples of the same rows. What makes a resample hard for both
    cancels out, so the interval is narrower than those of the two scores suggest (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8). As for the scores, the resamples
    are of at most `SAMPLE_ROWS` rows, and the interval is narrowed to all of them (m out of n).

    Parameters
    ----------
    one, other : Answers
        For the same rows in the same order (n).
    metrics : iterable of str
        Names in `MEASURES`.
    seed : int
        Draws the resamples.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([1.0, 2.0, 3.0, 4.0])
    >>> right, wrong = Answers(truth, truth), Answers(truth, truth + 1)
    >>> str(differences(right, wrong, ["mae"], seed=0)["mae"])
    'difference -1, 95 % interval -1 to -1'
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    count = len(one.truth)
    size = min(count, SAMPLE_ROWS)
    rows = np.arange(count) if size == count else rng.choice(count, size, replace=False)
    weights = resample(rng, size)
    narrower = (size / count) ** 0.5
    found = {}
    for name in metrics:
        [value] = _apart(MEASURES[name], one, other, np.ones((1, count)))
        [centre] = _apart(MEASURES[name], one.take(rows), other.take(rows), np.ones((1, size)))
        drawn = _apart(MEASURES[name], one.take(rows), other.take(rows), weights)
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) >= RESAMPLES // 2 else (np.nan, np.nan)
        found[name] = Difference(
            float(value), float(value + narrower * (low - centre)), float(value + narrower * (high - centre))
        )
    return found


def advantage(one: Answers, other: Answers, metric: str, *, seed: int) -> Difference:
    """Return by how much `one` is better than `other`: where less is better, by how much it has less.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([1.0, 2.0, 3.0, 4.0])
    >>> advantage(Answers(truth, truth), Answers(truth, truth + 1), "mae", seed=0).value
    1.0
    """
    more, less = (one, other) if MEASURES[metric].more_is_better else (other, one)
    return differences(more, less, [metric], seed=seed)[metric]


def _apart(measure: Measure, one: Answers, other: Answers, weights: Floats) -> Floats:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return measure.compute(one, weights) - measure.compute(other, weights)
