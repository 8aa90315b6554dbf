"""How fresh everything is, told from records alone: no model is loaded, no code of the store is run.

`stale` plans each refresh, for which it opens models. A server that shows what others made must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.engines.duckdb import Cursor
from workbench.lake.snapshots import changed_tables
from workbench.names import plain
from workbench.train import registry

if TYPE_CHECKING:
    from workbench.lake import Lake

Status = Literal["fresh", "stale", "failed", "paused"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How a transform, binding or model stands, and why."""

    status: Status
    why: str = ""


def freshness(lake: Lake, cursor: Cursor, head: int) -> dict[str, Freshness]:
    """Say of each transform, binding and model, by name, how it stands at the snapshot `head`."""
    runs = {row["name"]: row for row in lake.records.rows("runs", cursor=cursor)}
    marks: dict[str, dict[str, int]] = {}
    for row in lake.records.rows("watermarks", cursor=cursor):
        marks.setdefault(row["derivation"], {})[row["input"]] = row["snapshot"]
    changed = changed_tables(cursor, -1, head)
    return {
        row["name"]: _judge(lake, cursor, row, runs.get(row["name"]), marks.get(row["name"], {}), changed)
        for row in lake.records.definitions(cursor=cursor)
        if row["kind"] in ("transform", "binding", "model")
    }


def _judge(
    lake: Lake,
    cursor: Cursor,
    row: Mapping[str, Any],
    run: Mapping[str, Any] | None,
    marks: Mapping[str, int],
    changed: Mapping[str, int],
) -> Freshness:
    if row["status"] == "paused":
        return Freshness("paused", "paused until resume")
    if run is not None and run["status"] == "failed":
        return Freshness("failed", run["error"] or "the last run failed")
    if row["kind"] == "binding":
        why = _other_model(lake, cursor, row["definition"]["model"], run)
        if why:
            return Freshness("stale", why)
    inputs = row["definition"].get("inputs") or list(marks)
    behind = [name for name in inputs if name not in marks or changed.get(name, 0) > marks[name]]
    return Freshness("stale", f"{', '.join(map(plain, behind))} changed") if behind else Freshness("fresh")


def _other_model(lake: Lake, cursor: Cursor, ref: str, run: Mapping[str, Any] | None) -> str:
    """Say that a binding was filled by another version than its model's champion."""
    name, _, version = ref.partition("@")
    if ":" in ref or version not in ("", "champion") or run is None:
        return ""
    champion = registry.champion_version(lake, name, cursor)
    used = run["details"].get("model")
    if champion is None or used in (None, f"{name}@{champion}"):
        return ""
    return f"the model is now {name}@{champion}"
