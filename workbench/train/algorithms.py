"""The algorithms: which class a name means for a task, what it asks of its features, and its parameters.

Gradient boosting (XGBoost, scikit-learn's histogram version) takes the matrix as it is; see
`estimators` for what is put before the others.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, NotFound, Unsupported, said
from workbench.interrupts import held_back
from workbench.ranges import Range
from workbench.train.label import UNSUPERVISED
from workbench.train.parameters import check_range, check_values
from workbench.train.weights import CLASS_WEIGHT

if TYPE_CHECKING:
    from workbench.train.label import Task
    from workbench.train.plan import Needs

_REGRESSION = "regression"
_CLASSES = "classes"
_DEEP = "workbench.train.tab_transformer"
_WAITING = "OMP_WAIT_POLICY"

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

DEFAULTS: dict[str, dict[str, object]] = {
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
"""Parameters by the path of a class, where they differ from those of its library."""

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


@dataclass(frozen=True, slots=True)
class Choice:
    """An algorithm with its parameters, as the user chose it or as `auto` did."""

    name: str
    params: Mapping[str, Any]
    reason: str = ""


def short_name(model: str) -> str:
    """Return a short name as it is spelt here, whatever the case of its letters; import paths stay.

    Examples
    --------
    >>> short_name("XGBoost"), short_name("sklearn.svm.NuSVC")
    ('xgboost', 'sklearn.svm.NuSVC')
    """
    lowered = model.lower()
    return lowered if lowered == "auto" or lowered in ALGORITHMS else model


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
        require_torch(model)
    for name, value in params.items():
        if name in _OURS:
            raise InvalidData(f"PARAMS cannot set {name!r}.", hint=_OURS[name])
        if isinstance(value, Range):
            check_range(name, value)
    classes = [load_class(path) for path in _paths(model)]
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
                _check_deep(construct(cls, {name: values[name] for name in values.keys() - {CLASS_WEIGHT}}))


def require_torch(model: str) -> None:
    """Refuse an algorithm that is a network where PyTorch is not installed.

    Raises
    ------
    Unsupported
    """
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

    cls = load_class(model)
    estimator = construct(cls, {})
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
    cls = load_class(class_path("xgboost" if model == "auto" else model, task))
    if cls.__module__.startswith(_NATIVE):
        return "nothing"
    return "scaled" if cls.__module__.startswith(_SCALED) else "complete"


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


def _paths(model: str) -> list[str]:
    """Return the import paths of the classes a name can mean."""
    short = "xgboost" if model == "auto" else model
    if short in ALGORITHMS:
        return list(ALGORITHMS[short].values())
    if "." not in model:
        raise NotFound.named("algorithm", model, ["auto", *ALGORITHMS])
    return [model]


def _settable(cls: type[Any]) -> set[str]:
    """Return the parameters of an estimator, and those that are made of weights for it."""
    own = {CLASS_WEIGHT} if cls.__name__ in _WEIGHTED else set()
    return parameter_names(cls) | own


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
        cls = load_class(path)
        own = construct(cls, DEFAULTS.get(path, {})).get_params(deep=False)
        found |= {
            name: repr(own.get(name)) for name in sorted(_settable(cls) - _OURS.keys()) if "__" not in name
        }
    return found


def load_class(path: str) -> type[Any]:
    """Return the class of an estimator by its import path.

    Raises
    ------
    NotFound
        If there is no such module or class.
    Unsupported
        If it is not an estimator.
    """
    module, _, name = path.rpartition(".")
    try:
        with held_back(), _sleeping_threads():
            found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise NotFound(
            f"There is no algorithm {path!r}: {error}.",
            hint=f"Install its package, or choose one of {', '.join(ALGORITHMS)}.",
        ) from error
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise Unsupported(f"{module} cannot be imported: {said(error)}") from error
    if found is None:
        raise NotFound.named("class", name, dir(importlib.import_module(module)), within=module)
    answers = any(hasattr(found, each) for each in ("predict", "inverse_transform"))
    if not isinstance(found, type) or not (
        answers and hasattr(found, "fit") and hasattr(found, "get_params")
    ):
        raise Unsupported(
            f"{path} is not an estimator as scikit-learn has them: with fit, predict and get_params.",
            hint=f"Choose a class of scikit-learn, or one of {', '.join(ALGORITHMS)}.",
        )
    return found


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Let the threads of a library that is loaded sleep while they wait for each other, unless the user says.

    They would spin, and where another process is busy that takes most of the processor from both. OpenMP
    reads the variable once; what is loaded later by others is left alone.
    """
    said = _WAITING in os.environ
    os.environ.setdefault(_WAITING, "passive")
    try:
        yield
    finally:
        if not said:
            os.environ.pop(_WAITING, None)


def parameter_names(cls: type[Any]) -> set[str]:
    """Name the parameters of a class of estimators."""
    return set(construct(cls, {}).get_params())


def construct(cls: type[Any], params: Mapping[str, Any]) -> Any:
    """Make an estimator of a class with these parameters.

    Raises
    ------
    Unsupported
        If the class refuses them.
    """
    try:
        # Some parameters belong to an inner estimator, which only set_params reaches.
        nested = {name: value for name, value in params.items() if "__" in name}
        made = cls(**{name: value for name, value in params.items() if name not in nested})
        return made.set_params(**nested) if nested else made
    except (TypeError, ValueError) as error:
        raise Unsupported(f"{cls.__name__} cannot be made: {error}") from error


def _mismatch(name: str, task: str) -> str:
    return f"{name} does not do a {task} task."


def _other(kind: str) -> str:
    fit_for = [name for name, classes in ALGORITHMS.items() if kind in classes]
    return f"Choose one of {', '.join(fit_for)}."
