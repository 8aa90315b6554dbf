"""Where predictions go wrong: confusion matrix, ROC and precision-recall curves, calibration, residuals.

Pure: answers in, points out. Curves are thinned to points that the whole curve has as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.evaluate import Answers, Floats

POINTS = 200
"""A curve has at most so many points; the curves of several classes share them."""

BINS = 10
MOST_CURVES = 10
MOST_CLASSES = 30
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_LEAST_POINTS = 20

Row = dict[str, Any]


def curves(answers: Answers, classes: Sequence[Any]) -> list[Row]:
    """Return all curves that suit the answers, as rows of `mlstore.curves` without the model.

    Parameters
    ----------
    answers : Answers
        For held-out rows; without probabilities they are those of a regression.
    classes : sequence
        The label's values in the order of the probabilities.

    Returns
    -------
    list of dict
        `curve` ("roc", "precision_recall", "calibration" or "residuals"), `series`, `position`, `x`,
        `y`, and `threshold` or `rows` where they say something. A curve that cannot be computed, as
        a ROC curve of one class, has no rows.

        - roc: x is the false and y the true positive rate of the class `series`.
        - precision_recall: x is the recall, y the precision.
        - calibration: x is the mean predicted probability of a bin, y the share of rows for which it
          came true. Of more than two classes it is the probability of the predicted one.
        - residuals: x is the mean prediction of a bin, y the quantile `series` of truth − prediction.
    """
    if answers.probabilities is None:
        return list(_residuals(answers))
    chosen = _curve_classes(answers, len(classes))
    points = max(_LEAST_POINTS, POINTS // max(1, len(chosen)))
    rows: list[Row] = []
    for place in chosen:
        rows += _detection(
            answers.probabilities[:, place], answers.truth == place, str(classes[place]), points
        )
    return rows + list(_calibration(answers, [str(each) for each in classes]))


def confusion(answers: Answers, classes: Sequence[Any]) -> list[Row]:
    """Count how often each class was predicted as each, for the pairs that occur.

    Beyond the 30 most frequent classes all others are one, named None.

    Returns
    -------
    list of dict
        `actual`, `predicted` and `rows`, in the order of the classes; empty for a regression.

    Examples
    --------
    >>> import numpy as np
    >>> from workbench.train.evaluate import Answers
    >>> found = Answers(np.array([0, 0, 1]), np.array([0, 1, 1]), np.eye(2)[[0, 1, 1]])
    >>> [tuple(row.values()) for row in confusion(found, ("no", "yes"))]
    [('no', 'no', 1), ('no', 'yes', 1), ('yes', 'yes', 1)]
    """
    import numpy as np

    if answers.probabilities is None:
        return []
    count = len(classes)
    names: list[str | None] = [str(each) for each in classes]
    truth, predicted = answers.truth.astype(np.int64), answers.predicted.astype(np.int64)
    if count > MOST_CLASSES:
        frequent = np.bincount(truth, minlength=count) + np.bincount(predicted, minlength=count)
        kept = np.sort(np.argsort(-frequent, kind="stable")[:MOST_CLASSES])
        places = np.full(count, MOST_CLASSES)
        places[kept] = np.arange(MOST_CLASSES)
        truth, predicted = places[truth], places[predicted]
        names = [*(names[place] for place in kept.tolist()), None]
        count = MOST_CLASSES + 1
    pairs = np.bincount(truth * count + predicted, minlength=count * count)
    return [
        {"actual": names[pair // count], "predicted": names[pair % count], "rows": int(pairs[pair])}
        for pair in np.flatnonzero(pairs).tolist()
    ]


def _curve_classes(answers: Answers, count: int) -> list[int]:
    """Return the classes to draw a curve for: the positive one of two, else the most frequent ones."""
    import numpy as np

    if count == 2:
        return [1]
    frequent = np.bincount(answers.truth.astype(np.int64), minlength=count)
    return sorted(np.argsort(-frequent, kind="stable")[:MOST_CURVES].tolist())


def _detection(score: Floats, positive: npt.NDArray[np.bool_], series: str, points: int) -> Iterator[Row]:
    """Return the ROC and the precision-recall curve of finding one class by its probability."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])  # equal scores are decided together
    hits = np.cumsum(positive[order])[ends]
    alarms = ends + 1 - hits
    thresholds = score[order][ends]
    if not hits[-1]:
        return
    recall = hits / hits[-1]
    if alarms[-1]:
        x, y = np.r_[0.0, alarms / alarms[-1]], np.r_[0.0, recall]
        # Nobody is found above the highest score, which is where the curve begins.
        yield from _points("roc", series, x, y, np.r_[np.nan, thresholds], _thin(x + y, points))
    precision = hits / (hits + alarms)
    yield from _points("precision_recall", series, recall, precision, thresholds, _thin(recall, points))


