"""What is behind its inputs, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workbench.answers.catalog import derivations
from workbench.bind import bindings
from workbench.derivation import Derivation, Noop
from workbench.engines.duckdb import execute
from workbench.errors import WorkbenchError
from workbench.lake import Result
from workbench.names import quote_name
from workbench.train import registry
from workbench.transform import transforms

if TYPE_CHECKING:
    from workbench.lake import Lake


def stale(lake: Lake, name: str | None = None) -> Result:
    """List derivations that are behind: name, kind, why, trigger, and since which snapshot."""
    import pyarrow as pa

    clock = time.perf_counter()
    known: list[Derivation] = [
        *derivations(lake),
        *(registry.get(lake, each) for each in registry.names(lake)),
    ]
    rows = []
    for each in known:
        if name is not None and name not in _names(each):
            continue
        why = reason(lake, each)
        if why:
            marks = lake.records.watermarks(each.name)
            since = min(marks.values(), default=None)
            rows.append((each.name, each.kind, why, each.trigger, since))
    rows += [row for row in _skewed(lake) if name in (None, row[0])]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    kinds = [pa.string(), pa.string(), pa.string(), pa.string(), pa.int64()]
    titles = ["name", "kind", "why", "trigger", "since"]
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


def _names(each: Derivation) -> tuple[str, ...]:
    column = getattr(each, "column", None)
    return (each.name, column) if column else (each.name,)


def _skewed(lake: Lake) -> list[tuple[str, str, str, str, int | None]]:
    """Find bindings whose table was defined anew after their model was trained on it."""
    versions = {f"features.{each.name}": each.version for each in transforms(lake)}
    found: list[tuple[str, str, str, str, int | None]] = []
    for each in bindings(lake):
        if ":" in each.model or each.on not in versions:
            continue
        model = registry.get(lake, each.model)
        trained = model.input_versions.get(each.on)
        if trained is not None and trained != versions[each.on]:
            why = (
                f"{model.ref} was trained on version {trained} of {each.on}, which is now {versions[each.on]}"
            )
            found.append((each.name, "binding", why, each.trigger, None))
    return found


def pending(lake: Lake, output: str) -> dict[str, int]:
    """Count the rows of a side table by status."""
    rows = execute(
        lake.cursor(), f"SELECT status, count(*) FROM lake.{quote_name(output)} GROUP BY status"
    ).fetchall()
    return dict(rows)
