"""The difference of a table at two snapshots: counts first, changed cells marked, one kind at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.lake.exploration import PAGE, View
from workbench.notebook.widgets import cells
from workbench.notebook.widgets.base import Widget, script, style

if TYPE_CHECKING:
    from workbench.lake import Exploration, Result

KINDS = ("added", "removed", "changed")


class Diff(Widget):
    """What a `diff` found, to be scrolled and filtered by kind."""

    _esm = script("diff")
    _css = style()

    def __init__(self, difference: Result, rows: Exploration) -> None:
        self._rows = rows
        self._change = difference.columns[0]
        first = rows.page()
        counts = {kind: rows.count(self._view(kind)) for kind in KINDS}
        super().__init__(
            {
                "said": difference.message,
                "counts": {kind: number for kind, number in counts.items() if number},
                "total": rows.count(),
                "columns": cells.columns(first),
                "rows": cells.differences(first),
            }
        )

    def answer_page(self, start: int = 0, count: int = PAGE, kind: str = "") -> dict[str, Any]:
        """Return rows of one kind, or of all."""
        view = self._view(kind)
        page = self._rows.page(start, count, view)
        return {"total": self._rows.count(view), "rows": cells.differences(page)}

    def _view(self, kind: str) -> View:
        return View(filters={self._change: f"= {kind}"} if kind else {})
