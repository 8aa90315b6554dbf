"""Looking at a store without touching it: from a server, beside whoever writes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import workbench
from workbench.errors import Conflict, InvalidData, NotFound, StoreCorrupt, StoreVersion, WorkbenchError
from workbench.lake import Lake
from workbench.lake.folder import CATALOG, newest_snapshot
from workbench.store import Store


@pytest.fixture
def pets(store: Store) -> Store:
    store.load("pets", [{"id": each, "name": f"pet {each}"} for each in range(10)], key="id")
    return store


def _files(folder: Path) -> dict[Path, bytes]:
    # SQLite's index of the log is shared memory that readers write to.
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix == ""}


def test_it_sees_what_others_commit(pets: Store) -> None:
    lake = Lake.look(pets.folder)
    before = lake.head()
    pets.append("pets", [{"id": 10, "name": "new"}])
    assert lake.head() == before + 1 == newest_snapshot(pets.folder)
    assert lake.cursor().execute("select count(*) from pets").fetchone() == (11,)
    with lake.at(before) as cursor:
        assert cursor.execute("select count(*) from pets").fetchone() == (10,)
    lake.close()


def test_it_writes_nothing(pets: Store) -> None:
    lake = Lake.look(pets.folder)
    before = _files(pets.folder / "data")
    with pytest.raises(WorkbenchError, match="read-only"), lake.commit("no") as tx:
        lake.run(tx.cursor, "insert into pets values (99, 'no')")
    assert _files(pets.folder / "data") == before
    assert pets.sql("select count(*) as n from pets").rows() == [{"n": 10}]
    lake.close()


def test_it_waits_for_no_writer(pets: Store) -> None:
    with pets._lake.commit("slow"):
        lake = Lake.look(pets.folder)
        assert lake.cursor().execute("select count(*) from pets").fetchone() == (10,)
        lake.close()


def test_a_query_in_the_store_reaches_no_file_outside(pets: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    pets.query("leak", f"select * from read_csv('{secret}')")
    lake = Lake.look(pets.folder)
    with pytest.raises(WorkbenchError, match="disabled by configuration"):
        lake.run(lake.cursor(), "from leak")
    lake.close()


def test_a_store_that_is_gone(pets: Store) -> None:
    pets.close()
    shutil.rmtree(pets.folder)
    for look in (Lake.look, newest_snapshot):
        with pytest.raises(NotFound, match="no store"):
            look(pets.folder)
    assert not pets.folder.exists()


def test_a_catalog_that_is_damaged(pets: Store) -> None:
    pets.close()
    (pets.folder / CATALOG).write_bytes(b"nonsense" * 4096)
    for look in (Lake.look, newest_snapshot):
        with pytest.raises(StoreCorrupt, match="damaged"):
            look(pets.folder)


@pytest.mark.parametrize("enter", [Lake.look, Lake.open])
@pytest.mark.parametrize("lost", ["ducklake_table_stats", "ducklake_column"])
def test_damage_that_shows_only_while_records_are_read(
    pets: Store, enter: Callable[[Path], Lake], lost: str
) -> None:
    pets.close()
    with closing(sqlite3.connect(pets.folder / CATALOG)) as catalog:
        catalog.execute(f"DROP TABLE {lost}")
    with pytest.raises(StoreCorrupt, match="cannot be opened"):
        enter(pets.folder)


def test_a_catalog_that_is_locked_answers_soon(pets: Store) -> None:
    pets.close()
    locking = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "other.execute('PRAGMA locking_mode = EXCLUSIVE'); other.execute('BEGIN EXCLUSIVE'); "
        "print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", locking, str(pets.folder / CATALOG)]
    # SQLite's locks hold between processes only.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "locked\n"
        begun = time.monotonic()
        for look in (Lake.look, newest_snapshot):
            with pytest.raises(Conflict, match="locked"):
                look(pets.folder)
        assert time.monotonic() - begun < 30
        other.communicate("")


def test_asking_for_the_newest_snapshot_leaves_the_locks_of_a_writer(pets: Store) -> None:
    """SQLite's locks belong to the process, so that another SQLite in it would let go of them."""
    cursor = pets._lake.cursor()
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO __ducklake_metadata_lake.ducklake_metadata VALUES ('k', 'v', NULL, NULL)")
    newest_snapshot(pets.folder)
    writing = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], timeout=0.2); "
        "other.execute('BEGIN IMMEDIATE')"
    )
    command = [sys.executable, "-c", writing, str(pets.folder / CATALOG)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    cursor.execute("ROLLBACK")
    assert "database is locked" in tried.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("insert into lake.mlstore.store values (99, 'later', now())", "has format 99"),
        ("drop table lake.mlstore.decisions", "older version"),
    ],
)
def test_a_store_of_another_version(pets: Store, change: str, told: str) -> None:
    pets._lake.cursor().execute(change)
    pets.close()
    with pytest.raises(StoreVersion, match=told):
        Lake.look(pets.folder)


def test_what_takes_too_long_is_interrupted(pets: Store) -> None:
    lake, ended = Lake.look(pets.folder), threading.Event()

    def interrupt() -> None:
        while not ended.wait(0.3):  # what comes before the statement begins is lost
            lake.interrupt()

    beside = threading.Thread(target=interrupt)
    beside.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            lake.run(
                lake.cursor(),
                "select count(*) from range(1000000) a, range(1000000) b where a.range > b.range",
            )
    finally:
        ended.set()
        beside.join()
    lake.close()
    with pytest.raises(InvalidData, match="closed"):
        lake.new_cursor()


def test_connect_still_brings_an_older_store_up_to_date(pets: Store) -> None:
    pets._lake.cursor().execute("drop table lake.mlstore.decisions")
    pets.close()
    workbench.connect(pets.folder).close()
    Lake.look(pets.folder).close()
