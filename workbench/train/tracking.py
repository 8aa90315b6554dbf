"""Models in MLflow: with `foreign` the only module that imports it, and late, for that takes seconds.

Everything goes through a client with explicit addresses, so that the tracking server which the
user's own code may have set stays as it is. Files lie under `artifacts/<model name>` in the
store's folder. MLflow keeps absolute addresses; when the folder was moved, `_relocate` corrects
them before MLflow is asked.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import platform
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from workbench import trust
from workbench.engines import encoder
from workbench.engines.embedding import DEFAULT, FUNCTION
from workbench.errors import ModelError, NotFound, StoreFull, WorkbenchError
from workbench.train.environment import DIRTY
from workbench.train.label import value_type

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from workbench.train.evaluate import Score
    from workbench.train.label import Task
    from workbench.train.trials import Trial

CHAMPION = "champion"

_BOOSTED_FILE = "model.ubj"
_PICKLED_FILE = "model.pkl"
_PORTABLE = "mlstore_model"
_ENCODER = "mlstore_encoder"
_ABOUT = "mlstore.json"
_PARENT = "mlflow.parentRunId"
_LONGEST_PARAMETER = 6000
_LONGEST_TAG = 5000
_LEAST_SPACE = 2**24

# Where MLflow's database keeps addresses of files.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be logged of one trained model.

    `inputs` are the raw columns; `about` goes into the model's metadata, so that whoever loads it
    elsewhere knows how they become the matrix of the estimator, and `sql` does it.
    """

    name: str
    estimator: Any
    task: Task
    inputs: Sequence[str]
    whole: list[str]
    sql: str
    about: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, Score]
    query: str
    snapshot: int
    digest: str
    rows: int
    environment: Mapping[str, str]
    trials: Sequence[Trial] = ()


@dataclass(frozen=True, slots=True)
class Logged:
    """Where a model was logged: the run, the files relative to the store's folder, the version."""

    run_id: str
    uri: str
    model_id: str
    name: str
    version: str


def wake(folder: Path) -> None:
    """Import MLflow and open its database, which takes seconds the first time."""
    with quiet(folder):
        open_client(folder).search_experiments(max_results=1)


def log(folder: Path, entry: Entry) -> Logged:
    """Log a run with its model, and register it; nothing is left in MLflow if that fails."""
    with quiet(folder):
        client = open_client(folder)
        run = client.create_run(_experiment(client, folder, entry.name), run_name=entry.name)
        try:
            _log_run(client, run.info.run_id, entry)
            _log_trials(client, run.info, entry)
            model_id, uri = _log_files(client, folder, run.info, entry)
            version = _register(client, folder / uri, run.info.run_id, entry)
            trust.approve(digest(folder / uri))
            client.set_terminated(run.info.run_id, "FINISHED")
        except BaseException:
            client.set_terminated(run.info.run_id, "FAILED")
            _forget(client, run.info.experiment_id, run.info.run_id)
            raise
    return Logged(run.info.run_id, uri, model_id, entry.name, version)


def discard(folder: Path, logged: Logged) -> None:
    """Take back what `log` wrote, when the lake's commit did not come about."""
    with quiet(folder):
        client = open_client(folder)
        client.delete_model_version(logged.name, logged.version)
        _forget(client, client.get_run(logged.run_id).info.experiment_id, logged.run_id)


def _forget(client: MlflowClient, experiment: str, run_id: str) -> None:
    """Delete a run, the models logged by it, and its trials."""
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        client.delete_logged_model(model.model_id)
    token = None
    while True:
        children = client.search_runs([experiment], f"tags.{_PARENT} = '{run_id}'", page_token=token)
        for child in children:
            client.delete_run(child.info.run_id)
        token = children.token
        if not token:
            break
    client.delete_run(run_id)


def set_decision(folder: Path, name: str, run_id: str, version: int, reason: str) -> None:
    """Tag the version that a run made with the store's own number, and why it was deployed or not."""
    with quiet(folder):
        client = open_client(folder)
        for number in _versions_of(client, name, run_id):
            client.set_model_version_tag(name, number, "mlstore.version", str(version))
            client.set_model_version_tag(name, number, "mlstore.decision", reason[:_LONGEST_TAG])


