"""`%mlstore` and `%%mlstore`: a statement of the language in a cell."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from workbench.errors import InvalidData, WorkbenchError
from workbench.notebook import completion, display, presence
from workbench.notebook.errors import shown_as_block, shown_in_full
from workbench.notebook.progress import ticker
from workbench.plain import bound, templates
from workbench.plain.failures import interrupted
from workbench.plain.running import announced
from workbench.progress import both, watch

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from workbench.store import Store

FOLDER = "mlstore"
"""The folder of the store that is opened when none was chosen."""


@magics_class
class StoreMagics(Magics):
    """The magics of one shell, and the store they talk to.

    The store is the variable `store` of the notebook where that is a Store; else the one of
    `%mlstore connect`; else the one in the folder `mlstore`, opened when it is first needed.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self.limits = display.Limits()
        self._store: Store | None = None

    @no_var_expand
    @line_cell_magic
    def mlstore(self, line: str, cell: str | None = None) -> object:
        """Run a statement; `%mlstore --help` lists the verbs."""
        debug = "--debug" in line.split()
        try:
            return self._show(line, cell)
        except WorkbenchError as error:
            raise shown_in_full(error) if debug else shown_as_block(error) from None

    def _show(self, line: str, cell: str | None) -> object:
        words = _words(line)
        if cell is None and words[:1] == ["connect"]:
            return self._connect(words[1:])
        if cell is None and words[:1] == ["template"]:
            return templates.answer(words[1:])
        from workbench.language import parse_cell

        statement = parse_cell(line, cell)
        flags = statement.flags
        value = self._run(statement)
        if flags.as_ is not None:
            self.user_ns[flags.as_] = value
            value = bound(flags.as_, value)
        if flags.quiet:
            return None
        self.limits.set(value, flags.limit, statement.verb, self.opened())
        return value

    def _run(self, statement: Any) -> object:
        from workbench.language import execute

        if statement.verb == "help":
            return _with_own_words(execute(None, statement))
        begun = datetime.now(UTC)
        try:
            store = self.store()
            told = announced(store.folder, _first_words(statement), presence.kernel())
            stop = Event()
            with ticker(self._shell, stop) as bar, told as teller, watch(both(bar, teller), stop):
                return execute(store, statement, variables=self.user_ns)
        except KeyboardInterrupt:
            raise interrupted(self.opened(), begun) from None

    @property
    def user_ns(self) -> dict[str, Any]:
        """The variables of the notebook."""
        namespace: dict[str, Any] = self._shell.user_ns
        return namespace

    def store(self) -> Store:
        """Return the store in use; open the one in the folder `mlstore` if there is none yet."""
        found = self.opened()
        if found is None:
            from workbench import connect

            found = self._store = connect()
        return found

    def opened(self) -> Store | None:
        """Return the store in use, or None; opens nothing."""
        mine = self.user_ns.get("store")
        return mine if _is_store(mine) else self._store

    def stores(self) -> list[Store]:
        """List the stores that this notebook has open."""
        mine = [value for value in self.user_ns.values() if _is_store(value)]
        return [*mine, *([self._store] if self._store is not None else [])]

    def _connect(self, words: Sequence[str]) -> object:
        """Use another store from here on: `%mlstore connect 'folder'`."""
        from workbench import connect

        if len(words) > 1:
            raise InvalidData("connect takes one folder or address.", hint="%mlstore connect 'folder'")
        before, self._store = self._store, connect(*words)
        if before is not None and before is not self._store:
            before.close()
        if "store" not in self.user_ns or _is_store(self.user_ns["store"]):
            self.user_ns["store"] = self._store
        return self._store

    def known(self) -> tuple[Mapping[str, Mapping[str, str]], Mapping[str, Sequence[str]]]:
        """Return the catalog and the names for completion; never makes a store that is not there."""
        if self.opened() is None and not Path(FOLDER).is_dir():
            return {}, {}
        store = self.store()
        return store.catalog(), store.names()


def _first_words(statement: Any) -> str:
    """Write the first line of a statement that says something, for a list of what is running."""
    lines = [line for line in str(statement).splitlines() if line.strip() not in ("", "%%mlstore")]
    return lines[0].strip() if lines else ""


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # Quotes that do not end; the parser of the language says so better.
        return line.split()


def _with_own_words(help_: Any) -> object:
    """Add to the list of verbs the words that only a notebook has."""
    return (
        help_ if help_.verb is not None else dataclasses.replace(help_, text=f"{help_.text}\n\n{_OWN_WORDS}")
    )


_OWN_WORDS = """\
In a notebook there is also:
  %mlstore connect 'folder'           use another store from here on
  %mlstore template list              list the notebooks that come with the package
  %mlstore template new NAME [PATH]   copy one of them"""


def _is_store(value: object) -> bool:
    kind = type(value)
    return kind.__name__ == "Store" and kind.__module__.partition(".")[0] == "workbench"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, the displays and the completion with a shell."""
    if isinstance(shell.magics_manager.registry.get(StoreMagics.__name__), StoreMagics):
        return
    magics = StoreMagics(shell)
    shell.register_magics(magics)
    display.register(shell, magics.limits)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(completion.matcher(magics.known))
    shell.events.register("post_run_cell", presence.Presence(magics.stores).tell)
