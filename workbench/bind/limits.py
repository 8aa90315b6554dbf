"""How much a run may do: LIMIT, BUDGET, and only the rows that failed."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic as now

from workbench.errors import InvalidData
from workbench.intervals import parse_interval


@dataclass(slots=True)
class Limits:
    """What is left of a run's limits; the bindings refreshed in one run share them.

    Attributes
    ----------
    rows : int or None
        How many rows may still be predicted.
    deadline : float or None
        When to stop, by `now`.
    errors : bool
        Whether only rows whose prediction failed are done again.
    """

    rows: int | None = None
    deadline: float | None = None
    errors: bool = False

    @classmethod
    def of(cls, limit: int | None, budget: str | None, *, errors: bool = False) -> Limits:
        """Read the clauses of a refresh.

        Raises
        ------
        InvalidData
            If LIMIT is not a positive number.
        StatementError
            If BUDGET is no length of time.
        """
        if limit is not None and limit < 1:
            raise InvalidData(f"LIMIT {limit} would refresh nothing.", hint="Give a number of rows.")
        seconds = None if budget is None else parse_interval(budget).total_seconds()
        return cls(limit, None if seconds is None else now() + seconds, errors)

    @property
    def bounded(self) -> bool:
        """Whether a run may have to stop before all is done."""
        return self.rows is not None or self.deadline is not None

    @property
    def over(self) -> bool:
        """Whether nothing more may be done."""
        return self.rows == 0 or (self.deadline is not None and now() >= self.deadline)

    def take(self, rows: int) -> None:
        """Count rows as done."""
        if self.rows is not None:
            self.rows = max(0, self.rows - rows)
