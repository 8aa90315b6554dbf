"""The builder: a form whose choices become the statement of a transform, with a preview of its rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.building.choices import TRIGGERS, Choices, Problem, arguments, names, problems
from workbench.building.offers import BACK, OFFERS, Offer, Parameter, column_kind
from workbench.errors import WorkbenchError
from workbench.language.draft import cell_for
from workbench.language.functions import store_functions
from workbench.notebook import display
from workbench.notebook.widgets import cells
from workbench.notebook.widgets.base import Widget, script, style
from workbench.notebook.widgets.highlight import highlighted
from workbench.progress import Event, watch

if TYPE_CHECKING:
    from workbench.building import Builder

_LABELS = {
    "manual": "when asked",
    "on write": "on write",
    "changed": "when so many % changed",
    "every": "every so often",
    "cron": "by the calendar",
    "other": "by another trigger",
}


class Form(Widget):
    """A transform that is put together; only *Create* changes anything in the store."""

    _esm = script("profile", "builder")
    _css = style()
    aside = frozenset({"profile", "create"})

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        source = builder.source
        super().__init__(
            {
                "name": builder.name,
                "snapshot": builder.snapshot,
                "total": builder.count(),
                "columns": [
                    {"name": name, "type": type_.lower(), "kind": column_kind(type_)}
                    for name, type_ in source.columns.items()
                ],
                "keyed": bool(source.key),
                "choices": builder.choices.to_json(),
                "offers": _offers(),
                "triggers": [
                    {"kind": kind, "label": _LABELS[kind], "begin": begin}
                    for kind, (_, begin) in TRIGGERS.items()
                ],
            }
        )

    def answer_draft(self, choices: dict[str, Any]) -> dict[str, Any]:
        """Return the statement that choices make, the names of its columns, and what is wrong with them."""
        chosen = Choices.of(choices)
        found, outlook, cell = problems(self._builder.source, chosen), "", ""
        try:
            outlook = self._builder.outlook(chosen)
        except WorkbenchError as error:
            found.append(Problem("name", error.message, error.hint))
        if not found:
            cell = cell_for("transform", arguments(self._builder.source, chosen))
        return {
            "cell": cell,
            "pieces": highlighted(cell),
            "names": names(chosen),
            "problems": [asdict(each) for each in found],
            "outlook": outlook,
        }

    def answer_preview(self, choices: dict[str, Any]) -> dict[str, Any]:
        """Return the first rows of what choices make, and make them what the static form shows."""
        chosen = Choices.of(choices)
        preview = self._builder.preview(chosen)
        self._builder.choices = chosen
        self.restate(display.bundle(self._builder))
        rows = preview.rows
        return {"columns": cells.columns(rows), "rows": cells.rows(rows), "note": preview.note}

    def answer_profile(self, column: str) -> dict[str, Any]:
        """Return how the values of a column are distributed."""
        return cells.distribution(self._builder.profile(column))

    def answer_create(self, choices: dict[str, Any]) -> str:
        """Make the transform; return what was made, in words."""
        with watch(self._tell):
            made = self._builder.create(Choices.of(choices))
        return f"{made.name} is at version {made.version}, in snapshot {made.snapshot}."

    def answer_rest(self) -> None:
        """Forget what was found out of the table: nobody looks any more."""
        self._builder.close()

    def _tell(self, event: Event) -> None:
        share = f" {100 * event.done // event.total} %" if event.total else ""
        self.send({"told": "" if event.finished else f"{event.title} …{share}"})


def _offers() -> list[dict[str, Any]]:
    helps = {name: f"{signature}\n\n{does}" for name, signature, does in store_functions()}
    return [_offer(each, helps[each.step]) for each in OFFERS.values()]


def _offer(offer: Offer, does: str) -> dict[str, Any]:
    return {
        "step": offer.step,
        "group": offer.group,
        "back": offer.group == BACK,
        "takes": offer.takes,
        "gives": offer.gives,
        "help": does,
        "parameters": [_parameter(offer, each) for each in offer.parameters],
    }


def _parameter(offer: Offer, parameter: Parameter) -> dict[str, Any]:
    """Describe a parameter; what there is to choose from, and the default, by the kind of column."""
    return {
        "name": parameter.name,
        "form": parameter.form,
        "choice": {kind: parameter.choice(kind) for kind in offer.takes},
        "begin": {kind: parameter.begin(kind) for kind in offer.takes},
        "of": parameter.of,
        "only": parameter.only,
    }
