"""Read the next rows while something is done with those before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor

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
