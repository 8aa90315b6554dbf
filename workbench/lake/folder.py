"""The folder of an embedded lake: made, recognised, or refused."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import duckdb

from workbench.engines.duckdb import scratch
from workbench.engines.failures import is_locked
from workbench.errors import Conflict, NotFound, StoreCorrupt, Unsupported
from workbench.names import literal

CATALOG = "catalog.sqlite"
DATA = "data"
LOCK = "writer.lock"
RUNNING = "running"
_OURS = {CATALOG, f"{CATALOG}-wal", f"{CATALOG}-shm", DATA, LOCK, RUNNING, "mlflow.db", "artifacts"}

_ALIASES = itertools.count(1)

LOOK_SECONDS = 1.5
"""How long one who only looks waits for a catalog that another process has locked."""


def locate(url: str | Path | None) -> Path:
    """Turn what the user gave to `connect` into the folder of the store.

    Raises
    ------
    Unsupported
        If it is a URL of a server.
    """
    text = str(url) if url is not None else "mlstore"
    if "://" in text:
        raise Unsupported(
            f"A store at {text.partition('://')[0]}:// cannot be opened yet.",
            hint="Give a folder, as in connect('mlstore').",
        )
    return Path(text).expanduser().resolve()


def prepare(folder: Path) -> bool:
    """Make the folder if there is none; return whether a store is already there.

    Raises
    ------
    StoreCorrupt
        If the folder holds something else, is not a folder, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreCorrupt(f"{folder} is a file, not the folder of a store.", hint="Give another path.")
    exists = (folder / CATALOG).exists()
    if exists:
        _check_catalog(folder)
    elif folder.exists():
        strangers = sorted(each.name for each in folder.iterdir() if each.name not in _OURS)
        if strangers:
            raise StoreCorrupt(
                f"{folder} is not a store: it holds {', '.join(strangers[:5])} and no {CATALOG}.",
                hint="Give an empty or a new folder to make a store, or the folder of one.",
            )
    _make(folder)
    return exists


def _make(folder: Path) -> None:
    try:
        (folder / DATA).mkdir(parents=True, exist_ok=True)
        (folder / LOCK).open("a").close()
    except OSError as error:
        raise _read_only(folder) from error


def recognise(folder: Path) -> None:
    """Make sure that there is a store in a folder, and write nothing.

    Raises
    ------
    NotFound
        If there is none.
    StoreCorrupt
        If its catalog is damaged, or another program's.
    Conflict
        If another process has locked it.
    """
    if not (folder / CATALOG).is_file():
        raise NotFound(f"There is no store in {folder} any more.", hint="It was moved or deleted.")
    _check_tables(folder)


def newest_snapshot(folder: Path) -> int:
    """Return the id of a store's newest snapshot; takes a millisecond, for no lake is attached.

    Raises
    ------
    NotFound, StoreCorrupt, Conflict
        As `recognise` does.
    """
    recognise(folder)
    rows = _ask_catalog(folder, "SELECT max(snapshot_id) FROM ducklake_snapshot")
    return int(rows[0][0] or 0)


def remove_partial(folder: Path, message: str) -> None:
    """Remove the data file that could not be written to its end, named in the engine's message.

    No snapshot knows it, and it takes the space that is wanted.
    """
    for named in re.findall(r'"([^"]+\.parquet)"', message):
        path = Path(named)
        if path.is_relative_to(folder / DATA):
            path.unlink(missing_ok=True)


def _check_catalog(folder: Path) -> None:
    """Refuse a catalog that is not a DuckLake's before DuckLake would add its tables to it."""
    try:
        (folder / CATALOG).open("r+b").close()
    except OSError as error:
        raise _read_only(folder) from error
    _check_tables(folder)


def _check_tables(folder: Path) -> None:
    tables = {row[0] for row in _ask_catalog(folder, "SELECT name FROM sqlite_master")}
    if tables and "ducklake_snapshot" not in tables:
        raise StoreCorrupt(f"{folder} is not a store: {CATALOG} is another program's database.")


def _ask_catalog(folder: Path, sql: str) -> list[Any]:
    """Ask the catalog before it is attached, or without attaching it.

    Through the engine, whose own SQLite may have the file open in this process: where another one closes
    it, the locks of the first are gone (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    path, alias = folder / CATALOG, f"catalog_{next(_ALIASES)}"
    wait = int(LOOK_SECONDS * 1000)
    with scratch() as cursor:
        try:
            cursor.execute(
                f"ATTACH {literal(str(path))} AS {alias} (TYPE sqlite, READ_ONLY, BUSY_TIMEOUT {wait})"
            )
            try:
                return cursor.execute(f"FROM sqlite_query({literal(alias)}, {literal(sql)})").fetchall()
            finally:
                cursor.execute(f"DETACH {alias}")
        except duckdb.Error as error:
            if is_locked(error):
                raise Conflict(
                    f"Another process has locked the store {folder}.", hint="Wait for it, or stop it."
                ) from error
            raise StoreCorrupt(
                f"{path} is damaged: {error}.",
                hint="Restore the folder from a backup; its Parquet files are in data/.",
            ) from error


def _read_only(folder: Path) -> StoreCorrupt:
    return StoreCorrupt(
        f"The store {folder} cannot be written to.",
        hint="Change the permissions of the folder, or copy it to where you may write.",
    )
