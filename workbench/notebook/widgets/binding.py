"""The binding page: which rows have predictions, by which model, what went wrong, and how fast it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.names import quote_name
from workbench.notebook.widgets import cells
from workbench.notebook.widgets.base import Widget, script, style
from workbench.plain.values import compact

if TYPE_CHECKING:
    from workbench.lake.description import Description
    from workbench.store import Store

_RUNS = 30


class BindingPage(Widget):
    """What `describe` says of a binding, counted anew when asked, with a button to refresh it."""

    _esm = script("binding")
    _css = style()

    def __init__(self, description: Description, store: Store) -> None:
        self._store = store
        self._name = description.name
        super().__init__(self._state(description))

    def answer_state(self) -> dict[str, Any]:
        """Return everything as it is now."""
        return self._state(self._store.describe(self._name))

    def answer_refresh(self) -> dict[str, Any]:
        """Bring the predictions up to date; return everything as it is then."""
        self._store.refresh(self._name)
        return self.answer_state()

    def _state(self, description: Description) -> dict[str, Any]:
        facts = dict(description.facts)
        side, on = quote_name(facts["side table"]), quote_name(facts["on"])
        total = self._store.sql(f"SELECT count(*) AS rows FROM {on}").rows()[0]["rows"]
        statuses = self._counts(side, "status", "true")
        runs = self._store.runs(self._name).rows()[:_RUNS]
        return {
            "name": description.name,
            "total": total,
            "statuses": statuses,
            "missing": max(0, total - sum(number for _, number in statuses)),
            "behind": str(facts.pop("to be refreshed", "")),
            "versions": self._counts(side, "model_version", "model_version IS NOT NULL"),
            "errors": self._counts(side, "error", "error IS NOT NULL"),
            "facts": [[key, compact(value)] for key, value in facts.items() if value not in (None, "")],
            "runs": [_run(row) for row in runs if row["rows_written"]],
            "tables": [
                {
                    "title": title,
                    "columns": cells.columns(each.to_arrow()),
                    "rows": cells.rows(each.to_arrow()),
                }
                for title, each in description.tables.items()
                if len(each)
            ],
        }

    def _counts(self, side: str, column: str, where: str) -> list[list[Any]]:
        """Count the rows of the side table by a column, the most frequent value first."""
        rows = self._store.sql(
            f"SELECT CAST({column} AS VARCHAR) AS value, count(*) AS rows FROM {side} WHERE {where} "
            "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
        ).rows()
        return [[row["value"], row["rows"]] for row in rows]


def _run(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": compact(row["started_at"]),
        "rows": row["rows_written"],
        "ms": 1000 * row["seconds"] / row["rows_written"],
        "seconds": row["seconds"],
    }
