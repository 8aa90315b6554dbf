"""Rows in a temporary file instead of in memory, in an order that depends on nothing but the rows.

They come from a query in any order, each with a hash of itself, by which they are divided into
parts that are sorted one after the other. So neither their number nor the engine's threads matter:
the memory taken is that of a part, and the same rows make the same file.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from workbench.train import memory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Matrix = npt.NDArray[np.float32]

HASH = "__hash"
"""The column by which rows are sorted, a UBIGINT; it is left out of the file."""

_BATCH_CELLS = 2_500_000
_MOST_ROWS = 122_880  # a row group of DuckDB's
_PART_CELLS = 4_000_000  # sorted at a time: some 32 MB of numbers
_MOST_PARTS = 256  # each is an open file while rows are divided


def batch_rows(columns: int) -> int:
    """Return how many rows of so many columns to take at a time.

    Examples
    --------
    >>> batch_rows(20), batch_rows(1_000)
    (122880, 2500)
    """
    return min(_MOST_ROWS, max(1, _BATCH_CELLS // max(1, columns)))


class Spool:
    """Rows in a temporary file, which is gone with the object.

    Attributes
    ----------
    num_rows : int
    kept : pyarrow.Table
        The columns that are in memory, in the order of the rows.
    """

    def __init__(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int, kept: Sequence[str] = ()
    ) -> None:
        """Take all rows; `rows` is how many there are, and `kept` names the columns to keep in memory."""
        import pyarrow as pa

        self._folder = TemporaryDirectory(prefix="mlstore-rows-")
        self._file = Path(self._folder.name) / "rows"
        apart = [*kept, HASH]
        names = [name for name in schema.names if name not in apart]
        self.schema = pa.schema([schema.field(name) for name in names])
        sides = []
        with pa.OSFile(str(self._file), "wb") as file, pa.ipc.new_stream(file, self.schema) as writer:
            for part in _parts(schema, batches, rows, self.folder):
                ordered = part.take(pa.array(part[HASH].to_numpy().argsort()))
                sides.append(ordered.select(list(kept)))
                writer.write_table(ordered.select(names), max_chunksize=batch_rows(len(names)))
        empty = pa.schema([schema.field(name) for name in kept]).empty_table()
        self.kept = pa.concat_tables([empty, *sides])
        self.num_rows = sum(side.num_rows for side in sides)

    @property
    def folder(self) -> Path:
        """A folder for more temporary files, which are gone with these."""
        return Path(self._folder.name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows, batch by batch."""
        import pyarrow as pa

        with self._file.open("rb") as file:
            # Never closed: it goes with the last batch that lies in it.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        source, start = pa.BufferReader(pa.py_buffer(mapped)), 0
        for batch in pa.ipc.open_stream(source):
            yield batch
            start = _forget(mapped, start, source.tell())

    def take(self, places: npt.NDArray[np.int64]) -> pa.Table:
        """Read some rows, given by their places in rising order."""
        import numpy as np
        import pyarrow as pa

        found, start = [], 0
        for batch in self.batches():
            first, last = np.searchsorted(places, [start, start + batch.num_rows])
            if last > first:
                found.append(batch.take(pa.array(places[first:last] - start)))
            start += batch.num_rows
        return pa.Table.from_batches(found, self.schema)


def _forget(mapped: mmap.mmap, start: int, end: int) -> int:
    """Let go of the pages of a file that were read, up to the last whole one; return where that ends.

    Who asks for them again gets them, but they count no more as memory of this process.
    """
    end -= end % mmap.PAGESIZE
    if sys.platform != "win32" and end > start:
        mapped.madvise(mmap.MADV_DONTNEED, start, end - start)
    return end


class Numbers:
    """A matrix of float32 in a spool: rows × numbers, and no gaps but NaN.

    `chosen` (n rows of the spool) picks some of the rows.
    """

    def __init__(self, spool: Spool, chosen: npt.NDArray[np.bool_] | None = None) -> None:
        self._spool = spool
        self._chosen = chosen

    def __len__(self) -> int:
        return self._spool.num_rows if self._chosen is None else int(self._chosen.sum())

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows, and of numbers in each."""
        return len(self), len(self._spool.schema)

    @property
    def folder(self) -> Path:
        """A folder for temporary files."""
        return self._spool.folder

    def batches(self) -> Iterator[pa.Table]:
        """Read the rows, batch by batch."""
        import pyarrow as pa

        start = 0
        for batch in self._spool.batches():
            end = start + batch.num_rows
            rows = pa.Table.from_batches([batch])
            if self._chosen is not None:
                rows = rows.filter(pa.array(self._chosen[start:end])).combine_chunks()
            start = end
            if rows.num_rows:
                yield rows

    def take(self, rows: npt.NDArray[Any]) -> Numbers | Matrix:
        """Return some rows: those where `rows` is true, still in the file, or those at places, in memory."""
        import numpy as np

        if rows.dtype == bool:
            if self._chosen is None:
                return Numbers(self._spool, rows)
            chosen = self._chosen.copy()
            chosen[chosen] = rows
            return Numbers(self._spool, chosen)
        places = rows if self._chosen is None else np.flatnonzero(self._chosen)[rows]
        table = self._spool.take(places)
        return _filled(table.to_batches(), (len(places), self.shape[1]))

    def matrix(self) -> Matrix:
        """Read all rows into memory, once.

        Raises
        ------
        InvalidData
            If they do not fit.
        """
        rows, numbers = self.shape
        memory.check(4 * rows * numbers, f"{rows:,} training rows of {numbers:,} numbers")
        return _filled(self.batches(), self.shape)


def _filled(batches: Iterable[pa.Table | pa.RecordBatch], shape: tuple[int, int]) -> Matrix:
    """Fill a matrix batch by batch."""
    import numpy as np

    matrix = np.empty(shape, np.float32)
    start = 0
    for batch in batches:
        end = start + batch.num_rows
        for place, column in enumerate(batch.columns):
            matrix[start:end, place] = column.to_numpy()
        start = end
    return matrix


def _parts(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int, folder: Path
) -> Iterator[pa.Table]:
    """Divide rows by the range that their hash is in; the parts come in the order of their ranges."""
    import pyarrow as pa

    count = min(_MOST_PARTS, 1 + rows * len(schema) // _PART_CELLS)
    if count == 1:
        yield pa.Table.from_batches(list(batches), schema).combine_chunks()
        return
    files = [folder / f"part-{part}" for part in range(count)]
    with ExitStack() as stack:
        writers = []
        for path in files:
            file = stack.enter_context(pa.OSFile(str(path), "wb"))
            writers.append(stack.enter_context(pa.ipc.new_stream(file, schema)))
        for batch in batches:
            _divide(batch, writers)
    for path in files:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as part:
            yield part.read_all().combine_chunks()
        path.unlink()


def _divide(batch: pa.RecordBatch, writers: Sequence[pa.RecordBatchWriter]) -> None:
    """Write each row of a batch to the part that its hash belongs to."""
    import numpy as np
    import pyarrow as pa

    high = batch[HASH].to_numpy() >> np.uint64(32)
    part = (high * np.uint64(len(writers)) >> np.uint64(32)).astype(np.uint16)
    divided = batch.take(pa.array(part.argsort(kind="stable")))
    ends = np.bincount(part, minlength=len(writers)).cumsum()
    start = 0
    for writer, end in zip(writers, ends.tolist(), strict=True):
        if end > start:
            writer.write_batch(divided.slice(start, end - start))
        start = end
