"""Refresh a binding: stream the rows that need it through the model, and write them as they come."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.bind.ahead import read_ahead
from workbench.bind.definition import KIND, Binding, bindings
from workbench.bind.fill import BATCH_ROWS, Asker, arrow_type
from workbench.bind.predictors import how_asked, way_of
from workbench.bind.view import show_bindings, shown_columns
from workbench.bind.work import HASH, Work, look
from workbench.derivation import Full, Noop, Plan, Run
from workbench.engines.duckdb import Cursor, execute, stream
from workbench.errors import Conflict, InvalidData, WorkbenchError
from workbench.lake.images import count_rows, is_untouched
from workbench.lake.keys import check_unique
from workbench.names import literal, quote, quote_all, quote_name
from workbench.progress import step

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake, Transaction

CHUNK_ROWS = 5_000_000
CHUNK_BYTES = 256 * 2**20
CHUNK_SECONDS = 20.0
"""After so many rows, so much, or so long, what was predicted is committed."""

_BOUNDED_BATCH_ROWS = 8_192
_DONE = "mlstore_predicted"


def plan_binding(lake: Lake, binding: Binding, *, full: bool = False) -> Plan:
    """Decide what a refresh would do now."""
    with lake.pinned() as (cursor, head):
        return look(lake, cursor, binding, head, full=full).plan


def refresh_binding(lake: Lake, binding: Binding, *, full: bool = False) -> Run:
    """Predict the rows that are new, changed, or predicted by another version of the model.

    What is predicted is committed in parts when there is much of it; with the last part the
    watermark moves. A run that was stopped between leaves the rest as it was, to be done by the next.

    Raises
    ------
    ModelError
        If the model fails and the binding says ON ERROR fail; nothing is written.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plans: list[Plan] = [Full("asked for" if full else "")]
    try:
        return lake.retry(lambda: _refresh(lake, binding, plans, started, clock, full=full))
    except Conflict:
        raise
    except WorkbenchError as error:
        _record_failure(lake, binding, plans[-1], error, started, clock)
        raise


def _refresh(
    lake: Lake, binding: Binding, plans: list[Plan], started: datetime, clock: float, *, full: bool
) -> Run:
    """Refresh once; `plans` is told what is tried."""
    reader, writer = lake.transaction_cursor(), lake.transaction_cursor()
    try:
        with lake.pinned(reader) as (_, head):
            work = look(lake, reader, binding, head, full=full)
            plans.append(work.plan)
            if isinstance(work.plan, Noop):
                return Run(binding.name, KIND, "noop", work.plan.reason, seconds=time.perf_counter() - clock)
            return _Filling(lake, reader, writer, work).run(started, clock)
    finally:
        reader.close()
        writer.close()


