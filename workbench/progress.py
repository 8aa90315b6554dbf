"""Progress as events: rooms report what they do, a door shows it.

A room writes ``with step("Training late", total=100) as advance: ... advance(10)``. Whoever wants
to see it puts a sink in place with `watch`; without one the events go nowhere and cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """How far a step has come.

    `done` and `total` are in the step's own units (rows, rounds); `total` is None while unknown.
    `finished` is true in the last event of a step, also when it failed. `note` says how it stands,
    and `detail` is what a door may draw of it, such as the trials of a search.
    """

    title: str
    done: int = 0
    total: int | None = None
    finished: bool = False
    note: str = ""
    detail: object = None


class Advance(Protocol):
    """What a step is told: so many more units are done, and how it stands."""

    def __call__(self, units: int, note: str = "", detail: object = None) -> None:
        """Report units, a note and a detail."""


Sink = Callable[[Event], None]

_sink: ContextVar[Sink | None] = ContextVar("progress_sink", default=None)
_stop: ContextVar[threading.Event | None] = ContextVar("progress_stop", default=None)


@contextmanager
def watch(sink: Sink, stop: threading.Event | None = None) -> Iterator[None]:
    """Send the events of everything inside the block to `sink`; `stopping` is true once `stop` is set.

    Examples
    --------
    >>> with watch(lambda event: print(event.title, event.done, event.finished)):
    ...     with step("Loading", total=2) as advance:
    ...         advance(2)
    Loading 0 False
    Loading 2 False
    Loading 2 True
    """
    token, other = _sink.set(sink), _stop.set(stop)
    try:
        yield
    finally:
        _sink.reset(token)
        _stop.reset(other)


def stopping() -> bool:
    """Whether whoever watches wants a step that can do so to end early, with what it has."""
    stop = _stop.get()
    return stop is not None and stop.is_set()


def both(*sinks: Sink) -> Sink:
    """Make one sink of several."""

    def tell(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return tell


@contextmanager
def step(title: str, total: int | None = None) -> Iterator[Advance]:
    """Report a step; the block gets a function that advances it by so many units."""
    sink = _sink.get()
    if sink is None:
        yield _nothing
        return
    done = 0

    def advance(units: int, note: str = "", detail: object = None) -> None:
        nonlocal done
        done += units
        sink(Event(title, done, total, note=note, detail=detail))

    sink(Event(title, 0, total))
    try:
        yield advance
    finally:
        sink(Event(title, done, total, finished=True))


def _nothing(units: int, note: str = "", detail: object = None) -> None:
    """Report to nobody."""
