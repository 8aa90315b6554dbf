"""Models in MLflow's format, in its registry or in a folder: found, and described without running them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import trust
from workbench.errors import ModelError, NotFound
from workbench.train.mlflow_client import open_client, quiet
from workbench.train.model_files import digest

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class Packaged:
    """How a model in MLflow's format is loaded, and what it takes and gives.

    Attributes
    ----------
    loader, code, data : str, str or None, str or None
        The module that loads it, the folder that module may be in, and the path it is given.
    types : mapping of str to str
        The inputs with their pandas types, empty for as they are.
    output : str or None
        The DuckDB type of what it gives.
    """

    files: Path
    loader: str
    code: str | None
    data: str | None
    types: Mapping[str, str]
    output: str | None


def describe(folder: Path, files: Path) -> Packaged:
    """Read how a model in MLflow's format is loaded; none of its code runs.

    Raises
    ------
    ModelError
        If it is not in that format.
    """
    with quiet(folder):
        from mlflow.exceptions import MlflowException
        from mlflow.models import Model

        try:
            model = Model.load(str(files))
        except (MlflowException, OSError) as error:
            raise ModelError(f"{files} holds no model in MLflow's format: {error}") from error
    flavor = model.flavors.get("python_function")
    if flavor is None:
        raise ModelError(f"The model in {files} is no Python function.")
    types, output = _signature(model.signature)
    return Packaged(files, flavor["loader_module"], flavor.get("code"), flavor.get("data"), types, output)


def _signature(schema: Any) -> tuple[dict[str, str], str | None]:
    """Return the input columns with their pandas types ("" for as they are), and the output's DuckDB type."""
    if schema is None or schema.inputs is None or not schema.inputs.has_input_names():
        return {}, None
    numbers = {
        "float": "float32",
        "double": "float64",
        "long": "int64",
        "integer": "int32",
        "boolean": "bool",
    }
    inputs = {
        column.name: numbers.get(getattr(column.type, "name", ""), "") for column in schema.inputs.inputs
    }
    outputs = [getattr(kind, "name", "") for kind in schema.outputs.input_types()] if schema.outputs else []
    types = {"boolean": "BOOLEAN", "integer": "BIGINT", "long": "BIGINT", "string": "VARCHAR"}
    return inputs, types.get(outputs[0], "DOUBLE") if len(outputs) == 1 else None


def registered(folder: Path) -> list[tuple[str, str, str]]:
    """List the name, version and run of all that is in MLflow's registry."""
    database = folder / "mlflow.db"
    if not database.exists():
        return []
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute(
            "SELECT name, version, run_id FROM model_versions WHERE current_stage <> 'Deleted_Internal'"
        ).fetchall()
    finally:
        connection.close()
    return [(name, str(version), run or "") for name, version, run in rows]


def find(folder: Path, name: str, alias: str) -> tuple[str, Path]:
    """Return the version and the files of a registered model, by version or alias.

    Raises
    ------
    NotFound
        If there is no such model, version or alias.
    Unsupported
        If it was not approved on this machine.
    """
    with quiet(folder):
        from mlflow.exceptions import MlflowException

        client = open_client(folder)
        known = [each.name for each in client.search_registered_models()]
        if name not in known:
            raise NotFound.named("MLflow model", name, known)
        try:
            version = (
                alias if alias.isdigit() else str(client.get_model_version_by_alias(name, alias).version)
            )
            client.get_model_version(name, version)
        except MlflowException as error:
            versions = [str(each.version) for each in client.search_model_versions(f"name = '{name}'")]
            aliases = list(client.get_registered_model(name).aliases)
            raise NotFound.named("version", alias, [*versions, *aliases], within=name) from error
        try:
            files = fetch(folder, name, version)
        except ModelError as error:
            ref = f"mlflow:{name}@{version}"
            raise ModelError(
                f"The files of the model {ref} are gone.", hint="Restore them from a backup."
            ) from error
    trust.require(digest(files), f"mlflow:{name}@{version} can hold any code", folder)
    return version, files


def fetch(folder: Path, name: str, version: str) -> Path:
    """Return the folder of a registered model; one that lies elsewhere is fetched."""
    with quiet(folder):
        from mlflow.artifacts import download_artifacts

        client = open_client(folder)
        source = client.get_model_version_download_uri(name, version)
        return Path(download_artifacts(_path(client, source)))


def _path(client: MlflowClient, source: str) -> str:
    if source.startswith("models:/m-"):
        return str(client.get_logged_model(source.removeprefix("models:/")).artifact_location)
    return source
