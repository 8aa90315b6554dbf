"""Rows that Python makes while DuckDB reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor

if TYPE_CHECKING:
    import pyarrow as pa

_PATIENCE = 1.0
"""Seconds that are waited for the thread that reads; it may be in code of others."""


@contextmanager
def feed(cursor: Cursor, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[None]:
    """Let `name` stand for batches on `cursor`, which can be read once; after the block nobody reads them.

    Arrow reads ahead in threads of its own, which go on where a statement failed or was interrupted: they
    would call what makes the batches for nothing, and a process that ends meanwhile hangs or crashes.
    """
    import pyarrow as pa

    over, begun, ended = False, False, threading.Event()

    def until_over() -> Iterator[pa.RecordBatch]:
        nonlocal begun
        begun = True
        try:
            for batch in batches:
                yield batch
                if over:
                    return
        finally:
            ended.set()

    cursor.register(name, pa.RecordBatchReader.from_batches(schema, until_over()))
    try:
        yield
    finally:
        over = True
        if begun:
            ended.wait(_PATIENCE)
