"""The outputs of an ONNX model as value and score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError, Unsupported

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

CLASSES = "classes"
"""The entry of a file's metadata that lists the labels of a classifier, as JSON."""

_LABELS = {
    "tensor(int64)": "BIGINT",
    "tensor(int32)": "BIGINT",
    "tensor(string)": "VARCHAR",
    "tensor(bool)": "BOOLEAN",
}
_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_ZIPMAP = "seq(map("


@dataclass(frozen=True, slots=True)
class Answer:
    """Which outputs are read, and as what.

    Attributes
    ----------
    names : tuple of str
        The output of the value, and that of the probabilities if there is one.
    classes : tuple
        The labels, where the value is a vector of scores for them.
    """

    names: tuple[str, ...]
    value_type: str
    classes: tuple[Any, ...]
    model: str

    @classmethod
    def read(cls, outputs: Sequence[Any], metadata: Mapping[str, str], model: str) -> Answer:
        """Decide by the names and types of the outputs.

        Raises
        ------
        Unsupported
            If there is no output that could be a value.
        """
        classes = _classes(metadata, model)
        flat = [each for each in outputs if each.type.startswith(_ZIPMAP) or len(each.shape) <= 2]
        numbers = [each for each in flat if each.type in _FLOATS]
        labels = [each for each in flat if each.type in _LABELS]
        if classes and numbers:
            kind = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT"}.get(type(classes[0]), "DOUBLE")
            return cls((numbers[0].name,), kind, classes, model)
        if labels:
            scores = [each for each in flat if each.type.startswith(_ZIPMAP) or each in numbers]
            names = (labels[0].name, *(each.name for each in scores[:1] if len(scores) == 1))
            return cls(names, _LABELS[labels[0].type], (), model)
        if numbers:
            wide = len(numbers[0].shape) == 2 and numbers[0].shape[1] != 1
            return cls((numbers[0].name,), "FLOAT[]" if wide else "DOUBLE", (), model)
        listed = ", ".join(f"{each.name}: {each.type} {each.shape}" for each in outputs)
        raise Unsupported(
            f"{model} gives {listed}, which is no value for a column.",
            hint="It should give a label, a number or a vector for each row.",
        )

    def nothing(self) -> tuple[pa.Array, None]:
        """Return the answer for no rows."""
        import pyarrow as pa

        kinds = {
            "BIGINT": pa.int64(),
            "VARCHAR": pa.string(),
            "BOOLEAN": pa.bool_(),
            "DOUBLE": pa.float64(),
            "FLOAT[]": pa.list_(pa.float32()),
        }
        return pa.array([], kinds[self.value_type]), None

    def parts(self, outputs: Sequence[Any], count: int) -> tuple[pa.Array, pa.Array | None]:
        """Return value and score of what the outputs hold.

        Raises
        ------
        ModelError
            If they are not one per row.
        """
        import numpy as np
        import pyarrow as pa

        if self.classes:
            return self._chosen(np.asarray(outputs[0], np.float64), count)
        values = np.asarray(outputs[0])
        if self.value_type == "FLOAT[]":
            self._check(values, (count, values.shape[-1]))
            return pa.array(list(values.astype(np.float32)), pa.list_(pa.float32())), None
        if values.shape == (count, 1):
            values = values.reshape(-1)
        self._check(values, (count,))
        kind = pa.string() if self.value_type == "VARCHAR" else None
        value = pa.array(values.tolist() if values.dtype == object else values, kind, from_pandas=False)
        return value, self._score(outputs[1]) if len(outputs) > 1 else None

    def _chosen(self, scores: npt.NDArray[np.float64], count: int) -> tuple[pa.Array, pa.Array]:
        """Choose the class with the highest score, made a probability where the scores are none."""
        import numpy as np
        import pyarrow as pa

        self._check(scores, (count, len(self.classes)))
        if not (np.all(scores >= 0) and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = powers / powers.sum(axis=1, keepdims=True)
        value = pa.array(self.classes).take(pa.array(scores.argmax(axis=1)))
        return value, self._score(scores)

    def _score(self, probabilities: Any) -> pa.Array:
        """Return the probability of the second class of two, else that of the most probable one."""
        import numpy as np
        import pyarrow as pa

        if isinstance(probabilities, list):  # for each row a mapping of the classes
            probabilities = [list(each.values()) for each in probabilities]
        table = np.asarray(probabilities, np.float64)
        if table.ndim == 1:
            return pa.array(table)
        return pa.array(table[:, 1] if table.shape[1] == 2 else table.max(axis=1))

    def _check(self, values: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
        if values.shape != shape:
            raise ModelError(f"{self.model} gave an answer of shape {values.shape} for {shape[0]:,} rows.")


def _classes(metadata: Mapping[str, str], model: str) -> tuple[Any, ...]:
    if CLASSES not in metadata:
        return ()
    try:
        found = json.loads(metadata[CLASSES])
    except ValueError as error:
        raise ModelError(f"The classes in the metadata of {model} are no JSON: {error}") from error
    return tuple(found) if isinstance(found, list) else ()
