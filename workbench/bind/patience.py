"""Patience with models that are far away: calls made again after a passing failure, and not too often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING

from workbench.errors import InvalidData, ModelError

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.bind.predictors import Choice, Predictor

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the first repetition and at most; each waits twice as long as the one before."""

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|sec|min|h)\s*", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
_PASSING_NAMES = {"ConnectionError", "Timeout", "TimeoutException", "TransportError", "RateLimitError"}


def calls_per_second(rate: str) -> float:
    """Read a rate.

    Raises
    ------
    InvalidData
        If it is none.

    Examples
    --------
    >>> calls_per_second("5/s"), calls_per_second("30 / min")
    (5.0, 0.5)
    """
    found = _RATE.fullmatch(rate)
    if found is None or not float(found[1]):
        raise InvalidData(f"RATE {rate!r} is no rate.", hint="Write it as '5/s', '100/min' or '1000/h'.")
    return float(found[1]) / _SECONDS[found[2].lower()]


def is_passing(error: BaseException) -> bool:
    """Say whether the same call may succeed later: a lost connection, a time-out, a busy service.

    Examples
    --------
    >>> is_passing(TimeoutError()), is_passing(ValueError())
    (True, False)
    """
    for each in _chain(error):
        if isinstance(each, ConnectionError | TimeoutError) or getattr(each, "retryable", False) is True:
            return True
        if any(cls.__name__ in _PASSING_NAMES for cls in type(each).__mro__):
            return True
        response = getattr(each, "response", None)
        status = getattr(response, "status_code", None) or getattr(each, "code", None)
        if status in _PASSING_STATUS:
            return True
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__


@dataclass(slots=True)
class Patient:
    """A predictor that waits: between calls as its rate says, and before it repeats a failed one."""

    predictor: Predictor
    retry: int = 0
    rate: str | None = None
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], None] = field(default_factory=lambda: sleep)
    _next: float = field(default=float("-inf"), init=False)

    @property
    def ref(self) -> str:
        """The model with its version."""
        return self.predictor.ref

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns it needs."""
        return self.predictor.inputs

    @property
    def value_type(self) -> str:
        """The DuckDB type of its values."""
        return self.predictor.value_type

    @property
    def choice(self) -> Choice | None:
        """How the model is asked, where that was decided."""
        return getattr(self.predictor, "choice", None)

    @property
    def batch_rows(self) -> int:
        """How many rows to give it at once."""
        return self.predictor.batch_rows

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        wait = FIRST_WAIT
        for _ in range(self.retry):
            try:
                return self._call(batch)
            except ModelError as error:
                if not is_passing(error):
                    raise
            self.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        return self._call(batch)

    def _call(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        if self.rate is not None and batch.num_rows:
            now = self.clock()
            if now < self._next:
                self.sleep(self._next - now)
            self._next = max(now, self._next) + 1 / calls_per_second(self.rate)
        return self.predictor.predict(batch)
