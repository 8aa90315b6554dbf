"""Where a search looks: the families of algorithms, their parameters, and the ranges of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, Unsupported
from workbench.ranges import Range
from workbench.train.boosting import EARLY_STOPPING

if TYPE_CHECKING:
    from workbench.train.label import Task

Dimension = Range | tuple[Any, ...]
"""A range, or the values to choose from."""

_TREES: dict[str, Dimension] = {"max_features": Range(0.1, 1.0), "min_samples_leaf": Range(1, 20, log=True)}

SPACES: dict[str, dict[str, Dimension]] = {
    "xgboost": {
        "n_estimators": Range(20, 500, log=True),
        "learning_rate": Range(0.01, 0.3, log=True),
        "max_depth": Range(2, 10),
        "min_child_weight": Range(0.5, 30.0, log=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bytree": Range(0.3, 1.0),
        "reg_lambda": Range(0.01, 30.0, log=True),
    },
    "hist_gradient_boosting": {
        "max_iter": Range(20, 500, log=True),
        "learning_rate": Range(0.01, 0.3, log=True),
        "max_leaf_nodes": Range(4, 128, log=True),
        "min_samples_leaf": Range(2, 100, log=True),
        "l2_regularization": Range(0.001, 30.0, log=True),
    },
    "random_forest": _TREES,
    "extra_trees": _TREES,
    "knn": {"n_neighbors": Range(1, 50, log=True), "weights": ("uniform", "distance"), "p": (1, 2)},
    "ridge": {"alpha": Range(0.001, 10_000.0, log=True)},
    "lasso": {"alpha": Range(0.0001, 10.0, log=True)},
    "logistic": {"C": Range(0.0001, 1000.0, log=True)},
    "svm_linear": {"C": Range(0.001, 100.0, log=True)},
    "sgd": {"alpha": Range(1e-6, 0.1, log=True), "penalty": ("l2", "l1", "elasticnet")},
    "tab_transformer": {
        "learning_rate": Range(0.0003, 0.005, log=True),
        "dropout": Range(0.0, 0.4),
        "layers": Range(1, 4),
        "width": (16, 32, 64),
    },
}
"""What is searched where a statement names no ranges."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "regression": ("xgboost", "ridge", "lasso", "extra_trees", "knn"),
    "classes": ("xgboost", "logistic", "extra_trees", "knn"),
}
"""What `MODEL auto` chooses from, when it is to search."""

_DEFAULTS: dict[str, list[dict[str, Any]]] = {
    "xgboost": [
        {"n_estimators": 100, "learning_rate": 0.3, "max_depth": 6, "min_child_weight": 1.0,
         "subsample": 1.0, "colsample_bytree": 1.0, "reg_lambda": 1.0},
        {"n_estimators": 200, "learning_rate": 0.05, "max_depth": 4, "min_child_weight": 1.0,
         "subsample": 0.8, "colsample_bytree": 0.8, "reg_lambda": 1.0},
        {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 12, "min_child_weight": 5.0,
         "subsample": 0.9, "colsample_bytree": 0.9, "reg_lambda": 1.0},
    ],
    "hist_gradient_boosting": [
        {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20,
         "l2_regularization": 0.001},
    ],
    "random_forest": [{"max_features": 0.5, "min_samples_leaf": 1}],
    "extra_trees": [{"max_features": 0.5, "min_samples_leaf": 1}],
    "knn": [{"n_neighbors": 5, "weights": "uniform", "p": 2}],
    "ridge": [{"alpha": 1.0}],
    "lasso": [{"alpha": 0.1}],
    "logistic": [{"C": 1.0}],
    "svm_linear": [{"C": 1.0}],
    "sgd": [{"alpha": 0.0001, "penalty": "l2"}],
    "tab_transformer": [{"learning_rate": 0.001, "dropout": 0.1, "layers": 3, "width": 32}],
}  # fmt: skip
"""The settings tried first: those of the libraries, and others that often do well."""

_FIXED: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 200},
    "extra_trees": {"n_estimators": 200},
}

_MANY: dict[str, Dimension] = {"max_depth": Range(2, 14), "learning_rate": Range(0.03, 0.3, log=True)}
"""Other ranges where there are many rows: they bear deeper trees, and slow ones cost too many settings."""