def set_champion(folder: Path, name: str, run_id: str, version: int) -> None:
    """Give the version that a run made the alias `champion`, and note the store's own number."""
    with quiet(folder):
        client = open_client(folder)
        for number in _versions_of(client, name, run_id):
            client.set_model_version_tag(name, number, "mlstore.version", str(version))
            client.set_registered_model_alias(name, CHAMPION, number)


def _versions_of(client: MlflowClient, name: str, run_id: str) -> list[str]:
    found = client.search_model_versions(f"name = '{name}'")
    return [str(each.version) for each in found if each.run_id == run_id]


def load_native(folder: Path, uri: str, task: Task, ref: str) -> Any:
    """Load an estimator from its files by the library that made it, without MLflow.

    Raises
    ------
    ModelError
        If the files are gone.
    Unsupported
        If it is a pickle that was not approved on this machine.
    """
    path = folder / uri
    if (path / _BOOSTED_FILE).exists():
        import xgboost

        estimator = xgboost.XGBRegressor() if task == "regression" else xgboost.XGBClassifier()
        estimator.load_model(path / _BOOSTED_FILE)
        return estimator
    if is_pickled(path):
        trust.require(digest(path), f"The model {ref} is a pickle, which can hold any code", folder)
        import cloudpickle  # type: ignore[import-untyped]

        return cloudpickle.loads((path / _PICKLED_FILE).read_bytes())
    raise ModelError(
        f"The files of the model {ref} are gone: {path}.", hint="Restore artifacts/ from a backup."
    )


def is_pickled(path: Path) -> bool:
    """Whether the estimator in a model's folder is a pickle."""
    return (path / _PICKLED_FILE).exists()


def digest(path: Path) -> str:
    """Return a fingerprint of all files of a model, but for what loading it leaves there."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and file.name != "registered_model_meta":
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(f"{file.relative_to(path).as_posix()} {content}\n".encode())
    return found.hexdigest()


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


def foreign_folder(folder: Path, name: str, version: str) -> Path:
    """Return the folder of a registered model; one that lies elsewhere is fetched."""
    with quiet(folder):
        from mlflow.artifacts import download_artifacts

        client = open_client(folder)
        source = client.get_model_version_download_uri(name, version)
        return Path(download_artifacts(_path(client, source)))


def find_foreign(folder: Path, name: str, alias: str) -> tuple[str, Path]:
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
            files = foreign_folder(folder, name, version)
        except ModelError as error:
            ref = f"mlflow:{name}@{version}"
            raise ModelError(
                f"The files of the model {ref} are gone.", hint="Restore them from a backup."
            ) from error
    trust.require(digest(files), f"mlflow:{name}@{version} can hold any code", folder)
    return version, files


def _path(client: MlflowClient, source: str) -> str:
    if source.startswith("models:/m-"):
        return str(client.get_logged_model(source.removeprefix("models:/")).artifact_location)
    return source


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


def packaged(folder: Path, files: Path) -> Packaged:
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


def _experiment(client: MlflowClient, folder: Path, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(name, artifact_location=(folder / "artifacts" / name).as_uri()))


def _log_run(client: MlflowClient, run_id: str, entry: Entry) -> None:
    """Log parameters, metrics and the dataset: query and snapshot, no copy of the rows."""
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

    now = int(time.time() * 1000)
    numbers = {
        name if part == "value" else f"{name}_{part}": value
        for name, score in entry.metrics.items()
        for part, value in score.items()
        if isinstance(value, float)
    }
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in numbers.items()],
        params=[Param(name, _text(value)) for name, value in entry.params.items()],
        tags=[
            RunTag("mlstore.query", entry.query),
            RunTag("mlstore.snapshot", str(entry.snapshot)),
            RunTag("mlstore.digest", entry.digest),
            *(RunTag(*tag) for tag in _environment_tags(entry.environment)),
        ],
    )
    source = json.dumps({"query": entry.query, "snapshot": entry.snapshot})
    profile = json.dumps({"num_rows": entry.rows})
    dataset = Dataset(entry.name, entry.digest, "mlstore", source, profile=profile)
    client.log_inputs(run_id, [DatasetInput(dataset, [])])


def _log_trials(client: MlflowClient, run: Any, entry: Entry) -> None:
    """Make each trial a child of the run."""
    from mlflow.entities import Metric, Param

    for trial in entry.trials:
        tags = {_PARENT: run.run_id, "mlstore.status": trial.status}
        child = client.create_run(run.experiment_id, tags=tags, run_name=f"{entry.name} trial {trial.trial}")
        params = {"algorithm": trial.algorithm, **trial.params}
        now = child.info.start_time
        values = {"seconds": trial.seconds}
        if trial.value is not None:
            values[trial.metric] = trial.value
        client.log_batch(
            child.info.run_id,
            metrics=[Metric(name, value, now, 0) for name, value in values.items()],
            params=[Param(name, _text(value)) for name, value in params.items()],
        )
        client.set_terminated(child.info.run_id, "FAILED" if trial.status == "failed" else "FINISHED")


def _environment_tags(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name the versions, and the commit also as MLflow calls it."""
    yield "mlstore.environment", json.dumps(dict(environment))
    if "commit" in environment:
        yield "mlflow.source.git.commit", environment["commit"].removesuffix(DIRTY)


