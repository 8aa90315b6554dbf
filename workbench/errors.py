"""Every error the store raises, in one tree.

::

    WorkbenchError          what went wrong, what to do next, whether a retry can help
    ├── StatementError      a statement that cannot be read: place, what was expected
    ├── NotFound            a name that does not exist: the nearest names
    ├── InvalidData         rows that break a rule: which rule, which rows
    │   └── InvalidRows     of several rows some that cannot be used: why, for each
    ├── Conflict            somebody else wrote first: try again
    ├── ModelError          a model that failed: which version, which rows
    ├── Unsupported         something the store does not do: what to do instead
    ├── Interrupted         the user stopped it: what was kept
    ├── StoreFull           no space is left to write to: free some
    ├── StoreCorrupt        a folder that is not a store, or is damaged
    └── StoreVersion        a store that is newer than this code
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import ClassVar

_CUT = "..."
_SURE = 8
"""Characters by which a part of a text is known."""

_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)


class WorkbenchError(Exception):
    """The base of all errors of the store.

    Parameters
    ----------
    message : str
        What went wrong, naming the thing.
    hint : str
        What to do next; empty when there is nothing to suggest.

    Attributes
    ----------
    code : str
        A stable word for programs to test.
    retryable : bool
        Whether the same call can succeed when it is made again.

    Examples
    --------
    >>> print(WorkbenchError("The disk is full.", hint="Free some space."))
    The disk is full.
    Free some space.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Show one readable block in IPython in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


@contextmanager
def below(lines: int) -> Iterator[None]:
    """Count the lines that errors of SQL name from the user's own text, which stands below so many others.

    Examples
    --------
    >>> with below(1):
    ...     raise StatementError("LINE 2: selec 1", line=2)
    Traceback (most recent call last):
    ...
    workbench.errors.StatementError: LINE 1: selec 1
    """
    try:
        yield
    except WorkbenchError as error:
        error.message = _LINE.sub(lambda found: f"LINE {max(int(found[1]) - lines, 1)}: ", error.message)
        if isinstance(error, StatementError) and error.line is not None:
            error.line = max(error.line - lines, 1)
        raise


def show_as_written(error: WorkbenchError, written: Sequence[tuple[str, str]]) -> None:
    r"""Let an error of the engine show a text as it was before parts of it were replaced.

    Parameters
    ----------
    written : sequence of tuple of str
        What was put in, and what stood there before, in the order in which it was done.

    Examples
    --------
    >>> error = StatementError("No f\nLINE 1: select g(1) + f\n                      ^", line=1, column=15)
    >>> show_as_written(error, [("g(1)", "a_long_name(1)")])
    >>> print(error)
    No f
    LINE 1: select a_long_name(1) + f
                                    ^
    >>> error.column
    25
    """
    lines = error.message.split("\n")
    place = next((place for place, line in enumerate(lines[:-1]) if _LINE.match(line)), None)
    if place is None or lines[place + 1].strip() != "^":
        return
    line, caret = lines[place], lines[place + 1].index("^")
    for put, before in reversed(written):
        for start, end in _find_put(line, put):
            line = line[:start] + before + line[end:]
            if caret >= end:
                caret += len(before) - (end - start)
            elif caret > start:
                caret = start
    lines[place : place + 2] = [line, " " * caret + "^"]
    error.message = "\n".join(lines)
    if isinstance(error, StatementError) and error.column is not None:
        error.column = caret - line.index(": ") - 1


def _find_put(line: str, put: str) -> list[tuple[int, int]]:
    """Find what was put into a line, the last first; the engine may show the beginning or the end alone."""
    found = [(each.start(), each.end()) for each in re.finditer(re.escape(put), line)]
    lengths = range(len(put) - 1, _SURE - 1, -1)
    begin, end = line.index(": ") + 2 + len(_CUT), len(line) - len(_CUT)
    if line.endswith(_CUT):
        found += [(end - each, end) for each in lengths if line[:end].endswith(put[:each])][:1]
    if line.startswith(_CUT, begin - len(_CUT)):
        found += [(begin, begin + each) for each in lengths if line.startswith(put[-each:], begin)][:1]
    return sorted(found, reverse=True)


def said(error: BaseException) -> str:
    """Say what foreign code raised.

    Examples
    --------
    >>> said(KeyError("x")), said(SystemExit(3))
    ("KeyError: 'x'", 'it called exit(3)')
    """
    if isinstance(error, SystemExit):
        return f"it called exit({'' if error.code is None else error.code})"
    return f"{type(error).__name__}: {error}"


class StatementError(WorkbenchError):
    """A statement that cannot be read.

    Parameters
    ----------
    message, hint : str
        As in `WorkbenchError`.
    line, column : int or None
        The place, both counted from 1.
    expected : sequence of str
        What could have stood there.
    """

    code = "statement"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        line: int | None = None,
        column: int | None = None,
        expected: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column
        self.expected = tuple(expected)


class NotFound(WorkbenchError):
    """A name that does not exist, with the nearest that do.

    Examples
    --------
    >>> print(NotFound.named("table", "flihgts", ["flights", "planes"]))
    There is no table 'flihgts'.
    Did you mean 'flights'?
    """

    code = "not_found"

    def __init__(self, message: str, *, hint: str = "", nearest: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.nearest = tuple(nearest)

    @classmethod
    def named(cls, noun: str, name: str, known: Iterable[str], *, within: str = "") -> NotFound:
        """Make the error for a `noun` called `name`, given the names that exist."""
        known = sorted(set(known))
        lowered = {each.lower(): each for each in known}
        nearest = [lowered[each] for each in get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)]
        where = f" in {within}" if within else ""
        if nearest:
            hint = f"Did you mean {' or '.join(repr(each) for each in nearest)}?"
        elif known:
            shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
            hint = f"There is: {shown}."
        else:
            hint = f"There is no {noun}{where} yet."
        return cls(f"There is no {noun} {name!r}{where}.", hint=hint, nearest=nearest)


class InvalidData(WorkbenchError):
    """Rows or values that break a rule; nothing was changed."""

    code = "invalid_data"


class InvalidRows(InvalidData):
    """Of several rows some that cannot be used; the others can.

    Parameters
    ----------
    message, hint : str
        As in `WorkbenchError`.
    rows : mapping of int to str or None
        For each row that cannot, by its place from 0, what is wrong with it; empty where that is not known.
    """

    def __init__(self, message: str, *, hint: str = "", rows: Mapping[int, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rows = dict(rows or {})


class Conflict(WorkbenchError):
    """Somebody else wrote first; the same call can succeed when made again."""

    code = "conflict"
    retryable = True


class ModelError(WorkbenchError):
    """A model that could not be trained, loaded or asked."""

    code = "model"


class Unsupported(WorkbenchError):
    """Something the store does not do; the hint says what to do instead."""

    code = "unsupported"


class Interrupted(WorkbenchError):
    """The user stopped the work; the message says what was kept."""

    code = "interrupted"
    retryable = True


class StoreFull(WorkbenchError):
    """No space is left where the store writes; nothing was changed."""

    code = "store_full"
    retryable = True

    @classmethod
    def said(cls, text: str) -> StoreFull:
        """Make the error from what a library or the system said."""
        return cls(
            f"No space is left: {text}", hint="Free some space, and run it again; nothing was changed."
        )


class StoreCorrupt(WorkbenchError):
    """A folder that is not a store, cannot be written, or is damaged."""

    code = "store_corrupt"


class StoreVersion(WorkbenchError):
    """A store written by a newer version of this package."""

    code = "store_version"
