"""What predicts: one protocol for all kinds of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 122_880
"""Rows per call of a model that is fast: one row group of DuckDB's."""


class Predictor(Protocol):
    """Anything that can predict rows.

    Making one is cheap, for a statement makes several: files of models are read when they are
    first asked.
    """

    @property
    def ref(self) -> str:
        """The model with its version, so that another one makes old predictions stale."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns it needs."""
        ...

    @property
    def value_type(self) -> str:
        """The DuckDB type of its values."""
        ...

    @property
    def batch_rows(self) -> int:
        """How many rows to give it at once; few for a slow one, so that progress can be shown."""
        ...

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Return `value` and `score` (DOUBLE) for each row, in order; other columns are ignored.

        Raises
        ------
        InvalidData
            If columns are missing or of another type.
        ModelError
            If the model fails.
        """
        ...


@runtime_checkable
class Shared(Predictor, Protocol):
    """A predictor that answers faster when several threads ask it at once."""

    @property
    def callers(self) -> int:
        """How many threads should ask it, once it has answered for a batch; 1 if no more than one."""
        ...

    def share_cores(self) -> None:
        """Leave the other threads their part of the cores; each calls this first."""
        ...
