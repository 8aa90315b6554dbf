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

NOUNS: tuple[tuple[str, str], ...] = (
    ("workbench.answers.plan", "PlanReport"),
    ("workbench.bind.definition", "Binding"),
    ("workbench.derivation", "Run"),
    ("workbench.export.artifact", "Artifact"),
    ("workbench.lake.description", "Description"),
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

_DESCRIPTION = ("workbench.lake.description", "Description")
CHARTS = ("altair.vegalite.v5.api", "TopLevelMixin")


class Limits:
    """How many rows the value of the last magic is shown with.

    IPython formats a value after the magic has returned it, and knows nothing of the magic's
    flags; only the last value is remembered, as `_` does too.
    """

    def __init__(self) -> None:
        self._value: object = None
        self._limit = ROWS

    def set(self, value: object, limit: int | None) -> None:
        """Remember the limit of `value`; None means the usual one."""
        self._value, self._limit = value, ROWS if limit is None else limit

    def is_last(self, value: object) -> bool:
        """Whether this is the very value of the last magic."""
        return value is self._value

    def of(self, value: object) -> int:
        """Return the limit to show `value` with."""
        return self._limit if self.is_last(value) else ROWS


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
    itself.for_type_by_name(*_DESCRIPTION, lambda value: _with_charts(shell, value, limits.of(value)))
    _register_lists(formatter, limits)


def _with_charts(shell: InteractiveShell, description: Any, limit: int) -> None:
    """Show a description, and its charts as an output of their own.

    JupyterLab shows one form of an output, and would take the page over the charts.
    """
    if not description.charts:
        raise NotImplementedError  # IPython then shows it as it does any other value.
    from workbench.notebook import charts

    publisher: Any = shell.display_pub
    publisher.publish(bundle(description, limit))
    publisher.publish(charts.bundle(description.charts))


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
