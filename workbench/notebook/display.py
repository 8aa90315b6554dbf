"""How the nouns of the store show themselves in IPython: HTML and text of the same blocks.

The formatters are registered by module and class name, so that registering them imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.notebook import html
from workbench.plain import Note, Report, blocks, known, render
from workbench.plain.nouns import ROWS

if TYPE_CHECKING:
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from workbench.store import Store

NOUNS: tuple[tuple[str, str], ...] = (
    ("workbench.answers.plan", "PlanReport"),
    ("workbench.bind.definition", "Binding"),
    ("workbench.building.builder", "Builder"),
    ("workbench.derivation", "Run"),
    ("workbench.export.artifact", "Artifact"),
    ("workbench.lake.description", "Description"),
    ("workbench.lake.exploration", "Exploration"),
    ("workbench.lake.result", "Result"),
    ("workbench.lake.snapshots", "Snapshot"),
    ("workbench.language.help", "HelpText"),
    ("workbench.lineage.graph", "Lineage"),
    ("workbench.lineage.trace", "Trace"),
    ("workbench.plain.nouns", "Report"),
    ("workbench.train.model", "Model"),
    ("workbench.transform.definition", "Transform"),
    ("workbench.transform.query", "Query"),
)
"""Where each noun lives; a test imports them all."""

_LIVE = (
    ("workbench.building.builder", "Builder"),
    ("workbench.lake.description", "Description"),
    ("workbench.lake.exploration", "Exploration"),
    ("workbench.lake.result", "Result"),
    ("workbench.lineage.graph", "Lineage"),
)
"""What a widget may show, beside its static form."""

CHARTS = ("altair.vegalite.v5.api", "TopLevelMixin")


class Limits:
    """How many rows the value of the last magic is shown with.

    IPython formats a value after the magic has returned it, and knows nothing of the magic's
    flags; only the last value is remembered, as `_` does too.
    """

    def __init__(self) -> None:
        self._value: object = None
        self._limit = ROWS
        self._verb = ""
        self.store: Store | None = None

    def set(self, value: object, limit: int | None, verb: str = "", store: Store | None = None) -> None:
        """Remember the limit of `value`, None being the usual one, and the verb and store that gave it."""
        self._value, self._limit = value, ROWS if limit is None else limit
        self._verb, self.store = verb, store

    def is_last(self, value: object) -> bool:
        """Whether this is the very value of the last magic."""
        return value is self._value

    def of(self, value: object) -> int:
        """Return the limit to show `value` with."""
        return self._limit if self.is_last(value) else ROWS

    def verb(self, value: object) -> str:
        """Return the verb that gave `value`; empty where that was no magic."""
        return self._verb if self.is_last(value) else ""


def bundle(value: object, limit: int = ROWS) -> dict[str, str]:
    """Return a noun as HTML and as text.

    Examples
    --------
    >>> from workbench.plain import bound
    >>> bundle(bound("n", 1))["text/plain"]
    'n = int'
    """
    parts = blocks(value, limit=limit)
    return {"text/html": html.render(parts), "text/plain": render(parts)}


def register(shell: InteractiveShell, limits: Limits) -> None:
    """Register the formatters with a shell."""
    formatter = shell.display_formatter
    if formatter is None:
        return
    mime = formatter.mimebundle_formatter
    for module, name in NOUNS:
        mime.for_type_by_name(module, name, lambda value: bundle(value, limits.of(value)))
    mime.for_type_by_name(*CHARTS, _chart)
    itself = formatter.ipython_display_formatter
    for noun in _LIVE:
        itself.for_type_by_name(*noun, lambda value: _live(shell, value, limits))
    _register_lists(formatter, limits)


def _live(shell: InteractiveShell, value: Any, limits: Limits) -> None:
    """Show a value with its widget, and the charts of a description as an output of their own.

    JupyterLab shows one form of an output, and would take the page over the charts.
    """
    from workbench.notebook.widgets import choose

    store = limits.store if limits.is_last(value) else None
    widget = choose.widget_for(value, limits.verb(value), store) if choose.live(shell) else None
    drawn = getattr(value, "charts", None)
    if widget is None and not drawn:
        raise NotImplementedError  # IPython then shows it as it does any other value.
    publisher: Any = shell.display_pub
    if widget is None:
        publisher.publish(bundle(value, limits.of(value)))
    else:
        from workbench.notebook.widgets.base import publish

        publish(shell, bundle(value, limits.of(value)), widget)
    if drawn:
        from workbench.notebook import charts

        publisher.publish(charts.bundle(drawn))


def _register_lists(formatter: DisplayFormatter, limits: Limits) -> None:
    """Show a list of runs as a table, and any other list as ever."""
    text = formatter.formatters["text/plain"]
    usual = text.lookup_by_type(list)

    def shown(value: list[Any]) -> dict[str, str] | None:
        if not value and limits.is_last(value):
            return bundle(_NOTHING)
        return bundle(value, limits.of(value)) if known(value) else None

    def write(value: list[Any], printer: Any, cycle: bool) -> None:
        data = None if cycle else shown(value)
        if data is None:
            usual(value, printer, cycle)
        else:
            printer.text(data["text/plain"])

    text.for_type(list, write)
    formatter.formatters["text/html"].for_type(list, lambda value: (shown(value) or {}).get("text/html"))


_NOTHING = Report((Note("Nothing to do: everything is up to date.", "good"),))


def _chart(chart: Any) -> Any:
    """Show an Altair chart in a way that needs no network.

    Altair's default renderer loads its scripts from a content delivery network; JupyterLab brings
    what the `mimetype` renderer needs. Another renderer that the user has chosen stays.
    """
    import altair

    if altair.renderers.active == "default":
        altair.renderers.enable("mimetype")
    return chart._repr_mimebundle_()
