"""Which value is shown by which widget; nothing heavy is imported before there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from workbench.notebook.widgets.base import Widget
    from workbench.store import Store


def live(shell: InteractiveShell) -> bool:
    """Whether there is a front end that could show widgets: a terminal has none."""
    return getattr(shell, "kernel", None) is not None


def widget_for(value: Any, verb: str = "", store: Store | None = None) -> Widget | None:
    """Make the widget for a value, which may depend on the verb that gave it; None where it has none."""
    if type(value).__name__ == "Exploration":
        from workbench.notebook.widgets.explorer import Explorer

        return Explorer(value)
    if type(value).__name__ == "Builder":
        from workbench.notebook.widgets.builder import Form

        return Form(value)
    if verb == "diff" and store is not None and len(value):
        from workbench.notebook.widgets.diff import Diff

        return Diff(value, store.explore(value))
    if verb == "runs" and len(value):
        from workbench.notebook.widgets.runs import Runs

        return Runs(value)
    if type(value).__name__ == "Lineage":
        from workbench.notebook.widgets.lineage import Graph

        return Graph(value, store)
    if type(value).__name__ == "Description" and store is not None:
        return _page(value, store)
    return None


def _page(description: Any, store: Store) -> Widget | None:
    if description.kind == "model":
        from workbench.notebook.widgets.model import ModelPage

        return ModelPage(description, store)
    if description.kind == "binding":
        from workbench.notebook.widgets.binding import BindingPage

        return BindingPage(description, store)
    return None
