"""How long requests take: the last of them, counted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

KEPT = 10_000
"""How many of the last requests the percentiles are of."""


@dataclass(slots=True)
class Latency:
    """Counts the requests to one binding.

    Examples
    --------
    >>> latency = Latency()
    >>> for milliseconds in range(1, 101):
    ...     latency.add(milliseconds / 1000, rows=2, errors=0)
    >>> latency.summary()
    {'requests': 100, 'rows': 200, 'errors': 0, 'p50_ms': 50.0, 'p99_ms': 99.0}
    """

    requests: int = 0
    rows: int = 0
    errors: int = 0
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float, *, rows: int, errors: int) -> None:
        """Count a request."""
        with self._lock:
            self.requests += 1
            self.rows += rows
            self.errors += errors
            self._last.append(seconds)

    def summary(self) -> dict[str, float | None]:
        """Return the counts, and the percentiles in milliseconds."""
        with self._lock:
            last = sorted(self._last)
            counts = {"requests": self.requests, "rows": self.rows, "errors": self.errors}
        return {**counts, "p50_ms": _percentile(last, 50), "p99_ms": _percentile(last, 99)}


def _percentile(ordered: list[float], percent: int) -> float | None:
    """Return the value that so many percent of the values do not exceed."""
    if not ordered:
        return None
    place = -(-len(ordered) * percent // 100) - 1
    return round(ordered[place] * 1000, 3)