def _thin(along: Floats, points: int) -> npt.NDArray[np.int64]:
    """Choose points at equal steps of a rising measure, the first and the last among them."""
    import numpy as np

    if len(along) <= points:
        return np.arange(len(along))
    wanted = np.linspace(along[0], along[-1], points)
    chosen: npt.NDArray[np.int64] = np.unique(np.searchsorted(along, wanted))
    chosen[0], chosen[-1] = 0, len(along) - 1
    return chosen


def _points(
    curve: str, series: str, x: Floats, y: Floats, thresholds: Floats, kept: npt.NDArray[np.int64]
) -> Iterator[Row]:
    for position, place in enumerate(kept.tolist()):
        threshold = float(thresholds[place])
        yield {
            "curve": curve,
            "series": series,
            "position": position,
            "x": float(x[place]),
            "y": float(y[place]),
            "threshold": None if math.isnan(threshold) else threshold,
        }


def _bins(values: Floats) -> npt.NDArray[np.int64]:
    """Number the rows by quantiles of `values`; equal values share a bin, so some may be empty.

    As `sklearn.calibration.calibration_curve(strategy="quantile")` has it.
    """
    import numpy as np

    edges = np.quantile(values, np.linspace(0, 1, BINS + 1))
    bins: npt.NDArray[np.int64] = np.searchsorted(edges[1:-1], values)
    return bins


def _calibration(answers: Answers, classes: Sequence[str]) -> Iterator[Row]:
    import numpy as np

    assert answers.probabilities is not None
    if len(classes) == 2:
        score, came_true, series = answers.probabilities[:, 1], answers.truth == 1, classes[1]
    else:
        score = answers.probabilities[np.arange(len(answers.truth)), answers.predicted]
        came_true, series = answers.truth == answers.predicted, "predicted class"
    bins = _bins(score)
    rows = np.bincount(bins, minlength=BINS)
    predicted = np.bincount(bins, weights=score, minlength=BINS)
    found = np.bincount(bins, weights=came_true, minlength=BINS)
    for position, place in enumerate(np.flatnonzero(rows).tolist()):
        yield {
            "curve": "calibration",
            "series": series,
            "position": position,
            "x": float(predicted[place] / rows[place]),
            "y": float(found[place] / rows[place]),
            "rows": int(rows[place]),
        }


def _residuals(answers: Answers) -> Iterator[Row]:
    import numpy as np

    residual = answers.truth - answers.predicted
    bins = _bins(answers.predicted)
    for position, place in enumerate(np.unique(bins).tolist()):
        inside = bins == place
        quantiles = np.quantile(residual[inside], QUANTILES)
        for share, value in zip(QUANTILES, quantiles.tolist(), strict=True):
            yield {
                "curve": "residuals",
                "series": f"{share:.0%}",
                "position": position,
                "x": float(answers.predicted[inside].mean()),
                "y": value,
                "rows": int(inside.sum()),
            }
