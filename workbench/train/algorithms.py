"""The algorithms: which class a name means for a task, its parameters, and what is put before it.

Gradient boosting (XGBoost, scikit-learn's histogram version) takes the matrix as it is: missing
values are NaN and categories are ordinal codes. Before any other scikit-learn estimator
`PREPARE auto` puts a pipeline of median imputation, one-hot categories and, where distances or
penalties depend on it, scaling. The pipeline is part of the model, fitted on training rows only.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, ModelError, NotFound, Unsupported
from workbench.ranges import Range
from workbench.train.boosting import Examples, fit_boosted, is_boosted
from workbench.train.label import UNSUPERVISED
from workbench.train.parameters import check_range, check_values
from workbench.train.weights import CLASS_WEIGHT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.dataset import FeatureSpec
    from workbench.train.encoding import Matrix
    from workbench.train.label import Task
    from workbench.train.plan import Needs

# What a library may raise for data or parameters it cannot use.
_FAILURES = (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, AttributeError)

_REGRESSION = "regression"
_CLASSES = "classes"
_DEEP = "workbench.train.tab_transformer"

ALGORITHMS: dict[str, dict[str, str]] = {
    "xgboost": {_REGRESSION: "xgboost.XGBRegressor", _CLASSES: "xgboost.XGBClassifier"},
    "hist_gradient_boosting": {
        _REGRESSION: "sklearn.ensemble.HistGradientBoostingRegressor",
        _CLASSES: "sklearn.ensemble.HistGradientBoostingClassifier",
    },
    "random_forest": {
        _REGRESSION: "sklearn.ensemble.RandomForestRegressor",
        _CLASSES: "sklearn.ensemble.RandomForestClassifier",
    },
    "linear": {
        _REGRESSION: "sklearn.linear_model.LinearRegression",
        _CLASSES: "sklearn.linear_model.LogisticRegression",
    },
    "extra_trees": {
        _REGRESSION: "sklearn.ensemble.ExtraTreesRegressor",
        _CLASSES: "sklearn.ensemble.ExtraTreesClassifier",
    },
    "ridge": {_REGRESSION: "sklearn.linear_model.Ridge"},
    "lasso": {_REGRESSION: "sklearn.linear_model.Lasso"},
    "logistic": {_CLASSES: "sklearn.linear_model.LogisticRegression"},
    "svm_linear": {_REGRESSION: "sklearn.svm.LinearSVR", _CLASSES: "sklearn.svm.LinearSVC"},
    "sgd": {
        _REGRESSION: "sklearn.linear_model.SGDRegressor",
        _CLASSES: "sklearn.linear_model.SGDClassifier",
    },
    "knn": {
        _REGRESSION: "sklearn.neighbors.KNeighborsRegressor",
        _CLASSES: "sklearn.neighbors.KNeighborsClassifier",
    },
    "tab_transformer": {
        _REGRESSION: f"{_DEEP}.TabTransformerRegressor",
        _CLASSES: f"{_DEEP}.TabTransformerClassifier",
    },
    "naive_bayes": {_CLASSES: "sklearn.naive_bayes.GaussianNB"},
    "kmeans": {"clustering": "sklearn.cluster.KMeans"},
    "isolation_forest": {"anomaly": "sklearn.ensemble.IsolationForest"},
    "pca": {"components": "sklearn.decomposition.PCA"},
    "baseline": {_REGRESSION: "sklearn.dummy.DummyRegressor", _CLASSES: "sklearn.dummy.DummyClassifier"},
}
"""Short names, and the class each means. Any other estimator goes by its import path."""

_DEFAULTS: dict[str, dict[str, object]] = {
    "xgboost.XGBRegressor": {"tree_method": "hist"},
    "xgboost.XGBClassifier": {"tree_method": "hist"},
    # The 100 iterations of scikit-learn do not suffice for many one-hot columns.
    "sklearn.linear_model.LogisticRegression": {"max_iter": 1000},
    "sklearn.dummy.DummyClassifier": {"strategy": "prior"},
    # Its own default, the hinge loss, gives no probabilities.
    "sklearn.linear_model.SGDClassifier": {"loss": "log_loss"},
    "sklearn.linear_model.Lasso": {"max_iter": 10_000},
    "sklearn.svm.LinearSVR": {"max_iter": 10_000},
    "sklearn.svm.LinearSVC": {"max_iter": 10_000},
}

_UNSUPERVISED: tuple[Task, ...] = ("clustering", "anomaly", "components")

_OURS = {
    "random_state": "Say SEED instead.",
    "seed": "Say SEED instead.",
    "enable_categorical": "Categories are ordinal codes already.",
    "feature_types": "Types are taken from the columns of the query.",
    "missing": "NULL is missing; map other values to NULL in the query.",
    "callbacks": "",
    "category_sizes": "Categories are taken from the columns of the query.",
}

_WEIGHTED = ("XGBClassifier", "XGBRFClassifier", "TabTransformerClassifier")
"""Estimators without class weights of their own: their rows are weighted."""

_ALIASES = {"eta": "learning_rate", "lambda": "reg_lambda", "alpha": "reg_alpha", "min_split_loss": "gamma"}

_NATIVE = ("xgboost.", "lightgbm.", "sklearn.ensemble._hist_gradient_boosting.", "sklearn.dummy.", _DEEP)
_SCALED = (
    "sklearn.linear_model.",
    "sklearn.svm.",
    "sklearn.neighbors.",
    "sklearn.neural_network.",
    "sklearn.cluster.",
    "sklearn.mixture.",
    "sklearn.decomposition.",
    "sklearn.covariance.",
)
_MOST_ONE_HOT = 100
_FEW_CELLS = 200_000


@dataclass(frozen=True, slots=True)
class Choice:
    """An algorithm with its parameters, as the user chose it or as `auto` did."""

    name: str
    params: Mapping[str, Any]
    reason: str = ""


def choose(model: str, params: Mapping[str, Any], rows: int) -> Choice:
    """Settle what `MODEL auto` means for so many training rows; other names stay as they are."""
    if model != "auto":
        return Choice(model, dict(params))
    small = rows < 2_000
    tuned = {
        "n_estimators": 200,
        "learning_rate": 0.05 if small else 0.1,
        "max_depth": 4 if small else 6,
        "min_child_weight": 1 if small else 5,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
    }
    reason = f"MODEL auto: XGBoost with parameters for {'few' if small else 'many'} rows"
    return Choice("xgboost", {**tuned, **params}, reason)


def check(model: str, params: Mapping[str, Any]) -> None:
    """Refuse an unknown algorithm, parameter or value, before any data is read.

    Raises
    ------
    NotFound
        If there is no such algorithm, or it has no such parameter.
    InvalidData
        If a parameter is the store's own, or the estimator does not take its value.
    Unsupported
        If a library of an extra is not installed.
    """
    if uses_unlabelled(model):
        _check_torch(model)
    for name, value in params.items():
        if name in _OURS:
            raise InvalidData(f"PARAMS cannot set {name!r}.", hint=_OURS[name])
        if isinstance(value, Range):
            check_range(name, value)
    classes = [_load(path) for path in _paths(model)]
    known = {name for cls in classes for name in _settable(cls)}
    for name in params:
        if name not in known:
            raise NotFound.named("parameter", name, known - _OURS.keys(), within=model)
    for cls in classes:
        taken = {name: value for name, value in params.items() if name in _settable(cls)}
        for ends in ("low", "high"):
            values = {name: getattr(value, ends, value) for name, value in taken.items()}
            check_values(cls, values)
            if uses_unlabelled(model):
                _check_deep(_construct(cls, {name: values[name] for name in values.keys() - {CLASS_WEIGHT}}))


def _check_torch(model: str) -> None:
    if importlib.util.find_spec("torch") is None:
        raise Unsupported(f"MODEL {model} needs the library torch.", hint="pip install 'mlstore[torch]'")


def _check_deep(estimator: Any) -> None:
    try:
        estimator.check_params()
    except ValueError as error:
        raise InvalidData(f"{error}.", hint="Correct it in PARAMS.") from error


def wants(model: str) -> str | None:
    """Return the one kind of task that an algorithm can do: "regression", "classes", or one without a label.

    None where it can do several, or does not say.
    """
    if model == "auto":
        return None
    if model in ALGORITHMS:
        return next(iter(ALGORITHMS[model])) if len(ALGORITHMS[model]) == 1 else None
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    cls = _load(model)
    estimator = _construct(cls, {})
    kinds = {
        _CLASSES: is_classifier(estimator),
        _REGRESSION: is_regressor(estimator),
        "clustering": is_clusterer(estimator) or cls.__module__.startswith("sklearn.mixture."),
        "anomaly": is_outlier_detector(estimator),
        "components": not hasattr(cls, "predict"),
    }
    return next((kind for kind, does in kinds.items() if does), None)


def without_label(model: str) -> Task | None:
    """Return the task of an algorithm that learns without a label, None of any other."""
    kind = wants(model)
    return next((task for task in _UNSUPERVISED if task == kind), None)


def needs(model: str, task: Task) -> Needs:
    """Say what an algorithm asks of its features."""
    cls = _load(class_path("xgboost" if model == "auto" else model, task))
    if cls.__module__.startswith(_NATIVE):
        return "nothing"
    return "scaled" if cls.__module__.startswith(_SCALED) else "complete"


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
    cls = _load(path)
    # Class weights are weights of rows here, for they go by the label's values and not by its codes.
    params = {name: value for name, value in choice.params.items() if name != CLASS_WEIGHT}
    estimator = _construct(
        cls, {**_DEFAULTS.get(path, {}), **_seeded(cls, seed, rows * len(spec.leaves)), **params}
    )
    if task in ("binary", "multiclass") and not hasattr(estimator, "predict_proba"):
        estimator = _calibrated(estimator)
    if learns_unlabelled(estimator):
        _check_torch(choice.name)
        return estimator.set_params(category_sizes=tuple(len(leaf.categories) for leaf in spec.leaves))
    if cls.__module__.startswith(_NATIVE) or path.startswith("xgboost."):
        return estimator
    if prepare == "none":
        _check_unprepared(spec)
        return estimator
    return _pipeline(estimator, spec, scale=not planned and cls.__module__.startswith(_SCALED))


def _calibrated(estimator: Any) -> Any:
    """Give probabilities to an estimator that only decides, by Platt's method."""
    from sklearn.calibration import CalibratedClassifierCV

    if not hasattr(estimator, "decision_function"):
        raise Unsupported(f"{type(estimator).__name__} gives no probabilities.", hint="Choose another.")
    return CalibratedClassifierCV(estimator, ensemble=False)


