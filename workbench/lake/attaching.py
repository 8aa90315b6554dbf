"""Attaching a lake, or a snapshot of it, to a connection, and where its names are looked up."""

from __future__ import annotations

from pathlib import Path

from workbench.engines.duckdb import Cursor
from workbench.lake import folder as folders
from workbench.names import SCHEMAS, literal


def search_path(alias: str) -> str:
    """Write the statement after which plain names mean the tables of an attached lake."""
    return "SET search_path = " + literal(",".join(f"{alias}.{schema}" for schema in SCHEMAS))


def attach_statement(folder: Path, alias: str, *options: str, wait: float = 10) -> str:
    """Write the statement that attaches the lake in a folder under a name; `wait` is in seconds."""
    catalog = literal(f"ducklake:sqlite:{folder / folders.CATALOG}")
    # The catalog stores the data path once; a folder that was moved or copied must override it.
    data = f"DATA_PATH {literal(str(folder / folders.DATA))}"
    shared = (data, "OVERRIDE_DATA_PATH true", "META_JOURNAL_MODE 'WAL'")
    busy = f"META_BUSY_TIMEOUT {int(wait * 1000)}"
    return f"ATTACH {catalog} AS {alias} ({', '.join((*options, *shared, busy))})"


def attach(connection: Cursor, folder: Path, *options: str, wait: float = 10) -> None:
    """Attach the lake in a folder as `lake`; wait so many seconds for a locked catalog."""
    connection.execute(attach_statement(folder, "lake", *options, wait=wait))
    connection.execute("USE lake")
