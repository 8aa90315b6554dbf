"""What XGBoost reaches on the same rows, said beside an algorithm that should beat it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.progress import step
from workbench.train import algorithms, estimators
from workbench.train.boosting import Examples
from workbench.train.evaluate import Answers, measures
from workbench.train.paired import advantage
from workbench.train.scoring import Fitted

if TYPE_CHECKING:
    from workbench.train.evaluate import Score
    from workbench.train.label import Task
    from workbench.train.spool import Spool


@dataclass(frozen=True, slots=True)
class Contender:
    """An algorithm that was trained: its name, its answers on the held-out rows, and its time.

    `metric` and `score` are the metric that decides, and what was reached.
    """

    name: str
    answers: Answers
    metric: str
    score: Score
    seconds: float


def against_xgboost(
    contender: Contender,
    fitted: Fitted,
    examples: Examples,
    tested: Spool,
    *,
    seed: int,
) -> str:
    """Train XGBoost with its defaults on the same rows, and say which is better, and by how much.

    Parameters
    ----------
    contender : Contender
    fitted : Fitted
        The contender as a model, for its task, features and classes.
    examples : Examples
        The training rows, as the contender had them.
    tested : Spool
        The held-out rows, in the order of the contender's answers.

    Returns
    -------
    str
        A sentence, as in "tab_transformer reached auc 0.81 (0.79–0.83) in 45 s; XGBoost with its
        defaults 0.84 in 1.2 s: XGBoost is better by 0.03 (0.01–0.05)". The interval of the
        difference is a paired bootstrap of the held-out rows, at 95 %.
    """
    task, clock = fitted.task, time.perf_counter()
    rival = estimators.build(
        algorithms.Choice("xgboost", {}),
        task,
        fitted.features,
        prepare="auto",
        seed=seed,
        rows=len(examples),
    )
    try:
        with step("Comparing with XGBoost", estimators.rounds(rival)) as advance:
            estimators.fit(rival, examples, advance=advance)
            seconds = time.perf_counter() - clock
            model = Fitted("xgboost", task, fitted.features, fitted.classes, rival)
            answers = model.answers_of(tested.batches(), contender.answers.truth)
    except WorkbenchError as error:
        return f"XGBoost could not be compared: {error.message}"
    return _sentence(contender, answers, seconds, task, seed)


def _sentence(contender: Contender, answers: Answers, seconds: float, task: Task, seed: int) -> str:
    import numpy as np

    metric, score = contender.metric, contender.score
    value = float(measures(task)[metric].compute(answers, np.ones((1, len(answers.truth))))[0])
    better_by = advantage(contender.answers, answers, metric, seed=seed)
    by, low, high = better_by.value, better_by.low, better_by.high
    interval = (
        "" if score["low"] is None or score["high"] is None else f" ({score['low']:.3g}–{score['high']:.3g})"
    )
    own = "no value" if score["value"] is None else f"{score['value']:.3g}"
    sentence = (
        f"{contender.name} reached {metric} {own}{interval} in {_time(contender.seconds)}; "
        f"XGBoost with its defaults {value:.3g} in {_time(seconds)}"
    )
    if not np.isfinite([by, low, high]).all():
        return sentence
    if low <= 0 <= high:
        return f"{sentence}: the difference may be chance ({low:+.2g} to {high:+.2g})"
    better = contender.name if by > 0 else "XGBoost"
    low, high = (low, high) if by > 0 else (-high, -low)
    return f"{sentence}: {better} is better by {abs(by):.2g} ({low:.2g}–{high:.2g})"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
