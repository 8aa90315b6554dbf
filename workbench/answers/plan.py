"""What a statement would do, said before it does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.answers.catalog import dependents, derivations, find_derivation, find_pausable
from workbench.answers.describe import describe
from workbench.bind import Limits, within
from workbench.derivation import Derivation, fingerprint
from workbench.engines.duckdb import classify
from workbench.engines.sql import normalise, source_tables, written_tables
from workbench.errors import InvalidData, NotFound, WorkbenchError
from workbench.lake.past import last_table
from workbench.names import listed
from workbench.schedule import decide, downstream, upstream
from workbench.train import Model, registry
from workbench.transform import Transform, find_transform
from workbench.transform.create import preview

if TYPE_CHECKING:
    from workbench.lake import Lake


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a statement would do.

    Attributes
    ----------
    verb : str
    action : str
        In a sentence: what it would do, and why.
    reads : tuple of (str, int)
        Tables it would read, with their rows.
    refreshes : tuple of str
        What would be refreshed after it.
    python : str
        The same as a Python call.
    """

    verb: str
    action: str
    reads: tuple[tuple[str, int], ...] = ()
    refreshes: tuple[str, ...] = ()
    python: str = ""


def make_plan(lake: Lake, verb: str, arguments: Mapping[str, Any]) -> PlanReport:
    """Say what the Store's method `verb` would do with these arguments; change nothing.

    Raises
    ------
    NotFound, StatementError
        As the method itself would, for names that do not exist and bodies that cannot be read.
    """
    planner = _PLANNERS.get(verb)
    if planner is None:
        return PlanReport(verb, "answers a question; changes nothing")
    return planner(lake, arguments)


