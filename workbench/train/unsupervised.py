"""Learning without a label: groups of rows (clustering), rows unlike the others (anomaly), components.

What each task answers, and by which measures it is judged on the rows held out, is said here; the
quantities are in the units of the prepared features, which `PREPARE auto` scales to a variance of 1.

clustering
    `value` is the number of the group, `score` the distance to its centre. `silhouette` is that of
    Rousseeuw (1987), on at most 2,000 rows; `distortion` the mean squared distance to the centre.
anomaly
    `value` says whether a row is unlike the others, `score` how much (of an isolation forest from 0
    to 1, as in Liu, Ting and Zhou, 2008). `flagged` is the share of such rows, `strangeness` the mean score.
components
    `value` is the list of components, `score` the mean squared error of a row put together from them
    again. `explained_variance` is the share of the variance that they keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError
from workbench.train.evaluate import Answers
from workbench.train.label import UNSUPERVISED, Task
from workbench.train.report import Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.train.encoding import Matrix

    Floats = npt.NDArray[np.float64]

_SILHOUETTE_ROWS = 2_000
"""The silhouette compares each row with each other one: beyond so many rows it takes the first."""

_QUANTILES = 100


def is_unsupervised(task: str) -> bool:
    """Whether a task learns without a label."""
    return task in UNSUPERVISED


def predict(estimator: Any, matrix: Matrix, task: Task) -> tuple[pa.Array, pa.Array]:
    """Return the values and scores (n each) of rows (n × numbers)."""
    import numpy as np
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {
        "clustering": pa.int64(),
        "anomaly": pa.bool_(),
        "components": pa.list_(pa.float64()),
    }
    if not len(matrix):
        return pa.array([], kinds[task]), pa.array([], pa.float64())
    if task == "components":
        parts = components(estimator, matrix)
        ends = np.arange(0, parts.size + 1, parts.shape[1], dtype=np.int32)
        values = pa.ListArray.from_arrays(pa.array(ends), pa.array(parts.ravel()))
        return values, pa.array(_errors(estimator, matrix)[0])
    if task == "anomaly":
        return pa.array(_is_strange(estimator, matrix)), pa.array(_strangeness(estimator, matrix))
    groups = np.asarray(estimator.predict(matrix), np.int64)
    squared = _squared_distances(estimator, matrix, groups)
    return pa.array(groups), pa.array(np.sqrt(squared), from_pandas=True)


def components(estimator: Any, matrix: Matrix) -> Floats:
    """Return the components (n × as many as were kept)."""
    return _dense(estimator.transform(matrix))


def answers(estimator: Any, matrix: Matrix, task: Task) -> Answers:
    """Return what the measures of a task are computed of, for each row."""
    import numpy as np

    nothing = np.zeros(len(matrix))
    if task == "components":
        lost, spread = _errors(estimator, matrix)
        return Answers(nothing, nothing, quantities={"lost": lost, "spread": spread})
    if task == "anomaly":
        strange = _is_strange(estimator, matrix).astype(np.float64)
        return Answers(
            nothing, nothing, quantities={"flagged": strange, "strangeness": _strangeness(estimator, matrix)}
        )
    groups = np.asarray(estimator.predict(matrix), np.int64)
    found = {
        "silhouette": _silhouettes(_prepared(estimator, matrix[:_SILHOUETTE_ROWS]), groups, len(matrix)),
        "distortion": _squared_distances(estimator, matrix, groups),
    }
    return Answers(nothing, groups, quantities=found)


def baseline(estimator: Any, learned: Matrix, tested: Matrix, task: Task) -> Answers:
    """Return the same of a model that knows nothing: one group, the share in training, no components."""
    import numpy as np

    nothing = np.zeros(len(tested))
    if task == "components":
        _, spread = _errors(estimator, tested)
        return Answers(nothing, nothing, quantities={"lost": spread, "spread": spread})
    if task == "anomaly":
        known = answers(estimator, learned, task).quantities
        return Answers(
            nothing,
            nothing,
            quantities={name: np.full(len(tested), each.mean()) for name, each in known.items()},
        )
    centre = _prepared(estimator, learned).mean(axis=0)
    apart = ((_prepared(estimator, tested) - centre) ** 2).sum(axis=1)
    found = {"silhouette": np.full(len(tested), np.nan), "distortion": apart}
    return Answers(nothing, nothing, quantities=found)


def make_report(answered: Answers, estimator: Any, task: Task) -> Report:
    """Look into the answers for the held-out rows: the groups, the scores, or what each component keeps."""
    slices = _groups(answered) if task == "clustering" else []
    curves = _kept(estimator) if task == "components" else []
    curves += _quantiles(answered.quantities["strangeness"]) if task == "anomaly" else []
    return Report({"importance": [], "slices": slices, "confusion": [], "curves": curves})


def _groups(answered: Answers) -> list[dict[str, Any]]:
    """List the groups with their silhouette against that of all others, the worst first."""
    import numpy as np

    silhouette, groups = answered.quantities["silhouette"], answered.predicted
    rows = []
    for group in np.unique(groups).tolist():
        inside = groups == group
        value, rest = _mean(silhouette[inside]), _mean(silhouette[~inside])
        apart = None if value is None or rest is None else rest - value
        rows.append(
            {
                "segment": f"group {group}",
                "rows": int(inside.sum()),
                "of_rows": len(groups),
                "metric": "silhouette",
                "value": value,
                "rest": rest,
                "loss": "1 − silhouette",
                "difference": apart,
                "low": None,
                "high": None,
            }
        )
    return sorted(rows, key=lambda row: (row["value"] is None, row["value"]))


def _mean(values: Floats) -> float | None:
    import numpy as np

    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _kept(estimator: Any) -> list[dict[str, Any]]:
    """Return the variance that the first 1, 2, … components keep of the training rows."""
    import numpy as np

    shares = getattr(_last(estimator), "explained_variance_ratio_", None)
    if shares is None:
        return []
    return _curve("explained_variance", np.arange(1, len(shares) + 1), np.cumsum(shares))


def _quantiles(scores: Floats) -> list[dict[str, Any]]:
    import numpy as np

    places = np.linspace(0, 1, _QUANTILES + 1)
    return _curve("strangeness", places, np.quantile(scores, places))


def _curve(name: str, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> list[dict[str, Any]]:
    points = zip(x.tolist(), y.tolist(), strict=True)
    return [
        {"curve": name, "series": name, "position": place, "x": float(left), "y": float(right)}
        for place, (left, right) in enumerate(points)
    ]


def _last(estimator: Any) -> Any:
    from sklearn.pipeline import Pipeline

    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def _prepared(estimator: Any, matrix: Matrix) -> Floats:
    """Return rows as the estimator itself sees them, behind what is put before it."""
    from sklearn.pipeline import Pipeline

    return _dense(estimator[:-1].transform(matrix) if isinstance(estimator, Pipeline) else matrix)


def _dense(found: Any) -> Floats:
    import numpy as np

    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float64)


def _squared_distances(estimator: Any, matrix: Matrix, groups: npt.NDArray[np.int64]) -> Floats:
    """Return the squared distance of each row to its centre; NaN where the estimator has no centres."""
    import numpy as np

    last = _last(estimator)
    centres = getattr(last, "cluster_centers_", getattr(last, "means_", None))
    if centres is None:
        return np.full(len(matrix), np.nan)
    squared: Floats = ((_prepared(estimator, matrix) - np.asarray(centres)[groups]) ** 2).sum(axis=1)
    return squared


def _silhouettes(rows: Floats, groups: npt.NDArray[np.int64], count: int) -> Floats:
    """Return the silhouette of the rows given, NaN for the others and where there is one group."""
    import numpy as np
    from sklearn.metrics import silhouette_samples

    found = np.full(count, np.nan)
    seen = groups[: len(rows)]
    if 1 < len(np.unique(seen)) < len(rows):
        found[: len(rows)] = silhouette_samples(rows, seen)
    return found


def _is_strange(estimator: Any, matrix: Matrix) -> npt.NDArray[np.bool_]:
    import numpy as np

    strange: npt.NDArray[np.bool_] = np.asarray(estimator.predict(matrix)) == -1
    return strange


def _strangeness(estimator: Any, matrix: Matrix) -> Floats:
    import numpy as np

    return -np.asarray(estimator.score_samples(matrix), np.float64)


def _errors(estimator: Any, matrix: Matrix) -> tuple[Floats, Floats]:
    """Return the mean squared error of each row put together again, and of the mean row in its place."""
    last = _last(estimator)
    if not hasattr(last, "inverse_transform"):
        name = type(last).__name__
        raise ModelError(
            f"{name} cannot put rows together from their components.", hint="Choose another, such as pca."
        )
    rows = _prepared(estimator, matrix)
    again = _dense(last.inverse_transform(last.transform(rows)))
    centre = getattr(last, "mean_", 0.0)
    return ((rows - again) ** 2).mean(axis=1), ((rows - centre) ** 2).mean(axis=1)
