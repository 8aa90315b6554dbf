"""One writer at a time, over threads and processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.errors import Conflict

WAIT_SECONDS = 60.0


class WriterLock:
    """A lock held from BEGIN to COMMIT; the system lets go of it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.RLock()
        self._processes = FileLock(path, thread_local=False)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises
        ------
        Conflict
            If another process keeps it for a minute.
        """
        with self._threads:
            try:
                self._processes.acquire(timeout=WAIT_SECONDS)
            except Timeout as error:
                raise Conflict(
                    f"Another process has been writing for more than {WAIT_SECONDS:.0f} seconds.",
                    hint="Wait for it, or stop it, and run this again.",
                ) from error
            try:
                yield
            finally:
                self._processes.release()
