"""What DuckDB raises, in the words of the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NoReturn

import duckdb

from workbench import errors
from workbench.errors import (
    Conflict,
    InvalidData,
    ModelError,
    NotFound,
    StatementError,
    StoreCorrupt,
    StoreFull,
    WorkbenchError,
)

Names = Callable[[], Iterable[str]]

_RAISED = re.compile(
    r"Python exception occurred while executing the UDF: (?P<kind>\w+): (?P<said>.*?)(?:\n\nAt:\n.*)?\Z",
    re.DOTALL,
)


def reraise(error: Exception, known: Names | None = None) -> NoReturn:
    """Raise the store's error for one of DuckDB's.

    DuckDB reports Ctrl-C as a RuntimeError or an InterruptException; both become KeyboardInterrupt.
    """
    if is_interrupt(error):
        raise KeyboardInterrupt from error
    if not isinstance(error, duckdb.Error):
        raise error
    raise translate(error, known) from error


def is_interrupt(error: Exception) -> bool:
    """Say whether a statement was interrupted."""
    raised = _RAISED.search(str(error))
    return (
        isinstance(error, duckdb.InterruptException)
        or str(error) == "Query interrupted"
        or (raised is not None and raised["kind"] == "KeyboardInterrupt")
    )


def translate(error: duckdb.Error, known: Names | None = None) -> WorkbenchError:
    """Turn an error of DuckDB into one of the store, keeping the engine's line and caret."""
    text = str(error)
    raised = _RAISED.search(text)
    if raised:
        return _raised_in_function(raised["kind"], raised["said"])
    if _is_conflict(text):
        return Conflict(f"Another writer was faster: {text}", hint="Run it again.")
    missing = re.search(r"Table with name (\S+) does not exist", text)
    if missing:
        return _missing_table(text, missing.group(1), known and known())
    column = re.search(r'(?:Referenced column|column named) "([^"]+)"', text)
    if column and isinstance(error, duckdb.BinderException):
        return _missing_column(text)
    if isinstance(error, duckdb.ParserException):
        return _not_read(text)
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.NotImplementedException):
        return StatementError(text)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WorkbenchError(text, hint="Select fewer rows or columns, or free memory.")
    if _is_full(text):
        return StoreFull.said(text)
    if isinstance(error, duckdb.IOException):
        return StoreCorrupt(text) if ".parquet" in text and "No such file" in text else InvalidData(text)
    return InvalidData(text)


def _not_read(text: str) -> WorkbenchError:
    if "from DuckLake: unterminated quoted string" in text:
        said = "A text has the character NUL in it, by which the lake finds no rows."
        return InvalidData(said, hint="Take it out: replace(column, chr(0), '').")
    line, column = _place(text)
    hint = "The past is read as in: FROM trips AT (VERSION => 17)." if 'near "@"' in text else ""
    return StatementError(text, hint=hint, line=line, column=column)


def is_locked(error: duckdb.Error) -> bool:
    """Say whether another process has locked the catalog."""
    return "database is locked" in str(error).lower()


def _is_full(text: str) -> bool:
    return "No space left on device" in text or "disk is full" in text


def _raised_in_function(kind: str, said: str) -> WorkbenchError:
    """Return what a Python function raised that the engine called; of other errors, one of the model."""
    message, _, hint = said.strip().partition("\n")
    own = getattr(errors, kind, None)
    if isinstance(own, type) and issubclass(own, WorkbenchError):
        return own(message, hint=hint)
    return ModelError(f"{kind}: {message}", hint=hint)


def _is_conflict(text: str) -> bool:
    lowered = text.lower()
    return (
        "transaction conflict" in lowered
        or "database is locked" in lowered
        or ("failed to commit ducklake transaction" in lowered and "conflict" in lowered)
    )


def _missing_table(text: str, name: str, known: Iterable[str] | None) -> NotFound:
    found = NotFound.named("table", name.strip('"').rpartition(".")[2], known or ())
    place = text[text.find("\nLINE ") :] if "\nLINE " in text else ""
    hint = "" if known is None else found.hint
    return NotFound(found.message + place, hint=hint, nearest=found.nearest)


def _missing_column(text: str) -> NotFound:
    candidates = re.findall(r'"([^"]+)"', text.partition("Candidate")[2].partition("\n")[0])
    nearest = tuple(each.rpartition(".")[2] for each in candidates)
    hint = f"Did you mean {' or '.join(repr(each) for each in nearest[:3])}?" if nearest else ""
    return NotFound(text, hint=hint, nearest=nearest)


def _place(text: str) -> tuple[int | None, int | None]:
    """Read the line and column off DuckDB's `LINE n: …` with the caret below it."""
    found = re.search(r"^LINE (\d+): ", text, re.MULTILINE)
    if not found:
        return None, None
    if text.startswith("...", found.end()):
        return int(found.group(1)), None  # Of a long line the end is shown, not how much stands before it.
    caret = re.search(r"^( *)\^", text[found.end() :], re.MULTILINE)
    column = len(caret.group(1)) - (found.end() - found.start()) + 1 if caret else None
    return int(found.group(1)), column
