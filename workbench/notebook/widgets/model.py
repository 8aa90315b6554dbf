"""The model page: how good a model is and why, its versions, and which of them is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.names import literal
from workbench.notebook.widgets import cells
from workbench.notebook.widgets.base import Widget, script, style
from workbench.plain.values import compact

if TYPE_CHECKING:
    from workbench.lake import Result
    from workbench.lake.description import Description
    from workbench.store import Store

METRICS, IMPORTANCE, VERSIONS = "Metrics on the held-out rows", "Importance", "Versions"

_MOST = 12


class ModelPage(Widget):
    """What `describe` says of a model, with buttons to deploy a version and to roll back."""

    _esm = script("model")
    _css = style()

    def __init__(self, description: Description, store: Store) -> None:
        self._store = store
        self._ref = description.name
        super().__init__(self._state(description))

    def answer_state(self) -> dict[str, Any]:
        """Return everything as it is now."""
        return self._state(self._store.describe(self._ref))

    def answer_deploy(self, version: int) -> dict[str, Any]:
        """Make a version the champion; return everything as it is then."""
        self._store.deploy(f"{self._name}@{int(version)}")
        return self.answer_state()

    def answer_rollback(self) -> dict[str, Any]:
        """Make the previous champion the champion again; return everything as it is then."""
        self._store.rollback(self._name)
        return self.answer_state()

    @property
    def _name(self) -> str:
        return self._ref.partition("@")[0]

    def _state(self, description: Description) -> dict[str, Any]:
        facts = {key.replace("_", " "): compact(value) for key, value in description.facts.items() if value}
        tables = dict(description.tables)
        versions = tables.pop(VERSIONS, None)
        metrics, importance = tables.pop(METRICS, None), tables.pop(IMPORTANCE, None)
        decisions = self._store.sql(
            "SELECT version, deployed, gate, reason, decided_at FROM mlstore.decisions "
            f"WHERE model = {literal(self._name)} ORDER BY decided_at DESC LIMIT 20"
        )
        return {
            "name": description.name,
            "status": facts.pop("status", ""),
            "facts": [list(each) for each in facts.items()],
            "metrics": metrics.rows() if metrics else [],
            "importance": [_bar(row) for row in importance.rows()[:_MOST]] if importance else [],
            "versions": _versions(versions) if versions else [],
            "decisions": _written(decisions.rows()),
            "tables": [
                {
                    "title": title,
                    "columns": cells.columns(result.to_arrow()),
                    "rows": cells.rows(result.to_arrow().slice(0, 50)),
                }
                for title, result in tables.items()
            ],
        }


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    by = "permutation" if row["permutation"] is not None else "shap"
    spread = row["permutation_sd"] if by == "permutation" else None
    return {"feature": row["feature"], "value": row[by] or 0.0, "spread": spread or 0.0, "by": by}


def _versions(versions: Result) -> list[dict[str, Any]]:
    return sorted(_written(versions.rows()), key=lambda row: -row["version"])


def _written(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write times as text, which is how they get to the browser."""
    return [
        {name: compact(value) if name.endswith("_at") else value for name, value in row.items()}
        for row in rows
    ]
