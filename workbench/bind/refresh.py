"""Refresh a binding: stream the rows that need it through the model, and write them as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.bind.ahead import in_order, read_ahead
from workbench.bind.definition import KIND, Binding, bindings
from workbench.bind.fill import BATCH_ROWS, Asker, arrow_type
from workbench.bind.predictors import Shared, how_asked, way_of
from workbench.bind.side import Waiting
from workbench.bind.view import show_bindings, shown_columns
from workbench.bind.work import Work, look
from workbench.derivation import Full, Noop, Plan, Run
from workbench.engines.duckdb import Cursor, execute, stream
from workbench.errors import Conflict, InvalidData, StatementError, WorkbenchError
from workbench.lake.images import count_rows, is_untouched
from workbench.lake.keys import check_unique
from workbench.names import quote
from workbench.progress import step

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake, Transaction

CHUNK_ROWS = 5_000_000
CHUNK_BYTES = 256 * 2**20
CHUNK_SECONDS = 20.0
"""After so many rows, so much, or so long, what was predicted is committed."""

_BOUNDED_BATCH_ROWS = 8_192


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
            if not work.widened:
                with closing(_Filling(lake, reader, writer, work.stage(reader))) as filling:
                    return filling.run(started, clock)
        _widen_key(lake, work)
    finally:
        reader.close()
        writer.close()
    return _refresh(lake, binding, plans, started, clock, full=full)


def _widen_key(lake: Lake, work: Work) -> None:
    """Give the key of the side table the types that it has in the table now.

    That is a commit of its own: DuckLake's statistics of a column are wrong once its type changed and rows
    were written in one commit (see `workbench.lake.statements`).
    """
    with lake.commit(f"follow the key of {work.binding.table}") as tx:
        tx.reshape()
        for column, kind in work.widened.items():
            try:
                execute(
                    tx.cursor, f"ALTER TABLE lake.{work.side.sql} ALTER COLUMN {quote(column)} TYPE {kind}"
                )
            except StatementError as error:
                raise InvalidData(
                    f"The key {column!r} of {work.source.base.name!r} is now {kind}; {work.binding.column!r} "
                    f"was bound by {work.side.columns[column]}.",
                    hint=f"Say again: {work.binding.statement}.",
                ) from error


def fill_new(
    lake: Lake, reader: Cursor, work: Work, define: Callable[[Transaction], None]
) -> tuple[int | None, bool]:
    """Predict all rows for a binding that its first commit defines; if the model fails, it is defined alone.

    Parameters
    ----------
    reader : Cursor
        Pinned at the snapshot of `work`.

    Returns
    -------
    tuple of int and bool
        The snapshot in which it was defined, and whether nobody else has committed anything meanwhile.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    writer = lake.transaction_cursor()
    try:
        with closing(_Filling(lake, reader, writer, work, define)) as filling:
            try:
                run = filling.run(started, clock)
            except Conflict:
                raise
            except (WorkbenchError, KeyboardInterrupt) as error:
                if not filling.commits:
                    # Whoever was interrupted in a commit cannot know whether it came to its end.
                    with suppress(Conflict), lake.commit(work.binding.statement) as tx:
                        define(tx)
                if isinstance(error, WorkbenchError):
                    _record_failure(lake, work.binding, work.plan, error, started, clock)
                raise
            return filling.first, run.snapshot == work.head + filling.commits
    finally:
        writer.close()


@dataclass(slots=True)
class _Filling:
    """Rows on their way from the table through the model into the side table."""

    lake: Lake
    reader: Cursor
    writer: Cursor
    work: Work
    define: Callable[[Transaction], None] | None = None
    waiting: Waiting = field(init=False)
    done: int = 0
    deleted: int = 0
    seen: int = 0
    commits: int = 0
    first: int | None = None
    gone: str = ""

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.lake, self.work)

    def close(self) -> None:
        """Remove what was written and not committed."""
        self.waiting.close()

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
        self.waiting.expect(total)
        with step(f"Predicting {binding.column}", total) as advance, closing(self._rows()) as batches:
            last = time.monotonic()
            for rows, answers in self._answered(batches):
                # Only now it is known that more comes: the last part has no commit of its own after it.
                if binding.on_error != "fail" and self._is_much(last):
                    self._commit(None, started, clock)
                    last = time.monotonic()
                self.waiting.keep(rows, answers)
                limits.take(rows.num_rows)
                advance(rows.num_rows)
                if limits.over:
                    break
        left = total - self.done - self.waiting.rows if limits.bounded and total is not None else 0
        return self._commit(left, started, clock)

    def _is_much(self, last: float) -> bool:
        return (
            self.waiting.rows >= CHUNK_ROWS
            or self.waiting.bytes >= CHUNK_BYTES
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
        size = work.binding.batch or min(most, work.predictor.batch_rows) // self._callers()
        limit = "" if limits.rows is None else f" LIMIT {limits.rows}"
        schema, rows = stream(execute(self.reader, work.todo() + limit), size)
        # A model that cannot answer about no rows cannot be used at all: no row is to blame for it.
        work.predictor.predict(schema.empty_table())
        with closing(read_ahead(self.reader, rows)) as batches:
            yield from (each for each in batches if each.num_rows)

    def _answered(
        self, batches: Generator[pa.RecordBatch, None, None]
    ) -> Generator[tuple[pa.RecordBatch, pa.Table], None, None]:
        """Ask the model about each batch: after the first about several at once, where it takes that."""
        predictor, asker = self.work.predictor, self._asker()
        for rows in batches:
            yield rows, asker.answer(rows)
            if isinstance(predictor, Shared) and self._callers() > 1:
                # What an asker notes of failures one after the other is of one thread.
                yield from in_order(
                    lambda each: (each, self._asker().answer(each)),
                    batches,
                    self._callers(),
                    predictor.share_cores,
                )

    def _callers(self) -> int:
        """Say how many threads ask the model; a run that may have to stop has nothing asked ahead."""
        predictor = self.work.predictor
        bounded = self.work.binding.limits.bounded
        return predictor.callers if isinstance(predictor, Shared) and not bounded else 1

    def _asker(self) -> Asker:
        kind = arrow_type(self.work.predictor.value_type)
        return Asker(self.work.predictor, kind, strict=self.work.binding.on_error == "fail")

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
            rows_read=self.waiting.rows,
            rows_written=self.waiting.rows,
            details={"model": work.predictor.ref, "errors": self.waiting.errors, **how_asked(work.predictor)},
        )
        if partial:
            run = replace(run, details={**run.details, "partial": True, "left": left})
        rows = self.done + self.waiting.rows
        define = None if self.commits else self.define
        message = binding.statement if define else f"predict {binding.column} ON {binding.table}"
        if left is None or left or self.commits:
            message += f", {rows:,} rows" + (f", {left:,} left" if left else "")
        with self.lake.commit(message, run_id=run.id, cursor=self.writer) as tx:
            if define is not None:
                define(tx)
            else:
                self._check_alone(tx)
            if self.gone:
                self.deleted = self.waiting.delete(tx, self.gone)
                self.gone = ""
            self.waiting.write(tx)
            if not (self.commits or define):
                self._show(tx)
            if not partial:
                marks = dict.fromkeys(work.inputs, work.head)
                records.set_watermarks(tx, binding.name, marks, work.watermarks)
            run = replace(run, rows_deleted=self.deleted, seconds=time.perf_counter() - clock)
            records.append_run(tx, run, started)
        assert tx.snapshot is not None
        self.waiting.committed()
        self.first = self.first or tx.snapshot
        self.seen, self.done, self.commits = tx.snapshot, rows, self.commits + 1
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
