"""A thin progress bar in a cell, for steps that last: one display, drawn again, then taken away."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from workbench.notebook import html
from workbench.plain import Tick, Ticker
from workbench.plain.ticker import DELAY, PERIOD, terminal_ticker

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Bar:
    """One place in the output of a cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._publisher: Any = shell.display_pub
        self._id = uuid.uuid4().hex
        self._drawn = False

    def show(self, tick: Tick) -> None:
        """Draw the bar; the first time makes its place."""
        self._publish(html.bar(tick), tick.words())

    def clear(self) -> None:
        """Leave nothing to see in the place."""
        self._publish("", "")

    def _publish(self, markup: str, words: str) -> None:
        self._publisher.publish(
            {"text/html": markup, "text/plain": words}, transient={"display_id": self._id}, update=self._drawn
        )
        self._drawn = True


def ticker(shell: InteractiveShell, *, delay: float = DELAY, period: float = PERIOD) -> Ticker:
    """Return a progress sink that draws in the cell that is running, or on the line of a terminal."""
    if getattr(shell, "kernel", None) is None:
        return terminal_ticker()
    bar = Bar(shell)
    return Ticker(bar.show, bar.clear, delay=delay, period=period)
