"""A client of the store's own MLflow, and the database behind it.

MLflow is imported late, for that takes seconds. Everything goes through a client with explicit
addresses, so that the tracking server which the user's own code may have set stays as it is. MLflow
keeps absolute addresses; when the store's folder was moved, `_relocate` corrects them before MLflow
is asked.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelError, StoreFull, WorkbenchError
from workbench.interrupts import held_back

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LEAST_SPACE = 2**24

# Where MLflow's database keeps addresses of files.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def wake(folder: Path) -> None:
    """Import MLflow and open its database, which takes seconds the first time."""
    with quiet(folder):
        open_client(folder).search_experiments(max_results=1)


@lru_cache(maxsize=8)
def open_client(folder: Path) -> MlflowClient:
    """Return the client of a store's own MLflow."""
    with held_back():
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 (else the client does, when it is first asked)
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
    with held_back():
        from mlflow.exceptions import MlflowException  # importing it sets the levels of the loggers anew
        from sqlalchemy.exc import SQLAlchemyError

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
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