def _rows(lake: Lake, tables: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    counted = []
    for name in tables:
        table = lake.tables.resolve(name)
        row = lake.run(lake.cursor(), f"SELECT count(*) FROM lake.{table.sql}").fetchone()
        counted.append((table.qualified, row[0] if row else 0))
    return tuple(counted)


def _after(lake: Lake, *changed: str) -> tuple[str, ...]:
    live = [each for each in derivations(lake) if each.trigger == "on write"]
    return tuple(sorted(downstream(live, changed)))


def _sql(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    query = str(arguments["query"])
    kinds = [kind for _, kind, _ in classify(query)]
    if "write" not in kinds:
        return PlanReport("sql", "reads; changes nothing", _rows(lake, source_tables(query)))
    # What a CREATE makes is not there yet; any other target must be.
    look_up = lake.tables.find if "create" in query.lower() else lake.tables.resolve
    targets = [look_up(name) for name in written_tables(query) or ()]
    changed = tuple(each.qualified for each in targets if each is not None)
    what = ", ".join(changed) or "the store"
    return PlanReport("sql", f"writes {what} in one commit", _rows(lake, changed), _after(lake, *changed))


def _load(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    name = str(arguments["table"])
    known = lake.tables.find(f"main.{name}")
    mode = arguments.get("mode", "append")
    if known is None:
        return PlanReport("load", f"makes the table {name}")
    after = _after(lake, known.qualified)
    verbs = {"append": "appends to", "merge": "merges into", "replace": "replaces the rows of"}
    return PlanReport("load", f"{verbs.get(mode, mode)} {name}", _rows(lake, (known.qualified,)), after)


def _transform(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    name, query = str(arguments["name"]), str(arguments["query"])
    using = str(arguments.get("using") or "sql")
    on = arguments.get("on")
    reads = _rows(lake, source_tables(query) if using == "sql" else (str(on),) if on else ())
    draft = Transform(name, query, "", listed(arguments["key"]), on=on, using=using)
    then = f"; then refreshed {preview(lake, draft)}" if using == "sql" else ""
    previous = lake.records.definition(name)
    if previous is None or previous["status"] == "dropped":
        action = f"makes features.{name}: computed in full, the first run{then}"
        return PlanReport("transform", action, reads)
    same = normalise(previous["definition"].get("query", "")) == normalise(query.strip().rstrip(";"))
    if same and tuple(previous["definition"]["key"]) == listed(arguments["key"]):
        return PlanReport("transform", "changes nothing: the definition is the same", reads)
    return PlanReport(
        "transform",
        f"makes version {previous['version'] + 1} of features.{name}: "
        f"computed in full, a new definition{then}",
        reads,
        _after(lake, f"features.{name}"),
    )


def _query(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    name, query = str(arguments["name"]), str(arguments["query"])
    previous = lake.records.definition(name)
    reads = _rows(lake, source_tables(query))
    if previous and previous["fingerprint"] == fingerprint("query", normalise(query.strip().rstrip(";"))):
        return PlanReport("query", "changes nothing: the text is the same", reads)
    version = previous["version"] + 1 if previous else 1
    return PlanReport("query", f"makes version {version} of the query {name}", reads)


def _train(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    reads = _rows(lake, source_tables(str(arguments["query"])))
    bound = tuple(each for each in dependents(lake, f"model.{arguments['name']}"))
    algorithm = arguments.get("model", "auto")
    return PlanReport(
        "train",
        f"trains {arguments['name']} with {algorithm} and deploys it if the gate says so",
        reads,
        bound,
    )


def _bind(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    table = lake.tables.resolve(str(arguments["on"]))
    model = str(arguments["model"])
    if ":" not in model:
        registry.get(lake, model)
    known = {column.lower() for column in table.columns}
    for column in arguments.get("inputs") or ():
        if column.lower() not in known:
            raise NotFound.named("column", column, table.columns, within=table.name)
    what = f"predicts {arguments['column']} for the rows of {table.qualified} with {arguments['model']}"
    return PlanReport("bind", what, _rows(lake, (table.qualified,)))


def _refresh(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    name = arguments.get("name")
    full = bool(arguments.get("full"))
    limits = Limits.of(arguments.get("limit"), arguments.get("budget"), errors=bool(arguments.get("errors")))
    everything = name is None
    known = derivations(lake)
    if name is not None:
        found = find_derivation(lake, str(name))
        name = found.name
        wanted = upstream(known, name)
        known = [found] if found.kind == "model" else [each for each in known if each.name in wanted]
    known = within(known, name, limits, full=full)
    said = "; ".join(f"{each.name}: {_said(lake, each, full, everything)}" for each in known)
    reads = tuple(table for each in known for table in each.inputs)
    return PlanReport("refresh", said or "nothing to refresh", _rows(lake, tuple(dict.fromkeys(reads))))


def _said(lake: Lake, each: Derivation, full: bool, everything: bool) -> str:
    try:
        if everything and not full and each.trigger not in ("manual", "on write"):
            decision = decide(lake, each)
            if not decision.due:
                return f"not due, {decision.reason}"
        plan = each.plan(lake, full=full)
    except WorkbenchError as error:
        return f"broken, {error.message}"
    return f"{plan.mode}, {plan.reason}"


def _drop(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    name = str(arguments["name"])
    described = describe(lake, name)
    readers = dependents(lake, f"model.{name}" if described.kind == "model" else _qualified(lake, name))
    if readers:
        return PlanReport("drop", f"would be refused: {name} is read by {', '.join(readers)}")
    return PlanReport("drop", f"drops the {described.kind} {name}; its past stays readable")


def _qualified(lake: Lake, name: str) -> str:
    table = lake.tables.find(name)
    return table.qualified if table else name


def _refit(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    transform = find_transform(lake, str(arguments["name"]))
    action = (
        f"makes version {transform.version + 1} of {transform.name}: its built-in functions are fitted anew"
    )
    return PlanReport("refit", action, _rows(lake, transform.inputs), _after(lake, transform.output))


def _pause(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    row = find_pausable(lake, str(arguments["name"]))
    return PlanReport("pause", f"refreshes the {row['kind']} {row['name']} no more, until it is resumed")


def _resume(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    row = find_pausable(lake, str(arguments["name"]))
    now = ", and now" if row["definition"]["trigger"] == "on write" else ""
    return PlanReport("resume", f"refreshes the {row['kind']} {row['name']} again by its trigger{now}")


def _deploy(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    model = registry.get(lake, str(arguments["ref"]))
    return PlanReport(
        "deploy", f"makes {model.ref} the champion{_instead(lake, model.name)}", (), _bound(lake, model)
    )


def _rollback(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    model = registry.find_earlier_champion(lake, str(arguments["name"]))
    action = f"makes {model.ref} the champion again{_instead(lake, model.name)}"
    return PlanReport("rollback", action, (), _bound(lake, model))


def _instead(lake: Lake, name: str) -> str:
    now = registry.champion_version(lake, name)
    return f", in place of {name}@{now}" if now is not None else ""


def _bound(lake: Lake, model: Model) -> tuple[str, ...]:
    return tuple(dependents(lake, f"model.{model.name}"))


def _undo(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    table = lake.tables.find(str(arguments["name"]))
    if str(arguments["to"]).isdigit() and int(arguments["to"]) > lake.head():
        raise InvalidData(f"There is no snapshot {arguments['to']}.", hint=f"The newest is {lake.head()}.")
    if table is None and lake.records.definition(str(arguments["name"])) is None:
        last_table(lake, str(arguments["name"]), lake.tables.names())
    after = _after(lake, table.qualified) if table else ()
    return PlanReport(
        "undo", f"brings {arguments['name']} back to @{arguments['to']}, as a new snapshot", (), after
    )


def _export(lake: Lake, arguments: Mapping[str, Any]) -> PlanReport:
    return PlanReport(
        "export", f"writes {arguments['to']} as {arguments['format']}; changes nothing in the store"
    )


_PLANNERS = {
    "sql": _sql,
    "load": _load,
    "query": _query,
    "transform": _transform,
    "train": _train,
    "bind": _bind,
    "refresh": _refresh,
    "drop": _drop,
    "undo": _undo,
    "refit": _refit,
    "pause": _pause,
    "resume": _resume,
    "deploy": _deploy,
    "rollback": _rollback,
    "export": _export,
}
