"""Refresh derivations in the order of what they read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from workbench.derivation import Derivation, Noop, Run
from workbench.errors import Conflict, WorkbenchError
from workbench.schedule.triggers import ON_WRITE

if TYPE_CHECKING:
    from workbench.lake import Lake


def in_order(derivations: Iterable[Derivation]) -> list[Derivation]:
    """Sort derivations so that each stands after those whose output it reads.

    Raises
    ------
    WorkbenchError
        If they read each other in a circle.
    """
    waiting = list(derivations)
    ordered: list[Derivation] = []
    while waiting:
        outputs = {each.output for each in waiting}
        ready = [each for each in waiting if not outputs.intersection(each.inputs)]
        if not ready:
            circle = ", ".join(sorted(each.name for each in waiting))
            raise WorkbenchError(f"These read each other in a circle: {circle}.")
        ordered += ready
        waiting = [each for each in waiting if each not in ready]
    return ordered


def upstream(derivations: Sequence[Derivation], name: str) -> set[str]:
    """Name the derivations that `name` is made from, itself included.

    Models are left out: to refresh a table does not mean to train its models again.
    """
    by_output = {each.output: each for each in derivations if each.kind != "model"}
    wanted = {each.name: each for each in derivations if each.name == name}
    frontier = list(wanted.values())
    while frontier:
        for source in frontier.pop().inputs:
            found = by_output.get(source)
            if found is not None and found.name not in wanted:
                wanted[found.name] = found
                frontier.append(found)
    return set(wanted)


def downstream(derivations: Sequence[Derivation], changed: Collection[str]) -> set[str]:
    """Name the derivations that read, directly or through others, one of the `changed` tables."""
    tables, names = set(changed), set[str]()
    for each in in_order(derivations):
        if tables.intersection(each.inputs):
            names.add(each.name)
            tables.add(each.output)
    return names


def refresh(
    lake: Lake, derivations: Sequence[Derivation], name: str | None = None, *, full: bool = False
) -> list[Run]:
    """Refresh one derivation with all it is made from, or everything but models.

    `full` rebuilds the derivation named (all of them when none is), not what it is made from.
    Returns the runs that did something, and always that of the derivation named. One that fails
    is recorded and raised; those before it stay refreshed.
    """
    if name is None:
        wanted = {each.name for each in derivations if each.kind != "model"}
    else:
        wanted = upstream(derivations, name)
    runs = []
    for each in in_order(derivations):
        if each.name in wanted:
            run = each.refresh(lake, full=full and name in (None, each.name))
            if run.mode != "noop" or each.name == name:
                runs.append(run)
    return runs


def after_write(lake: Lake, derivations: Sequence[Derivation], changed: Collection[str]) -> list[Run]:
    """Refresh what follows a write: derivations `on write` that the changed tables reach.

    A derivation that fails leaves its dependents as they were; its failed run is among those
    returned, since the write itself stands.
    """
    tables = set(changed)
    runs: list[Run] = []
    for each in in_order(derivations):
        if each.trigger != ON_WRITE or not tables.intersection(each.inputs):
            continue
        try:
            if isinstance(each.plan(lake), Noop):
                continue
            run = each.refresh(lake)
        except Conflict:
            # Another process is refreshing it right now; the watermark brings it up to date.
            continue
        except WorkbenchError as error:
            runs.append(Run(each.name, each.kind, status="failed", error=str(error)))
            continue
        runs.append(run)
        tables.add(each.output)
    return runs
