"""Fit XGBoost tree by tree: with progress, until a deadline, or until more trees stop to help."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, NotFound
from workbench.interrupts import held_back
from workbench.progress import step
from workbench.train import memory
from workbench.train.spool import Numbers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.encoding import Matrix

EARLY_STOPPING = "early_stopping_rounds"

# XGBoost keeps a byte for each number of a row twice, by rows and by columns, and for each row its
# gradients, its score, its label and the leaf it is in.
_BYTES_PER_NUMBER = 2
_BYTES_PER_ROW = 48


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows to learn from: their numbers (n × features), the label as numbers (n), and weights (n) or None.

    The numbers are in memory or in a file. `unlabelled` (any number of rows × features) has rows
    without a label for those who want them.
    """

    numbers: Matrix | Numbers
    label: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None = None
    unlabelled: Matrix | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def matrix(self) -> Matrix:
        """The numbers in memory; those in a file are read each time."""
        return self.numbers.matrix() if isinstance(self.numbers, Numbers) else self.numbers

    def take(self, rows: npt.NDArray[Any]) -> Examples:
        """Return some of the rows, by a mask or in memory by their places, and all without a label."""
        weights = None if self.weights is None else self.weights[rows]
        numbers = self.numbers.take(rows) if isinstance(self.numbers, Numbers) else self.numbers[rows]
        return Examples(numbers, self.label[rows], weights, self.unlabelled)


def is_boosted(estimator: Any) -> bool:
    """Tell whether an estimator is XGBoost's."""
    return type(estimator).__module__.startswith("xgboost.")


def fit_boosted(
    estimator: Any,
    rows: Examples,
    *,
    validation: Examples | None = None,
    deadline: float | None = None,
    advance: Callable[[int], None] = lambda trees: None,
) -> int:
    """Fit an XGBoost estimator in place.

    Parameters
    ----------
    rows : Examples
        To learn from.
    validation : Examples or None
        With these, and `early_stopping_rounds` among the estimator's parameters, trees that do not
        help on them are cut off.
    deadline : float or None
        In seconds of `time.perf_counter`; no tree is begun later, but one is always grown.
    advance : callable
        Is told of every tree.

    Returns
    -------
    int
        How many trees were grown; fewer may be kept.
    """
    import xgboost
    from xgboost.callback import EarlyStopping, TrainingCallback

    grown = 0

    class Watch(TrainingCallback):  # type: ignore[misc]  # mypy does not follow xgboost
        def after_iteration(self, *_: object) -> bool:
            nonlocal grown
            grown += 1
            check()
            advance(1)
            return deadline is not None and time.perf_counter() > deadline

    patience = estimator.get_params().get(EARLY_STOPPING)
    callbacks: list[Any] = []
    seen = []
    with held_back() as check:  # between trees, and between batches of rows, it is asked
        learned = _data(estimator, rows, check)
        if patience and validation is not None:
            callbacks.append(EarlyStopping(rounds=patience, save_best=True))
            seen.append((_data(estimator, validation, check, learned), "validation"))
        # Last, for XGBoost asks no other once one says stop, and the last tree may be the best.
        callbacks.append(Watch())
        trees = estimator.get_num_boosting_rounds()
        params = _parameters(estimator, rows)
        booster = xgboost.train(params, learned, trees, evals=seen, callbacks=callbacks, verbose_eval=False)
        booster.feature_types = None
        estimator.load_model(booster.save_raw("ubj"))
        del booster, learned, seen  # an interrupt while they are freed would be swallowed
    return grown


