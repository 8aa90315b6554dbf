"""A predictor whose model runs in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.bind.isolation.process import Died, Failed
from workbench.bind.isolation.warm import Recipe, use
from workbench.bind.predictors.protocol import BATCH_ROWS
from workbench.errors import ModelError, WorkbenchError

if TYPE_CHECKING:
    import pyarrow as pa

LOST_SECONDS = 600.0
"""How long one run may spend on attempts that ended the process."""

_MORE = 3


@dataclass(frozen=True, slots=True)
class Described:
    """What a model is, where that is known without loading it."""

    ref: str
    inputs: tuple[str, ...]
    value_type: str
    batch_rows: int = BATCH_ROWS


class Isolated:
    """A model behind a worker; the worker of one that was used before is still warm.

    A batch that ends the process fails, and whoever asked can halve it to find the rows. A model
    that ends its process more often in a row than halving explains is given up.

    Parameters
    ----------
    recipe : Recipe
        How it is started.
    ref : str
        The reference, for errors.
    known : Described or None
        What it is; None asks the model itself.
    """

    def __init__(self, recipe: Recipe, ref: str, known: Described | None = None) -> None:
        self._recipe = recipe
        self._name = ref
        self._deaths = 0
        self._allowed = 0
        self._lost = 0.0
        self._given_up: str | None = None
        self._empty: dict[pa.Schema, pa.Table] = {}
        try:
            with use(recipe) as worker:
                description = worker.describe()
        except Failed as error:
            raise ModelError(f"{ref} cannot be loaded: {error.message}", hint=error.hint) from None
        known = known or Described(
            description["ref"],
            tuple(description["inputs"]),
            description["value_type"],
            description["batch_rows"] or BATCH_ROWS,
        )
        self.batch_rows = known.batch_rows
        self.ref, self.inputs, self.value_type = known.ref, known.inputs, known.value_type

    @property
    def network(self) -> str:
        """How the network is kept from it; see `worker.confine`."""
        with use(self._recipe) as worker:
            return worker.network

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`.

        Raises
        ------
        ModelError
            If the model fails, ends its process, or takes too long or too much memory.
        """
        if batch.num_rows:
            if self._given_up is not None:
                raise ModelError(self._given_up)
            return self._predict(batch)
        # Asked for its schema alone; a model that was given up has still to say it.
        if batch.schema not in self._empty:
            self._empty[batch.schema] = self._predict(batch)
        return self._empty[batch.schema]

    def _predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        started = time.monotonic()
        try:
            with use(self._recipe) as worker:
                table = worker.predict(batch)
        except WorkbenchError as error:
            self._count(batch.num_rows, time.monotonic() - started, error)
            if not isinstance(error, Failed):
                raise
            raise ModelError(
                f"{self._name} failed on {batch.num_rows:,} rows: {error.message}", hint=error.hint
            ) from error.__cause__
        self._deaths = 0
        return table

    def _count(self, rows: int, seconds: float, error: WorkbenchError) -> None:
        if not isinstance(error, Died):
            self._deaths = 0
            return
        if not self._deaths:
            self._allowed = rows.bit_length() + _MORE
        self._deaths += 1
        self._lost += seconds
        if self._deaths >= self._allowed or self._lost > LOST_SECONDS:
            self._given_up = (
                f"{self._name} was given up for this run, having ended its process {self._deaths} times in a "
                f"row: {error.message}"
            )
