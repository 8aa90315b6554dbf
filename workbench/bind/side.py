"""Predicted rows on their way into a side table: in memory, or where they are many and new in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.bind.fill import BATCH_ROWS
from workbench.bind.work import HASH, Work
from workbench.engines.duckdb import execute
from workbench.lake.row_file import RowFile
from workbench.names import literal, quote, quote_all, quote_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake, Transaction

FILE_ROWS = BATCH_ROWS
"""So many rows, of which none takes the place of another, are written into a file as they come."""

_REPEATED = ("status", "model_version", "source_snapshot", "predicted_at")
_DONE = "mlstore_predicted"


@dataclass(slots=True)
class Waiting:
    """The rows that wait for the next commit.

    Attributes
    ----------
    rows, bytes : int
        How many there are, and how much memory they take.
    errors : int
        How many have failed so far, also of those that are committed.
    """

    lake: Lake
    work: Work
    by_file: bool = False
    rows: int = 0
    bytes: int = 0
    errors: int = 0
    parts: list[pa.RecordBatch] = field(default_factory=list)
    file: RowFile | None = None
    began: datetime | None = None

    def expect(self, total: int | None) -> None:
        """Say how many rows are to come, if that is known."""
        work = self.work
        whole = work.window is None and not work.binding.limits.bounded
        new = whole and not (work.replaces or work.widened)
        self.by_file = new and (total or 0) >= FILE_ROWS and RowFile.can_take(work.side)

    def keep(self, rows: pa.RecordBatch, answers: pa.Table) -> None:
        """Add rows with what the model answered for them."""
        import pyarrow as pa

        source, binding = self.work.source, self.work.binding
        keys = {side: rows.column(column) for column, side in zip(source.key, binding.side_key, strict=True)}
        values = {name: answers[name].combine_chunks() for name in answers.column_names}
        known = {**keys, **values, "input_hash": rows.column(HASH)}
        self.rows += rows.num_rows
        self.errors += rows.num_rows - values["error"].null_count
        if self.by_file:
            self._write_down(known)
            return
        kept = pa.record_batch(known)
        # A column of a batch keeps all the others in memory: what is kept is copied.
        kept = pa.ipc.read_record_batch(kept.serialize(), kept.schema)
        self.parts.append(kept)
        self.bytes += kept.nbytes

    def _write_down(self, known: dict[str, pa.Array]) -> None:
        """Write rows into the file that the next commit takes over."""
        import pyarrow as pa

        side, count = self.work.side, len(known["error"])
        if self.file is None:
            self.file, self.began = RowFile(self.lake, side, _REPEATED), datetime.now(UTC)
        fine = known["error"].is_null().cast(pa.int8())
        same = pa.repeat(pa.scalar(0, pa.int8()), count)
        known |= {
            "status": pa.DictionaryArray.from_arrays(fine, ["error", "ok"]),
            "model_version": pa.DictionaryArray.from_arrays(same, [self.work.predictor.ref]),
            "source_snapshot": pa.repeat(pa.scalar(self.work.head, pa.int64()), count),
            "predicted_at": pa.repeat(pa.scalar(self.began, pa.timestamp("us", "UTC")), count),
        }
        self.file.write([known[name] for name in side.columns])

    def write(self, tx: Transaction) -> None:
        """Put the rows in place of those that they replace, as part of the commit `tx`."""
        import pyarrow as pa

        binding = self.work.binding
        side, key = f"lake.{quote_name(binding.output)}", quote_all(binding.side_key)
        if self.file is not None:
            self.file.attach(tx)
        if not self.parts:
            return
        tx.cursor.register(_DONE, pa.Table.from_batches(self.parts))
        try:
            kept = binding.on_error == "keep" and self.errors and self.work.filled
            if kept:
                failed = f"SELECT {key} FROM {_DONE} WHERE error IS NOT NULL"
                execute(
                    tx.cursor,
                    f"CREATE OR REPLACE TEMP TABLE mlstore_kept AS SELECT {key}, value AS old_value, "
                    f"score AS old_score FROM {side} SEMI JOIN ({failed}) USING ({key})",
                )
            if self.work.replaces:
                self.delete(tx, _DONE)
            values = "coalesce(value, old_value), coalesce(score, old_score)" if kept else "value, score"
            old = f" LEFT JOIN temp.mlstore_kept USING ({key})" if kept else ""
            # The engine writes what it knows to be the same for all rows in less time.
            status = "if(error IS NULL, 'ok', 'error'), error" if self.errors else "'ok', NULL"
            execute(
                tx.cursor,
                f"INSERT INTO {side} SELECT {key}, {values}, {status}, "
                f"{literal(self.work.predictor.ref)}, {self.work.head}, ?, input_hash FROM {_DONE}{old}",
                [datetime.now(UTC)],
            )
        finally:
            tx.cursor.unregister(_DONE)

    def delete(self, tx: Transaction, keys: str) -> int:
        """Delete the predictions whose keys are in a relation, as part of the commit `tx`, and count them."""
        side = f"lake.{quote_name(self.work.binding.output)}"
        same = " AND ".join(f"p.{quote(each)} = d.{quote(each)}" for each in self.work.binding.side_key)
        row = execute(tx.cursor, f"DELETE FROM {side} AS p USING {keys} AS d WHERE {same}").fetchone()
        return int(row[0]) if row else 0

    def committed(self) -> None:
        """Forget the rows: they are in the table."""
        self.rows = self.bytes = 0
        self.parts, self.file = [], None

    def close(self) -> None:
        """Remove what was written and not committed."""
        if self.file is not None:
            self.file.discard()
