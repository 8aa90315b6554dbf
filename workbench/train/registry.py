"""Which models there are, which version is the champion, and how to get them ready to predict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import trust
from workbench.errors import InvalidData, NotFound
from workbench.names import Ref
from workbench.train import foreign, model_files, packaged_models, tracking
from workbench.train.definition import KIND
from workbench.train.foreign import Foreign
from workbench.train.model import Model
from workbench.train.packaged_models import Packaged
from workbench.train.scoring import Fitted

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake, Transaction
    from workbench.train.gate import Decision

__all__ = [
    "Fitted",
    "Foreign",
    "Model",
    "Packaged",
    "champion",
    "deploy",
    "drop",
    "find_foreign",
    "find_packaged",
    "find_versions",
    "get",
    "load",
    "models",
    "names",
    "packaged",
    "rollback",
    "versions",
]

ALIASES = ("champion", "latest")

_MADE_OF = ("models", "deployments", "definitions")
"""The records that tell of a model."""


def get(lake: Lake, ref: str) -> Model:
    """Return a model: `late@2`, `late@champion`, `late@latest`, or `late`.

    A plain name means the champion, and the newest version where none was deployed.

    Raises
    ------
    NotFound
        If there is no such model or version.
    """
    wanted = Ref.parse(ref)
    if wanted.version is None:
        return champion(lake, wanted.name) or versions(lake, wanted.name)[-1]
    if wanted.version == "champion":
        found = champion(lake, wanted.name)
        if found is None:
            raise NotFound(
                f"No version of the model {wanted.name!r} is deployed.", hint=f"Say: deploy {wanted.name}@1."
            )
        return found
    known = versions(lake, wanted.name)
    if wanted.version == "latest":
        return known[-1]
    for model in known:
        if model.version == wanted.number:
            return model
    raise NotFound.named(
        "version", wanted.version, [*ALIASES, *(str(model.version) for model in known)], within=wanted.name
    )


def champion(lake: Lake, name: str) -> Model | None:
    """Return the deployed version of a model, or None if no version is.

    Raises
    ------
    NotFound
        If there is no model of this name.
    """
    return next((model for model in versions(lake, name) if model.deployed), None)


def versions(lake: Lake, name: str) -> list[Model]:
    """Return all versions of a model, oldest first.

    Raises
    ------
    NotFound
        If there is no model of this name.
    """

    def read(reader: Cursor) -> list[Model]:
        definition = lake.records.definition(name, cursor=reader)
        active = definition and definition["kind"] == KIND and definition["status"] != "dropped"
        return find_versions(lake, definition["name"], reader) if definition and active else []

    found = lake.kept.get(f"active model {name}", _MADE_OF, None, read)
    if not found:
        raise NotFound.named("model", name, names(lake))
    return list(found)


def find_versions(lake: Lake, name: str, cursor: Cursor | None = None) -> list[Model]:
    """Return all versions of a model, also of a dropped one, oldest first."""

    def read(reader: Cursor) -> list[Model]:
        rows = lake.records.rows("models", "name = $name", {"name": name}, cursor=reader)
        if not rows:
            return []
        deployed = champion_version(lake, name, reader)
        definition = lake.records.definition(name, cursor=reader)
        trigger = definition["definition"]["when"] if definition else "manual"
        return [Model.from_record(row, deployed=row["version"] == deployed, trigger=trigger) for row in rows]

    return list(lake.kept.get(f"model {name}", _MADE_OF, cursor, read))


def names(lake: Lake) -> list[str]:
    """List the names of the models."""
    return [row["name"] for row in lake.records.definitions(KIND)]


def references(lake: Lake, name: str) -> list[str]:
    """List how the versions of a model are named: the deployed one, the latest, then each, newest first."""
    numbers = [each.version for each in find_versions(lake, name)]
    return [f"{name}@{each}" for each in ("champion", "latest", *sorted(numbers, reverse=True))]


def champion_version(lake: Lake, name: str, cursor: Cursor | None = None) -> int | None:
    """Return the number of the deployed version."""
    rows = _deployments(lake, name, cursor)
    return int(rows[-1]["version"]) if rows else None


def _deployments(lake: Lake, name: str, cursor: Cursor | None = None) -> list[dict[str, Any]]:
    """Return the deployments of a model since it was last dropped, oldest first."""
    dropped = lake.records.rows(
        "definitions", "kind = 'model' AND name = $name AND status = 'dropped'", {"name": name}, cursor=cursor
    )
    since = dropped[-1]["snapshot_id"] if dropped else -1
    rows = lake.records.rows("deployments", "model = $name", {"name": name}, cursor=cursor)
    return [row for row in rows if row["snapshot_id"] > since]


def deploy(lake: Lake, ref: str, reason: str = "deployed by hand") -> Model:
    """Make a version the champion; if it is already, nothing changes.

    Raises
    ------
    NotFound
        If there is no such version.
    """
    wanted = Ref.parse(ref)
    model = get(lake, ref if wanted.version else f"{ref}@latest")
    if model.deployed:
        return model

    def write() -> None:
        with lake.commit(f"deploy {model.ref}") as tx:
            record_deployment(lake, tx, model, reason, champion_version(lake, model.name, tx.cursor))

    lake.retry(write)
    tracking.set_champion(lake.folder, model.name, model.mlflow_run_id, model.version)
    return replace(model, deployed=True)


def rollback(lake: Lake, name: str) -> Model:
    """Make the champion before this one the champion again; once more goes one further back.

    Raises
    ------
    NotFound
        If there is no model of this name.
    InvalidData
        If there was no champion before.
    """
    model = find_earlier_champion(lake, name)
    name, before = model.name, model.version
    rows = _deployments(lake, name)
    # The champion before the one gone back to, so that the next rollback does not come back here.
    earlier = next((row["previous"] for row in reversed(rows) if row["version"] == before), None)
    with lake.commit(f"rollback {name} to {before}") as tx:
        record_deployment(lake, tx, model, f"rolled back from {name}@{rows[-1]['version']}", earlier)
    tracking.set_champion(lake.folder, name, model.mlflow_run_id, before)
    return replace(model, deployed=True)


def find_earlier_champion(lake: Lake, name: str) -> Model:
    """Return the version that was the champion before this one; raises as `rollback` does."""
    known = {model.version: model for model in versions(lake, name)}
    name = next(iter(known.values())).name
    rows = _deployments(lake, name)
    if not rows or rows[-1]["previous"] is None:
        raise InvalidData(
            f"There is no earlier champion of {name!r} to go back to.",
            hint=f"Deploy a version by number: deploy {name}@1.",
        )
    return known[rows[-1]["previous"]]


def drop(lake: Lake, name: str) -> int | None:
    """Drop a model with all its versions, and return the snapshot; records and files stay.

    Raises
    ------
    NotFound
        If there is no model of this name.
    """
    name = versions(lake, name)[-1].name
    with lake.commit(f"drop {name}") as tx:
        before = champion_version(lake, name, tx.cursor)
        lake.records.set_status(tx, name, "dropped")
        if before is not None:
            _append_deployment(lake, tx, name, None, "the model was dropped", before)
    return tx.snapshot


def record_deployment(lake: Lake, tx: Transaction, model: Model, reason: str, previous: int | None) -> None:
    """Append a deployment, as part of the commit `tx`."""
    _append_deployment(lake, tx, model.name, model.version, reason, previous)


def _append_deployment(
    lake: Lake, tx: Transaction, name: str, version: int | None, reason: str, previous: int | None
) -> None:
    row = {
        "model": name,
        "version": version,
        "previous": previous,
        "reason": reason,
        "deployed_at": datetime.now(UTC),
    }
    lake.records.append(tx, "deployments", [row])


def record_decision(lake: Lake, tx: Transaction, model: Model, decision: Decision) -> None:
    """Append what the gate decided of a version, as part of the commit `tx`."""
    row = {
        "model": model.name,
        "version": model.version,
        "deployed": decision.deploy,
        "gate": decision.gate,
        "champion": Ref.parse(decision.champion).number if decision.champion else None,
        "rows": decision.rows or model.split["held_out"],
        "conditions": [check.to_record() for check in decision.checks],
        "reason": decision.reason,
        "decided_at": datetime.now(UTC),
    }
    lake.records.append(tx, "decisions", [row])


def load(lake: Lake, model: Model) -> Fitted:
    """Return a model ready to predict; its files are read once per process.

    Raises
    ------
    ModelError
        If the files are gone.
    """
    estimator = _load(lake.folder, model.model_uri, model.task, model.ref)
    return Fitted(model.ref, model.task, model.features, model.classes, estimator, model.preparation)


def find_foreign(lake: Lake, name: str) -> Foreign:
    """Find a model of MLflow that was made by other means, by what stands behind `mlflow:`.

    Raises
    ------
    NotFound
        If there is none.
    """
    return foreign.find(lake.folder, name)


def packaged(lake: Lake, model: Model) -> Packaged:
    """Return how a version is loaded without this package, if its files may be loaded on this machine."""
    files = lake.folder / model.model_uri
    trust.require(model_files.digest(files), f"The model {model.ref} names packages to install", lake.folder)
    return packaged_models.describe(lake.folder, files)


def find_packaged(lake: Lake, name: str, alias: str) -> tuple[str, Packaged]:
    """Return the version of a model in MLflow's registry, and how it is loaded.

    Raises
    ------
    NotFound, ModelError
        If there is none, or it is no Python function.
    """
    version, files = packaged_models.find(lake.folder, name, alias)
    return version, packaged_models.describe(lake.folder, files)


def models(lake: Lake) -> pa.Table:
    """List all versions of all models, with the metric that decides."""
    import pyarrow as pa

    shown = [_row(model) for name in names(lake) for model in find_versions(lake, name)]
    schema = pa.schema(
        [
            ("model", pa.string()),
            ("version", pa.int64()),
            ("champion", pa.bool_()),
            ("task", pa.string()),
            ("algorithm", pa.string()),
            ("label", pa.string()),
            ("metric", pa.string()),
            ("value", pa.float64()),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("baseline", pa.float64()),
            ("rows", pa.int64()),
            ("snapshot", pa.int64()),
            ("trained_at", pa.timestamp("us", tz="UTC")),
            ("seconds", pa.float64()),
            ("reason", pa.string()),
        ]
    )
    return pa.Table.from_pylist(shown, schema=schema)


def _row(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "champion": model.deployed,
        "metric": model.metric,
        **model.metrics[model.metric],
        **{
            name: getattr(model, name)
            for name in (
                "version",
                "task",
                "algorithm",
                "label",
                "rows",
                "snapshot",
                "trained_at",
                "seconds",
                "reason",
            )
        },
    }


@lru_cache(maxsize=32)
def _load(folder: Path, uri: str, task: Any, ref: str) -> Any:
    return model_files.load_native(folder, uri, task, ref)
