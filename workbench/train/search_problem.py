"""What a search is to solve: the training rows and how they are judged; and how long it may take.

Few rows are judged by five folds, many by one part of a sample.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.train.boosting import Examples
from workbench.train.evaluate import MEASURES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.dataset import FeatureSpec
    from workbench.train.label import Label

FEW_ROWS = 20_000
"""Up to so many training rows are judged by folds; of more, a sample is judged by one part of it."""

TRIALS = 50
"""How many settings are tried where neither TUNE nor BUDGET says."""

_FOLDS = 5
_LEAST_SAMPLE = 5_000
_CELLS_PER_SECOND = 10_000  # of a budget; so a trial takes about a thirtieth of the half it gets
_SAMPLE = 50_000
_RESERVE = (2.0, 5.0)  # seconds for evaluating, logging and committing, of a short and a long budget
_RESERVED = 0.05  # of a budget between


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to search: so many trials, and until when, in seconds of `time.perf_counter`."""

    trials: int | None
    budget: float | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def last_tree(self) -> float | None:
        """Until when the model itself may grow, so that there is time to evaluate and log it."""
        if self.budget is None:
            return None
        least, most = _RESERVE
        return self.started + self.budget - min(max(least, _RESERVED * self.budget), most)

    @property
    def most(self) -> float:
        """How many trials at most."""
        if self.trials is not None:
            return self.trials
        return TRIALS if self.budget is None else math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is to be learned: the training rows, how their label is read, and the metric that decides.

    `folds` (n) assigns each row a number from 0 to 999; rows that belong together have the same, and
    `by_time` later ones have more.
    """

    name: str
    spec: FeatureSpec
    label: Label
    rows: Examples
    folds: npt.NDArray[Any]
    metric: str
    prepare: str
    seed: int
    by_time: bool = False

    @property
    def more_is_better(self) -> bool:
        """Whether more of the metric is better."""
        return MEASURES[self.metric].more_is_better


def sample_size(rows: int, columns: int, budget: float | None) -> int:
    """Return how many training rows a search looks at.

    Examples
    --------
    >>> sample_size(15_000, 10, 60), sample_size(1_000_000, 15, 60), sample_size(1_000_000, 15, None)
    (15000, 40000, 50000)
    """
    if rows <= FEW_ROWS:
        return rows
    wanted = _SAMPLE if budget is None else round(budget * _CELLS_PER_SECOND / max(columns, 1))
    return min(rows, max(wanted, _LEAST_SAMPLE))


def parts(problem: Problem, *, single: bool) -> Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Divide the rows into (rest, part), as often as can be with all classes in each rest."""
    import numpy as np

    places = problem.folds * _FOLDS // 1000
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for fold in [_FOLDS - 1] if problem.by_time else range(_FOLDS - 1, -1, -1):
        if single and found:
            break
        part, rest = np.flatnonzero(places == fold), np.flatnonzero(places != fold)
        classes = len(problem.label.classes)
        whole = not classes or len(np.unique(problem.rows.label[rest])) == classes
        if len(part) and len(rest) and whole:
            found.append((rest, part))
    return found
