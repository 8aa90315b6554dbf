"""Models that read one text: which column it is, and the sentence embeddings of a local model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bind.predictors.columns import converted, one_batch, prediction, select
from workbench.errors import InvalidData, ModelError, WorkbenchError, said

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.embedding import Embedding

BATCH_ROWS = 512
"""Rows per call of a model that takes milliseconds for each."""


def text_column(schema: pa.Schema | None, model: str) -> str:
    """Name the column that a model of one text reads: the only one bound, or the only one of text.

    Raises
    ------
    InvalidData
        If there is none, or more than one.
    """
    from pyarrow import types

    fields = list(schema) if schema is not None else []
    if len(fields) == 1:
        return str(fields[0].name)
    found = [each.name for each in fields if types.is_string(each.type) or types.is_large_string(each.type)]
    if len(found) != 1:
        given = f", not {', '.join(found)}" if found else ", and there is no column of text"
        raise InvalidData(
            f"{model} reads one text{given}.", hint="Name its column, as in: bind … ON table(text)."
        )
    return str(found[0])


def read_texts(batch: pa.RecordBatch | pa.Table, column: str, model: str) -> pa.Array:
    """Return the texts of rows.

    Raises
    ------
    InvalidData
        If the column is missing, or of another kind.
    """
    import pyarrow as pa

    values = select(one_batch(batch), [column], model).column(0)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise InvalidData(f"The column {column!r} holds {values.type} where {model} reads texts.")
    return converted(values, pa.string(), column, model)


class Sentences:
    """A model for sentence embeddings: a FLOAT[] for each text, NULL for NULL."""

    batch_rows = BATCH_ROWS
    value_type = "FLOAT[]"

    def __init__(self, ref: str, embedding: Embedding, schema: pa.Schema | None) -> None:
        self.ref = ref
        self._embedding = embedding
        self._schema = schema

    @property
    def inputs(self) -> tuple[str, ...]:
        """The column of the text."""
        return (text_column(self._schema, self.ref),)

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        texts = read_texts(batch, self.inputs[0], self.ref)
        try:
            vectors = self._embedding.load().embed(texts)
        except WorkbenchError:
            raise
        except Exception as error:  # a library of models may raise anything
            raise ModelError(f"{self.ref} failed on {len(texts):,} rows: {said(error)}") from error
        return prediction(vectors, None, len(texts), self.ref)
