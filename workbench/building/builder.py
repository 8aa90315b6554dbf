"""The noun Builder: a transform that is being put together, with a preview of its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.building.choices import Choices, Source, arguments, everything, looks_back, query
from workbench.engines.duckdb import Cursor, execute, fetch
from workbench.errors import InvalidData, StatementError
from workbench.lake import Exploration
from workbench.lake.distribution import Distribution
from workbench.names import plain, quote_all
from workbench.transform.create import check_free
from workbench.transform.definition import KIND
from workbench.transform.fitting import fit, without_place

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake
    from workbench.transform import Transform

SAMPLE = 10_000
"""How many rows a preview looks at."""

ROWS = 20
_FILES = 500
_SAMPLE, _FIRST = "mlstore_sample", "mlstore_first"
_SEED = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """A few rows of a transform that is not made yet.

    Attributes
    ----------
    rows : pyarrow.Table
        At most 20.
    seen, total : int
        How many rows of the table the functions were fitted to, and how many there are.
    random : bool
        Whether these rows were taken at random; else they are the first.
    """

    rows: pa.Table
    seen: int
    total: int
    random: bool

    @property
    def note(self) -> str:
        """Say what the rows were computed from."""
        shown = f"{self.rows.num_rows:,} of {self.total:,} rows"
        if self.seen == self.total:
            return f"{shown}, with statistics of all rows"
        taken = f"{self.seen:,} taken at random" if self.random else f"the first {self.seen:,}"
        return f"{shown}, with statistics of {taken}; the transform learns from all"


class Builder:
    """A transform of a table, put together from columns and built-in functions.

    Get one with `Store.build`. In a notebook it shows itself as a form. Nothing in the store is
    changed before `create`.

    Attributes
    ----------
    name : str
        The table.
    snapshot : int
        The snapshot at which the table is read for previews.
    source : Source
        Its columns with their types, and its key.
    choices : Choices
        What is chosen as it stands; first each column as it is.
    """

    def __init__(self, lake: Lake, source: Source, rows: Exploration, make: Callable[..., Transform]) -> None:
        self.source, self.snapshot = source, rows.snapshot
        self.choices = everything(source)
        self._lake, self._rows, self._make = lake, rows, make
        self._last: tuple[Choices, Preview] | None = None
        self._lock, self._open = threading.Lock(), ExitStack()
        self._reading: tuple[Cursor, str] | None = None

    @property
    def name(self) -> str:
        """The table."""
        return self.source.name

    def count(self) -> int:
        """Count the rows of the table."""
        return self._rows.count()

    def profile(self, column: str) -> Distribution:
        """Describe the values of a column.

        Raises
        ------
        NotFound
            If there is no such column.
        """
        (found,) = self._rows.profile([column])
        return found

    def arguments(self, choices: Choices | None = None) -> dict[str, Any]:
        """Return what `Store.transform` is called with, for `choices` or what is chosen as it stands.

        Raises
        ------
        StatementError, NotFound, InvalidData
            If something chosen cannot be so.
        """
        return arguments(self.source, choices or self.choices)

    def preview(self, choices: Choices | None = None) -> Preview:
        """Compute a few rows, with the functions fitted to a sample of the table.

        The sample is random, but where it is the first rows: for functions that look back from a row to
        those before it, which a random sample leaves out, and for columns of files, of which the others
        would be read for nothing.

        Raises
        ------
        StatementError, NotFound, InvalidData
            If something chosen cannot be computed.
        """
        chosen, total = choices or self.choices, self.count()
        if self._last is not None and self._last[0] == chosen:
            return self._last[1]
        windows = any(looks_back(each.steps) for each in chosen.features)
        random = total > self._most and not windows and not self._has_files
        with self._lock:
            cursor, sample = self._sampled(random=random)
            made = fit(cursor, query(self.source, chosen, sample), chosen.key)
            # Windows leave rows in no order of their own.
            order = f" ORDER BY {quote_all(chosen.key)}" if windows else ""
            try:
                rows = fetch(execute(cursor, f"SELECT * FROM ({made.sql}\n){order} LIMIT {ROWS}"))
            except (StatementError, InvalidData) as error:
                raise type(error)(without_place(error.message), hint=error.hint) from error
        found = Preview(rows, min(self._most, total), total, random)
        self._last = (chosen, found)
        return found

    @property
    def _most(self) -> int:
        """How many rows are sampled: fewer where there are columns of files."""
        return _FILES if self._has_files else SAMPLE

    @property
    def _has_files(self) -> bool:
        return "BLOB" in self.source.columns.values()

    def _sampled(self, *, random: bool) -> tuple[Cursor, str]:
        """Return a cursor and the name of the sample in it, which is the same one for all previews."""
        if self._reading is None:
            self._reading = self._open.enter_context(self._rows.reading())
        cursor, rows = self._reading
        name = _SAMPLE if random else _FIRST
        take = (
            f"USING SAMPLE reservoir({self._most} ROWS) REPEATABLE ({_SEED})"
            if random
            else f"LIMIT {self._most}"
        )
        execute(cursor, f"CREATE TEMP TABLE IF NOT EXISTS {name} AS SELECT * FROM {rows} {take}")
        return cursor, name

    def outlook(self, choices: Choices | None = None) -> str:
        """Say what `create` would make.

        Raises
        ------
        InvalidData
            If the name belongs to something else.
        """
        name = self._lake.records.spelling((choices or self.choices).name)
        check_free(self._lake, name)
        row = self._lake.records.definition(name)
        if row is None or row["kind"] != KIND or row["status"] == "dropped":
            return f"Create makes the table {name}."
        return f"{name} is at version {row['version']}. Create makes a new version, if anything differs."

    def create(self, choices: Choices | None = None) -> Transform:
        """Make the transform: the same as its statement does.

        Raises
        ------
        WorkbenchError
            As `Store.transform`.
        """
        return self._make(**self.arguments(choices))

    def close(self) -> None:
        """Forget what was found out of the table; it can still be used."""
        with self._lock:
            self._reading = None
            self._open.close()
        self._rows.close()


def build(lake: Lake, rows: Exploration, table: str, make: Callable[..., Transform]) -> Builder:
    """Begin a transform of a table, whose rows are looked at by `rows`; `make` is `Store.transform`."""
    found = lake.tables.resolve(table)
    return Builder(lake, Source(plain(found.qualified), found.columns, tuple(found.key)), rows, make)
