"""Estimators: built for an algorithm, a task and features; fitted; and asked.

Gradient boosting (XGBoost, scikit-learn's histogram version) takes the matrix as it is: missing
values are NaN and categories are ordinal codes. Before any other scikit-learn estimator
`PREPARE auto` puts a pipeline of median imputation, one-hot categories and, where distances or
penalties depend on it, scaling. The pipeline is part of the model, fitted on training rows only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError, Unsupported, WorkbenchError, said
from workbench.interrupts import held_back
from workbench.train.algorithms import (
    DEFAULTS,
    class_path,
    construct,
    learns_unlabelled,
    load_class,
    needs,
    parameter_names,
    require_torch,
)
from workbench.train.boosting import Examples, by_place, fit_boosted, is_boosted
from workbench.train.weights import CLASS_WEIGHT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.algorithms import Choice
    from workbench.train.dataset import FeatureSpec
    from workbench.train.encoding import Matrix
    from workbench.train.label import Task

_MOST_ONE_HOT = 100
_FEW_CELLS = 200_000
_CALLERS = 4  # one reader of rows feeds no more, and each holds a batch


def build(
    choice: Choice,
    task: Task,
    spec: FeatureSpec,
    *,
    prepare: str,
    seed: int,
    rows: int,
    planned: bool = False,
) -> Any:
    """Make the estimator, not yet fitted; a scikit-learn Pipeline where something goes before it.

    Where the features were `planned`, only gaps that the training rows did not have are filled. Few
    `rows` are fitted by one thread: waiting for each other costs several more than they gain.

    Raises
    ------
    Unsupported
        If the algorithm does not do this task, gives no probabilities, or needs preparation that
        `PREPARE none` leaves out.
    """
    path = class_path(choice.name, task)
    cls = load_class(path)
    # Class weights are weights of rows here, for they go by the label's values and not by its codes.
    params = {name: value for name, value in choice.params.items() if name != CLASS_WEIGHT}
    params = by_place(params, spec.names)
    estimator = construct(
        cls, {**DEFAULTS.get(path, {}), **_seeded(cls, seed, rows * len(spec.leaves)), **params}
    )
    if task in ("binary", "multiclass") and not hasattr(estimator, "predict_proba"):
        estimator = _calibrated(estimator)
    if learns_unlabelled(estimator):
        require_torch(choice.name)
        return estimator.set_params(category_sizes=tuple(len(leaf.categories) for leaf in spec.leaves))
    wanted = needs(choice.name, task)
    if wanted == "nothing":
        return estimator
    if prepare == "none":
        _check_unprepared(spec)
        return estimator
    return _pipeline(estimator, spec, scale=not planned and wanted == "scaled")


def _seeded(cls: type[Any], seed: int, cells: int) -> dict[str, object]:
    known = parameter_names(cls)
    ours: dict[str, object] = {"random_state": seed, "n_jobs": _cores() if cells > _FEW_CELLS else 1}
    if cls.__module__.startswith("sklearn.linear_model."):
        del ours["n_jobs"]  # scikit-learn 1.8 has deprecated it there
    return {name: value for name, value in ours.items() if name in known}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _calibrated(estimator: Any) -> Any:
    """Give probabilities to an estimator that only decides, by Platt's method."""
    from sklearn.calibration import CalibratedClassifierCV

    if not hasattr(estimator, "decision_function"):
        raise Unsupported(
            f"{type(estimator).__name__} gives no probabilities.",
            hint="It needs predict_proba or decision_function; choose another.",
        )
    return CalibratedClassifierCV(estimator, ensemble=False)


def _check_unprepared(spec: FeatureSpec) -> None:
    texts = [leaf.name for leaf in spec.leaves if leaf.kind == "category"]
    if texts:
        raise Unsupported(
            f"PREPARE none takes numbers only; this is text: {', '.join(texts)}.",
            hint="Say PREPARE auto, convert the text in the query, or leave it out with EXCEPT.",
        )


def _pipeline(estimator: Any, spec: FeatureSpec, *, scale: bool) -> Any:
    with held_back():
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler
        from sklearn.utils import get_tags

    texts = [place for place, leaf in enumerate(spec.leaves) if leaf.kind == "category"]
    numbers = [place for place, leaf in enumerate(spec.leaves) if leaf.kind != "category"]
    number: Any = SimpleImputer(strategy="median", keep_empty_features=True)
    if scale:
        number = Pipeline([("impute", number), ("scale", StandardScaler())])
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=_MOST_ONE_HOT,
        sparse_output=bool(get_tags(estimator).input_tags.sparse),
        dtype="float32",
    )
    parts = [("number", number, numbers), ("category", one_hot, texts)]
    prepare = ColumnTransformer([part for part in parts if part[2]])
    return Pipeline([("prepare", prepare), ("model", estimator)])


