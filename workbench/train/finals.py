"""The last round of a search within a budget: its best settings are fitted on all rows while time is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.progress import stopping
from workbench.train.evaluate import MEASURES, value_of

if TYPE_CHECKING:
    from workbench.train.algorithms import Choice
    from workbench.train.boosting import Examples
    from workbench.train.scoring import Fitted

_JUDGES = 100_000
"""The most rows by which the models are compared."""


def best_of(
    choices: Sequence[Choice],
    learn: Callable[[Choice], tuple[Fitted, Choice]],
    validation: Examples,
    metric: str,
    deadline: float,
) -> tuple[Fitted, Choice]:
    """Fit the first setting, and others as long as each surely ends in time; return the best of them.

    Parameters
    ----------
    choices : sequence of Choice
        The most promising first; one is enough.
    learn : callable
        Fits a setting on all rows but those of `validation`, and ends at the deadline.
    validation : Examples
        Rows that no model learns from. They also stop each of them early, which favours none.
    metric : str
    deadline : float
        In seconds of `time.perf_counter`.
    """
    started = time.perf_counter()
    best = learn(choices[0])
    longest, fitted = time.perf_counter() - started, 1
    if len(choices) == 1 or time.perf_counter() + longest > deadline:
        return best
    judges = _judges(validation)
    sign = 1 if MEASURES[metric].more_is_better else -1
    most = sign * _value(best[0], judges, metric)
    for choice in choices[1:]:
        began = time.perf_counter()
        if stopping() or began + longest > deadline:
            break
        found = learn(choice)
        value = sign * _value(found[0], judges, metric)
        best, most = (found, value) if value > most else (best, most)
        longest, fitted = max(longest, time.perf_counter() - began), fitted + 1
    if fitted == 1:
        return best
    said = f"of {fitted} settings fitted on all rows it was the best: {metric} {sign * most:.4g}"
    return best[0], replace(best[1], reason=f"{best[1].reason}; {said}")


def _judges(rows: Examples) -> Examples:
    """Return some of the rows, in memory, spread over all of them."""
    import numpy as np

    count = min(len(rows), _JUDGES)
    return rows.take(np.arange(count) * len(rows) // count)


def _value(fitted: Fitted, rows: Examples, metric: str) -> float:
    return value_of(metric, fitted.answers(rows.matrix, rows.label))
