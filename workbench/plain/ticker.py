"""When a running step deserves a progress bar, whoever draws it.

A step shorter than two seconds shows nothing. A longer one shows a bar that is drawn again a few
times a second, also when the step says nothing itself: the elapsed time ticks.
"""

from __future__ import annotations

import contextvars
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from workbench.plain.values import count, seconds
from workbench.progress import Event

DELAY = 2.0
PERIOD = 0.5


@dataclass(frozen=True, slots=True)
class Tick:
    """What a bar shows: the innermost step that is running, for how long it has been, and how it stands."""

    title: str
    done: int
    total: int | None
    elapsed: float
    note: str = ""
    detail: object = None

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0 to 1; None where the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None

    def words(self) -> str:
        """Write title, share and time.

        Examples
        --------
        >>> Tick("Training late", 25, 100, 4.2).words()
        'Training late · 25 % (25 of 100) · 4.2 s'
        >>> Tick("Loading", 0, None, 75.0).words()
        'Loading · 1 min 15 s'
        """
        parts = [self.title]
        if self.fraction is not None:
            parts.append(
                f"{self.fraction:.0%} ({count(self.done)} of {count(self.total or 0)})".replace("%", " %", 1)
            )
        elif self.done:
            parts.append(count(self.done))
        return " · ".join([*parts, seconds(self.elapsed), *([self.note] if self.note else [])])


class Ticker:
    """A progress sink that calls `show` while a long step runs, and `clear` after the last one.

    Use it as a context manager around the work; inside, it is the sink. Nothing is shown after the
    block, however it ends.

    Parameters
    ----------
    show : callable
        Draws a Tick. It is called from another thread, never twice at once.
    clear : callable
        Takes the drawing away; called once, and only if anything was drawn.
    delay, period : float
        Seconds before the first drawing, and between drawings.
    """

    def __init__(
        self,
        show: Callable[[Tick], None],
        clear: Callable[[], None],
        *,
        delay: float = DELAY,
        period: float = PERIOD,
    ) -> None:
        self._show = show
        self._clear = clear
        self._delay = delay
        self.period = min(period, delay) or period
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[Event, float]] = {}
        self._context: contextvars.Context | None = None
        self._drawing = threading.Lock()
        self._ended = False
        self._drawn = False

    def __call__(self, event: Event) -> None:
        """Note an event; the clock's thread draws."""
        with self._lock:
            _, started = self._steps.get(event.title, (event, time.monotonic()))
            if event.finished:
                self._steps.pop(event.title, None)
            else:
                self._steps[event.title] = (event, started)
            if self._context is None and not self._ended:
                # The notebook knows which cell a drawing belongs to from a context variable.
                self._context = contextvars.copy_context()
                _CLOCK.add(self)

    def draw(self) -> None:
        """Show how it stands, if it is time to."""
        with self._drawing:
            tick = None if self._ended else self.tick()
            if tick is not None and self._context is not None:
                self._drawn = True
                self._context.run(self._show, tick)

    def tick(self) -> Tick | None:
        """Return what to draw now: the newest step, once the oldest has lasted the delay."""
        with self._lock:
            if not self._steps:
                return None
            now = time.monotonic()
            event, started = list(self._steps.values())[-1]
            oldest = min(begun for _, begun in self._steps.values())
        if now - oldest < self._delay:
            return None
        return Tick(event.title, event.done, event.total, now - started, event.note, event.detail)

    def __enter__(self) -> Ticker:
        """Return the sink."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for a drawing that is being made, then take it away."""
        _CLOCK.remove(self)
        drawing = self._drawing.acquire(timeout=5)
        self._ended = True
        if drawing:
            self._drawing.release()
        if self._drawn:
            self._clear()


class _Clock:
    """The thread that lets tickers draw: one for all, for to start one costs a short statement dearly."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Ticker, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, ticker: Ticker) -> None:
        """Let a ticker draw from now on."""
        with self._changed:
            self._due[ticker] = time.monotonic() + ticker.period
            # The thread does not live on in a process that was forked.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="mlstore-progress", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, ticker: Ticker) -> None:
        """Let a ticker draw no more."""
        with self._changed:
            self._due.pop(ticker, None)

    def _run(self) -> None:
        while True:
            self._next().draw()

    def _next(self) -> Ticker:
        """Wait until a ticker is due."""
        with self._changed:
            while True:
                now = time.monotonic()
                ticker, due = min(self._due.items(), key=lambda each: each[1], default=(None, None))
                if ticker is not None and due is not None and due <= now:
                    self._due[ticker] = now + ticker.period
                    return ticker
                self._changed.wait(None if due is None else due - now)


_CLOCK = _Clock()


def terminal_ticker() -> Ticker:
    """Return a progress sink that writes one line to the terminal, or nothing where there is none."""
    if not sys.stderr.isatty():
        return Ticker(lambda tick: None, lambda: None)
    return Ticker(_write_line, lambda: _rewrite_line(""))


def _write_line(tick: Tick) -> None:
    width = max(20, shutil.get_terminal_size().columns - 1)
    full = None if tick.fraction is None else round(tick.fraction * 20)
    bar = "" if full is None else "█" * full + "░" * (20 - full) + " "
    _rewrite_line((bar + tick.words())[:width])


def _rewrite_line(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
