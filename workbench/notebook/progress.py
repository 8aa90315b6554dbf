"""A thin progress bar in a cell, for steps that last: one display, drawn again, then taken away."""

from __future__ import annotations

import uuid
from threading import Event
from typing import TYPE_CHECKING, Any

from workbench.notebook import html
from workbench.notebook.board import is_search
from workbench.plain import Tick, Ticker
from workbench.plain.ticker import DELAY, PERIOD, terminal_ticker

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Bar:
    """One place in the output of a cell."""

    def __init__(self, shell: InteractiveShell, stop: Event | None = None) -> None:
        self._stop = stop
        self._stopper: Any = None
        self._beside = ""
        self._publisher: Any = shell.display_pub
        self._id = uuid.uuid4().hex
        self._drawn = False

    def show(self, tick: Tick) -> None:
        """Draw the bar; the first time makes its place."""
        self._publish(html.bar(tick) + self._beside, tick.words())
        if self._stop is not None and self._stopper is None and is_search(tick.detail):
            self._offer_stop(self._stop)

    def clear(self) -> None:
        """Leave nothing to see in the place."""
        self._publish("", "")
        if self._stopper is not None:
            self._publish_stop({"text/plain": ""}, update=True)
            self._stopper.close()

    def _offer_stop(self, stop: Event) -> None:
        from workbench.notebook.widgets.base import BESIDE, VIEW
        from workbench.notebook.widgets.search import Stopper

        self._stopper, self._beside = Stopper(stop), BESIDE
        view = {"version_major": 2, "version_minor": 0, "model_id": self._stopper.model_id}
        self._publish_stop({VIEW: view, "text/plain": ""}, update=False)

    def _publish_stop(self, data: dict[str, Any], *, update: bool) -> None:
        self._publisher.publish(data, transient={"display_id": f"{self._id}-stop"}, update=update)

    def _publish(self, markup: str, words: str) -> None:
        self._publisher.publish(
            {"text/html": markup, "text/plain": words}, transient={"display_id": self._id}, update=self._drawn
        )
        self._drawn = True


def ticker(
    shell: InteractiveShell, stop: Event | None = None, *, delay: float = DELAY, period: float = PERIOD
) -> Ticker:
    """Return a progress sink that draws in the cell that is running, or on the line of a terminal.

    With a search comes a button that sets `stop`.
    """
    if getattr(shell, "kernel", None) is None:
        return terminal_ticker()
    bar = Bar(shell, stop)
    return Ticker(bar.show, bar.clear, delay=delay, period=period)
