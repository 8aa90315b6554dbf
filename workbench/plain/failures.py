"""An error as one readable block: a title, the message line by line, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workbench.errors import Interrupted, WorkbenchError

# Bold and no colours: notebooks show errors on red, light or dark, and few colours read well on both.
_BOLD, _END = "\x1b[1m", "\x1b[0m"

_TITLES: Mapping[str, str] = {
    "statement": "This statement cannot be read",
    "not_found": "Not found",
    "invalid_data": "The data do not allow this",
    "conflict": "Somebody else wrote first",
    "model": "A model failed",
    "unsupported": "Not supported",
    "interrupted": "Stopped",
    "store_corrupt": "The store cannot be used",
    "store_version": "The store is newer than this version",
}


def block(error: WorkbenchError, *, styled: bool = False) -> str:
    """Write an error for a place with a fixed-width font.

    The engine's own line and the caret under it stay where they are.

    Examples
    --------
    >>> from workbench.errors import NotFound
    >>> print(block(NotFound("There is no table 'flihgts'.", hint="Did you mean 'flights'?")))
    Not found
    There is no table 'flihgts'.
    → Did you mean 'flights'?
    """
    title = _TITLES.get(error.code, "This did not work")
    title = f"{_BOLD}{title}{_END}" if styled else title
    hint = [f"→ {_clean(error.hint)}"] if error.hint else []
    return "\n".join([title, _clean(error.message), *hint])


def _clean(text: str) -> str:
    """Take escape sequences out of what may hold data."""
    return text.replace("\x1b", "␛").strip("\n")


def interrupted(store: Any, since: datetime) -> Interrupted:
    """Make the error for Ctrl-C: what a statement that began at `since` has kept.

    Parameters
    ----------
    store : Store or None
        None while it was still being opened.
    """
    return Interrupted("The statement was stopped.", hint=_kept(store, since))


def _kept(store: Any, since: datetime) -> str:
    try:
        commits = [] if store is None else store.history().rows()
    except WorkbenchError:
        return "What was not committed was rolled back."
    done = [row for row in commits if row["time"] is not None and row["time"] >= since]
    if not done:
        return "Nothing was changed."
    kept = ", ".join(f"snapshot {row['snapshot']} ({row['message']})" for row in reversed(done))
    return f"Kept: {kept}. The step that was running was rolled back."
