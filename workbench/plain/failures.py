"""An error as one readable block: a title, the message line by line, what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.errors import Interrupted, WorkbenchError

_RED, _BLUE, _END = "\x1b[1;31m", "\x1b[34m", "\x1b[0m"

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


def block(error: WorkbenchError, *, colour: bool = False) -> str:
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
    title, hint = _TITLES.get(error.code, "This did not work"), f"→ {_clean(error.hint)}"
    if colour:
        title, hint = f"{_RED}{title}{_END}", f"{_BLUE}{hint}{_END}"
    return "\n".join([title, _clean(error.message), *([hint] if error.hint else [])])


def _clean(text: str) -> str:
    """Take escape sequences out of what may hold data."""
    return text.replace("\x1b", "␛").strip("\n")


def interrupted(before: int | None, after: int | None) -> Interrupted:
    """Make the error for Ctrl-C, given the newest snapshots before and after the statement.

    Examples
    --------
    >>> print(interrupted(14, 14))
    The statement was stopped.
    Nothing was changed; the store is at snapshot 14.
    """
    if before is None or after is None:
        hint = "What was not committed was rolled back."
    elif after == before:
        hint = f"Nothing was changed; the store is at snapshot {after}."
    else:
        kept = f"snapshot {after}" if after == before + 1 else f"snapshots {before + 1} to {after}"
        hint = f"Kept: {kept}, committed before that. The step that was running was rolled back."
    return Interrupted("The statement was stopped.", hint=hint)


def head(store: object) -> int | None:
    """Return the newest snapshot of a store, None where it cannot be told."""
    number = getattr(store, "head", None)
    return number if isinstance(number, int) else None
