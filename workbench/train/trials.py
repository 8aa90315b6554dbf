"""The noun Trial: one setting that a search tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.names import literal

Status = Literal["ok", "cut short", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and how good it was on training rows that it had not learned from.

    Attributes
    ----------
    trial : int
        Its number, from 1.
    algorithm, params : str, dict
        The setting, as `MODEL` and `PARAMS` take it.
    metric, value, spread : str, float or None, float or None
        The mean over the folds and its standard deviation; None where it failed.
    folds, rows : int
        On how many folds it was tried, and on how many rows in all.
    seconds : float
    status : {"ok", "cut short", "failed"}
        Cut short is what was clearly worse than the best after some of the folds.
    error : str
    """

    trial: int
    algorithm: str
    params: Mapping[str, Any]
    metric: str
    value: float | None
    spread: float | None
    folds: int
    rows: int
    seconds: float
    status: Status = "ok"
    error: str = ""

    @property
    def clauses(self) -> str:
        """The clauses that make a training of this setting.

        Examples
        --------
        >>> Trial(1, "knn", {"p": 2, "weights": "distance"}, "auc", 0.8, 0.1, 5, 100, 0.2).clauses
        "MODEL knn PARAMS {p: 2, weights: 'distance'}"
        """
        params = ", ".join(f"{name}: {_written(value)}" for name, value in self.params.items())
        model = self.algorithm if self.algorithm.isidentifier() else f"'{self.algorithm}'"
        return f"MODEL {model} PARAMS {{{params}}}" if params else f"MODEL {model}"

    def to_record(self) -> dict[str, Any]:
        """Return it as a row of `mlstore.trials`, without the model."""
        return {**asdict(self), "clauses": self.clauses}

    @classmethod
    def from_record(cls, row: Mapping[str, Any]) -> Trial:
        """Read a row of `mlstore.trials`."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


def _written(value: Any) -> str:
    """Write a value as PARAMS takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(each) for each in value)}]"
    return literal(value) if isinstance(value, str) else repr(value)


def ranked(trials: Sequence[Trial], *, more_is_better: bool) -> list[Trial]:
    """Return the trials that were completed, the best first; of equal ones the first tried."""
    done = [trial for trial in trials if trial.status == "ok" and trial.value is not None]
    sign = -1 if more_is_better else 1
    return sorted(done, key=lambda trial: sign * (trial.value or 0.0))