def _text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:_LONGEST_PARAMETER]


def _log_files(client: MlflowClient, folder: Path, run: Any, entry: Entry) -> tuple[str, str]:
    """Save the model with its signature; return its id, and its place in the store's folder."""
    logged = client.create_logged_model(run.experiment_id, name=entry.name, source_run_id=run.run_id)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model"
        _save(path, entry)
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, "READY")
    place = Path(unquote(urlparse(logged.artifact_location).path))
    return str(logged.model_id), place.relative_to(folder).as_posix()


def _save(path: Path, entry: Entry) -> None:
    """Save an estimator with its library's own flavour, and as a function of raw rows."""
    import mlflow.sklearn
    import mlflow.xgboost
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    output = ColSpec(_output(entry))
    # MLflow refuses whole numbers where a signature says double, and a missing whole number is one.
    signature = ModelSignature(Schema([ColSpec(AnyType(), name) for name in entry.inputs]), Schema([output]))
    package = type(entry.estimator).__module__.partition(".")[0]
    libraries = "torch" if _is_own(entry.estimator) else package
    shared = {"signature": signature, "metadata": dict(entry.about)}
    if package == "xgboost":
        requirements = _requirements("xgboost", "scikit-learn", "pandas", "duckdb", *_embeds(entry))
        mlflow.xgboost.save_model(
            entry.estimator, str(path), model_format="ubj", pip_requirements=requirements, **shared
        )
    else:
        # skops, MLflow's default, knows few estimators, and takes its list of trusted types from the
        # model itself; so it is no safer than a pickle, and 5 to 10 times slower.
        mlflow.sklearn.save_model(
            entry.estimator,
            str(path),
            serialization_format="cloudpickle",
            pip_requirements=_requirements(
                "scikit-learn", "cloudpickle", "pandas", "duckdb", libraries, *_embeds(entry)
            ),
            **shared,
        )
    _add_raw(path, entry)


def _output(entry: Entry) -> Any:
    """Return MLflow's type of what a model predicts."""
    from mlflow.types.schema import Array, DataType

    kinds = {"BOOLEAN": "boolean", "BIGINT": "long", "DOUBLE": "double", "VARCHAR": "string"}
    return kinds.get(value_type(tuple(entry.about["classes"]), entry.task)) or Array(DataType.double)


