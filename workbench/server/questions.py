"""The questions the panel asks of a store: each reads a lake and answers with a wire type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.answers.catalog import dependents
from workbench.answers.profile import Profile
from workbench.answers.profile import profile as look_at
from workbench.bind import find_binding
from workbench.engines.duckdb import fetch
from workbench.errors import NotFound, Unsupported
from workbench.language import VERBS, from_call
from workbench.language.draft import cell_of
from workbench.lineage import build
from workbench.lineage.graph import Edge
from workbench.names import plain
from workbench.plain.values import column_values, count, seconds, texts
from workbench.server.tree import column, find_item
from workbench.server.wire import (
    Change,
    Detail,
    Fact,
    Graph,
    GraphEdge,
    GraphNode,
    History,
    Item,
    Page,
    RunRow,
    Runs,
)
from workbench.store import Store
from workbench.train import registry

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo
    from workbench.train import Model

_CHANGES = 100
_RUNS = 100
_PAGE = 200
_QUALIFIED = {"table": "main", "query": "queries", "transform": "features"}


def detail(lake: Lake, name: str, kind: str) -> Detail:
    """Say what a thing is: facts, and the cell that defines it."""
    item = find_item(lake, name, kind)
    facts: dict[str, object] = {}
    if item.rows is not None:
        facts["Rows"] = count(item.rows)
    key = ", ".join(each.name for each in item.columns if each.key)
    if key:
        facts["Key"] = key
    row = _definition(lake, item)
    if row is not None:
        facts |= _defined(lake, item, row)
    read_by = ", ".join(dependents(lake, _qualified(item)))
    if read_by:
        facts["Read by"] = read_by
    shown = tuple(Fact(label, str(value)) for label, value in facts.items() if value not in (None, ""))
    return Detail(lake.head(), item, shown, _statement(item.kind, row) if row is not None else "")


def sample(lake: Lake, name: str, kind: str, offset: int, limit: int) -> Page:
    """Return some rows of a relation, as text."""
    table = _relation(lake, name, kind)
    limit = min(limit, _PAGE)
    sql = f"SELECT * FROM lake.{table.sql} LIMIT {limit + 1} OFFSET {offset}"
    rows = fetch(lake.run(lake.cursor(), sql))
    shown = [texts(column_values(each)) for each in rows.slice(0, limit).columns]
    columns = tuple(column(each, of, table.key) for each, of in table.columns.items())
    return Page(columns, tuple(zip(*shown, strict=True)), offset, rows.num_rows > limit)


def profile(lake: Lake, name: str, kind: str) -> Profile:
    """Say what the columns of a relation hold."""
    table = _relation(lake, name, kind)
    cursor = lake.new_cursor()
    try:
        return look_at(lake, cursor, table)
    finally:
        cursor.close()


def history(lake: Lake, name: str, kind: str) -> History:
    """List what happened to a thing, newest first."""
    rows = _store(lake).history(_said(name, kind)).rows()
    changes = [
        Change(
            row["snapshot"],
            row["time"].isoformat(),
            row["author"] or "",
            row["message"] or "",
            row["event"] or "",
            row.get("inserts"),
            row.get("updates"),
            row.get("deletes"),
        )
        for row in rows[:_CHANGES]
    ]
    return History(tuple(changes), len(rows) > _CHANGES)


def lineage(lake: Lake, name: str, kind: str) -> Graph:
    """Draw what a thing is made from, and what is made from it."""
    found = build(lake, find_binding(lake, name).name if kind == "binding" else name)
    levels = _levels([node.name for node in found.nodes], found.edges)
    nodes = tuple(GraphNode(node.name, node.kind, levels[node.name]) for node in found.nodes)
    edges = tuple(
        GraphEdge(edge.source, edge.target, "value" in edge.kinds or not edge.columns) for edge in found.edges
    )
    return Graph(found.root, nodes, edges)


def runs(lake: Lake) -> Runs:
    """List the newest runs."""
    return Runs(
        tuple(
            RunRow(
                row["name"],
                row["kind"],
                row["mode"],
                row["reason"] or "",
                row["rows_written"] or 0,
                row["rows_deleted"] or 0,
                row["seconds"] or 0.0,
                row["status"] == "failed",
                row["error"] or "",
                row["started_at"].isoformat(),
                row["snapshot"],
            )
            for row in _store(lake).runs().rows()[:_RUNS]
        )
    )


def _levels(names: list[str], edges: tuple[Edge, ...]) -> dict[str, int]:
    """Count how far each node is from the sources, on the longest way; `names` come sources first."""
    levels = dict.fromkeys(names, 0)
    for name in names:
        before = [levels[edge.source] + 1 for edge in edges if edge.target == name and edge.source != name]
        levels[name] = max(before, default=0)
    return levels


def _relation(lake: Lake, name: str, kind: str) -> TableInfo:
    """Return the relation whose rows stand for a thing.

    Raises
    ------
    Unsupported
        If a model is asked for its rows.
    """
    if kind == "binding":
        return lake.tables.resolve(find_binding(lake, name).view)
    if kind not in _QUALIFIED:
        raise Unsupported(f"A {kind} has no rows.", hint="Look at the table it was trained on.")
    return lake.tables.resolve(f"{_QUALIFIED[kind]}.{name}")


def _qualified(item: Item) -> str:
    if item.kind == "binding":
        return f"predictions.{item.name.replace('.', '__', 1)}"
    return f"{_QUALIFIED.get(item.kind, 'model')}.{item.name}"


def _said(name: str, kind: str) -> str:
    return f"{_QUALIFIED[kind]}.{name}" if kind in _QUALIFIED else name


def _definition(lake: Lake, item: Item) -> dict[str, Any] | None:
    name = item.name.replace(".", "__", 1) if item.kind == "binding" else item.name
    row = lake.records.definition(name)
    return row if row is not None and row["kind"] == item.kind else None


def _defined(lake: Lake, item: Item, row: dict[str, Any]) -> dict[str, object]:
    definition = row["definition"]
    troubles = (badge.why for badge in item.badges if badge.kind in ("stale", "failed", "paused"))
    facts: dict[str, object] = {
        "Version": row["version"],
        "Status": next(troubles, "up to date" if item.kind != "query" else ""),
        "Reads": ", ".join(map(plain, definition.get("inputs", ()))),
        "When": definition.get("trigger") or definition.get("when"),
        "Model": definition.get("model") if item.kind == "binding" else None,
        "On error": definition.get("on_error"),
        "Language": definition.get("using"),
    }
    if item.kind == "model":
        facts |= _facts_of_model(registry.get(lake, item.name))
    return facts


def _facts_of_model(model: Model) -> dict[str, object]:
    metrics = {name: f"{score['value']:.4g}" for name, score in model.metrics.items()}
    return {
        "Version": model.version,
        "Decision": model.reason,
        "Task": model.task,
        "Algorithm": model.algorithm,
        "Label": model.label,
        "Reads": ", ".join(map(plain, model.inputs)),
        "Held out": f"{model.holdout:.0%}",
        **{f"Metric {name}": value for name, value in metrics.items()},
        "Trained": f"at snapshot {model.snapshot}, in {seconds(model.seconds)}",
    }


def _statement(kind: str, row: dict[str, Any]) -> str:
    """Write the cell that makes a thing again."""
    definition = row["definition"]
    verb = {"transform": "transform", "query": "query", "model": "train", "binding": "bind"}[kind]
    renamed = {"trigger": "when", "columns": "inputs"} if kind == "binding" else {"trigger": "when"}
    arguments = {renamed.get(name, name): value for name, value in definition.items() if name != "inputs"}
    arguments.setdefault("name", row["name"])
    if kind == "binding":
        arguments["on"] = plain(arguments["on"])
    known = {name: value for name, value in arguments.items() if name in VERBS[verb].__dataclass_fields__}
    given = {name: value for name, value in known.items() if value not in (None, "", [], {}, ())}
    return cell_of(str(from_call(verb, given)))


def _store(lake: Lake) -> Store:
    def refuse(*_: object) -> object:
        raise NotFound("Statements run in a kernel.")

    return Store(lake, refuse)
