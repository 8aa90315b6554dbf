"""Models trained by this store: `late`, `late@2`, `late@champion`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.bind.predictors.fastest import (
    LEAST_ROWS,
    NATIVE,
    ONNX,
    SAMPLE_ROWS,
    Choice,
    Compiled,
    Plain,
    candidates_for,
    choose,
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
    """A model trained by this store.

    The first large batch decides how it is asked: by the fastest way that agrees with the library.

    Attributes
    ----------
    choice : Choice or None
        What was decided, once there was a large batch.
    """

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake, ref: str, schema: pa.Schema | None = None) -> None:
        self._model = _find(lake, ref)
        self._lake = lake
        self._fitted: Fitted | None = None
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

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        if self._fitted is None:
            self._fitted = registry.load(self._lake, self._model)
        supervised = self._model.task in _SUPERVISED
        if supervised and self.choice is None and batch.num_rows >= LEAST_ROWS:
            self._fitted = self._choose(self._fitted, batch.slice(0, SAMPLE_ROWS))
        return self._fitted.predict(batch)

    def _choose(self, fitted: Fitted, rows: pa.RecordBatch | pa.Table) -> Fitted:
        matrix = fitted.matrix(rows)
        width = matrix.shape[1]
        self.choice = choose(candidates_for(fitted, width), matrix)
        if self.choice.engine == NATIVE:
            return fitted
        if self.choice.engine == ONNX:
            return replace(fitted, estimator=Compiled(fitted.estimator, fitted.task, width))
        return replace(fitted, estimator=Plain(fitted.estimator))


def _find(lake: Lake, ref: str) -> Model:
    model = registry.get(lake, ref)
    if "@" not in ref and not model.deployed:
        raise NotFound(
            f"No version of the model {ref!r} is deployed.",
            hint=f"Say deploy {model.ref}, or name the version: {model.ref}.",
        )
    return model
