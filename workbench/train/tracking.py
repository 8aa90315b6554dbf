"""What MLflow is told of a training: a run with its trials, the model's files, and a version in its registry.

Files lie under `artifacts/<model name>` in the store's folder.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from workbench import trust
from workbench.train.environment import DIRTY
from workbench.train.mlflow_client import open_client, quiet
from workbench.train.model_files import digest, save

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from workbench.train.entry import Entry

CHAMPION = "champion"
_PARENT = "mlflow.parentRunId"
_LONGEST_PARAMETER = 6000
_LONGEST_TAG = 5000


@dataclass(frozen=True, slots=True)
class Logged:
    """Where a model was logged: the run, the files relative to the store's folder, the version."""

    run_id: str
    uri: str
    model_id: str
    name: str
    version: str


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
        save(path, entry)
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, "READY")
    place = Path(unquote(urlparse(logged.artifact_location).path))
    return str(logged.model_id), place.relative_to(folder).as_posix()


def _register(client: MlflowClient, path: Path, run_id: str, entry: Entry) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(entry.name)
    except MlflowException:
        client.create_registered_model(entry.name)
    return str(client.create_model_version(entry.name, path.as_uri(), run_id=run_id).version)