def canonical(model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Write parameters by the names that XGBoost's estimators have, where its own other ones are used.

    Examples
    --------
    >>> canonical("xgboost", {"eta": 0.1, "max_depth": 3})
    {'learning_rate': 0.1, 'max_depth': 3}
    """
    boosted = model in ("auto", "xgboost") or model.startswith("xgboost.")
    return {_ALIASES.get(name, name) if boosted else name: value for name, value in params.items()}


def class_path(name: str, task: Task) -> str:
    """Return the import path of the class a name means for a task."""
    kind = task if task == "regression" or task in UNSUPERVISED else _CLASSES
    if name not in ALGORITHMS:
        wanted = wants(name)
        if wanted is not None and wanted != kind:
            raise Unsupported(_mismatch(name, task), hint=_other(kind))
        return name
    if kind not in ALGORITHMS[name]:
        raise Unsupported(_mismatch(name, task), hint=_other(kind))
    return ALGORITHMS[name][kind]


def uses_unlabelled(model: str) -> bool:
    """Whether an algorithm learns from rows without a label as well."""
    return any(path.startswith(_DEEP) for path in ALGORITHMS.get(model, {"": model}).values())


def learns_unlabelled(estimator: Any) -> bool:
    """Whether an estimator learns from rows without a label as well."""
    return type(estimator).__module__ == _DEEP


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
    name = type(estimator).__name__
    try:
        if is_boosted(estimator):
            return fit_boosted(estimator, rows, validation=validation, deadline=deadline, advance=advance)
        more = {"unlabelled": rows.unlabelled, "callback": advance} if learns_unlabelled(estimator) else {}
        estimator.fit(_learnable(estimator, rows.matrix), rows.label, **_weighted(estimator, rows), **more)
    except _FAILURES as error:
        raise ModelError(
            f"{name} could not be trained: {error}", hint="Check its PARAMS and the features."
        ) from error
    return 0


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
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if rows.weights is None:
        return {}
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not has_fit_parameter(last, "sample_weight"):
        raise Unsupported(
            f"{type(last).__name__} takes no weights of rows.",
            hint="Leave WEIGHT out, or choose another algorithm.",
        )
    return {"model__sample_weight" if last is not estimator else "sample_weight": rows.weights}


def name_features(estimator: Any, names: Sequence[str]) -> None:
    """Give a fitted estimator the names of its features, so that it checks and explains by name."""
    if is_boosted(estimator):
        estimator.get_booster().feature_names = list(names)


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


def _paths(model: str) -> list[str]:
    """Return the import paths of the classes a name can mean."""
    short = "xgboost" if model == "auto" else model
    if short in ALGORITHMS:
        return list(ALGORITHMS[short].values())
    if "." not in model:
        raise NotFound.named("algorithm", model, ["auto", *ALGORITHMS])
    return [model]


def _load(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise NotFound(
            f"There is no algorithm {path!r}: {error}.",
            hint=f"Install its package, or choose one of {', '.join(ALGORITHMS)}.",
        ) from error
    if found is None:
        raise NotFound.named("class", name, dir(importlib.import_module(module)), within=module)
    answers = any(hasattr(found, each) for each in ("predict", "inverse_transform"))
    if not isinstance(found, type) or not (hasattr(found, "fit") and answers):
        raise Unsupported(
            f"{path} is not an estimator: it has no fit and predict.",
            hint=f"Choose a class of scikit-learn, or one of {', '.join(ALGORITHMS)}.",
        )
    return found


def _parameters(cls: type[Any]) -> set[str]:
    return set(_construct(cls, {}).get_params())


def _settable(cls: type[Any]) -> set[str]:
    """Return the parameters of an estimator, and those that are made of weights for it."""
    own = {CLASS_WEIGHT} if cls.__name__ in _WEIGHTED else set()
    return _parameters(cls) | own


def parameters(model: str) -> dict[str, str]:
    """Name the parameters that a statement can set for an algorithm, with their defaults as text.

    Raises
    ------
    NotFound, Unsupported
        If there is no such algorithm, or it is not an estimator.

    Examples
    --------
    >>> parameters("ridge")["alpha"]
    '1.0'
    """
    found: dict[str, str] = {}
    for path in _paths(model):
        cls = _load(path)
        own = _construct(cls, _DEFAULTS.get(path, {})).get_params(deep=False)
        found |= {
            name: repr(own.get(name)) for name in sorted(_settable(cls) - _OURS.keys()) if "__" not in name
        }
    return found


def _construct(cls: type[Any], params: Mapping[str, Any]) -> Any:
    try:
        # Some parameters belong to an inner estimator, which only set_params reaches.
        nested = {name: value for name, value in params.items() if "__" in name}
        made = cls(**{name: value for name, value in params.items() if name not in nested})
        return made.set_params(**nested) if nested else made
    except (TypeError, ValueError) as error:
        raise Unsupported(f"{cls.__name__} cannot be made: {error}") from error


def _seeded(cls: type[Any], seed: int, cells: int) -> dict[str, object]:
    known = _parameters(cls)
    ours: dict[str, object] = {"random_state": seed, "n_jobs": _cores() if cells > _FEW_CELLS else 1}
    if cls.__module__.startswith("sklearn.linear_model."):
        del ours["n_jobs"]  # scikit-learn 1.8 has deprecated it there
    return {name: value for name, value in ours.items() if name in known}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_unprepared(spec: FeatureSpec) -> None:
    texts = [leaf.name for leaf in spec.leaves if leaf.kind == "category"]
    if texts:
        raise Unsupported(
            f"PREPARE none takes numbers only; this is text: {', '.join(texts)}.",
            hint="Say PREPARE auto, convert the text in the query, or leave it out with EXCEPT.",
        )


def _pipeline(estimator: Any, spec: FeatureSpec, *, scale: bool) -> Any:
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


def _mismatch(name: str, task: str) -> str:
    return f"{name} does not do a {task} task."


def _other(kind: str) -> str:
    fit_for = [name for name, classes in ALGORITHMS.items() if kind in classes]
    return f"Choose one of {', '.join(fit_for)}."
