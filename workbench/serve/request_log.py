"""Requests on their way into the lake, off the path of the answers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench.errors import WorkbenchError

EVERY = 5.0
"""Seconds between two commits."""

AT_ONCE = 10_000
"""Rows that are not waited with."""

WAITING = 100_000
"""Rows that may wait; when the lake cannot be written for so long, the newest are dropped."""

Write = Callable[[Iterable[Mapping[str, Any]]], None]


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
        self._waiting: queue.Queue[Mapping[str, Any]] = queue.Queue(WAITING)
        self._stop = threading.Event()
        self._batch: list[Mapping[str, Any]] = []
        self.written = self.dropped = 0
        self.error = ""
        self._thread = threading.Thread(target=self._run, name="mlstore-requests", daemon=True)
        self._thread.start()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put rows into the queue; returns at once."""
        for row in rows:
            try:
                self._waiting.put_nowait(row)
            except queue.Full:
                self.dropped += 1

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while True:
            while len(self._batch) < AT_ONCE:
                try:
                    self._batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            if not self._batch:
                return
            try:
                self._write(self._batch)
            except WorkbenchError as error:
                self.error = error.message
                return
            self.written += len(self._batch)
            self._batch, self.error = [], ""
