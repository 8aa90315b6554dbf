"""Refresh derivations in the order of what they read and wait for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from workbench.derivation import Derivation, Run
from workbench.errors import Conflict, WorkbenchError
from workbench.schedule.state import decide
from workbench.schedule.triggers import MANUAL, ON_WRITE, After, parse_trigger

if TYPE_CHECKING:
    from workbench.lake import Lake


REFIT = "refit"
"""The kind that writes the table of another derivation, whose turn is then over."""


def in_order(derivations: Iterable[Derivation]) -> list[Derivation]:
    """Sort derivations so that each stands after those whose output it reads, or that it runs after.

    Raises
    ------
    WorkbenchError
        If they read or wait for each other in a circle.
    """
    waiting = list(derivations)
    ordered: list[Derivation] = []
    while waiting:
        outputs = {each.output for each in waiting}
        names = {each.name for each in waiting}
        ready = [
            each
            for each in waiting
            if not outputs.intersection(each.inputs) and not names.intersection(waits_for(each.trigger))
        ]
        if not ready:
            circle = ", ".join(sorted(each.name for each in waiting))
            raise WorkbenchError(f"These read or wait for each other in a circle: {circle}.")
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
    """Refresh one derivation with all it is made from, or everything that is due.

    By name nothing is asked of triggers. Without a name, what is manual or on write is due if its
    inputs changed, since somebody asks; the rest when its trigger says so. `full` rebuilds the
    derivation named (all but models when none is), not what it is made from.

    Returns
    -------
    list of Run
        Those that did something, and always that of the derivation named.

    Raises
    ------
    WorkbenchError
        That of the first that fails; it is recorded. Those before it stay refreshed; without a name
        so do those that do not depend on it, and those that do are left as they were.
    """
    if name is None:
        return _refresh_due(lake, derivations, full=full)
    wanted = upstream(derivations, name)
    runs = []
    for each in in_order(derivations):
        if each.name in wanted:
            run = each.refresh(lake, full=full and each.name == name)
            if run.mode != "noop" or each.name == name:
                runs.append(run)
    return runs


def _refresh_due(lake: Lake, derivations: Sequence[Derivation], *, full: bool) -> list[Run]:
    runs: list[Run] = []
    failed, made = set[str](), set[str]()
    first: WorkbenchError | None = None
    for each in in_order(derivations):
        if each.output in made:
            continue
        if failed.intersection((*each.inputs, *waits_for(each.trigger))):
            failed |= {each.output, each.name}
            continue
        if not _is_wanted(lake, each, full=full):
            continue
        try:
            run = each.refresh(lake, full=full)
        except WorkbenchError as error:
            first = first or error
            failed |= {each.output, each.name}
            continue
        if each.kind == REFIT:
            made.add(each.output)
        if run.mode != "noop":
            runs.append(run)
    if first is not None:
        raise first
    return runs


def _is_wanted(lake: Lake, each: Derivation, *, full: bool) -> bool:
    if each.kind == REFIT:
        return decide(lake, each).due
    if each.kind == "model" and (full or each.trigger == MANUAL):
        return False
    return full or each.trigger in (MANUAL, ON_WRITE) or decide(lake, each).due


def after_write(lake: Lake, derivations: Sequence[Derivation], changed: Collection[str]) -> list[Run]:
    """Refresh what follows a write: derivations that it reaches and whose triggers it makes due.

    Schedules are left to `refresh`. A derivation that fails leaves its dependents as they were; its
    failed run is among those returned, since the write itself stands.
    """
    tables, ran, made = set(changed), set[str](), set[str]()
    runs: list[Run] = []
    for each in in_order(derivations):
        if each.output in made:
            continue
        if not (tables.intersection(each.inputs) or ran.intersection(waits_for(each.trigger))):
            continue
        try:
            if not _follows(lake, each):
                continue
            run = each.refresh(lake)
        except Conflict:
            # Another process is refreshing it right now; the watermark brings it up to date.
            continue
        except WorkbenchError as error:
            runs.append(Run(each.name, each.kind, status="failed", error=str(error)))
            continue
        if run.mode == "noop":
            continue
        runs.append(run)
        if each.kind == REFIT:
            made.add(each.output)
        tables.add(each.output)
        ran.add(each.name)
    return runs


def _follows(lake: Lake, each: Derivation) -> bool:
    """Whether a write makes a derivation's trigger due."""
    if each.trigger in (MANUAL, ON_WRITE):
        return each.trigger == ON_WRITE
    return parse_trigger(each.trigger).follows_writes and decide(lake, each).due


def waits_for(trigger: str) -> tuple[str, ...]:
    """Name the derivations that a trigger runs after."""
    if "after" not in trigger.lower():
        return ()
    return tuple(event.name for event in parse_trigger(trigger).events() if isinstance(event, After))
