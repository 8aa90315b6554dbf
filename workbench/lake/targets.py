"""What a body of SQL would write, and whether it may."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.engines.sql import written_tables
from workbench.errors import Unsupported

if TYPE_CHECKING:
    from workbench.lake.lake import Lake

COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_MANAGED = {
    "features": "is kept up to date by its transform; change what it reads, or the transform",
    "predictions": "holds the predictions of a binding; change the table or the model",
    "queries": "is a named query; use the statement: query NAME AS …",
    "mlstore": "is one of the store's own records",
}
_OWN = ("main", "temp", "memory")
_UPKEEP = (
    "expire_snapshots",
    "cleanup_old_files",
    "delete_orphaned_files",
    "merge_adjacent_files",
    "rewrite_data_files",
    "flush_inlined_data",
    "add_data_files",
    "set_option",
    "set_commit_message",
)
_UPKEEP_CALL = re.compile(rf"\b(?:ducklake_)?({'|'.join(_UPKEEP)})\s*\(", re.IGNORECASE)
_SCHEMA = re.compile(r"\b(?:create|drop|alter)\s+(?:or\s+replace\s+)?schema\b", re.IGNORECASE)
_VIEW = re.compile(
    r"\b(?:create|drop|alter)\s+(?:or\s+replace\s+)?view\s+(?:if\s+(?:not\s+)?exists\s+)?([\w.\"]+)",
    re.IGNORECASE,
)
_WRITTEN = re.compile(
    r"\b(?:insert\s+(?:or\s+\w+\s+)?into|update|delete\s+from|merge\s+into|truncate(?:\s+table)?)\s+([\w.\"]+)",
    re.IGNORECASE,
)
_ANALYZE = re.compile(r"\bexplain\s+(?:\(\s*)?analyze\b\s*\)?", re.IGNORECASE)


def refuse_upkeep(sql: str) -> None:
    """Raise Unsupported if a body calls a function that would destroy history or files."""
    found = _UPKEEP_CALL.search(COMMENT.sub(" ", _STRING.sub("''", sql)))
    if found:
        raise Unsupported(
            f"{found.group(1)} does not go into a cell.", hint="The store does its upkeep itself."
        )


def read_targets(sql: str) -> frozenset[str]:
    """Name what a body writes: tables and views.

    Raises
    ------
    Unsupported
        If it makes or drops a schema, or its text does not say what it writes.
    """
    plain = COMMENT.sub(" ", _STRING.sub("''", sql))
    if _SCHEMA.search(plain):
        raise Unsupported("The schemas are the store's own.", hint="Make your tables in main.")
    views = frozenset(_VIEW.findall(plain))
    text = (
        re.sub(r"(?i)\bexplain\s+(?:\(\s*)?analyze\b\s*\)?", " ", plain)
        if "analyze" in plain.lower()
        else sql
    )
    tables = written_tables(text)
    if tables is None:
        tables = frozenset(_WRITTEN.findall(plain))
        if not tables and not views:
            raise Unsupported("The store cannot tell what this would write.", hint="Write it as plain SQL.")
    return tables | views


def refuse_managed(lake: Lake, targets: frozenset[str]) -> None:
    """Raise Unsupported if one of the targets is not a table of the user's own."""
    for target in targets:
        parts = [part.strip('"').lower() for part in target.split(".")]
        if len(parts) == 3 and parts[0] == "lake":
            parts = parts[1:]
        found = lake.tables.find(parts[-1]) if len(parts) == 1 else None
        schema = found.schema if found else (parts[-2] if len(parts) > 1 else "main")
        if schema in _MANAGED:
            raise Unsupported(f"{target!r} {_MANAGED[schema]}.")
        if schema not in _OWN or len(parts) > 2:
            raise Unsupported(f"{target!r} is not a table of this store.", hint="Write to tables in main.")
