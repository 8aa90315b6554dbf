"""How a widget is made, what it answers, and how it stands beside its static form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError
from workbench.notebook.style import CSS

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

VIEW = "application/vnd.jupyter.widget-view+json"

_FOLDER = Path(__file__).parent

_REMEMBERED = 64  # answers, so long as one of them may be asked for again


@cache
def script(*names: str) -> str:
    """Return the module of a widget: what all share, then these files, its own the last."""
    return "\n".join((_FOLDER / f"{each}.js").read_text(encoding="utf-8") for each in ("common", *names))


@cache
def style() -> str:
    """Return the style sheet of all widgets."""
    return CSS + (_FOLDER / "widgets.css").read_text(encoding="utf-8")


class Widget(anywidget.AnyWidget):
    """A widget that asks the kernel for what it shows.

    A question is the name of a method that starts with `answer_`, and its arguments. It is answered in
    a thread, so that the kernel can run cells meanwhile; whatever goes wrong is shown in the widget. A
    question that comes again, for its answer may be lost on the way, is not answered anew.
    """

    _esm = ""
    _css = ""

    start = traitlets.Dict().tag(sync=True)
    """What is shown first."""

    aside: frozenset[str] = frozenset()
    """Questions that may take long, and are answered in a thread of their own."""

    restate: Callable[[Mapping[str, str]], None] = staticmethod(lambda static: None)
    """Replace the static form that stands beside the widget, once it was published."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._threads: dict[bool, Executor] = {}
        self._answers: dict[str, Future[dict[str, Any]]] = {}
        super().__init__(start=dict(start))
        self.on_msg(self._asked)

    def ask(self, what: str, **given: Any) -> Any:
        """Answer a question here and now."""
        return getattr(self, f"answer_{what}")(**given)

    def _asked(self, _: object, message: Mapping[str, Any], buffers: object) -> None:
        known = self._answers.get(message["id"])
        if known is not None:
            if known.done():
                self.send(known.result())
            return
        apart = message["ask"] in self.aside
        if apart not in self._threads:
            self._threads[apart] = ThreadPoolExecutor(1, thread_name_prefix="mlstore-widget")
        while len(self._answers) >= _REMEMBERED:
            del self._answers[next(iter(self._answers))]
        self._answers[message["id"]] = self._threads[apart].submit(self._reply, message)

    def _reply(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = {"answer": self.ask(message["ask"], **message["given"])}
        except WorkbenchError as error:
            answer = {"error": {"message": error.message, "hint": error.hint}}
        except Exception as error:  # noqa: BLE001 (nobody else would see what happens in this thread)
            answer = {"error": {"message": f"{type(error).__name__}: {error}", "hint": ""}}
        answer = {"id": message["id"], **answer}
        self.send(answer)
        return answer


def publish(shell: InteractiveShell, static: Mapping[str, str], widget: Widget) -> None:
    """Show a widget and its static form, of which one is hidden: the style sheet says which."""
    publisher: Any = shell.display_pub

    def show(form: Mapping[str, str], *, update: bool = False) -> None:
        shown = {**form, "text/html": _FALLBACK + form["text/html"]}
        publisher.publish(shown, transient={"display_id": widget.model_id}, update=update)

    show(static)
    widget.restate = partial(show, update=True)
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    publisher.publish({VIEW: view, "text/plain": ""})


BESIDE = (
    "<style>"
    ".jp-OutputArea-child:has(.mls-beside) + .jp-OutputArea-child:not(:has(.mlw)){display:none}"
    '</style><span class="mls-beside"></span>'
)
"""Part of what has a widget below it, which is hidden while it says only that its kernel is gone."""

# A widget whose kernel is gone says only that it is not found; then what stands before it is shown instead.
# How it comes back to life is content of the style sheet: where there are no styles, as on GitHub, it would
# be noise. It waits, for a widget is drawn a moment after its static form; a page of nbconvert cannot be run.
_FALLBACK = (
    "<style>"
    ".jp-OutputArea-child:has(.mls-static):has(+ .jp-OutputArea-child .mlw){display:none}"
    ".jp-OutputArea-child:has(.mls-static) + .jp-OutputArea-child:not(:has(.mlw)){display:none}"
    "body:not(.jp-Notebook) .mls-static::before{animation:mls-late 0s 5s forwards;"
    'content:"As it was saved. Run the cell to ask the store again.";'
    "color:var(--jp-ui-font-color2);display:block;font-size:12px;height:0;overflow:hidden}"
    "@keyframes mls-late{to{height:22px}}"
    '</style><span class="mls-static"></span>'
)
"""Part of what has a widget below it: it is hidden while the widget is there."""
