"""The explorer: a table of any size, served page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.lake.conditions import is_compared
from workbench.lake.exploration import PAGE, View
from workbench.notebook.widgets import cells
from workbench.notebook.widgets.base import Widget, script, style
from workbench.plain.values import compact

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Exploration

_OPEN = 4


class Explorer(Widget):
    """A table to scroll, sort and filter, as it was at any snapshot."""

    _esm = script("profile", "explorer")
    _css = style()
    aside = frozenset({"profile", "past"})

    def __init__(self, exploration: Exploration) -> None:
        self._first = exploration
        self._others: dict[tuple[int, bool], Exploration] = {}
        page = exploration.page()
        super().__init__(
            {
                "name": exploration.name,
                "kind": "explore",
                "snapshot": exploration.snapshot,
                "total": exploration.count(),
                "columns": _columns(exploration, page),
                "rows": cells.rows(page),
                "past": exploration.is_table,
            }
        )

    def answer_page(
        self,
        start: int = 0,
        count: int = PAGE,
        snapshot: int | None = None,
        changes: bool = False,
        **view: Any,
    ) -> dict[str, Any]:
        """Return rows of a view: `columns`, `total` and `rows`."""
        shown, asked = self._at(snapshot, changes), _view(**view)
        page = shown.page(start, count, asked)
        rows = cells.differences(page) if changes else cells.rows(page)
        return {"columns": _columns(shown, page), "total": shown.count(asked), "rows": rows}

    def answer_profile(
        self, column: str, snapshot: int | None = None, changes: bool = False, **view: Any
    ) -> dict[str, Any]:
        """Return how the values of a column are distributed."""
        (found,) = self._at(snapshot, changes).profile([column], _view(**{**view, "order": ()}))
        return cells.distribution(found)

    def answer_past(self) -> list[dict[str, Any]]:
        """List the snapshots that changed the table, each with what it did, oldest first."""
        if not self._first.is_table:
            return []
        return [
            {
                "snapshot": row["snapshot"],
                "said": f"@{row['snapshot']} · {compact(row['time'])} · {row['message']}",
            }
            for row in self._first.commits().to_pylist()
        ]

    def answer_rest(self) -> None:
        """Forget what was found out for the views: nobody looks any more."""
        for each in (self._first, *self._others.values()):
            each.close()

    def _at(self, snapshot: int | None, changes: bool) -> Exploration:
        """Return the table at a snapshot, or what that snapshot changed."""
        at = self._first.snapshot if snapshot is None else snapshot
        if not self._first.is_table or (at == self._first.snapshot and not changes):
            return self._first
        if (at, changes) not in self._others:
            while len(self._others) >= _OPEN:
                self._others.pop(next(iter(self._others))).close()
            self._others[at, changes] = self._first.changes(at) if changes else self._first.at(at)
        return self._others[at, changes]


def _columns(exploration: Exploration, page: pa.Table) -> list[dict[str, Any]]:
    kinds = exploration.columns
    return [
        {**column, "compared": is_compared(kinds[column["name"]]), "filtered": True}
        for column in cells.columns(page)
    ]


def _view(
    order: Sequence[Sequence[Any]] = (), filters: dict[str, str] | None = None, where: str = ""
) -> View:
    return View(tuple((str(name), bool(down)) for name, down in order), filters or {}, where)
