"""The lake: one DuckLake attached to one DuckDB connection, read and written by several threads."""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import duckdb

from workbench.engines.duckdb import (
    Cursor,
    confine,
    connect,
    execute,
    register_function,
)
from workbench.engines.failures import is_locked, reraise
from workbench.errors import Conflict, InvalidData, StoreCorrupt, StoreFull
from workbench.lake import folder as folders
from workbench.lake.attaching import attach, attach_statement, search_path
from workbench.lake.changes import ChangeSet, read_changes
from workbench.lake.kept import SCHEMA, Kept, Sight
from workbench.lake.keys import seal_keys
from workbench.lake.lock import WriterLock
from workbench.lake.making import (
    author,
    check_complete,
    check_version,
    initialise,
    make_records,
    record_tables,
)
from workbench.lake.record_tables import SPEC
from workbench.lake.records import Records
from workbench.lake.tables import Tables

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

T = TypeVar("T")

RETRIES = 5

# With a comment or something unknown in front, a statement may do anything.
_LEAVES_RELATIONS = re.compile(
    r"\s*(?:SELECT|FROM|WITH|VALUES|INSERT|UPDATE|DELETE|MERGE|DESCRIBE|CREATE OR REPLACE TEMP)\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Transaction:
    """One commit while it is open: `cursor` runs its statements, `snapshot` is set at its end.

    `head` is the snapshot that it builds on. `written` names the tables whose keys the commit must
    check (qualified); None checks all. `touched` says what else it changed of what `Kept` keeps.
    """

    cursor: Cursor
    message: str
    run_id: str | None = None
    head: int = 0
    written: set[str] | None = field(default_factory=set)
    snapshot: int | None = None
    touched: set[str] = field(default_factory=set)

    def reshape(self) -> None:
        """Say that it makes, changes or drops relations, before it asks again which there are."""
        self.touched.add(SCHEMA)


class Lake:
    """A versioned set of tables in one folder.

    Use `Lake.open`. The methods can be called from several threads; each thread has a cursor of
    its own.
    """

    def __init__(self, folder: Path, connection: Cursor) -> None:
        self.folder = folder
        self._connection = connection
        self._local = threading.local()
        self._lock = WriterLock(folder / folders.LOCK)
        self._aliases = itertools.count(1)
        self._closed = False
        self._idle: list[Cursor] = []
        self._cursors: WeakSet[Cursor] = WeakSet()
        self._aimless: WeakSet[Cursor] = WeakSet()
        self._functions: set[str] = set()
        self._functions_lock = threading.Lock()
        self.kept = Kept(self)
        self.tables = Tables(self)
        self.records = Records(self)
        # What the store shows beside the columns of a table follows them by this, in the same commit;
        # the flag says whether to refuse what takes away a column that is read.
        self.follow_columns: Callable[[Transaction, bool], None] = lambda tx, strict: None

    @classmethod
    def open(cls, url: str | Path | None = None) -> Lake:
        """Open the lake in a folder, or make one there.

        Parameters
        ----------
        url : str, Path or None
            The folder; None means `./mlstore`.

        Raises
        ------
        StoreCorrupt
            If the folder holds something else, or cannot be written.
        StoreVersion
            If a newer version of this package made it.
        """
        folder = folders.locate(url)
        exists = folders.prepare(folder)
        connection = connect()
        lake = cls(folder, connection)
        with _opening(connection, folder), lake._lock.held():
            attach(connection, folder)
            present = record_tables(connection) if exists else set()
            if "store" not in present:
                initialise(connection)
            check_version(connection, folder)
            if "store" in present and present < SPEC.keys():
                make_records(connection, [table for table in SPEC if table not in present])
        return lake

    @classmethod
    def look(cls, folder: Path) -> Lake:
        """Open the lake in a folder to read it, from a process that must not change anything.

        Nothing is made, migrated or locked, and queries reach no file outside the folder.

        Raises
        ------
        NotFound
            If there is no store.
        StoreCorrupt
            If it is damaged.
        StoreVersion
            If another version of this package made it.
        Conflict
            If another process has locked it.
        """
        folders.recognise(folder)
        connection = connect()
        with _opening(connection, folder):
            attach(connection, folder, "READ_ONLY", wait=folders.LOOK_SECONDS)
            confine(connection, folder)
            check_complete(connection, folder)
            check_version(connection, folder)
        return cls(folder, connection)

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        if not self._closed:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self._connection.close()

    def interrupt(self) -> None:
        """Stop whatever runs on this lake, in all threads; each of them gets a KeyboardInterrupt."""
        for cursor in list(self._cursors):
            cursor.interrupt()

    # -- reading ---------------------------------------------------------------------------------

    def new_cursor(self) -> Cursor:
        """Make a cursor on which plain names mean the tables of this lake."""
        cursor = self.transaction_cursor()
        self._aim(cursor)
        return cursor

    def transaction_cursor(self) -> Cursor:
        """Make a cursor for `pinned` and `commit`; plain names mean the tables of this lake inside these.

        It is made faster than others: inside of a transaction the engine knows the schemas already.
        """
        if self._closed:
            raise InvalidData("This store is closed.", hint="Open it again with workbench.connect().")
        cursor = self._connection.cursor()
        self._cursors.add(cursor)
        self._aimless.add(cursor)
        return cursor

    def _aim(self, cursor: Cursor) -> None:
        """Let plain names mean the tables of this lake on a cursor, unless they do."""
        if cursor in self._aimless:
            cursor.execute(search_path("lake"))
            self._aimless.discard(cursor)

    def cursor(self) -> Cursor:
        """Return this thread's own cursor."""
        cursor: Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None or self._closed:
            cursor = self._local.cursor = self.new_cursor()
        return cursor

    def run(
        self, cursor: Cursor, sql: str, params: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> Cursor:
        """Run a statement; a mistake in it is reported with the names that exist."""
        if not _LEAVES_RELATIONS.match(sql):
            self.kept.touch(cursor, SCHEMA)
        return execute(cursor, sql, params, self.tables.names)

    def register_function(self, name: str, compute: Callable[[Any], Any], kind: str) -> None:
        """Make a function of the engine, once per name; see `engines.duckdb.register_function`."""
        with self._functions_lock:
            if name in self._functions:
                return
            register_function(self._connection, name, compute, kind)
            self._functions.add(name)

    def ibis(self) -> Backend:
        """Return this thread's Ibis backend on the lake."""
        backend: Backend | None = getattr(self._local, "ibis", None)
        if backend is None:
            import ibis

            backend = self._local.ibis = ibis.duckdb.from_connection(self.new_cursor())
        return backend

    def head(self, cursor: Cursor | None = None) -> int:
        """Return the id of the newest snapshot (inside a transaction: of the one it reads)."""
        found = execute(cursor or self.cursor(), "SELECT id FROM lake.current_snapshot()").fetchall()
        return int(found[0][0])

    @contextmanager
    def pinned(
        self, cursor: Cursor | None = None, *, discard: bool = False, reuse: bool = False
    ) -> Iterator[tuple[Cursor, int]]:
        """Read at one snapshot: gives a cursor and the snapshot.

        Temporary tables made inside stay on the cursor after the block when the caller brought it.
        `discard` rolls back at the end, so that text of a user's that writes after all writes nothing;
        where it leaves no setting either, `reuse` keeps the cursor for the next reader.
        """
        own = cursor is None
        reuse = reuse and discard and own
        cursor = cursor or (self._idle_cursor() if reuse else self.transaction_cursor())
        try:
            cursor.execute("BEGIN")
            try:
                self._aim(cursor)
                head = self.head(cursor)
                self.kept.enter(cursor, Sight(head))
                yield cursor, head
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self.kept.leave(cursor)
            cursor.execute("ROLLBACK" if discard else "COMMIT")
            if reuse and not self._closed:
                self._idle.append(cursor)
                own = False
        finally:
            if own:
                cursor.close()

    def _idle_cursor(self) -> Cursor:
        """Take a cursor on which all was rolled back, for a new one asks the catalog; or make one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self.transaction_cursor()

    @contextmanager
    def at(self, snapshot: int) -> Iterator[Cursor]:
        """Read the past: gives a cursor on which plain names mean the tables as of `snapshot`.

        Raises
        ------
        InvalidData
            If there is no such snapshot.
        """
        if not 0 <= snapshot <= self.head():
            raise InvalidData(
                f"There is no snapshot {snapshot}.", hint=f"The newest is {self.head()}; see history."
            )
        alias = f"at_{snapshot}_{next(self._aliases)}"
        cursor = self.new_cursor()
        try:
            try:
                cursor.execute(attach_statement(self.folder, alias, f"SNAPSHOT_VERSION {snapshot}"))
            except duckdb.Error as error:
                reraise(error)
            cursor.execute(search_path(alias))
            yield cursor
        finally:
            with suppress(duckdb.Error):
                cursor.execute(search_path("lake"))
                cursor.execute(f"DETACH {alias}")
            cursor.close()

    def changes(self, table: str, a: int, b: int) -> ChangeSet:
        """Return the net changes of a keyed table between two snapshots; see `ChangeSet`."""
        return read_changes(self, self.tables.resolve(table), a, b)

    # -- writing ---------------------------------------------------------------------------------

    @contextmanager
    def commit(
        self, message: str, *, run_id: str | None = None, cursor: Cursor | None = None
    ) -> Iterator[Transaction]:
        """Do everything inside the block as one transaction, which makes one snapshot.

        The store's writer lock is held meanwhile, so compute before and only write inside. Keys of
        the tables in `Transaction.written` are checked before the commit. When anything fails,
        also when the user interrupts, nothing of it is left.

        Raises
        ------
        Conflict
            If somebody wrote the same rows first; `retry` runs such work again.
        InvalidData
            If a key would be repeated or NULL.
        """
        own = cursor is None
        cursor = cursor or self.transaction_cursor()
        tx = Transaction(cursor, message, run_id)
        try:
            with self._lock.held():
                token = uuid.uuid4().hex
                execute(cursor, "BEGIN")
                try:
                    self._aim(cursor)
                    tx.head = self.head(cursor)
                    self.kept.enter(cursor, Sight(tx.head, tx.touched))
                    yield tx
                    seal_keys(self, tx)
                    _set_message(tx, token)
                    execute(cursor, "COMMIT")
                except BaseException as error:
                    with suppress(duckdb.Error):
                        cursor.execute("ROLLBACK")
                    if isinstance(error, StoreFull):
                        folders.remove_partial(self.folder, error.message)
                    if isinstance(error, duckdb.Error | RuntimeError):
                        reraise(error)
                    raise
                finally:
                    self.kept.leave(cursor)
                # Another attachment's commit must not be taken for ours.
                tx.snapshot = self.kept.find_commit(cursor, tx.head, token)
        finally:
            if own:
                cursor.close()

    def retry(self, work: Callable[[], T]) -> T:
        """Call `work` until it no longer conflicts, a bounded number of times, with jitter."""
        for attempt in range(RETRIES):
            try:
                return work()
            except Conflict:
                if attempt == RETRIES - 1:
                    raise
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 (jitter)
        raise AssertionError("unreachable")


@contextmanager
def _opening(connection: Cursor, folder: Path) -> Iterator[None]:
    """Close the connection if a store cannot be opened; say why, also where its records cannot be read."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if not isinstance(error, duckdb.Error):
            raise
        if is_locked(error):
            raise Conflict(f"Another process has locked the store {folder}.", hint="Wait for it.") from error
        raise StoreCorrupt(
            f"The store {folder} cannot be opened: {error}",
            hint="Check the permissions of the folder, or restore it from a backup.",
        ) from error


def _set_message(tx: Transaction, token: str) -> None:
    extra = {"token": token, **({"run": tx.run_id} if tx.run_id else {})}
    execute(
        tx.cursor,
        "CALL lake.set_commit_message(?, ?, extra_info => ?)",
        [author(), tx.message, json.dumps(extra)],
    )
