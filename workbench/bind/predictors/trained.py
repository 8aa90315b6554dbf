"""Models trained by this store: `late`, `late@2`, `late@champion`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.fastest import (
    FEW_ROWS,
    LEAST_ROWS,
    NATIVE,
    ONNX,
    SAMPLE_ROWS,
    Choice,
    Compiled,
    Plain,
    candidates_for,
    choose,
    is_fast_itself,
)
from workbench.bind.predictors.protocol import BATCH_ROWS
from workbench.errors import NotFound
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake
    from workbench.train.registry import Fitted, Model


_SUPERVISED = ("regression", "binary", "multiclass")


class Trained:
    """A model trained by this store, asked by the fastest way that agrees with its library.

    Which that is was decided for its binding (`prefer`), or is by the first large batch.

    Attributes
    ----------
    choice : Choice or None
        What was decided by this object.
    """

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake, ref: str, schema: pa.Schema | None = None) -> None:
        self._model = _find(lake, ref)
        self._lake = lake
        self._ways: dict[str, Fitted] = {}
        self._preferred = NATIVE
        self._least = LEAST_ROWS
        self.choice: Choice | None = None

    @property
    def ref(self) -> str:
        """The model with its version, as in `late@3`."""
        return self._model.ref

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that its features are, or are computed from."""
        return self._model.raw_inputs

    @property
    def value_type(self) -> str:
        """The type of the label."""
        return self._model.value_type

    @property
    def callers(self) -> int:
        """How many threads should ask it; see `Shared`."""
        return self._way(0).callers

    def share_cores(self) -> None:
        """Leave the other threads their part of the cores."""
        self._way(0).share_cores()

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        if self.choice is None and batch.num_rows >= self._least:
            self.choose(batch.slice(0, SAMPLE_ROWS))
        return self._way(batch.num_rows).predict(batch)

    def choose(self, rows: pa.RecordBatch | pa.Table) -> Choice | None:
        """Try the ways to ask it on some rows; None where it has only one, or there are too few rows."""
        if self._model.task in _SUPERVISED and rows.num_rows >= FEW_ROWS:
            fitted = self._way(0)
            matrix = fitted.matrix(rows)
            self.choice = choose(candidates_for(fitted, matrix.shape[1]), matrix)
            self._preferred = self.choice.engine
        return self.choice

    def prefer(self, chosen: Mapping[str, Any] | None) -> None:
        """Take the way that was chosen before, if it was for this version; else choose soon.

        What was chosen by few rows is chosen anew by the first large batch.
        """
        if chosen is None or chosen["model"] != self.ref:
            self._least = SAMPLE_ROWS
            return
        self._preferred = chosen["engine"]
        if chosen["engine_rows"] >= SAMPLE_ROWS:
            self._least = sys.maxsize

    def get_ready(self) -> None:
        """Convert it now, if that was chosen, and not when the first large batch comes."""
        self._way(LEAST_ROWS)

    def _way(self, rows: int) -> Fitted:
        """Return the model as it is to be asked about so many rows."""
        if NATIVE not in self._ways:
            self._ways[NATIVE] = registry.load(self._lake, self._model)
        fitted = self._ways[NATIVE]
        name = self._preferred
        if name not in self._ways:
            # A store may say so of XGBoost's model from when those were still tried as ONNX.
            if name == ONNX and (rows < LEAST_ROWS or is_fast_itself(fitted.estimator)):
                return fitted
            made = (
                _compiled(fitted.estimator, fitted.task, len(fitted.features.names)) if name == ONNX else None
            )
            self._ways[name] = replace(fitted, estimator=made or Plain(fitted.estimator))
        return self._ways[name]


@lru_cache(maxsize=8)
def _compiled(estimator: Any, task: str, width: int) -> Compiled:
    """Convert an estimator once: it is the same object for as long as its files are."""
    return Compiled(estimator, task, width)


def _find(lake: Lake, ref: str) -> Model:
    model = registry.get(lake, ref)
    if "@" not in ref and not model.deployed:
        raise NotFound(
            f"No version of the model {ref!r} is deployed.",
            hint=f"Say deploy {model.ref}, or name the version: {model.ref}.",
        )
    return model
