"""Asks stores questions, beside the server's loop and with an end: no store can make the server wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from workbench.errors import Conflict, NotFound
from workbench.lake import Lake
from workbench.lake.folder import CATALOG
from workbench.server.places import Place, Places

T = TypeVar("T")

ANSWER_SECONDS = 10.0
GLANCE_SECONDS = 2.0
_AGAIN_SECONDS = 0.5
_THREADS = 8
_AT_ONCE = 2
_UNUSED_SECONDS = 300.0


@dataclass(slots=True)
class _Open:
    """A store that is open for reading: which file its catalog was, and how many ask it."""

    lake: Lake
    catalog: tuple[int, int]
    used: float = field(default_factory=time.monotonic)
    asked: int = 0


class Desk:
    """Takes questions about the stores of `places`.

    Each store gets two threads at most, so that one that hangs leaves the others alone.
    """

    def __init__(self, places: Places, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.places = places
        self._answer_seconds = answer_seconds
        self._questions = ThreadPoolExecutor(_THREADS, "mlstore-question")
        self._glances = ThreadPoolExecutor(_THREADS, "mlstore-glance")
        self._busy: dict[tuple[Path, bool], int] = {}
        self._open: dict[Path, _Open] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()

    def place(self, id: str) -> Place:
        """Find a store by its id.

        Raises
        ------
        NotFound
            If there is none.
        """
        for place in self.places.all():
            if place.id == id:
                return place
        raise NotFound("This store is not there any more.", hint="It was moved or deleted.")

    async def ask(self, place: Place, question: Callable[[Lake], T]) -> T:
        """Ask a store a question.

        Raises
        ------
        Conflict
            If it does not answer in time.
        WorkbenchError
            What the question raises.
        """

        def work() -> T:
            return self._answer(place.folder, question)

        try:
            return await self._within(self._questions, place.folder, work, self._answer_seconds)
        except TimeoutError:
            raise _busy(place.folder) from None

    async def glance(self, folder: Path, look: Callable[[Path], T]) -> T:
        """Look at the folder of a store, which must take no time at all.

        Raises
        ------
        Conflict
            If it takes longer.
        """
        try:
            return await self._within(self._glances, folder, lambda: look(folder), GLANCE_SECONDS)
        except TimeoutError:
            raise _busy(folder) from None

    async def beside(self, work: Callable[[], T]) -> T:
        """Do something that is about no store in another thread."""
        return await asyncio.get_running_loop().run_in_executor(self._glances, work)

    def close(self) -> None:
        """Close all stores and end the threads."""
        for pool in (self._questions, self._glances):
            pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for each in self._open.values():
                each.lake.interrupt()
                each.lake.close()
            self._open.clear()

    async def _within(
        self, pool: ThreadPoolExecutor, folder: Path, work: Callable[[], T], seconds: float
    ) -> T:
        place = (folder, pool is self._questions)
        deadline = time.monotonic() + seconds
        while self._busy.get(place, 0) >= _AT_ONCE:
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.05)
        self._busy[place] = self._busy.get(place, 0) + 1
        loop = asyncio.get_running_loop()
        future = pool.submit(work)
        # A thread that hangs keeps its turn until it comes back, however long nobody waits for it.
        future.add_done_callback(lambda _: _call(loop, lambda: self._free(place)))
        waited = asyncio.wrap_future(future)
        # What comes after nobody waits any more is looked at too, or asyncio complains in the log.
        waited.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.wait_for(asyncio.shield(waited), seconds)
        except TimeoutError:
            if pool is self._questions:
                ending = loop.create_task(self._end(folder, future))
                self._ending.add(ending)  # asyncio itself would let go of it
                ending.add_done_callback(self._ending.discard)
            raise

    async def _end(self, folder: Path, stuck: Future[T]) -> None:
        """Interrupt a question until it ends: what comes between two statements interrupts none."""
        while not stuck.done():
            with self._lock:
                held = self._open.get(folder)
            if held is not None:
                held.lake.interrupt()
            await asyncio.sleep(_AGAIN_SECONDS)

    def _free(self, place: tuple[Path, bool]) -> None:
        self._busy[place] -= 1

    def _answer(self, folder: Path, question: Callable[[Lake], T]) -> T:
        held = self._take(folder)
        try:
            return question(held.lake)
        except KeyboardInterrupt:  # DuckDB's word for having been interrupted.
            raise _busy(folder) from None
        finally:
            with self._lock:
                held.asked -= 1
                held.used = time.monotonic()
                over = held.asked == 0 and self._open.get(folder) is not held
            if over:
                held.lake.close()

    def _take(self, folder: Path) -> _Open:
        """Return the open store; another one may lie at its place by now."""
        try:
            status = (folder / CATALOG).stat()
        except OSError:
            self._drop(folder)
            raise NotFound(
                f"There is no store in {folder} any more.", hint="It was moved or deleted."
            ) from None
        catalog = (status.st_dev, status.st_ino)
        with self._lock:
            held = self._open.get(folder)
            if held is not None and held.catalog == catalog:
                held.asked += 1
                return held
        self._drop(folder)
        made = _Open(Lake.look(folder), catalog, asked=1)
        with self._lock:
            others = [path for path, each in self._open.items() if _is_unused(each)]
            self._open.setdefault(folder, made)
        for each in others:
            self._drop(each)
        return made

    def _drop(self, folder: Path) -> None:
        with self._lock:
            held = self._open.pop(folder, None)
        if held is not None and held.asked == 0:
            held.lake.close()


def _is_unused(held: _Open) -> bool:
    return held.asked == 0 and time.monotonic() - held.used > _UNUSED_SECONDS


def _call(loop: asyncio.AbstractEventLoop, back: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(back)


def _busy(folder: Path) -> Conflict:
    return Conflict(f"The store {folder.name} does not answer.", hint="It is busy; this is tried again.")
