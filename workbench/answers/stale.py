"""What is behind its inputs, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.answers.catalog import derivations
from workbench.bind import Binding, bindings, causes
from workbench.derivation import Derivation, Noop
from workbench.engines.duckdb import execute
from workbench.errors import NotFound, WorkbenchError
from workbench.lake import Result
from workbench.names import quote_name
from workbench.train import registry
from workbench.transform import transforms

if TYPE_CHECKING:
    from workbench.lake import Lake


def stale(lake: Lake, name: str | None = None) -> Result:
    """List derivations that are behind: name, kind, why, trigger, since which snapshot, and rows.

    A binding has a line for each cause, with the number of its rows.

    Raises
    ------
    NotFound
        If nothing has that name; a plain table is never behind.
    """
    import pyarrow as pa

    clock = time.perf_counter()
    known: list[Derivation] = [
        *derivations(lake),
        *(registry.get(lake, each) for each in registry.names(lake)),
    ]
    if name is not None:
        name = name.lower()
        names = {one for each in known for one in _names(each)}
        if name not in names and lake.tables.find(name) is None:
            raise NotFound.named("transform, model or binding", name, names)
    rows: list[tuple[str, str, str, str, int | None, int | None]] = []
    for each in known:
        if name is not None and name not in _names(each):
            continue
        why = _causes(lake, each)
        if why:
            marks = lake.records.watermarks(each.name)
            since = min(marks.values(), default=None)
            rows += [(each.name, each.kind, cause, each.trigger, since, count) for cause, count in why]
    rows += _skewed(lake, name)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    kinds = [pa.string(), pa.string(), pa.string(), pa.string(), pa.int64(), pa.int64()]
    titles = ["name", "kind", "why", "trigger", "since", "rows"]
    table = pa.table(
        {
            title: pa.array(list(values), kind)
            for title, values, kind in zip(titles, columns, kinds, strict=True)
        }
    )
    return Result(table, lake.head(), time.perf_counter() - clock)


def reason(lake: Lake, each: Derivation) -> str:
    """Say why a derivation is behind, or that it is broken; empty if it is up to date."""
    try:
        plan = each.plan(lake)
    except WorkbenchError as error:
        return f"broken: {error.message}"
    return "" if isinstance(plan, Noop) else plan.reason


def _causes(lake: Lake, each: Derivation) -> Sequence[tuple[str, int | None]]:
    if not isinstance(each, Binding):
        why = reason(lake, each)
        return [(why, None)] if why else []
    try:
        return causes(lake, each)
    except WorkbenchError as error:
        return [(f"broken: {error.message}", None)]


def _names(each: Derivation) -> tuple[str, ...]:
    """Return the names by which one can ask for it, in lower case."""
    if not isinstance(each, Binding):
        return (each.name.lower(),)
    return tuple(one.lower() for one in (each.name, each.column, f"{each.table}.{each.column}"))


def _skewed(lake: Lake, name: str | None) -> list[tuple[str, str, str, str, int | None, int | None]]:
    """Find bindings whose table was defined anew after their model was trained on it."""
    versions = {f"features.{each.name}": each.version for each in transforms(lake)}
    found: list[tuple[str, str, str, str, int | None, int | None]] = []
    for each in bindings(lake):
        if ":" in each.model or name not in (None, *_names(each)):
            continue
        try:
            model = registry.get(lake, each.model)
        except NotFound:
            continue
        for table in each.inputs:
            trained = model.input_versions.get(table)
            if trained is not None and trained != versions.get(table, trained):
                why = (
                    f"skewed: {model.ref} was trained on version {trained} of {table}, now {versions[table]}"
                )
                found.append((each.name, "binding", why, each.trigger, None, None))
    return found


def pending(lake: Lake, output: str) -> dict[str, int]:
    """Count the rows of a side table by status."""
    rows = execute(
        lake.cursor(), f"SELECT status, count(*) FROM lake.{quote_name(output)} GROUP BY status"
    ).fetchall()
    return dict(rows)
