"""Read the next rows while something is done with those before, in one thread or in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor

T = TypeVar("T")
R = TypeVar("R")

_SECONDS = 0.05
"""Between two attempts to end a statement."""


def read_ahead(cursor: Cursor, batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
    """Hand out the batches of a statement that `cursor` runs, and read one more meanwhile in a thread.

    Nobody else may use the cursor until the generator is closed, which ends the statement. What goes
    wrong while reading is raised where the batch is wanted.
    """
    with ThreadPoolExecutor(1, "mlstore-reader") as pool:
        reading = pool.submit(next, batches, None)
        try:
            while (batch := reading.result()) is not None:
                reading = pool.submit(next, batches, None)
                yield batch
        finally:
            # Again and again: what comes before a statement begins, DuckDB forgets.
            while not reading.done():
                cursor.interrupt()
                wait([reading], _SECONDS)


def in_order(
    work: Callable[[T], R], items: Iterable[T], threads: int, begin: Callable[[], None]
) -> Generator[R, None, None]:
    """Do `work` for several items at once, and hand out what it gives in the order of the items.

    Few more items are taken than there are threads. What goes wrong with one is raised when it is its
    turn; no other is begun then.

    Parameters
    ----------
    begin : callable
        Is called in each thread first.
    """
    with ThreadPoolExecutor(threads, "mlstore-caller", begin) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
