"""What the worker loads of this package: the model that a reference names, without a lake."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.bind.predictors import Predictor, resolve
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake


@dataclass(frozen=True, slots=True)
class _Place:
    """All that loading a model asks of a lake: where its files are."""

    folder: Path


def describe(folder: Path, ref: str, schema: pa.Schema | None, model: object = None) -> dict[str, Any]:
    """Put into JSON what `load_model` needs; `model` is the record of one that was trained here."""
    return {
        "folder": str(folder),
        "ref": ref,
        "schema": schema and base64.b64encode(schema.serialize()).decode(),
        "model": model and base64.b64encode(pickle.dumps(model)).decode(),
    }


def load_model(what: Mapping[str, Any]) -> Predictor:
    """Load a model in the worker; what the worker gets was written by the process that started it."""
    import pyarrow as pa

    place = cast("Lake", _Place(Path(what["folder"])))
    if what["model"]:
        model = pickle.loads(base64.b64decode(what["model"]))  # noqa: S301 (our own, see above)
        return cast("Predictor", registry.load(place, model))
    schema = what["schema"] and pa.ipc.read_schema(pa.py_buffer(base64.b64decode(what["schema"])))
    return resolve(place, what["ref"], schema)