def fit(
    estimator: Any,
    rows: Examples,
    *,
    validation: Examples | None = None,
    deadline: float | None = None,
    advance: Callable[[int], None] = lambda trees: None,
) -> int:
    """Fit an estimator in place; return the number of trees that XGBoost grew, else 0.

    `validation` and `deadline` concern XGBoost only: see `boosting.fit_boosted`. `advance` is told
    of its trees, and of the epochs of a network.

    Raises
    ------
    Unsupported
        If there are weights, and it takes none.
    ModelError
        If it fails.
    """
    try:
        if is_boosted(estimator):
            return fit_boosted(estimator, rows, validation=validation, deadline=deadline, advance=advance)
        more = {"unlabelled": rows.unlabelled, "callback": advance} if learns_unlabelled(estimator) else {}
        estimator.fit(_learnable(estimator, rows.matrix), rows.label, **_weighted(estimator, rows), **more)
    except WorkbenchError:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise ModelError(
            f"{type(_last(estimator)).__name__} could not be trained: {said(error)}",
            hint="Check its PARAMS and the features.",
        ) from error
    return 0


def _last(estimator: Any) -> Any:
    """Return the last step of a pipeline, which learns the label; any other estimator is its own."""
    from sklearn.pipeline import Pipeline

    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def _learnable(estimator: Any, matrix: Matrix) -> Matrix:
    """Return the rows as the estimator takes them: one of scikit-learn's fails on columns without values.

    In a column of zeros it finds no cut, so what stands there later makes no difference.
    """
    import numpy as np

    if not type(estimator).__name__.startswith("HistGradientBoosting"):
        return matrix
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, np.float32(0), matrix) if empty.any() else matrix


def _weighted(estimator: Any, rows: Examples) -> dict[str, Any]:
    """Name the weights as an estimator, or the last one of a pipeline, takes them."""
    from sklearn.utils.validation import has_fit_parameter

    if rows.weights is None:
        return {}
    last = _last(estimator)
    if not has_fit_parameter(last, "sample_weight"):
        raise Unsupported(
            f"{type(last).__name__} takes no weights of rows.",
            hint="Leave WEIGHT out, or choose another algorithm.",
        )
    return {"model__sample_weight" if last is not estimator else "sample_weight": rows.weights}


def name_features(estimator: Any, names: Sequence[str]) -> None:
    """Give a fitted estimator the names of its features, so that it checks and explains by name.

    A linear one of XGBoost's would then take no matrix without names any more.
    """
    if is_boosted(estimator) and estimator.booster != "gblinear":
        estimator.get_booster().feature_names = list(names)


def callers(estimator: Any) -> int:
    """Say from how many threads at once it is best asked; 1 if it divides the work among the cores itself.

    XGBoost does that too, but its threads wait for each other at the end of every batch, busily: several
    calls, each with its part of the cores, leave none idle.
    """
    divides = is_boosted(estimator) and estimator.booster != "gblinear" and estimator.n_jobs in (None, 0, -1)
    return min(_threads(), _CALLERS) if divides else 1


def share_cores(callers: int) -> None:
    """Let what XGBoost is asked in this thread from now on leave their part of the cores to other callers."""
    import xgboost

    xgboost.set_config(nthread=max(1, _threads() // callers))


def _threads() -> int:
    """Count the threads that XGBoost would use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(_cores(), int(wanted)) if wanted.isdigit() else _cores()


def rounds(estimator: Any) -> int | None:
    """Return how many times `fit` will report progress, or None if it cannot be said."""
    return (estimator.get_params().get("n_estimators") or 100) if is_boosted(estimator) else None


def answer(estimator: Any, matrix: Matrix, task: Task) -> npt.NDArray[np.float64]:
    """Return the probabilities (n × classes), or the values of a regression (n)."""
    import numpy as np

    if not is_boosted(estimator) or estimator.booster == "gblinear":
        raw = estimator.predict(matrix) if task == "regression" else estimator.predict_proba(matrix)
        return np.asarray(raw, np.float64)
    # Reads the matrix where it lies; a DMatrix would copy and sort it first.
    raw = estimator.get_booster().inplace_predict(matrix, validate_features=False)
    values = np.asarray(raw, np.float64)
    return np.column_stack((1 - values, values)) if task == "binary" else values
