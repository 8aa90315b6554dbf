"""What is to be logged of one trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.train.evaluate import Score
    from workbench.train.label import Task
    from workbench.train.trials import Trial


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be logged of one trained model.

    `inputs` are the raw columns; `about` goes into the model's metadata, so that whoever loads it
    elsewhere knows how they become the matrix of the estimator, and `sql` does it.
    """

    name: str
    estimator: Any
    task: Task
    inputs: Sequence[str]
    whole: list[str]
    sql: str
    about: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, Score]
    query: str
    snapshot: int
    digest: str
    rows: int
    environment: Mapping[str, str]
    trials: Sequence[Trial] = ()
