"""When a bar shows, and that it goes away."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable

import pytest

from workbench.plain import Tick, Ticker
from workbench.plain.ticker import terminal_ticker
from workbench.progress import Event, step, watch


class Seen:
    """Keeps what a ticker draws."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.cleared = 0

    def clear(self) -> None:
        self.cleared += 1


def wait(drawn: Callable[[], object]) -> None:
    """Wait for the clock's thread, which a busy machine may let wait too."""
    deadline = time.monotonic() + 60
    while not drawn():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_short_step_shows_nothing() -> None:
    seen = Seen()
    with Ticker(seen.ticks.append, seen.clear, delay=60, period=0.01) as sink, watch(sink), step("Loading"):
        time.sleep(0.05)
    assert (seen.ticks, seen.cleared) == ([], 0)


def test_a_long_step_ticks_by_itself_and_is_cleared() -> None:
    seen = Seen()
    ticker = Ticker(seen.ticks.append, seen.clear, delay=0.05, period=0.01)
    with ticker as sink, watch(sink), step("Training late", total=10) as advance:
        advance(4)
        wait(lambda: len(seen.ticks) > 3)
    assert seen.ticks[-1].fraction == 0.4
    assert seen.ticks[-1].elapsed > seen.ticks[0].elapsed >= 0.05
    assert seen.cleared == 1


def test_the_inner_step_is_shown_while_it_runs() -> None:
    seen = Seen()
    with Ticker(seen.ticks.append, seen.clear, delay=0.03, period=0.01) as sink, watch(sink), step("outer"):
        with step("inner"):
            wait(lambda: seen.ticks)
        wait(lambda: seen.ticks[-1].title == "outer")
    assert seen.ticks[0].title == "inner"


def test_many_events_draw_no_more_often_than_the_clock() -> None:
    seen = Seen()
    ticker = Ticker(seen.ticks.append, seen.clear, delay=0, period=0.05)
    begun = time.monotonic()
    with ticker as sink, watch(sink), step("rows", total=100_000) as advance:
        for _ in range(100_000):
            advance(1)
    assert len(seen.ticks) < (time.monotonic() - begun) / 0.05 + 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_drawn_after_the_work_however_it_ends(error: type[BaseException]) -> None:
    seen = Seen()

    def work() -> None:
        ticker = Ticker(seen.ticks.append, seen.clear, delay=0, period=0.01)
        with ticker as sink, watch(sink), step("work"):
            wait(lambda: seen.ticks)
            raise error

    with pytest.raises(error):
        work()
    drawn = len(seen.ticks)
    time.sleep(0.05)
    assert (len(seen.ticks), seen.cleared) == (drawn, 1)


def test_one_thread_draws_for_all() -> None:
    seen = [Seen() for _ in range(20)]
    with contextlib.ExitStack() as stack:
        for each in seen:
            sink = stack.enter_context(Ticker(each.ticks.append, each.clear, delay=0.01, period=0.01))
            sink(Event("work"))
        wait(lambda: all(each.ticks for each in seen))
    assert all(each.cleared == 1 for each in seen)
    assert len([thread for thread in threading.enumerate() if thread.name == "mlstore-progress"]) == 1


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    ticker = terminal_ticker()
    ticker._delay, ticker.period = 0.0, 0.01
    with ticker as sink, watch(sink), step("Loading", total=4) as advance:
        advance(1)
        wait(lambda: "1 of 4" in stream.getvalue())
    assert "█████░░░░░░░░░░░░░░░ Loading · 25 % (1 of 4)" in stream.getvalue()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_without_a_terminal_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with terminal_ticker() as sink, watch(sink), step("work"):
        pass
    assert stream.getvalue() == ""
