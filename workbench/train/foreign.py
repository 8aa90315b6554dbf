"""Models that the store did not train, as MLflow keeps them: any flavour, by name, run or folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from workbench import trust
from workbench.errors import InvalidData, ModelError, NotFound
from workbench.train import packaged_models
from workbench.train.mlflow_client import open_client, quiet
from workbench.train.model_files import digest
from workbench.train.tracking import CHAMPION

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_FILE = "MLmodel"
_SHOWN_DIGITS = 12
_VALUE_NAMES = ("value", "label")
"""What the column of the value is called, in an answer that has other columns too."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A model of MLflow that the store did not train itself; its files are read when it is asked.

    Attributes
    ----------
    ref : str
        With the version, or the digest of its description where it is not registered.
    place : str
        The folder of its files.
    types : mapping of str to pyarrow.DataType or None
        The columns that its signature names; None takes any type. Empty without such a signature.
    output : str or None
        The DuckDB type of its answer, where the signature declares one.
    tensor : numpy.dtype or None
        Of the matrix it takes, where it is declared as one.
    flavors : tuple of str
    """

    ref: str
    place: str
    types: Mapping[str, pa.DataType | None]
    output: str | None
    tensor: np.dtype[Any] | None
    flavors: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns its signature names; none without a signature."""
        return tuple(self.types)

    def predict(self, rows: pa.RecordBatch) -> tuple[Any, Any]:
        """Ask the model for value and score, which may be None; raises whatever it raises.

        Raises
        ------
        ModelError
            If its files are gone, or cannot be loaded.
        """
        model = _load(self.place, self.ref)
        if self.tensor is None:
            return _value_and_score(model.predict(rows.to_pandas()))
        import numpy as np

        matrix = np.column_stack([column.to_numpy(zero_copy_only=False) for column in rows.columns])
        return _value_and_score(model.predict(matrix.astype(self.tensor)))


def _value_and_score(answered: Any) -> tuple[Any, Any]:
    """Take value and score from an array, a list, a series, a frame, or from mappings of columns or rows."""
    first = answered[0] if isinstance(answered, list) and answered else answered
    if isinstance(first, Mapping):
        import pandas as pd

        answered = pd.DataFrame(answered)
    names = [str(each) for each in getattr(answered, "columns", ())]
    for value in _VALUE_NAMES:
        if value in names:
            return answered[value], answered["score"] if "score" in names else None
    return answered, None


def find(folder: Path, name: str) -> Foreign:
    """Find a model by `name`, `name@version`, `name@alias`, `runs:/run/name` or the path of its folder.

    Raises
    ------
    NotFound
        If there is no such model, version or alias.
    ModelError
        If its description cannot be read.
    Unsupported
        If it is part of the store, and was not approved on this machine.
    """
    with quiet(folder):
        if name.startswith("runs:/"):
            return _describe(f"mlflow:{name}", _of_run(folder, name), folder)
        if _local(name).is_dir():
            place = _local(name)
            return _describe(f"mlflow:{name}@{digest(place)[:_SHOWN_DIGITS]}", place)
        return _registered(folder, name)


def _registered(folder: Path, rest: str) -> Foreign:
    name, _, alias = rest.partition("@")
    version, files = packaged_models.find(folder, name, alias or CHAMPION)
    return _describe(f"mlflow:{name}@{version}", files)


def _of_run(folder: Path, name: str) -> Path:
    """Find the files of a model that a run logged, as its artifact or as a logged model."""
    from mlflow.exceptions import MlflowException

    run_id, _, place = name.removeprefix("runs:/").partition("/")
    client = open_client(folder)
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise NotFound(f"There is no run {run_id!r} in the MLflow of this store.") from error
    artifact = _local(run.info.artifact_uri) / place
    if (artifact / _FILE).is_file():
        return artifact
    logged = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    found = {each.name: each.artifact_location for each in logged}
    if place not in found:
        raise NotFound.named("model", place, found, within=f"the run {run_id}")
    return _local(found[place])


