"""The folder of an embedded lake: made, recognised, or refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from workbench.errors import StoreCorrupt, Unsupported

CATALOG = "catalog.sqlite"
DATA = "data"
LOCK = "writer.lock"
_OURS = {CATALOG, f"{CATALOG}-wal", f"{CATALOG}-shm", DATA, LOCK, "mlflow.db", "artifacts"}


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


def _check_catalog(folder: Path) -> None:
    """Refuse a catalog that is not a DuckLake's before DuckLake would add its tables to it."""
    path = folder / CATALOG
    try:
        path.open("r+b").close()
    except OSError as error:
        raise _read_only(folder) from error
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(
            f"{path} is damaged: {error}.",
            hint="Restore the folder from a backup; its Parquet files are in data/.",
        ) from error
    if tables and "ducklake_snapshot" not in tables:
        raise StoreCorrupt(f"{folder} is not a store: {CATALOG} is another program's database.")


def _read_only(folder: Path) -> StoreCorrupt:
    return StoreCorrupt(
        f"The store {folder} cannot be written to.",
        hint="Change the permissions of the folder, or copy it to where you may write.",
    )
