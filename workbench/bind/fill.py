"""Ask a model about a stream of rows, batch by batch, and find the rows on which it fails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from workbench.bind.patience import is_passing
from workbench.bind.predictors import Predictor
from workbench.engines.duckdb import execute, scratch
from workbench.errors import InvalidRows, ModelError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 122_880
"""Rows per call of a model: one row group of DuckDB's."""

IN_A_ROW = 8
"""After so many rows that failed alike, one after the other, the others are only sampled."""

_SAMPLED = 16
_LONGEST = 4000
"""Characters of a message that are kept: a row that fails has one."""
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Asker:
    """Asks a model about batches of rows; a row on which it fails is set apart from the others.

    Parameters
    ----------
    predictor : Predictor
    kind : pyarrow.DataType
        The type that values are to have.
    strict : bool
        Whether the first failure ends it all.
    """

    def __init__(self, predictor: Predictor, kind: pa.DataType, *, strict: bool) -> None:
        self._predictor = predictor
        self._kind = kind
        self.strict = strict
        self._failed_alike = 0
        self._last = ""

    def answer(self, batch: pa.RecordBatch) -> pa.Table:
        """Answer for a batch: `value` and `score` for each row, and as `error` what failed, else NULL.

        Raises
        ------
        ModelError
            If the model fails and that is to end it.
        InvalidData
            If the rows lack what the model needs.
        """
        import pyarrow as pa

        search = _Search(self, batch)
        search.run(0, batch.num_rows)
        return search.parts[0] if len(search.parts) == 1 else pa.concat_tables(search.parts)

    def ask(self, batch: pa.RecordBatch) -> pa.Table:
        """Ask about rows that have to succeed together, and check what is answered."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            answered = self._predictor.predict(batch)
        except InvalidRows as refused:
            if self.strict or not refused.rows:
                raise
            return self._ask_others(batch, refused)
        count = batch.num_rows
        if answered.num_rows != count:
            raise ModelError(f"{self._predictor.ref} gave {answered.num_rows:,} answers for {count:,} rows.")
        value, score = self._cast(answered, "value", self._kind), self._cast(answered, "score", pa.float64())
        error = pa.nulls(count, pa.string())
        if pa.types.is_floating(value.type):
            nothing = pc.fill_null(pc.is_nan(value), fill_value=False)
            if pc.any(nothing).as_py():
                if self.strict:
                    raise ModelError(f"{self._predictor.ref} gave NaN, which is no number.")
                value = pc.if_else(nothing, pa.scalar(None, value.type), value)
                error = pc.if_else(nothing, "ModelError: the model gave NaN", error)
        return pa.table({"value": value, "score": score, "error": error})

    def _ask_others(self, batch: pa.RecordBatch, error: InvalidRows) -> pa.Table:
        """Ask about the rows that can be used; the others get what is wrong with them."""
        import numpy as np
        import pyarrow as pa

        bad = sorted(error.rows)
        good = np.setdiff1d(np.arange(batch.num_rows), bad)
        parts = [self._failures([f"{type(error).__name__}: {error.rows[place]}" for place in bad])]
        if len(good):
            parts.insert(0, self.ask(batch.take(pa.array(good))))
        return pa.concat_tables(parts).take(np.argsort(np.concatenate([good, bad])))

    def _cast(self, answered: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
        import pyarrow as pa

        column = answered[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # It is one still where there are no rows.
            column = pa.array([], column.type)
        if column.type == kind:
            return column
        # Text that happens to be digits is no number.
        if pa.types.is_string(column.type) and not pa.types.is_string(kind):
            raise ModelError(f"{self._predictor.ref} gave a {name} that is text, not {kind}.")
        try:
            return column.cast(kind)
        except pa.ArrowException as error:
            what = f"{self._predictor.ref} gave a {name} of type {column.type}, which is no {kind}: {error}"
            raise ModelError(what) from None

    def failed(self, error: ModelError, count: int) -> pa.Table:
        """Make the answers for rows on which the model failed."""
        import pyarrow as pa

        return self._failures(pa.repeat(_said(error), count))

    def _failures(self, said: Sequence[str] | pa.Array) -> pa.Table:
        import pyarrow as pa

        count = len(said)
        return pa.table(
            {
                "value": pa.nulls(count, self._kind),
                "score": pa.nulls(count, pa.float64()),
                "error": pa.array(said, pa.string()),
            }
        )

    def note(self, error: ModelError | None) -> None:
        """Count how many rows failed alike, one after the other; None is a success."""
        text = "" if error is None else _VARYING.sub("…", _said(error))
        self._failed_alike = self._failed_alike + 1 if text and text == self._last else int(bool(text))
        self._last = text

    def is_hopeless(self, rest: pa.RecordBatch) -> bool:
        """Say whether it fails on all rows of `rest`, as far as a sample of them shows."""
        if self._failed_alike < IN_A_ROW:
            return False
        every = max(1, rest.num_rows // _SAMPLED)
        for start in range(every // 2, rest.num_rows, every):
            try:
                self.ask(rest.slice(start, 1))
            except ModelError as error:
                if _VARYING.sub("…", _said(error)) == self._last:
                    continue
            self._failed_alike = 0
            return False
        return True


class _Search:
    """The answers for one batch, found from left to right by halving what fails."""

    def __init__(self, asker: Asker, batch: pa.RecordBatch) -> None:
        self._asker = asker
        self._batch = batch
        self._done = 0
        self._failures = 0
        self.parts: list[pa.Table] = []

    def run(self, start: int, end: int, *, fails: bool = False) -> bool:
        """Answer the rows up to `end`; `fails` says that they are known to fail together.

        Returns whether none of them failed.
        """
        start = max(start, self._done)
        if start >= end:
            return True
        if not fails or end - start == 1:
            try:
                self._take(self._asker.ask(self._batch.slice(start, end - start)), end)
            except ModelError as error:
                if self._asker.strict:
                    raise
                if is_passing(error):
                    # It is not the rows' fault: to ask about fewer of them would only ask more often.
                    self._take(self._asker.failed(error, end - start), end, error)
                    return True
                if end - start == 1:
                    self._fail(error)
                    return False
                if self._give_up(error):
                    return False
            else:
                return True
        middle = (start + end) // 2
        fine = self.run(start, middle)
        # If the left half is fine, it is the right one that fails.
        self.run(middle, end, fails=fine)
        return False

    def _take(self, part: pa.Table, end: int, error: ModelError | None = None) -> None:
        self.parts.append(part)
        self._done = end
        self._asker.note(error)

    def _fail(self, error: ModelError) -> None:
        """Set a row apart; after the first, the rest is most likely fine and asked about as a whole."""
        self._take(self._asker.failed(error, 1), self._done + 1, error)
        self._failures += 1
        count = self._batch.num_rows
        if self._done < count and self._failures == 1:
            try:
                rest = self._asker.ask(self._batch.slice(self._done))
            except ModelError:
                return
            self._take(rest, count)
        else:
            self._give_up(error)

    def _give_up(self, error: ModelError) -> bool:
        """Mark the rest of the batch as failed if the model fails on everything."""
        rest = self._batch.slice(self._done)
        if not rest.num_rows or not self._asker.is_hopeless(rest):
            return False
        self.parts.append(self._asker.failed(error, rest.num_rows))
        self._done = self._batch.num_rows
        return True


def _said(error: ModelError) -> str:
    """Say what failed as its class and message."""
    cause = error.__cause__
    said = (
        f"{type(cause).__name__}: {cause}"
        if cause is not None
        else f"{type(error).__name__}: {error.message}"
    )
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


@lru_cache(maxsize=64)
def arrow_type(kind: str) -> pa.DataType:
    """Return the Arrow type in which the engine gives values of one of its types.

    Examples
    --------
    >>> arrow_type("FLOAT[]")
    ListType(list<l: float>)
    """
    with scratch() as cursor:
        nothing = execute(cursor, f"SELECT CAST(NULL AS {kind}) AS value").to_arrow_table()
    return nothing.schema.field("value").type
