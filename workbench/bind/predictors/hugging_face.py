"""Models of Hugging Face from its cache or a folder: `hf:org/name@commit`, `hf:/folder`.

Nothing is downloaded. What the model does follows from its files: one for sequence classification
gives a label and its probability, any other an embedding. With `?labels=a,b` behind the name, a
model for natural language inference chooses among these labels without having seen any.
"""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.columns import prediction
from workbench.bind.predictors.texts import BATCH_ROWS, Sentences, read_texts, text_column
from workbench.engines.embedding import INSTALL, find_embedding
from workbench.errors import InvalidData, ModelError, Unsupported, said

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

_CLASSIFIES = "ForSequenceClassification"
_ZERO_SHOT = "zero-shot-classification"
_TOGETHER = 32


class HuggingFace:
    """A model of Hugging Face: a text classifier, one without training, or one for embeddings."""

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake | None, rest: str, schema: pa.Schema | None) -> None:
        place, _, options = rest.partition("?")
        self._labels = _read_labels(options, rest)
        self._embedding = find_embedding(f"hf:{place}")
        self._schema = schema
        pinned = Path(self._embedding.folder).name == place.rpartition("@")[2]
        version = "" if pinned else f"@{self._embedding.digest}"
        self.ref = f"hf:{place}{version}" + (f"?{options}" if options else "")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The column of the text."""
        return (text_column(self._schema, self.ref),)

    @property
    def value_type(self) -> str:
        """VARCHAR for a label, FLOAT[] for an embedding."""
        return "VARCHAR" if self._task else "FLOAT[]"

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            found = json.loads((self._embedding.folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.ref} has no readable config.json: {error}") from error
        return found if isinstance(found, dict) else {}

    @cached_property
    def _task(self) -> str:
        """The task of a classifier; empty for a model for embeddings."""
        classifies = any(str(each).endswith(_CLASSIFIES) for each in self._config.get("architectures") or ())
        if self._labels and not classifies:
            raise InvalidData(
                f"{self.ref} cannot choose among labels: it is no model for natural language inference.",
                hint="Leave ?labels=… out, and get its embeddings.",
            )
        return (_ZERO_SHOT if self._labels else "text-classification") if classifies else ""

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        import pyarrow as pa

        if not self._task:
            return Sentences(self.ref, self._embedding, self._schema).predict(batch)
        texts = read_texts(batch, self.inputs[0], self.ref)
        known = texts.drop_null().to_pylist()
        if not known:
            return prediction(pa.nulls(len(texts), pa.string()), None, len(texts), self.ref)
        try:
            answered = self._ask(known)
        except Unsupported:
            raise
        except Exception as error:  # a library of models may raise anything
            raise ModelError(f"{self.ref} failed on {len(texts):,} rows: {said(error)}") from error
        places = _places(texts)
        value = pa.array([label for label, _ in answered], pa.string()).take(places)
        score = pa.array([number for _, number in answered], pa.float64()).take(places)
        return prediction(value, score, len(texts), self.ref)

    def _ask(self, texts: list[str]) -> list[tuple[str, float]]:
        pipe = _pipeline(self._task, self._embedding.folder, self._embedding.digest)
        if self._task == _ZERO_SHOT:
            # The pipeline refuses an empty text.
            found = pipe([text or " " for text in texts], list(self._labels), batch_size=_TOGETHER)
            return [(each["labels"][0], each["scores"][0]) for each in found]
        found = pipe(texts, top_k=None, truncation=True, batch_size=_TOGETHER)
        names = pipe.model.config.id2label
        positive = names[1] if len(names) == 2 else None
        return [_best(each, positive) for each in found]


def _best(scores: list[dict[str, Any]], positive: str | None) -> tuple[str, float]:
    """Return the best label, and its probability or, of two, that of the positive one."""
    best = max(scores, key=lambda each: float(each["score"]))
    chosen = next((each for each in scores if each["label"] == positive), best)
    return str(best["label"]), float(chosen["score"])


def _places(texts: pa.Array) -> pa.Array:
    """Return for each text its place among those that are not NULL."""
    import numpy as np
    import pyarrow as pa

    valid = texts.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(np.cumsum(valid) - 1, mask=~valid)


def _read_labels(options: str, rest: str) -> tuple[str, ...]:
    name, _, value = options.partition("=")
    labels = tuple(each.strip() for each in value.split(",") if each.strip())
    if options and (name != "labels" or len(labels) < 2):
        raise InvalidData(f"hf:{rest} cannot be read.", hint="Write hf:org/name@commit?labels=one,other.")
    return labels


@lru_cache(maxsize=4)
def _pipeline(task: str, folder: Path, digest: str) -> Any:
    """Load a model, once per process and digest of its files."""
    try:
        from transformers import pipeline

        from workbench.engines.encoder import silent
    except ModuleNotFoundError as error:
        raise Unsupported(f"Models of Hugging Face need the library {error.name}.", hint=INSTALL) from error
    with silent():
        made: Any = pipeline(task, model=str(folder), tokenizer=str(folder))
        return made
