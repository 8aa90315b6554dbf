"""The button that ends a search, while the kernel is busy with it."""

from __future__ import annotations

import uuid
from threading import Event

from workbench.notebook.presence import kernel
from workbench.notebook.widgets.base import Widget, script, style

_RUNNING: dict[str, Event] = {}


class Stopper(Widget):
    """Stands below the board of a search; what it shows calls `stop` in a subshell of the kernel.

    The shell in which a cell runs reads no message before the cell is done, those of widgets
    included; a request in a subshell is answered meanwhile.
    """

    _esm = script("search")
    _css = style()

    def __init__(self, event: Event) -> None:
        self._search = uuid.uuid4().hex
        _RUNNING[self._search] = event
        # As one expression, for it runs among the variables of the notebook.
        code = f"__import__('{__name__}', fromlist=['stop']).stop('{self._search}')"
        super().__init__({"kernel": kernel() or "", "code": code})

    def close(self) -> None:
        """Forget the search, which is over."""
        _RUNNING.pop(self._search, None)
        super().close()


def stop(search: str) -> None:
    """Let a search end with the best so far; one that is over already stays as it is."""
    event = _RUNNING.get(search)
    if event is not None:
        event.set()