def by_place(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Write constraints that name features by their places, for the matrix of the training has no names.

    Raises
    ------
    NotFound
        If there is no such feature.

    Examples
    --------
    >>> by_place({"monotone_constraints": {"price": -1}}, ["size", "price"])
    {'monotone_constraints': (0, -1)}
    >>> by_place({"interaction_constraints": [["size", "price"]]}, ["size", "price"])
    {'interaction_constraints': '[[0, 1]]'}
    """
    places = {name.lower(): place for place, name in enumerate(names)}

    def place(name: str) -> int:
        if name.lower() not in places:
            raise NotFound.named("feature", name, names)
        return places[name.lower()]

    found = dict(params)
    if isinstance(named := params.get("monotone_constraints"), Mapping):
        signs = {place(name): sign for name, sign in named.items()}
        found["monotone_constraints"] = tuple(signs.get(each, 0) for each in range(len(names)))
    groups = params.get("interaction_constraints")
    if isinstance(groups, list | tuple) and all(isinstance(name, str) for group in groups for name in group):
        found["interaction_constraints"] = str([[place(name) for name in group] for group in groups])
    return found


def _parameters(estimator: Any, rows: Examples) -> dict[str, Any]:
    """Return the parameters of an estimator as the library itself takes them."""
    from sklearn.base import is_classifier

    params: dict[str, Any] = estimator.get_xgb_params()
    if is_classifier(estimator) and (classes := int(rows.label.max()) + 1) > 2:
        objective = params.get("objective")
        params["objective"] = objective if objective == "multi:softmax" else "multi:softprob"
        params["num_class"] = classes
    return params


def _data(estimator: Any, rows: Examples, check: Callable[[], None], reference: Any = None) -> Any:
    """Give rows to XGBoost, sorted into bins where its algorithm takes them so.

    Rows in a file are never in memory at once, but for their bins; and where these do not fit
    either, they are kept in a file, too. `reference` has the bins to use.
    """
    import xgboost

    threads = {"nthread": estimator.n_jobs}
    if estimator.booster == "gblinear" or estimator.tree_method not in ("hist", "auto", None):
        return xgboost.DMatrix(rows.matrix, rows.label, weight=rows.weights, **threads)
    bins = {"ref": reference, "max_bin": estimator.max_bin, **threads}
    if not isinstance(rows.numbers, Numbers):
        return xgboost.QuantileDMatrix(rows.numbers, rows.label, weight=rows.weights, **bins)
    count, numbers = rows.numbers.shape
    fits = count * (_BYTES_PER_NUMBER * numbers + _BYTES_PER_ROW) < memory.available()
    made = xgboost.QuantileDMatrix if fits else xgboost.ExtMemQuantileDMatrix
    cache = None if fits else str(rows.numbers.folder / "bins")
    with step("Sorting the values into bins"):
        try:
            return made(_batches(rows.numbers, rows.label, rows.weights, cache, check), **bins)
        except InterruptedError:
            check()
            raise


def _batches(
    numbers: Numbers,
    label: npt.NDArray[Any],
    weights: npt.NDArray[np.float64] | None,
    cache: str | None,
    check: Callable[[], None],
) -> Any:
    """Give rows in a file to XGBoost, which reads them several times."""
    from xgboost import DataIter

    class Batches(DataIter):  # type: ignore[misc]  # mypy does not follow xgboost
        def reset(self) -> None:
            self.start = 0
            self.tables = numbers.batches()

        def next(self, give: Callable[..., None]) -> bool:
            try:
                check()
            except KeyboardInterrupt as interrupt:
                # XGBoost raises again what it is told so, but only what is an Exception.
                raise InterruptedError from interrupt
            table = next(self.tables, None)
            if table is None:
                return False
            part = slice(self.start, self.start + table.num_rows)
            self.start = part.stop
            more = {} if weights is None else {"weight": weights[part]}
            give(data=table, label=label[part], **more)
            return True

    batches = Batches(cache_prefix=cache)
    batches.reset()
    return batches


def validation_rows(
    folds: npt.NDArray[Any], numbers: npt.NDArray[Any], classes: int, *, last: bool = False
) -> npt.NDArray[np.bool_]:
    """Choose the rows by which early stopping decides: a tenth, such that the others have all classes.

    Parameters
    ----------
    folds : ndarray (n)
        The place of each row in thousandths; rows that belong together have the same.
    numbers : ndarray (n)
        The label.
    classes : int
        0 for a regression.
    last : bool
        Whether only the last tenth will do, as it must by time.

    Raises
    ------
    InvalidData
        If there is no such tenth.
    """
    import numpy as np

    parts = folds * 10 // 1000
    for part in [9] if last else range(9, -1, -1):
        chosen: npt.NDArray[np.bool_] = parts == part
        rest = numbers[~chosen]
        if chosen.any() and len(rest) and (not classes or len(np.unique(rest)) == classes):
            return chosen
    raise InvalidData(
        "The training rows cannot be divided for early stopping so that each class is learned.",
        hint=f"Leave {EARLY_STOPPING} out, or leave rare classes out in the query.",
    )