STOPPED: dict[str, Any] = {"n_estimators": 2000, EARLY_STOPPING: 30}
"""Instead of a number of trees, where there are rows enough to see when more do not help."""


@dataclass(frozen=True, slots=True)
class Space:
    """The settings among which a search chooses.

    Attributes
    ----------
    dimensions : dict of str to dict
        For each algorithm the parameters that are searched.
    fixed : dict of str to dict
        For each algorithm the parameters that are the same in all settings.
    """

    dimensions: Mapping[str, Mapping[str, Dimension]]
    fixed: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, model: str, params: Mapping[str, Any], task: Task, *, stops: bool) -> Space:
        """Make the space of a training; `stops` says that trees are grown until they do not help.

        Raises
        ------
        InvalidData
            If `MODEL auto` is given parameters, or nothing is to be searched.
        Unsupported
            If an algorithm has no ranges of its own and none are given.
        """
        if model == "auto":
            if params:
                raise InvalidData(
                    f"PARAMS {', '.join(params)} cannot go with a search of MODEL auto.",
                    hint="Name the algorithm they belong to: MODEL xgboost.",
                )
            families = FAMILIES["regression" if task == "regression" else "classes"]
            parts = {name: _usual(name, {}, stops=stops) for name in families}
        else:
            parts = {model: _usual(model, params, stops=stops)}
        return cls({k: v[0] for k, v in parts.items()}, {k: v[1] for k, v in parts.items()})

    @property
    def stoppable(self) -> str | None:
        """An algorithm that can end at any time, if there is one."""
        return next((model for model in self.models if EARLY_STOPPING in self.fixed[model]), None)

    @property
    def models(self) -> tuple[str, ...]:
        """The algorithms."""
        return tuple(self.dimensions)

    def first(self) -> Iterator[dict[str, Any]]:
        """Yield the settings to try first, by the names of `suggest`: for each algorithm its usual ones."""
        rounds = max(len(_DEFAULTS.get(model, ())) for model in self.models)
        for place in range(rounds):
            for model in self.models:
                usual = _DEFAULTS.get(model, [])
                known = self.dimensions[model]
                if place < len(usual) and all(_holds(known[name], usual[place].get(name)) for name in known):
                    yield {"model": model, **{f"{model}.{name}": usual[place][name] for name in known}}

    def suggest(self, trial: Any) -> tuple[str, dict[str, Any]]:
        """Ask an Optuna trial for an algorithm and its parameters."""
        model = trial.suggest_categorical("model", self.models)
        asked = {
            name: _ask(trial, f"{model}.{name}", dimension)
            for name, dimension in self.dimensions[model].items()
        }
        return model, {**self.fixed[model], **asked}


def has_ranges(params: Mapping[str, Any]) -> bool:
    """Tell whether parameters are to be searched."""
    return any(isinstance(value, Range) for value in params.values())


def _usual(
    model: str, params: Mapping[str, Any], *, stops: bool
) -> tuple[Mapping[str, Dimension], Mapping[str, Any]]:
    """Return what of an algorithm is searched, and what is fixed."""
    fixed = {**_FIXED.get(model, {}), **{k: v for k, v in params.items() if not isinstance(v, Range)}}
    if has_ranges(params):
        return {name: value for name, value in params.items() if isinstance(value, Range)}, fixed
    if model not in SPACES:
        raise Unsupported(
            f"{model} has no ranges of its own to search.", hint="Give some: PARAMS {alpha: 0.01..10 log}."
        )
    searched = {name: value for name, value in SPACES[model].items() if name not in params}
    if stops and model == "xgboost" and not STOPPED.keys() & params.keys():
        del searched["n_estimators"]
        searched |= {name: value for name, value in _MANY.items() if name in searched}
        fixed |= STOPPED
    if not searched:
        raise InvalidData(
            f"PARAMS fixes all that would be searched of {model}.", hint="Leave TUNE and BUDGET out."
        )
    return searched, fixed


def _holds(dimension: Dimension, value: Any) -> bool:
    if value is None:
        return False
    return dimension.low <= value <= dimension.high if isinstance(dimension, Range) else value in dimension


def _ask(trial: Any, name: str, dimension: Dimension) -> Any:
    if not isinstance(dimension, Range):
        return trial.suggest_categorical(name, dimension)
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return trial.suggest_int(name, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
