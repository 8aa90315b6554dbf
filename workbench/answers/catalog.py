"""What there is in a store."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workbench.bind import Binding, bindings, find_binding
from workbench.derivation import Derivation
from workbench.engines.duckdb import execute
from workbench.errors import InvalidData, NotFound
from workbench.lake import Result
from workbench.lake.circles import readers
from workbench.lake.snapshots import changed_tables
from workbench.train import registry
from workbench.transform import Transform
from workbench.transform.refit import refits

if TYPE_CHECKING:
    from workbench.lake import Lake

BINDING, TRANSFORM = "binding", "transform"


def derivations(lake: Lake) -> list[Derivation]:
    """List all that the store keeps up to date, but what is paused."""
    return _derivations(lake.records.definitions())


def _derivations(rows: Sequence[Mapping[str, Any]]) -> list[Derivation]:
    rows = [row for row in rows if row["status"] == "active"]
    found: list[Derivation] = [Transform.from_record(row) for row in rows if row["kind"] == TRANSFORM]
    found += [Binding.from_record(row) for row in rows if row["kind"] == BINDING]
    return found


def find_derivation(lake: Lake, name: str) -> Derivation:
    """Find what is to be refreshed: a transform, a binding (also by its column), or a model.

    Raises
    ------
    NotFound
        If nothing of that name is kept up to date.
    InvalidData
        If it is paused, or a column of that name is bound on several tables.
    """
    recorded = recorded_name(lake, name)
    rows = lake.records.definitions()
    known = _derivations(rows)
    found = next((each for each in known if each.name == recorded), None)
    if found is not None:
        return found
    if recorded in registry.names(lake):
        return registry.get(lake, f"{recorded}@latest")
    if any(row["name"] == recorded and row["status"] == "paused" for row in rows):
        raise InvalidData(f"{name!r} is paused.", hint=f"Say: resume {name}.")
    raise NotFound.named("transform or binding", name, [getattr(each, "column", each.name) for each in known])


def find_pausable(lake: Lake, name: str) -> Mapping[str, Any]:
    """Return the record of a transform or binding.

    Raises
    ------
    NotFound
        If there is none of that name.
    InvalidData
        If a column of that name is bound on several tables.
    """
    recorded = recorded_name(lake, name)
    rows = [row for row in lake.records.definitions() if row["kind"] in (BINDING, TRANSFORM)]
    for row in rows:
        if row["name"] == recorded:
            return row
    raise NotFound.named(
        "transform or binding", name, [row["definition"].get("column", row["name"]) for row in rows]
    )


def recorded_name(lake: Lake, name: str) -> str:
    """Return the name under which runs and definitions are recorded; a binding is named by its column.

    Raises
    ------
    InvalidData
        If a column of that name is bound on several tables.
    """
    with suppress(NotFound):
        return find_binding(lake, name).name
    table = lake.tables.find(name)
    return lake.records.spelling(table.name if table is not None else name)


def scheduled(lake: Lake) -> list[Derivation]:
    """List all that triggers act on: derivations, fits of the transforms among them, and models."""
    rows = lake.records.definitions()
    known = _derivations(rows)
    fits = refits([each for each in known if isinstance(each, Transform)])
    return [*fits, *known, *_retrained(lake, rows)]


def _retrained(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> list[Derivation]:
    """List the models that are trained again by a trigger."""
    models = [row for row in rows if row["kind"] == "model" and row["status"] == "active"]
    named = [row["name"] for row in models if row["definition"].get("when", "manual") != "manual"]
    return [registry.get(lake, f"{name}@latest") for name in named]


def dependents(lake: Lake, name: str) -> list[str]:
    """Name, with their kinds, the definitions that read `name` (qualified; models as `model.name`)."""
    found = [f"{row['kind']} {row['name']}" for row in readers(lake, name)]
    if name.startswith("model."):
        model = name.removeprefix("model.")
        found += [f"binding {each.name}" for each in bindings(lake) if each.model.partition("@")[0] == model]
    return found


def names(lake: Lake) -> dict[str, list[str]]:
    """Return the names of everything, by kind."""
    found: dict[str, list[str]] = {"table": [], "transform": [], "query": [], "predictions": []}
    for table in lake.tables.all():
        if table.kind in found and not table.is_side:
            found[table.kind].append(table.name)
    found["model"] = registry.names(lake)
    found["version"] = [ref for name in found["model"] for ref in registry.references(lake, name)]
    found["binding"] = [each.column for each in bindings(lake)]
    return found


def catalog(lake: Lake) -> dict[str, dict[str, str]]:
    """Return the columns of every relation with their types, under its qualified and its plain name."""
    found: dict[str, dict[str, str]] = {}
    for table in lake.tables.all():
        columns = table.columns
        found[table.qualified] = columns
        if table.kind != "record":
            found.setdefault(table.name, columns)
    return found


def tables(lake: Lake) -> Result:
    """List the relations: name, schema, kind, rows, columns, key, and the last snapshot that changed each."""
    import pyarrow as pa

    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        shown = [each for each in lake.tables.all(cursor) if each.kind != "record" and not each.is_side]
        changed = changed_tables(cursor, -1, head)
        counts = [execute(cursor, f"SELECT count(*) FROM lake.{each.sql}").fetchone() for each in shown]
    table = pa.table(
        {
            "name": pa.array([each.name for each in shown], pa.string()),
            "schema": pa.array([each.schema for each in shown], pa.string()),
            "kind": pa.array([each.kind for each in shown], pa.string()),
            "rows": pa.array([row[0] if row else None for row in counts], pa.int64()),
            "columns": pa.array([len(each.columns) for each in shown], pa.int64()),
            "key": pa.array([", ".join(each.key) or None for each in shown], pa.string()),
            "changed": pa.array([changed.get(each.qualified) for each in shown], pa.int64()),
        }
    )
    return Result(table, head, time.perf_counter() - clock)