def logged(folder: Path, but_of: Collection[str]) -> list[tuple[str, str, Path]]:
    """List the run, name and folder of each model that runs logged, but for those of some runs."""
    database = folder / "mlflow.db"
    if not database.exists():
        return []
    ours = list(but_of)
    text = (
        "SELECT source_run_id, name, artifact_location FROM logged_models WHERE lifecycle_stage = 'active' "
        f"AND source_run_id NOT IN ({', '.join('?' for _ in ours)}) ORDER BY creation_timestamp_ms"
    )
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute(text, ours).fetchall():
            return []
        with quiet(folder):
            open_client(folder)  # It corrects the addresses, should the folder have moved.
        rows = connection.execute(text, ours).fetchall()
    return [(run, name, _local(place)) for run, name, place in rows if _local(place).is_dir()]


def _gone(ref: str, place: object) -> ModelError:
    return ModelError(f"The files of the model {ref} are gone: {place}.", hint="Restore them from a backup.")


def _local(address: str) -> Path:
    return Path(unquote(urlparse(address).path)) if address.startswith("file:") else Path(address)


def _describe(ref: str, place: Path, store: Path | None = None) -> Foreign:
    """Read the description of a model, without loading it; `store` is the one that it is part of."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    if not (place / _FILE).is_file():
        raise _gone(ref, place)
    if store is not None:
        trust.require(digest(place), f"{ref} can hold any code", store)
    try:
        described = Model.load(str(place))
    except (MlflowException, OSError, TypeError, ValueError) as error:
        raise ModelError(f"The file {place / _FILE} cannot be read: {error}") from error
    if "python_function" not in described.flavors:
        raise ModelError(
            f"{ref} cannot be asked: it has no flavour python_function.",
            hint="Log it with one of MLflow's flavours.",
        )
    types, tensor = _inputs(described.signature)
    return Foreign(ref, str(place), types, _output(described.signature), tensor, tuple(described.flavors))


@lru_cache(maxsize=16)
def _load(place: str, ref: str) -> Any:
    with quiet(Path(place)):
        import mlflow.pyfunc

        if not Path(place).is_dir():
            raise _gone(ref, place)
        try:
            return mlflow.pyfunc.load_model(place)
        except Exception as error:  # a model is loaded by foreign code, which may raise anything
            raise ModelError(f"{ref} cannot be loaded: {type(error).__name__}: {error}") from error


def _inputs(signature: Any) -> tuple[dict[str, pa.DataType | None], np.dtype[Any] | None]:
    """Return the named columns with their types, and the type of a matrix that is taken instead."""
    import pyarrow as pa

    schema = signature.inputs if signature is not None else None
    if schema is None:
        return {}, None
    if not schema.has_input_names():
        return {}, schema.inputs[0].type if schema.is_tensor_spec() else None
    if schema.is_tensor_spec():
        raise InvalidData(
            "A model of several tensors cannot be bound.", hint="Log it with columns as its inputs."
        )
    kinds = {
        "float": pa.float32(),
        "double": pa.float64(),
        "long": pa.int64(),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
        "string": pa.string(),
        "binary": pa.binary(),
    }
    return {each.name: kinds.get(getattr(each.type, "name", "")) for each in schema.inputs}, None


def _output(signature: Any) -> str | None:
    """Return the DuckDB type of the answer; None where none is declared."""
    schema = signature.outputs if signature is not None else None
    if schema is None or not schema.inputs:
        return None
    columns = {each.name: each for each in schema.inputs}
    declared = next((columns[each] for each in _VALUE_NAMES if each in columns), schema.inputs[0])
    if len(columns) > 1 and declared.name not in _VALUE_NAMES:
        return "DOUBLE[]"
    if not schema.is_tensor_spec():
        named = {"boolean": "BOOLEAN", "integer": "BIGINT", "long": "BIGINT", "string": "VARCHAR"}
        is_list = type(declared.type).__name__ == "Array"
        return "DOUBLE[]" if is_list else named.get(getattr(declared.type, "name", ""), "DOUBLE")
    kind = declared.type.kind
    if len(declared.shape) > 1 and declared.shape[-1] != 1:
        return "FLOAT[]" if declared.type.itemsize <= 4 else "DOUBLE[]"
    return {"b": "BOOLEAN", "i": "BIGINT", "u": "BIGINT", "f": "DOUBLE"}.get(kind, "VARCHAR")
