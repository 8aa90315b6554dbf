"""Who reads what, by the recorded definitions: circles, and all that would notice a change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor
from workbench.engines.sql import source_tables
from workbench.errors import StatementError

if TYPE_CHECKING:
    from workbench.lake import Lake

_SCHEMAS = {"transform": "features", "binding": "predictions", "query": "queries", "model": "model"}


def output_of(row: dict[str, Any]) -> str:
    """Name what a definition makes, qualified; a model as `model.name`."""
    return f"{_SCHEMAS.get(row['kind'], row['kind'])}.{row['name']}"


def readers(lake: Lake, name: str, cursor: Cursor | None = None) -> list[dict[str, Any]]:
    """Return the definitions that themselves read `name` (qualified), oldest first."""
    rows = lake.records.definitions(cursor=cursor)
    if not name.startswith("queries."):
        return [row for row in rows if name in row["definition"].get("inputs", [])]
    return [row for row in rows if output_of(row) != name and _reads_query(row, name)]


def _reads_query(row: dict[str, Any], name: str) -> bool:
    """Say whether a definition reads a named query; models record only the tables under it."""
    if name in row["definition"].get("inputs", []):
        return True
    try:
        read = source_tables(row["definition"].get("expanded") or "SELECT 1")
    except StatementError:
        return False
    return name.lower() in {each.lower() if "." in each else f"queries.{each.lower()}" for each in read}


def find_circle(lake: Lake, output: str, inputs: Iterable[str]) -> str:
    """Say how something that reads `inputs` would read itself; empty if it would not.

    Parameters
    ----------
    output : str
        What is to be defined, qualified.
    """
    reads = {output_of(row): row["definition"].get("inputs", []) for row in lake.records.definitions()}
    waiting: list[tuple[str, tuple[str, ...]]] = [(each, (each,)) for each in inputs]
    seen: set[str] = set()
    while waiting:
        name, path = waiting.pop()
        if name == output:
            return " reads ".join(each.rpartition(".")[2] for each in (output, *path))
        if name not in seen:
            seen.add(name)
            waiting += [(each, (*path, each)) for each in reads.get(name, [])]
    return ""


def all_readers(lake: Lake, name: str, cursor: Cursor | None = None) -> list[dict[str, Any]]:
    """Return the definitions that read `name` (qualified), directly or through others."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [name]
    while waiting:
        for row in readers(lake, waiting.pop(), cursor):
            if output_of(row) not in found:
                found[output_of(row)] = row
                waiting.append(output_of(row))
    found.pop(name, None)
    return list(found.values())
