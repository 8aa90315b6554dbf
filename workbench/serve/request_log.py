"""Requests on their way into the lake, off the path of the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from workbench.errors import WorkbenchError

EVERY = 5.0
"""Seconds between two commits."""

AT_ONCE = 20_000
"""Rows that are not waited with."""

WAITING = 100_000
"""Rows that may wait; when the lake cannot be written for so long, the newest are dropped."""

Row = tuple[Any, ...]
Write = Callable[[Sequence[Row]], None]


class RequestLog:
    """Writes rows in batches, each one commit, from a thread of its own.

    Attributes
    ----------
    written, dropped : int
        How many rows are in the lake, and how many found no room.
    error : str
        Why the last batch could not be written; it is tried again.
    """

    def __init__(self, write: Write, every: float = EVERY) -> None:
        self._write = write
        self._every = every
        self._waiting: list[Row] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self.written = self.dropped = 0
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="mlstore-requests", daemon=True)
        self._thread.start()

    def add(self, rows: Sequence[Row]) -> None:
        """Let rows wait to be written; returns at once."""
        with self._lock:
            room = max(WAITING - len(self._waiting), 0)
            self._waiting.extend(rows[:room])
            self.dropped += len(rows[room:])
        if len(self._waiting) >= AT_ONCE and not self.error:
            self._wake.set()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._every)
            self._wake.clear()
            self._flush()
        # What came while the last commit was made.
        self._flush()

    def _flush(self) -> None:
        """Write what waits now, in one commit; what comes meanwhile waits for the next."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._write(batch)
        except (WorkbenchError, OSError) as error:
            self.error = str(error)
            with self._lock:
                self._waiting = batch + self._waiting
            return
        self.written += len(batch)
        self.error = ""