def _add_raw(path: Path, entry: Entry) -> None:
    """Let `mlflow.pyfunc` load the model as a function of raw rows."""
    from mlflow.models import Model

    code = path / "code"
    code.mkdir()
    shutil.copyfile(Path(__file__).with_name("portable.py"), code / f"{_PORTABLE}.py")
    if _embeds(entry):
        shutil.copyfile(encoder.__file__, code / f"{_ENCODER}.py")
    about = {"task": entry.task, "classes": entry.about["classes"], "sql": entry.sql, "whole": entry.whole}
    (path / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    model = Model.load(str(path))
    if "python_function" not in model.flavors:  # what has no predict, MLflow takes for no function
        environment = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
        model.add_flavor("python_function", env=environment, python_version=platform.python_version())
    model.flavors["python_function"] |= {"loader_module": _PORTABLE, "code": code.name, "data": "."}
    if _is_own(entry.estimator):
        # Folders without __init__.py give way to the installed package where there is one.
        own = code / "workbench" / "train"
        own.mkdir(parents=True)
        for source in Path(__file__).parent.glob("tab_*.py"):
            shutil.copyfile(source, own / source.name)
        model.flavors["sklearn"]["code"] = code.name
    model.save(str(path / "MLmodel"))


def _embeds(entry: Entry) -> tuple[str, ...]:
    """Name the packages for embeddings, where the SQL of a model's inputs asks for some."""
    if f"{FUNCTION}(" not in entry.sql.lower():
        return ()
    return ("pyarrow", "sentence-transformers", *((DEFAULT,) if DEFAULT in entry.sql else ()))


def _is_own(estimator: Any) -> bool:
    """Whether the class of an estimator is one of this package."""
    return type(estimator).__module__.startswith("workbench.")


def _requirements(*packages: str) -> list[str]:
    """Pin packages at the versions installed here; `xgboost-cpu` counts as xgboost, 2.0+cpu as 2.0."""
    pinned = {}
    for package in packages:
        for name in (package, f"{package}-cpu"):
            try:
                pinned[package] = f"{package}=={metadata.version(name).partition('+')[0]}"
            except metadata.PackageNotFoundError:
                continue
            break
    return list(pinned.values())


def _register(client: MlflowClient, path: Path, run_id: str, entry: Entry) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(entry.name)
    except MlflowException:
        client.create_registered_model(entry.name)
    return str(client.create_model_version(entry.name, path.as_uri(), run_id=run_id).version)


@lru_cache(maxsize=8)
def open_client(folder: Path) -> MlflowClient:
    """Return the client of a store's own MLflow."""
    from mlflow import MlflowClient

    database = folder / "mlflow.db"
    if database.exists():
        _relocate(database, folder)
    else:
        _make_database(database)
    address = f"sqlite:///{database}"
    return MlflowClient(tracking_uri=address, registry_uri=address)


def _make_database(database: Path) -> None:
    """Make MLflow's database under another name first: half of it, on a full disk, would stay half."""
    from mlflow import MlflowClient

    # MLflow keeps its connection to a name, so each attempt takes another one.
    part = database.with_name(f".{database.name}.{uuid.uuid4().hex}")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        part.replace(database)
    finally:
        part.unlink(missing_ok=True)


def _relocate(database: Path, folder: Path) -> None:
    """Correct the addresses in MLflow's database if the store's folder was moved or copied."""
    connection = sqlite3.connect(database)
    try:
        with connection:
            for old in _old_places(connection, folder):
                size = len(old) + 1
                for table, column in _ADDRESSES:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, {size}) "
                        f"WHERE substr({column}, 1, {size}) = ?",
                        [folder.as_uri(), f"{old}/"],
                    )
    finally:
        connection.close()


def _old_places(connection: sqlite3.Connection, folder: Path) -> set[str]:
    """Find the folders, other than this one, under which experiments of ours keep their files."""
    rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
    places = {
        location.removesuffix(f"/artifacts/{name}")
        for name, location in rows
        if location and location.endswith(f"/artifacts/{name}")
    }
    return places - {folder.as_uri()}


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """Import MLflow without telemetry, keep its and its migrations' notes off the screen, name its errors.

    Raises
    ------
    StoreFull
        If it has no space to write.
    ModelError
        If its database or its files fail in another way.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException  # importing it sets the levels of the loggers anew
    from sqlalchemy.exc import SQLAlchemyError

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _failed(folder, error) from error
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _failed(folder: Path, error: Exception) -> WorkbenchError:
    """Name what MLflow, its database or the system said; SQLite may call a full disk an I/O error."""
    text = str(error).partition("\n")[0]
    full = getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in text
    if full or ("disk I/O error" in text and shutil.disk_usage(folder).free < _LEAST_SPACE):
        return StoreFull.said(f"MLflow could not write ({text}).")
    return ModelError(f"MLflow failed: {text}", hint="Look at mlflow.db and artifacts in the store's folder.")
