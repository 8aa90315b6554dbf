"""The run history: when each load, refresh and training ran, for how long, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.notebook.widgets.base import Widget, script, style
from workbench.plain.values import compact, count, seconds

if TYPE_CHECKING:
    from workbench.lake import Result

_MOST = 2_000


class Runs(Widget):
    """What `runs` found, as a timeline and a list to filter."""

    _esm = script("runs")
    _css = style()

    def __init__(self, found: Result) -> None:
        newest = found.to_arrow().slice(0, _MOST).to_pylist()
        super().__init__({"total": len(found), "runs": [_run(row) for row in newest]})


def _run(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("name", "kind", "mode", "status", "snapshot")},
        "why": row["error"] or row["reason"] or "",
        "failed": bool(row["error"]),
        "began": row["started_at"].timestamp(),
        "at": compact(row["started_at"]),
        "seconds": row["seconds"],
        "took": seconds(row["seconds"]),
        "rows": ", ".join(
            f"{count(row[name])} {word}"
            for name, word in (
                ("rows_read", "read"),
                ("rows_written", "written"),
                ("rows_deleted", "deleted"),
            )
            if row[name]
        ),
    }
