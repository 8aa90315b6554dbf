"""A model that can be asked: its estimator, with the encoding before it and the decoding after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError, said
from workbench.train import estimators, unsupervised
from workbench.train.encoding import encode
from workbench.train.evaluate import Answers
from workbench.train.inputs import typed
from workbench.train.label import decode
from workbench.train.preparation import raw_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.train.dataset import FeatureSpec
    from workbench.train.encoding import Matrix
    from workbench.train.label import Task, Value
    from workbench.train.preparation import Preparation


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted estimator and what it needs to answer in the label's own values."""

    ref: str
    task: Task
    features: FeatureSpec
    classes: tuple[Value, ...]
    estimator: Any
    preparation: Preparation | None = None

    def prepared(self, rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
        """Compute the features of raw rows, where the training query computed them."""
        return self.preparation.apply(rows) if self.preparation else rows

    def from_raw(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch | pa.Table]:
        """Compute the features of held-out rows from what was raw in them, batch by batch."""
        for batch in batches:
            yield self.prepared(raw_rows(batch))

    def matrix(self, rows: pa.RecordBatch | pa.Table) -> Matrix:
        """Return raw rows as what the estimator takes."""
        rows = typed(rows, self.features, self.preparation, self.ref)
        return encode(self.prepared(rows), self.features)

    @property
    def callers(self) -> int:
        """From how many threads at once it is best asked; each of them calls `share_cores` first."""
        return estimators.callers(self.estimator)

    def share_cores(self) -> None:
        """Leave the other callers their part of the cores, in this thread."""
        estimators.share_cores(self.callers)

    def predict(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows by column name.

        Returns
        -------
        pyarrow.Table
            `value`, in the label's type, and `score`: the probability of the positive class, or of
            the predicted one of several; NULL for a regression. Without a label see `unsupervised`.

        Raises
        ------
        InvalidData
            If columns are missing or of another type; `InvalidRows` if that is so in some rows.
        ModelError
            If the estimator fails.
        """
        import numpy as np
        import pyarrow as pa

        matrix = self.matrix(rows)
        if unsupervised.is_unsupervised(self.task):
            with self._guarded(len(matrix)):
                value, score = unsupervised.predict(self.estimator, matrix, self.task)
            return pa.table({"value": value, "score": score})
        answered = self.raw(matrix)
        if self.task == "regression":
            return pa.table({"value": pa.array(answered), "score": pa.nulls(len(answered), pa.float64())})
        predicted = _best(answered)
        place = 1 if self.task == "binary" else predicted
        score = answered[np.arange(len(answered)), place]
        return pa.table({"value": decode(predicted, self.classes), "score": pa.array(score)})

    def raw(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return probabilities (n × classes), the values of a regression (n), or components (n × kept)."""
        import numpy as np

        if self.task == "components":
            with self._guarded(len(matrix)):
                return unsupervised.components(self.estimator, matrix)
        if unsupervised.is_unsupervised(self.task):
            with self._guarded(len(matrix)):
                value, score = unsupervised.predict(self.estimator, matrix, self.task)
            return np.column_stack([np.asarray(each, np.float64) for each in (value, score)])

        if not len(matrix):
            # scikit-learn refuses to answer for no rows.
            return np.empty(0) if self.task == "regression" else np.empty((0, len(self.classes)))
        with self._guarded(len(matrix)):
            answered = estimators.answer(self.estimator, matrix, self.task)
        wanted = (len(matrix),) if self.task == "regression" else (len(matrix), len(self.classes))
        if answered.shape != wanted:
            given, asked = (" × ".join(map(str, shape)) for shape in (answered.shape, wanted))
            raise ModelError(f"The model {self.ref} gives {given} answers where {asked} were asked for.")
        return answered

    @contextmanager
    def _guarded(self, count: int) -> Iterator[None]:
        """Name the model in whatever its library raises."""
        try:
            yield
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise ModelError(f"The model {self.ref} failed on {count:,} rows: {said(error)}") from error

    def answers(self, matrix: Matrix, truth: npt.NDArray[Any]) -> Answers:
        """Answer for rows whose truth is known (class numbers or values); without a label it is nothing."""
        if unsupervised.is_unsupervised(self.task):
            with self._guarded(len(matrix)):
                return unsupervised.answers(self.estimator, matrix, self.task)
        return self._answers(self.raw(matrix), truth)

    def raw_of(self, batches: Iterable[pa.RecordBatch | pa.Table]) -> npt.NDArray[np.float64]:
        """Return the same as `raw` for prepared rows, of which one batch at a time is in memory."""
        import numpy as np

        answered = [self.raw(encode(batch, self.features)) for batch in batches]
        return np.concatenate(answered) if answered else self.raw(np.empty((0, 0), np.float32))

    def answers_of(self, batches: Iterable[pa.RecordBatch | pa.Table], truth: npt.NDArray[Any]) -> Answers:
        """Answer for prepared rows whose truth is known, batch by batch."""
        if unsupervised.is_unsupervised(self.task):
            return self.answers(self.matrix_of(batches), truth)
        return self._answers(self.raw_of(batches), truth)

    def matrix_of(self, batches: Iterable[pa.RecordBatch | pa.Table]) -> Matrix:
        """Encode prepared rows, all of them at once in memory."""
        import numpy as np

        return np.concatenate([encode(batch, self.features) for batch in batches])

    def _answers(self, answered: npt.NDArray[np.float64], truth: npt.NDArray[Any]) -> Answers:
        import numpy as np

        rows = answered.reshape(len(answered), -1)
        if unknown := int((~np.isfinite(rows).all(axis=1)).sum()):
            raise ModelError(
                f"The model {self.ref} gives no number for {unknown:,} of {len(answered):,} rows.",
                hint="Scale the features, leave extreme values out, or choose other PARAMS.",
            )
        if self.task == "regression":
            return Answers(truth, answered)
        return Answers(truth, _best(answered), answered)


def _best(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    best: npt.NDArray[np.int64] = probabilities.argmax(axis=1)
    return best
