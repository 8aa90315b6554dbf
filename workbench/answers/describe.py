"""What a thing in the store is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.answers.catalog import dependents
from workbench.answers.stale import pending, reason
from workbench.bind import Binding, bindings_in, find_binding
from workbench.bind.isolation import describe_isolation
from workbench.derivation import Derivation
from workbench.engines.duckdb import execute, fetch
from workbench.errors import NotFound
from workbench.lake import Result, TableInfo
from workbench.lake.description import Description
from workbench.lake.snapshots import changed_tables
from workbench.names import Ref
from workbench.schedule import decide
from workbench.train import registry
from workbench.train.describe import describe_model
from workbench.transform import Transform, find_query, find_transform
from workbench.transform.refit import Refit
from workbench.transform.sources import Catalog, say_refresh

if TYPE_CHECKING:
    from workbench.lake import Lake


def describe(lake: Lake, name: str) -> Description:
    """Describe a table, query, transform, model or binding.

    Raises
    ------
    NotFound
        If nothing has that name, with the nearest names.
    """
    ref = Ref.parse(name)
    if ref.name.lower() in {each.lower() for each in registry.names(lake)}:
        return _add_due(lake, describe_model(lake, name), ref.name)
    table = lake.tables.find(ref.name)
    if table is not None and not table.is_side:
        return _describe_relation(lake, table, ref.number)
    try:
        binding = find_binding(lake, ref.name)
    except NotFound:
        known = [*lake.tables.names(), *registry.names(lake)]
        known += [row["definition"]["column"] for row in lake.records.definitions("binding")]
        raise NotFound.named("table, query, transform, model or binding", ref.name, known) from None
    return _describe_binding(lake, binding)


def _add_due(lake: Lake, model: Description, name: str) -> Description:
    """Say after a model's trigger whether it is due, and whether there is anything new to learn from."""
    newest = registry.get(lake, f"{name}@latest")
    facts: dict[str, Any] = {}
    for fact, value in model.facts.items():
        facts[fact] = value
        if fact == "when":
            facts |= due(lake, newest)
            facts["to be trained again"] = reason(lake, newest) or "no, it is up to date"
    return replace(model, facts=facts)


def _describe_relation(lake: Lake, table: TableInfo, version: int | None) -> Description:
    facts: dict[str, Any] = {"table": table.qualified}
    tables: dict[str, Result] = {}
    bound = bindings_in(lake, table)
    if bound:
        table = replace(table, key=bound[0].key)
    row = execute(lake.cursor(), f"SELECT count(*) FROM lake.{table.sql}").fetchone()
    facts["rows"] = row[0] if row else 0
    facts["key"] = (
        ", ".join(table.key) + (" (filled by the store)" if table.auto else "") if table.key else "none"
    )
    changed = changed_tables(lake.cursor(), -1, lake.head()).get(table.qualified)
    if changed is not None:
        facts["last changed"] = f"snapshot {changed}"
    if table.kind == "transform":
        _add_transform(lake, table, version, facts, tables)
    elif table.kind == "query":
        query = find_query(lake, table.name)
        if query:
            facts |= {"version": query.version, "reads": ", ".join(query.inputs), "query": query.query}
    if bound:
        facts["bound"] = ", ".join(f"{each.column} by {each.model}" for each in bound)
    read_by = dependents(lake, table.qualified)
    if read_by:
        facts["read by"] = ", ".join(read_by)
    tables = {"Columns": _columns(table), **tables}
    return Description(table.name, table.kind, facts, tables)


def _add_transform(
    lake: Lake, table: TableInfo, version: int | None, facts: dict[str, Any], tables: dict[str, Result]
) -> None:
    transform = find_transform(lake, table.name, version)
    facts |= {
        "version": transform.version,
        "on": transform.on or "",
        "reads": ", ".join(transform.inputs),
        "when": transform.trigger,
        **due(lake, transform),
        **_refit(lake, transform),
        "status": transform.status,
        "to be refreshed": reason(lake, transform) or "no, it is up to date",
        "refreshed": _refreshed(lake, transform),
        "query": transform.query,
    }
    where = {"name": transform.name, "version": transform.version}
    tables["Runs"] = _select(
        lake,
        "SELECT mode, reason, rows_read, rows_written, rows_deleted, seconds, status, error, "
        "snapshot_id AS snapshot FROM lake.mlstore.runs WHERE name = $name AND kind = 'transform' "
        "ORDER BY snapshot DESC LIMIT 10",
        {"name": transform.name},
    )
    fitted = _select(
        lake,
        "SELECT call, statistic, position, number, text, snapshot FROM lake.mlstore.fitted "
        "WHERE name = $name AND version = $version ORDER BY call, statistic, position",
        where,
    )
    if len(fitted):
        tables["Fitted"] = fitted


def due(lake: Lake, each: Derivation) -> dict[str, str]:
    """Say whether a trigger is due, and why; nothing of one that a clock or a share has no part in."""
    if each.trigger in ("manual", "on write"):
        return {}
    decision = decide(lake, each)
    return {"due": f"{'yes' if decision.due else 'no'}: {decision.reason}"}


def _refit(lake: Lake, transform: Transform) -> dict[str, str]:
    """Say when the built-in functions are fitted anew, and whether that is due."""
    if transform.refit_when is None:
        return {}
    said = due(lake, Refit(transform)).get("due", "")
    return {"refit when": transform.refit_when, **({"refit due": said} if said else {})}


def _refreshed(lake: Lake, transform: Transform) -> str:
    with lake.pinned() as (cursor, _):
        return say_refresh(lake, transform, Catalog.read(lake, cursor))


def _describe_binding(lake: Lake, binding: Binding) -> Description:
    facts = {
        "on": binding.on,
        "model": binding.model,
        "asked": binding.asked,
        "read in": binding.view,
        "side table": binding.output,
        "when": binding.trigger,
        **due(lake, binding),
        "mode": binding.mode,
        "on error": binding.on_error,
        "isolation": describe_isolation(lake, binding.model, binding.isolate),
        "status": binding.status,
        "to be refreshed": reason(lake, binding) or "no, it is up to date",
        "rows": ", ".join(f"{count:,} {status}" for status, count in pending(lake, binding.output).items()),
    }
    runs = _select(
        lake,
        "SELECT mode, reason, rows_read, rows_written, rows_deleted, seconds, status, error, "
        "snapshot_id AS snapshot FROM lake.mlstore.runs WHERE name = $name ORDER BY snapshot DESC LIMIT 10",
        {"name": binding.name},
    )
    return Description(binding.column, "binding", facts, {"Runs": runs})


def _columns(table: TableInfo) -> Result:
    import pyarrow as pa

    return Result(
        pa.table(
            {
                "column": list(table.columns),
                "type": list(table.columns.values()),
                "key": pa.array([column in table.key or None for column in table.columns], pa.bool_()),
            }
        )
    )


def _select(lake: Lake, sql: str, params: dict[str, Any]) -> Result:
    return Result(fetch(lake.run(lake.cursor(), sql, params)))