@dataclass(slots=True)
class _Filling:
    """Rows on their way from the table through the model into the side table."""

    lake: Lake
    reader: Cursor
    writer: Cursor
    work: Work
    parts: list[pa.RecordBatch] = field(default_factory=list)
    kept_bytes: int = 0
    waiting: int = 0
    done: int = 0
    errors: int = 0
    deleted: int = 0
    seen: int = 0
    commits: int = 0
    gone: str = ""

    def run(self, started: datetime, clock: float) -> Run:
        """Predict what is to be predicted, and commit it."""
        work, binding, limits = self.work, self.work.binding, self.work.binding.limits
        self.seen = work.head
        self._check_value_type()
        if not work.source.is_table:
            check_unique(
                self.reader, f"FROM lake.{work.source.base.sql}", work.source.key, work.source.base.name
            )
        self._stage_gone()
        total = self._total()
        with step(f"Predicting {binding.column}", total) as advance, closing(self._rows()) as batches:
            last, asker = time.monotonic(), self._asker()
            for rows in batches:
                self._keep(rows, asker.answer(rows))
                limits.take(rows.num_rows)
                advance(rows.num_rows)
                if limits.over:
                    break
                if binding.on_error != "fail" and self._is_much(last):
                    self._commit(None, started, clock)
                    last = time.monotonic()
        left = total - self.done - self.waiting if limits.bounded and total is not None else 0
        return self._commit(left, started, clock)

    def _is_much(self, last: float) -> bool:
        return (
            self.waiting >= CHUNK_ROWS
            or self.kept_bytes >= CHUNK_BYTES
            or time.monotonic() - last >= CHUNK_SECONDS
        )

    def _check_value_type(self) -> None:
        work = self.work
        held = work.side.columns["value"]
        if held != work.predictor.value_type:
            raise InvalidData(
                f"{work.predictor.ref} gives {work.predictor.value_type}, but {work.binding.column!r} holds "
                f"{held}.",
                hint=f"Say again: {work.binding.statement}.",
            )

    def _total(self) -> int | None:
        """Count what is to be predicted, where it is asked for or known without reading the rows."""
        if self.work.binding.limits.bounded:
            row = execute(self.reader, f"SELECT count(*) FROM ({self.work.todo()})").fetchone()
            return int(row[0]) if row else 0
        return None if self.work.window is not None else count_rows(self.reader, self.work.source.base)

    def _rows(self) -> Generator[pa.RecordBatch, None, None]:
        """Read the rows to predict, batch by batch; the next is read while the model answers for one."""
        work, limits = self.work, self.work.binding.limits
        if limits.over:
            return
        most = _BOUNDED_BATCH_ROWS if limits.deadline is not None else BATCH_ROWS
        size = work.binding.batch or min(most, work.predictor.batch_rows)
        limit = "" if limits.rows is None else f" LIMIT {limits.rows}"
        schema, rows = stream(execute(self.reader, work.todo() + limit), size)
        # A model that cannot answer about no rows cannot be used at all: no row is to blame for it.
        work.predictor.predict(schema.empty_table())
        with closing(read_ahead(self.reader, rows)) as batches:
            yield from (each for each in batches if each.num_rows)

    def _asker(self) -> Asker:
        kind = arrow_type(self.work.predictor.value_type)
        return Asker(self.work.predictor, kind, strict=self.work.binding.on_error == "fail")

    def _keep(self, rows: pa.RecordBatch, answers: pa.Table) -> None:
        import pyarrow as pa

        source, binding = self.work.source, self.work.binding
        keys = {side: rows.column(column) for column, side in zip(source.key, binding.side_key, strict=True)}
        values = {name: answers[name].combine_chunks() for name in answers.column_names}
        kept = pa.record_batch({**keys, **values, "input_hash": rows.column(HASH)})
        # A column of a batch keeps all the others in memory: what is kept is copied.
        kept = pa.ipc.read_record_batch(kept.serialize(), kept.schema)
        self.parts.append(kept)
        self.kept_bytes += kept.nbytes
        self.waiting += rows.num_rows
        self.errors += rows.num_rows - kept["error"].null_count

    def _stage_gone(self) -> None:
        query = self.work.gone(self.reader)
        if query:
            found = execute(self.reader, query).to_arrow_table()
            self.gone = "mlstore_gone" if found.num_rows else ""
            if self.gone:
                self.writer.register(self.gone, found)

    def _commit(self, left: int | None, started: datetime, clock: float) -> Run:
        """Write what waits, with a run; after the last of it, for which `left` is not None, all is told."""
        binding, work, records = self.work.binding, self.work, self.lake.records
        partial = bool(left is None or left or binding.limits.errors)
        run = Run(
            binding.name,
            KIND,
            work.plan.mode,
            work.plan.reason,
            {name: (work.watermarks.get(name), work.head) for name in work.inputs},
            rows_read=self.waiting,
            rows_written=self.waiting,
            details={"model": work.predictor.ref, "errors": self.errors, **how_asked(work.predictor)},
        )
        if partial:
            run = replace(run, details={**run.details, "partial": True, "left": left})
        rows = self.done + self.waiting
        message = f"predict {binding.column} ON {binding.table}"
        if left is None or left or self.commits:
            message += f", {rows:,} rows" + (f", {left:,} left" if left else "")
        with self.lake.commit(message, run_id=run.id, cursor=self.writer) as tx:
            self._check_alone(tx)
            self._write(tx)
            if not self.commits:
                self._show(tx)
            if not partial:
                marks = dict.fromkeys(work.inputs, work.head)
                records.set_watermarks(tx, binding.name, marks, work.watermarks)
            run = replace(run, rows_deleted=self.deleted, seconds=time.perf_counter() - clock)
            records.append_run(tx, run, started)
        assert tx.snapshot is not None
        self.seen, self.done, self.waiting, self.kept_bytes, self.parts = tx.snapshot, rows, 0, 0, []
        self.commits += 1
        return replace(run, rows_read=rows, rows_written=rows, snapshot=tx.snapshot)

    def _check_alone(self, tx: Transaction) -> None:
        """Refuse to write over what somebody else wrote, or by a definition that is no longer the newest.

        Raises
        ------
        Conflict
            If somebody did; `Lake.retry` starts over, and finds done what was committed.
        """
        binding = self.work.binding
        newest = self.lake.records.definition(binding.name, cursor=tx.cursor)
        if newest is None or newest["status"] == "dropped" or newest["version"] != binding.version:
            raise Conflict(f"{binding.name!r} was defined anew meanwhile.", hint="Run it again.")
        alone = is_untouched(tx.cursor, self.work.side, self.seen, tx.head)
        if not alone or (
            self.commits
            and self.lake.records.watermarks(binding.name, cursor=tx.cursor) != self.work.watermarks
        ):
            raise Conflict(
                f"{binding.name!r} was refreshed by somebody else meanwhile.", hint="Run it again."
            )

    def _write(self, tx: Transaction) -> None:
        """Put what waits into the side table, in place of what it replaces."""
        import pyarrow as pa

        binding = self.work.binding
        side, key = f"lake.{quote_name(binding.output)}", quote_all(binding.side_key)
        if self.gone:
            self.deleted = self._delete(tx, side, self.gone)
            self.gone = ""
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
                self._delete(tx, side, _DONE)
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

    def _delete(self, tx: Transaction, side: str, keys: str) -> int:
        same = " AND ".join(f"p.{quote(each)} = d.{quote(each)}" for each in self.work.binding.side_key)
        row = execute(tx.cursor, f"DELETE FROM {side} AS p USING {keys} AS d WHERE {same}").fetchone()
        return int(row[0]) if row else 0

    def _show(self, tx: Transaction) -> None:
        """Record what the model reads now, and make the view anew if it shows something else."""
        work, binding = self.work, self.work.binding
        reads = replace(binding, reads=work.columns, sources=work.inputs).chosen(way_of(work.predictor))
        known = [reads if each.name == binding.name else each for each in bindings(self.lake, tx.cursor)]
        bound = [each for each in known if each.view == binding.view]
        changed = (reads.reads, reads.inputs, reads.asked) != (binding.reads, binding.inputs, binding.asked)
        if changed:
            self.lake.records.define(
                tx, KIND, binding.name, binding.version, binding.fingerprint, reads.to_record()
            )
        wanted = shown_columns(work.source.base, bound)
        if changed or work.view is None or list(work.view.columns) != wanted:
            show_bindings(tx, work.source.base, bound)


def _record_failure(
    lake: Lake, binding: Binding, plan: Plan, error: WorkbenchError, started: datetime, clock: float
) -> None:
    run = Run.failed(binding.name, KIND, plan, error, time.perf_counter() - clock)
    with lake.commit(f"predict {binding.column} ON {binding.table} failed", run_id=run.id) as tx:
        lake.records.append_run(tx, run, started)
