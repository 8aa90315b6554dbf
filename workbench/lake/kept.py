"""What was read of the catalog and the records, kept for as long as no commit changes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from workbench.engines.duckdb import Cursor
from workbench.lake.catalog import TABLES, Inlined, ask, inlined, number
from workbench.lake.entries import UPKEEP, entries

if TYPE_CHECKING:
    from workbench.lake.lake import Lake

T = TypeVar("T")

SCHEMA = "schema"
"""Stands, among what something depends on, for all names and columns of relations."""

_DDL = ("created", "dropped", "altered", "renamed")


@dataclass(frozen=True, slots=True)
class Commit:
    """What the catalog says of a snapshot: what it changed, as DuckLake writes it, when, who, and why."""

    id: int
    changes: str
    time: str
    author: str | None
    message: str | None
    extra: str


@dataclass(slots=True)
class Sight:
    """What a cursor in a transaction sees: the lake at `head`, and beside it what it `touched` itself."""

    head: int
    touched: set[str] = field(default_factory=set)


class Kept:
    """Reads things once for all commits that leave them as they are; `Lake.kept` is the one instance.

    Each commit says in the catalog what it changed, so that one question to the catalog tells which of
    all that was read still stands. A reader pinned to a snapshot that was looked at needs not even that.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.RLock()
        self._local = threading.local()
        self._sights: WeakKeyDictionary[Cursor, Sight] = WeakKeyDictionary()
        self._read: dict[str, tuple[int, Any]] = {}
        self._changed: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._inlined: dict[str, Inlined] = {}
        self._commits: dict[int, Commit] = {}
        self._first = self._seen = -1

    def enter(self, cursor: Cursor, sight: Sight) -> None:
        """Take note of what a cursor sees while its transaction is open."""
        self._sights[cursor] = sight

    def leave(self, cursor: Cursor) -> None:
        """Forget what a cursor saw, at the end of its transaction."""
        self._sights.pop(cursor, None)

    def sight(self, cursor: Cursor | None) -> Sight | None:
        """Return what a cursor sees, while its transaction is open."""
        return None if cursor is None else self._sights.get(cursor)

    def touch(self, cursor: Cursor, what: str) -> None:
        """Say that a transaction changes something, so that it reads that itself from then on."""
        if cursor in self._sights:
            self._sights[cursor].touched.add(what)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Look once what was committed, for all that this thread reads at the newest snapshot inside."""
        nested = getattr(self._local, "once", False)
        self._local.once = True
        try:
            yield
        finally:
            if not nested:
                self._local.once = self._local.looked = False

    def get(self, name: str, depends: Sequence[str], cursor: Cursor | None, read: Callable[[Cursor], T]) -> T:
        """Return what `read` gives on a cursor; it is not to be changed, for others get the same.

        Parameters
        ----------
        name : str
            Under which it is kept.
        depends : sequence of str
            The record tables it is read from, and `SCHEMA` if it tells of names and columns.
        cursor : Cursor or None
            None reads at the newest snapshot.
        """
        if cursor is not None:
            sight = self._sights.get(cursor)
            if sight is None or not sight.touched.isdisjoint(depends):
                return read(cursor)
            return self._at(name, depends, cursor, sight.head, read)
        with self._lock:
            if not getattr(self._local, "looked", False):
                self._look(self._lake.cursor())
                self._local.looked = getattr(self._local, "once", False)
            at, found = self._read.get(name, (-1, None))
            if self._last_change(depends) <= at:
                return found  # type: ignore[no-any-return]  # what `read` gave under this name
        with self._lake.pinned(discard=True, reuse=True) as (pinned, head):
            return self._at(name, depends, pinned, head, read)

    def _at(
        self, name: str, depends: Sequence[str], cursor: Cursor, head: int, read: Callable[[Cursor], T]
    ) -> T:
        """Return what is kept if it is as a reader at `head` sees it; else read it, and keep it."""
        with self._lock:
            if head > self._seen:
                self._look(cursor)
            changed = self._last_change(depends)
            known = changed <= head <= self._seen
            at, found = self._read.get(name, (-1, None))
            if known and changed <= at:
                return found  # type: ignore[no-any-return]
        made = read(cursor)
        if known:
            with self._lock:
                self._read[name] = (head, made)
        return made

    def _last_change(self, depends: Sequence[str]) -> int:
        return max(self._changed.get(what, self._first) for what in depends)

    def _look(self, cursor: Cursor) -> None:
        """Read what was committed since the last look."""
        if self._first < 0:
            self._first = self._seen = number(
                ask(cursor, "SELECT max(snapshot_id) FROM ducklake_snapshot")[0][0]
            )
            return
        for made in _read_commits(cursor, f"> {self._seen}"):
            for what in self._touched(cursor, made.changes):
                self._changed[what] = max(made.id, self._changed.get(what, -1))
            self._commits[made.id] = made
            self._seen = max(self._seen, made.id)

    def _touched(self, cursor: Cursor, changes: str) -> set[str]:
        """Name what a commit touched, of what others may depend on."""
        found = set()
        for kind, value in entries(changes):
            if kind.startswith(_DDL):
                found.add(SCHEMA)
            elif not kind.startswith(UPKEEP):
                found |= {name for name, table in self._record_tables(cursor).items() if str(table) == value}
        return found

    def commit(self, snapshot: int) -> Commit:
        """Return what is known of a snapshot; it is asked for only if it is none of the last."""
        found = self._commits.get(snapshot)
        return found or next(iter(_read_commits(self._lake.cursor(), f"= {snapshot}")))

    def find_commit(self, cursor: Cursor, before: int, token: str) -> int | None:
        """Find the snapshot after another one whose commit carries a token."""
        with self._lock:
            self._look(cursor)
            known = [
                self._commits[each] for each in range(before + 1, self._seen + 1) if each in self._commits
            ]
        made = known or _read_commits(cursor, f"> {before}")
        return next((each.id for each in made if token in each.extra), None)

    def inlined(self, cursor: Cursor, table: str) -> Inlined | None:
        """Return where the rows of a record table are in the catalog; these tables never change."""
        if table not in self._inlined:
            self._inlined = inlined(cursor, "mlstore")
        return self._inlined.get(table)

    def _record_tables(self, cursor: Cursor) -> dict[str, int]:
        """Number the record tables as the catalog does; they keep their numbers for ever."""
        if not self._numbers:
            rows = ask(
                cursor, f"SELECT t.table_name, t.table_id FROM {TABLES} WHERE s.schema_name = 'mlstore'"
            )
            self._numbers = {str(name): number(table) for name, table in rows}
        return self._numbers


def _read_commits(cursor: Cursor, which: str) -> list[Commit]:
    rows = ask(
        cursor,
        "SELECT snapshot_id, changes_made, snapshot_time, author, commit_message, commit_extra_info FROM "
        f"ducklake_snapshot_changes JOIN ducklake_snapshot USING (snapshot_id) WHERE snapshot_id {which}",
    )
    return [Commit(number(row[0]), row[1] or "", str(row[2]), row[3], row[4], row[5] or "") for row in rows]
