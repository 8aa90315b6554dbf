"""Which files a table holds already, so that a notebook that runs again does not load them twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.derivation import Run
from workbench.engines.duckdb import Cursor
from workbench.ingest.sources import READERS, ending, paths
from workbench.lake.snapshots import table_born
from workbench.lake.tables import TableInfo
from workbench.lake.undo import undos

if TYPE_CHECKING:
    from workbench.lake import Lake


def describe_source(
    source: object, file_format: str | None, options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Describe local files and how they are to be read, for the details of a run; else nothing.

    Each file stands under the shortest end of its path that no other has, with its whole path
    and the SHA-256 of its content.
    """
    files = [path.resolve() for path in paths(source)]
    if not files:
        return {}
    names = short_names(files)
    found: dict[str, Any] = {"files": {}}
    for name, path in zip(names, files, strict=True):
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        found["files"][name] = {"path": str(path), "sha256": digest}
    if file_format:
        found["format"] = file_format.lower()
    if options:
        # As the record gives it back, so that the two can be compared.
        found["options"] = json.loads(json.dumps(dict(options), default=str))
    return found


def short_names(files: Sequence[Path]) -> list[str]:
    """Name files by as many last parts of their paths as it takes to tell them apart.

    Examples
    --------
    >>> short_names([Path("/data/a/d.csv"), Path("/data/b/d.csv")])
    ['a/d.csv', 'b/d.csv']
    """
    names = [path.name for path in files]
    for depth in range(2, max((len(path.parts) for path in files), default=0) + 1):
        if len(set(names)) == len(set(files)):
            break
        names = ["/".join(path.parts[-depth:]) for path in files]
    return names


def loaded_before(lake: Lake, table: TableInfo, details: Mapping[str, Any]) -> Run | None:
    """Find the run that loaded these very files in this very way, if the table still has its rows.

    Rows changed or deleted by SQL since then do not count: who runs a notebook again wants the
    table as it is.
    """
    if not details:
        return None
    with lake.pinned() as (cursor, head):
        for row in _in_effect(lake, cursor, table, head):
            if _identity(row["details"] or {}) == _identity(details):
                snapshot = row["snapshot_id"]
                reason = f"loaded before, in snapshot {snapshot}; MODE replace reads the files again"
                return Run(table.name, "load", mode="noop", reason=reason, snapshot=snapshot)
    return None


def _identity(details: Mapping[str, Any]) -> tuple[dict[str, str], str, Any]:
    """Say what two loads have in common that give the same rows: files, reader and its options."""
    files = {
        each["path"]: each["sha256"]
        for each in details.get("files", {}).values()
        if isinstance(each, Mapping)
    }
    first = next(iter(files), "").lower()
    kind = details.get("format") or ending(first.removesuffix(".zip"))
    return files, READERS.get(kind, kind), details.get("options") or {}


def _in_effect(lake: Lake, cursor: Cursor, table: TableInfo, head: int) -> Iterator[dict[str, Any]]:
    """Give the loads whose rows the table has, newest first.

    An undo goes on from an older snapshot, with the loads that were in effect there; what came
    before the table was made, or before its rows were replaced, is not.
    """
    loads = lake.records.rows(
        "runs", "kind = 'load' AND status = 'ok' AND name = $name", {"name": table.name}, cursor=cursor
    )
    undone = undos(cursor, table)
    position = head
    while True:
        born = table_born(cursor, table, position)
        if born is None:
            return
        undo = max((snapshot for snapshot in undone if born <= snapshot <= position), default=None)
        first = born if undo is None else undo + 1
        for row in reversed(loads):
            if first <= row["snapshot_id"] <= position:
                yield row
                if row["reason"] == "replace":
                    return
        if undo is None:
            return
        position = min(undone[undo], undo - 1)
