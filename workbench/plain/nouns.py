"""Each noun of the store as blocks.

A noun is known by the name of its class and read by its attributes, so that this module imports
none of the rooms: a report looks the same whether it came from this process or was unpickled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError
from workbench.plain.blocks import TONES, Block, Card, Code, Facts, Grid, Heading, Node, Note, Picture
from workbench.plain.models import show_model
from workbench.plain.values import compact, count, count_rows, seconds

ROWS = 20
"""How many rows are shown unless a statement says `--limit`."""

_NESTED_ROWS = 10
_CODE = ("query", "sql", "body", "code", "call")
_SILENT = ("id", "fingerprint", "definition", "digest", "expanded", "fitted", "state", "choice")


@dataclass(frozen=True, slots=True)
class Report:
    """Blocks that a door made itself: a list of templates, a short note."""

    blocks: tuple[Block, ...]


def bound(name: str, value: Any) -> Report:
    """Say that a value now has a name.

    Examples
    --------
    >>> bound("runs", [1, 2]).blocks
    (Note(text='runs = list, 2 items', tone='info'),)
    """
    what = type(value).__name__
    if hasattr(value, "to_arrow"):
        columns = len(value.columns)
        what += f", {count_rows(len(value))}, {count(columns)} column{'' if columns == 1 else 's'}"
    elif isinstance(value, list):
        what += f", {count(len(value))} items"
    return Report((Note(f"{name} = {what}", "info"),))


def known(thing: object) -> bool:
    """Whether `thing` is one of the nouns, or a list of runs."""
    return _is_runs(thing) or type(thing).__name__ in _NOUNS


def blocks(thing: object, *, limit: int = ROWS) -> tuple[Block, ...]:
    """Return a noun as blocks; anything else as the text Python has for it.

    Examples
    --------
    >>> blocks(3)
    (Note(text='3', tone=''),)
    """
    if _is_runs(thing):
        return _runs(thing, limit)  # type: ignore[arg-type]
    make = _NOUNS.get(type(thing).__name__)
    if make is not None:
        return tuple(make(thing, limit))
    return (Note(str(thing)),)


def _is_runs(thing: object) -> bool:
    return isinstance(thing, list) and bool(thing) and all(type(each).__name__ == "Run" for each in thing)


def _result(result: Any, limit: int) -> Iterable[Block]:
    table = result.to_arrow()
    facts = [seconds(result.seconds)] if result.seconds else []
    if result.snapshot is not None:
        facts.append(f"snapshot {result.snapshot}")
    if result.message:
        yield Note(" · ".join([result.message, *facts]), "good")
    if table.num_columns:
        facts = facts if not result.message else []
        footer = _footer(table.num_rows, limit, facts)
        # Of rows that the store made itself, types and fractions of seconds are of no interest.
        asked = bool(result.query)
        yield Grid.of_arrow(table, limit=limit, footer=footer, types=asked, brief=not asked)


def _footer(total: int, limit: int, facts: Sequence[str]) -> str:
    if total > limit:
        parts = [f"{count(limit)} of {count_rows(total)}", *facts]
        return " · ".join(parts) + f" · showing the first {count(limit)}; --limit N shows more"
    return " · ".join([count_rows(total), *facts])


def _table(result: Any, limit: int, title: str = "", **how: Any) -> Grid:
    """Show a Result that is part of a report: no time, and a footer only when rows are left out."""
    table = result.to_arrow()
    footer = f"{count(limit)} of {count_rows(table.num_rows)}" if table.num_rows > limit else ""
    return Grid.of_arrow(table, limit=limit, title=title, footer=footer, **how)


def _run(run: Any, limit: int) -> Iterable[Block]:
    """Show a run as a heading and a line; what it read, and what its kind adds, as facts."""
    yield Heading(run.name, run.kind, run.status, TONES.get(run.status, ""))
    line = [f"{count_rows(run.rows_written)} written"] if run.mode != "noop" else []
    if run.rows_deleted:
        line.append(f"{count(run.rows_deleted)} deleted")
    line += [f"{run.mode}: {run.reason}" if run.reason else run.mode, seconds(run.seconds)]
    if run.snapshot is not None:
        line.append(f"snapshot {run.snapshot}")
    yield Note(" · ".join(line))
    details = {name.replace("_", " "): _detail(value) for name, value in run.details.items()}
    shown = Facts.of({"read": ", ".join(_inputs(run.inputs)), **details})
    if shown.items:
        yield shown
    if run.error:
        yield Note(run.error, "bad")


def _detail(value: Any) -> Any:
    """Of what is recorded by name (the digests of files, say), the names are enough."""
    return tuple(value) if isinstance(value, Mapping) else value


def _inputs(inputs: Mapping[str, Sequence[int | None]]) -> list[str]:
    """Write each input with the snapshots it was read from and to."""
    return [
        f"{name}@{to}" if start is None or start == to else f"{name}@{start} → @{to}"
        for name, (start, to) in inputs.items()
    ]


def _runs(runs: Sequence[Any], limit: int) -> tuple[Block, ...]:
    names = ["name", "kind", "mode", "read", "written", "deleted", "snapshot", "took", "status", "because"]
    rows = [
        (
            run.name,
            run.kind,
            run.mode,
            run.rows_read,
            run.rows_written,
            run.rows_deleted,
            run.snapshot,
            seconds(run.seconds),
            run.status,
            run.error or run.reason or None,
        )
        for run in runs[:limit]
    ]
    total = sum(run.seconds for run in runs)
    footer = f"{count(len(runs))} run{'' if len(runs) == 1 else 's'} · {seconds(total)}"
    return (Grid.of_rows(names, rows, footer=footer),)


def _description(description: Any, limit: int) -> Iterable[Block]:
    facts = dict(description.facts)
    status = str(facts.pop("status", ""))
    yield Heading(description.name, description.kind, status, TONES.get(status.lower(), ""))
    prose = {key: value for key, value in facts.items() if not _is_code(key, value)}
    yield Facts.of({key.replace("_", " "): value for key, value in prose.items()})
    for key, value in facts.items():
        if _is_code(key, value):
            yield Code(str(value).strip("\n"), key)
    for title, result in description.tables.items():
        if len(result):
            yield _table(result, max(limit, ROWS), title, brief=True)


def _is_code(key: str, value: object) -> bool:
    """Whether a fact is program text: several lines, or under a name that says so."""
    return isinstance(value, str) and bool(value) and ("\n" in value or key.lower() in _CODE)


def _lineage(lineage: Any, limit: int) -> Iterable[Block]:
    nodes = tuple(Node(node.name, node.kind) for node in lineage.nodes)
    edges = tuple(dict.fromkeys((edge.source, edge.target) for edge in lineage.edges))
    dashed = {
        (edge.source, edge.target) for edge in lineage.edges if edge.kinds and "value" not in edge.kinds
    }
    yield Picture(nodes, edges, lineage.root, frozenset(dashed))
    if lineage.column is not None:
        rows = [
            (f"{edge.source}.{pair.source}", f"{edge.target}.{pair.target}", pair.kind)
            for edge in lineage.edges
            for pair in edge.columns
        ]
        yield Grid.of_rows(
            ["from", "to", "how"], rows[: max(limit, ROWS)], title=f"columns of {lineage.name}"
        )


def _exploration(exploration: Any, limit: int) -> Iterable[Block]:
    total = exploration.count()
    yield Heading(exploration.name, "explore", f"snapshot {exploration.snapshot}")
    footer = f"{count(min(limit, total))} of {count_rows(total)}" if total > limit else count_rows(total)
    yield Grid.of_arrow(exploration.page(0, limit), limit=limit, footer=footer, types=True)


def _builder(builder: Any, limit: int) -> Iterable[Block]:
    """Show the statement as it stands, and its first rows, or why there are none."""
    # The language reads its grammar when it is first asked for.
    from workbench.language.draft import cell_for

    yield Heading(builder.name, "build", f"snapshot {builder.snapshot}")
    try:
        yield Code(cell_for("transform", builder.arguments()), "statement")
        preview = builder.preview()
    except WorkbenchError as error:
        yield Note(str(error), "bad")
        return
    yield Grid.of_arrow(preview.rows, limit=limit, title="preview", footer=preview.note, types=True)


def _trace(trace: Any, limit: int) -> Iterable[Block]:
    yield Heading(trace.table, "trace of", ", ".join(compact(value) for value in trace.key), "info")
    yield _table(trace.row, _NESTED_ROWS)
    for source in trace.sources:
        yield _source(source)
    if trace.not_traced:
        yield Note(f"Read too, but not row by row: {', '.join(trace.not_traced)}")
    elif not trace.sources:
        yield Note("It comes from no other row of the store.")


def _source(source: Any) -> Card:
    title = f"{source.table}@{source.snapshot}"
    then, now = source.as_it_was.to_arrow(), source.now.to_arrow()
    if source.since != "changed":
        body: tuple[Block, ...] = (_table(source.as_it_was, _NESTED_ROWS),)
    else:
        body = (
            _table(source.as_it_was, _NESTED_ROWS, "as it was", marked=_differences(then, now)),
            _table(source.now, _NESTED_ROWS, "now", marked=_differences(now, then)),
        )
    return Card(title, source.since, TONES.get(source.since, ""), body)


def _differences(table: Any, other: Any) -> frozenset[tuple[int, int]]:
    """Return the places whose value is another one in the same row and column of `other`."""
    if table.num_rows != other.num_rows:
        return frozenset()
    shown = table.slice(0, _NESTED_ROWS)
    places = set()
    for c, name in enumerate(shown.column_names):
        if name not in other.column_names:
            places |= {(r, c) for r in range(shown.num_rows)}
            continue
        pairs = zip(
            shown.column(name).to_pylist(), other.column(name).slice(0, _NESTED_ROWS).to_pylist(), strict=True
        )
        places |= {(r, c) for r, (one, two) in enumerate(pairs) if one != two}
    return frozenset(places)


def _get(thing: object, name: str) -> Any:
    return getattr(thing, name, None)


def _plan(plan: Any, limit: int) -> Iterable[Block]:
    yield Heading(plan.verb, "plan of", "nothing was done", "info")
    yield Facts.of({"would": plan.action, "then": plan.refreshes})
    if plan.reads:
        yield Grid.of_rows(["reads", "rows"], [(name, count(rows)) for name, rows in plan.reads])
    if plan.python:
        yield Code(plan.python, "the same in Python")


def _snapshot(snapshot: Any, limit: int) -> Iterable[Block]:
    yield Heading(f"snapshot {snapshot.id}")
    yield Facts.of({"time": snapshot.time, "by": snapshot.author, "message": snapshot.message})


def _help(help_: Any, limit: int) -> Iterable[Block]:
    yield Code(help_.text)


def _report(report: Report, limit: int) -> Iterable[Block]:
    return report.blocks


def _anything(thing: Any, limit: int) -> Iterable[Block]:
    """Show a dataclass field by field: short ones as facts, program text as code, rows as grids."""
    facts: dict[str, Any] = {}
    later: list[Block] = []
    for name, value in _fields(thing):
        label = name.replace("_", " ")
        if name in ("column", "name", "path", "kind", "version", "status") or name in _SILENT:
            continue
        if hasattr(value, "to_arrow"):
            later.append(_table(value, limit, label))
        elif _is_code(name, value):
            later.append(Code(value.strip("\n"), label))
        elif name == "seconds":
            facts["took"] = seconds(value)
        elif not dataclasses.is_dataclass(value):
            facts[label] = str(value) if name == "snapshot" and value is not None else value
    status, version = _get(thing, "status") or "", _get(thing, "version")
    title = next((str(getattr(thing, each)) for each in ("column", "name", "path") if _get(thing, each)), "")
    kind = str(_get(thing, "kind") or type(thing).__name__.lower())
    yield Heading(f"{title}@{version}" if version and title else title, kind, status, TONES.get(status, ""))
    yield Facts.of(facts)
    yield from later


def _binding(binding: Any, limit: int) -> Iterable[Block]:
    """Show a binding, and where its values are read."""
    yield from _anything(binding, limit)
    columns = ", ".join(f"{binding.column}{end}" for end in ("", "_score", "_status", "_model", "_at"))
    later = f"; refresh {binding.column} fills them" if binding.mode == "async" else ""
    yield Note(f"Its predictions stand in {binding.view}: {columns}{later}.", "info")


def _defined(thing: Any, limit: int) -> Iterable[Block]:
    """Show a definition without its text, which stands in the statement just above."""
    return (block for block in _anything(thing, limit) if not isinstance(block, Code))


def _fields(thing: Any) -> list[tuple[str, Any]]:
    names = [each.name for each in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else []
    return [(name, getattr(thing, name)) for name in names if not name.startswith("_")]


_NOUNS: Mapping[str, Callable[[Any, int], Iterable[Block]]] = {
    "Artifact": _anything,
    "Binding": _binding,
    "Builder": _builder,
    "Description": _description,
    "Exploration": _exploration,
    "HelpText": _help,
    "Lineage": _lineage,
    "Model": show_model,
    "Monitor": _anything,
    "PlanReport": _plan,
    "Query": _defined,
    "Report": _report,
    "Result": _result,
    "Run": _run,
    "Snapshot": _snapshot,
    "Trace": _trace,
    "Transform": _defined,
}
