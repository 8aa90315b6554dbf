"""Fit XGBoost tree by tree: with progress, until a deadline, or until more trees stop to help."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.encoding import Matrix

EARLY_STOPPING = "early_stopping_rounds"


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows to learn from: the matrix (n × features), the label as numbers (n), and weights (n) or None.

    `unlabelled` (any number of rows × features) has rows without a label for those who want them.
    """

    matrix: Matrix
    label: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None = None
    unlabelled: Matrix | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[Any] | slice) -> Examples:
        """Return some of the rows, and all without a label."""
        weights = None if self.weights is None else self.weights[rows]
        return Examples(self.matrix[rows], self.label[rows], weights, self.unlabelled)


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
    given: dict[str, Any] = {}
    if patience and validation is not None:
        callbacks.append(EarlyStopping(rounds=patience, save_best=True))
        given["eval_set"] = [(validation.matrix, validation.label)]
        if validation.weights is not None:
            given["sample_weight_eval_set"] = [validation.weights]
    # Last, for XGBoost asks no other once one says stop, and the last tree may be the best.
    callbacks.append(Watch())
    estimator.set_params(callbacks=callbacks, **{EARLY_STOPPING: None})
    try:
        with _interrupts_between_trees() as check:
            estimator.fit(rows.matrix, rows.label, sample_weight=rows.weights, verbose=False, **given)
    finally:
        estimator.set_params(callbacks=None, **{EARLY_STOPPING: patience})
    return grown


@contextmanager
def _interrupts_between_trees() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function given is called, or to the end.

    XGBoost reads its rows by calling Python from C; raised there, the interrupt would be swallowed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
    check()


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
