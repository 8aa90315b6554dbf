"""The lake: commits, time travel, threads, processes, and folders that are no stores."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from workbench.errors import Conflict, InvalidData, NotFound, StoreCorrupt, StoreVersion, Unsupported
from workbench.lake import Lake
from workbench.lake.record_tables import SPEC
from workbench.lake.statements import run_sql


def make(lake: Lake, name: str = "t", rows: str = "SELECT range AS id, 'x' AS v FROM range(3)") -> int:
    with lake.commit(f"make {name}") as tx:
        lake.run(tx.cursor, f"CREATE TABLE lake.main.{name} AS {rows}")
        lake.tables.declare(tx, "main", name, ("id",))
    assert tx.snapshot is not None
    return tx.snapshot


def commit(lake: Lake, sql: str, *, error: type[Exception], said: str = "") -> None:
    """Run SQL in a commit that must fail."""

    def work() -> None:
        with lake.commit("bad") as tx:
            tx.written = {"main.t"}
            lake.run(tx.cursor, sql)

    with pytest.raises(error, match=said):
        work()


def ids(lake: Lake, name: str = "t") -> list[int]:
    return [row[0] for row in lake.run(lake.cursor(), f"SELECT id FROM {name} ORDER BY id").fetchall()]


def test_a_commit_is_one_snapshot_with_author_message_and_run(lake: Lake) -> None:
    before = lake.head()
    with lake.commit("two tables", run_id="run7") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.a AS SELECT 1 AS id")
        lake.run(tx.cursor, "CREATE TABLE lake.main.b AS SELECT 2 AS id")
    assert tx.snapshot == lake.head() == before + 1
    row = (
        lake.cursor()
        .execute(
            "SELECT author, commit_message, commit_extra_info FROM lake.snapshots() WHERE snapshot_id = ?",
            [tx.snapshot],
        )
        .fetchone()
    )
    assert row is not None
    assert row[0] and row[1] == "two tables" and '"run": "run7"' in row[2]


def test_nothing_is_left_of_a_commit_that_fails(lake: Lake) -> None:
    make(lake)
    head = lake.head()

    def fail() -> None:
        with lake.commit("fails") as tx:
            lake.run(tx.cursor, "INSERT INTO t VALUES (9, 'y')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ids(lake) == [0, 1, 2]
    assert lake.head() == head


def test_a_statement_that_fails_inside_a_commit_cannot_be_committed(lake: Lake) -> None:
    make(lake)
    commit(lake, "INSERT INTO t VALUES (9, 'y'); INSERT INTO t VALUES ('no number', 'y')", error=InvalidData)
    assert ids(lake) == [0, 1, 2]


def test_an_empty_commit_makes_no_snapshot(lake: Lake) -> None:
    head = lake.head()
    with lake.commit("nothing") as tx:
        pass
    assert tx.snapshot is None
    assert lake.head() == head


def test_time_travel_sees_every_table_from_its_birth_on(lake: Lake) -> None:
    """DuckLake caches the catalog by schema version: see `_initialise`."""
    born = {name: make(lake, name) for name in ("a", "b", "c")}
    lake.records.rows("tables")
    for name, snapshot in born.items():
        with lake.at(snapshot) as cursor:
            assert cursor.execute(f"SELECT count(*) FROM {name}").fetchone() == (3,)
        count = lake.cursor().execute(f"SELECT count(*) FROM lake.main.{name} AT (VERSION => {snapshot})")
        assert count.fetchone() == (3,)
    with lake.at(born["a"]) as cursor, pytest.raises(duckdb.CatalogException):
        cursor.execute("FROM b")


def test_the_past_does_not_change(lake: Lake) -> None:
    first = make(lake)
    with lake.commit("change") as tx:
        lake.run(tx.cursor, "DELETE FROM t WHERE id = 1; UPDATE t SET v = 'y' WHERE id = 2")
    with lake.at(first) as cursor:
        assert cursor.execute("SELECT * FROM t ORDER BY id").fetchall() == [(0, "x"), (1, "x"), (2, "x")]
    assert ids(lake) == [0, 2]


def test_a_snapshot_that_does_not_exist_is_named(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="no snapshot 999"), lake.at(999):
        pass


def test_a_pinned_read_does_not_see_later_commits(lake: Lake) -> None:
    make(lake)
    with lake.pinned() as (cursor, snapshot):
        with lake.commit("later") as tx:
            lake.run(tx.cursor, "INSERT INTO t VALUES (9, 'y')")
        assert cursor.execute("SELECT count(*) FROM t").fetchone() == (3,)
        assert lake.head(cursor) == snapshot
    assert lake.head() == tx.snapshot == snapshot + 1


def test_views_read_the_past_of_what_they_read(lake: Lake) -> None:
    make(lake)
    with lake.commit("view") as tx:
        lake.run(tx.cursor, "CREATE VIEW lake.queries.n AS SELECT count(*) AS n FROM t")
    with lake.commit("more") as later:
        lake.run(later.cursor, "INSERT INTO t VALUES (9, 'y')")
    assert tx.snapshot is not None
    with lake.at(tx.snapshot) as cursor:
        assert cursor.execute("FROM n").fetchone() == (3,)
    assert lake.cursor().execute("FROM n").fetchone() == (4,)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("(1, 'again')", r"id = 1 \(2 rows\)"),
        ("(7, 'a'), (7, 'b')", r"id = 7"),
        ("(NULL, 'a')", "NULL in 1 row"),
    ],
)
def test_a_key_is_unique_and_not_null_in_every_commit(lake: Lake, rows: str, said: str) -> None:
    make(lake)
    commit(lake, f"INSERT INTO t VALUES {rows}", error=InvalidData, said=said)
    assert ids(lake) == [0, 1, 2]


def test_a_key_may_move_to_another_row_within_a_commit(lake: Lake) -> None:
    make(lake)
    with lake.commit("move") as tx:
        tx.written = {"main.t"}
        lake.run(tx.cursor, "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'new')")
    assert ids(lake) == [0, 1, 2]


def test_automatic_keys_are_never_used_again(lake: Lake) -> None:
    with lake.commit("make") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.t (_id BIGINT, v VARCHAR)")
        lake.tables.declare(tx, "main", "t", ("_id",), auto=True)
    seen: set[int] = set()
    for _ in range(3):
        with lake.commit("add") as tx:
            tx.written = {"main.t"}
            lake.run(tx.cursor, "INSERT INTO t (v) VALUES ('a'), ('b')")
        fresh = {row[0] for row in lake.cursor().execute("SELECT _id FROM t").fetchall()}
        assert len(fresh) == 2 and not fresh & seen
        seen |= fresh
        with lake.commit("empty") as tx:
            tx.written = {"main.t"}
            lake.run(tx.cursor, "DELETE FROM t")


def test_net_changes_by_key(lake: Lake) -> None:
    first = make(lake, rows="SELECT range AS id, 'x' AS v FROM range(6)")
    for sql in (
        "DELETE FROM t WHERE id = 0",
        "UPDATE t SET v = 'y' WHERE id = 1",
        "INSERT INTO t VALUES (10, 'new'), (11, 'gone again')",
        "UPDATE t SET v = 'y' WHERE id = 2",
        "UPDATE t SET v = 'x' WHERE id = 2",
        "DELETE FROM t WHERE id = 11",
        "DELETE FROM t WHERE id = 3",
        "INSERT INTO t VALUES (3, 'back, but different')",
    ):
        with lake.commit(sql) as tx:
            lake.run(tx.cursor, sql)
    changes = lake.changes("t", first, lake.head())
    assert changes.inserts.to_pylist() == [{"id": 10, "v": "new"}]
    assert changes.deletes.to_pylist() == [{"id": 0, "v": "x"}]
    assert changes.updates_before.to_pylist() == [{"id": 1, "v": "x"}, {"id": 3, "v": "x"}]
    assert changes.updates_after.to_pylist() == [{"id": 1, "v": "y"}, {"id": 3, "v": "back, but different"}]
    assert len(changes) == 4


def test_changes_of_a_keyless_table_are_refused(lake: Lake) -> None:
    with lake.commit("make") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.loose AS SELECT 1 AS a")
    with pytest.raises(Unsupported, match="no key"):
        lake.changes("loose", 1, lake.head())


def test_threads_share_a_lake(lake: Lake) -> None:
    make(lake)
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with lake.commit(f"thread {number}") as tx:
                tx.written = {"main.t"}
                lake.run(tx.cursor, f"INSERT INTO t VALUES ({100 + number}, 'z')")
            assert 100 + number in ids(lake)
        except (InvalidData, Conflict, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(ids(lake)) == 9


_WRITER = """
import sys
from workbench.lake import Lake
lake = Lake.open(sys.argv[1])
for number in range(5):
    with lake.commit("process") as tx:
        tx.written = {"main.t"}
        lake.run(tx.cursor, f"INSERT INTO t VALUES ({int(sys.argv[2]) * 100 + number}, 'p')")
"""


def test_processes_share_a_lake(lake: Lake) -> None:
    make(lake)
    arguments = [[sys.executable, "-c", _WRITER, str(lake.folder), str(number)] for number in (1, 2)]
    writers = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in arguments]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    assert len(ids(lake)) == 13


_KILLED = """
import os, signal, sys
from workbench.lake import Lake
lake = Lake.open(sys.argv[1])
with lake.commit("killed") as tx:
    lake.run(tx.cursor, "INSERT INTO t SELECT range + 1000, 'k' FROM range(100000)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_in_a_commit_leaves_the_state_before(lake: Lake) -> None:
    make(lake)
    head = lake.head()
    done = subprocess.run([sys.executable, "-c", _KILLED, str(lake.folder)], check=False, timeout=120)
    assert done.returncode == -9
    assert lake.head() == head and ids(lake) == [0, 1, 2]
    with lake.commit("after") as tx:
        lake.run(tx.cursor, "INSERT INTO t VALUES (9, 'y')")
    assert ids(lake) == [0, 1, 2, 9]


def test_a_conflict_is_tried_again_a_bounded_number_of_times(lake: Lake) -> None:
    tries = []

    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise Conflict("not yet")
        return "done"

    def never() -> None:
        tries.append(1)
        raise Conflict("never")

    assert lake.retry(work) == "done" and len(tries) == 3
    tries.clear()
    with pytest.raises(Conflict):
        lake.retry(never)
    assert len(tries) == 5


def test_two_updates_of_one_watermark_collide(lake: Lake) -> None:
    with lake.commit("start") as tx:
        lake.records.set_watermarks(tx, "d", {"main.t": 1})
    first, second = lake.new_cursor(), lake.new_cursor()
    for cursor in (first, second):
        cursor.execute("BEGIN")
        cursor.execute("UPDATE lake.mlstore.watermarks SET snapshot = snapshot + 1 WHERE derivation = 'd'")
    first.execute("COMMIT")
    with pytest.raises(duckdb.Error, match=r"[Cc]onflict|locked"):
        second.execute("COMMIT")
    assert lake.records.watermarks("d") == {"main.t": 2}


def test_a_moved_folder_opens_with_its_past(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "here")
    first = make(lake)
    with lake.commit("more") as tx:
        lake.run(tx.cursor, "INSERT INTO t VALUES (9, 'y')")
    lake.close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = Lake.open(tmp_path / "there")
    assert ids(moved) == [0, 1, 2, 9]
    with moved.at(first) as cursor:
        assert cursor.execute("SELECT count(*) FROM t").fetchone() == (3,)
    moved.close()


def test_a_closed_lake_says_so(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "store")
    lake.close()
    lake.close()
    with pytest.raises(InvalidData, match="closed"):
        lake.head()


def test_a_folder_with_other_files_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreCorrupt, match=r"not a store.*letter\.txt"):
        Lake.open(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["letter.txt"]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.execute("CREATE TABLE mine (a INTEGER)")
    connection.commit()
    connection.close()
    before = (tmp_path / "catalog.sqlite").read_bytes()
    with pytest.raises(StoreCorrupt, match="another program"):
        Lake.open(tmp_path)
    assert (tmp_path / "catalog.sqlite").read_bytes() == before


def test_a_damaged_catalog_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreCorrupt, match="damaged"):
        Lake.open(tmp_path)


def test_a_file_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreCorrupt, match="is a file"):
        Lake.open(tmp_path / "file")


def test_a_store_newer_than_the_code_is_refused(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "store")
    with lake.commit("from the future") as tx:
        lake.run(tx.cursor, "INSERT INTO lake.mlstore.store VALUES (99, 'mlstore', now())")
    lake.close()
    with pytest.raises(StoreVersion, match="format 99"):
        Lake.open(tmp_path / "store")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Give up root's power to write anywhere, if this is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.fixture
def read_only_store() -> Iterator[Path]:
    """A store that cannot be written to, where everybody may look."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        Lake.open(folder).close()
        Path(name).chmod(0o755)
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


@pytest.mark.usefixtures("read_only_store", "nobody")
def test_a_read_only_folder_is_refused(read_only_store: Path) -> None:
    before = sorted(each.name for each in read_only_store.iterdir())
    with pytest.raises(StoreCorrupt, match="cannot be written"):
        Lake.open(read_only_store)
    with pytest.raises(StoreCorrupt, match="cannot be written"):
        Lake.open(read_only_store.parent / "new")
    assert sorted(each.name for each in read_only_store.iterdir()) == before


def test_servers_are_not_there_yet() -> None:
    with pytest.raises(Unsupported, match="postgresql"):
        Lake.open("postgresql://host/db")


def test_an_unknown_table_is_answered_with_the_nearest(lake: Lake) -> None:
    make(lake, "flights")
    with pytest.raises(NotFound) as caught:
        lake.tables.resolve("flihgts")
    assert caught.value.nearest == ("flights",)


def test_records_are_ordinary_tables_with_the_columns_they_promise(lake: Lake) -> None:
    for table, spec in SPEC.items():
        described = lake.cursor().execute(f"DESCRIBE lake.mlstore.{table}").fetchall()
        assert [row[0] for row in described] == list(spec)


def test_a_store_of_an_older_version_gets_the_records_it_lacks(tmp_path: Path) -> None:
    with closing(Lake.open(tmp_path / "old")) as old:
        make(old, "flights")
        with old.commit("as an older version made it") as tx:
            tx.cursor.execute("DROP TABLE lake.mlstore.decisions")
        before = old.head()
    for _ in range(2):
        with closing(Lake.open(tmp_path / "old")) as lake:
            assert lake.head() <= before + 3
            assert lake.records.rows("decisions") == []
            with lake.commit("write one") as tx:
                lake.records.append(tx, "decisions", [{"model": "late", "version": 1, "conditions": []}])
                assert lake.records.rows("decisions", cursor=tx.cursor)[0]["model"] == "late"
                tx.cursor.execute("DELETE FROM lake.mlstore.decisions")
            assert lake.tables.find("flights") is not None
            with lake.at(before) as cursor:
                assert cursor.execute("SELECT count(*) FROM flights").fetchone()


def test_a_setting_of_one_question_is_gone_in_the_next(lake: Lake) -> None:
    ask = "SELECT current_setting('enable_profiling') AS p"
    before = run_sql(lake, ask).rows()
    run_sql(lake, "PRAGMA enable_profiling")
    assert run_sql(lake, ask).rows() == before


def test_a_question_that_fails_leaves_the_next_one_alone(lake: Lake) -> None:
    run_sql(lake, "CREATE TABLE t AS SELECT 1 AS a")
    for _ in range(2):
        with pytest.raises(NotFound):
            run_sql(lake, "FROM nowhere")
        assert run_sql(lake, "FROM t").rows() == [{"a": 1}]
    run_sql(lake, "INSERT INTO t VALUES (2)")
    assert len(run_sql(lake, "FROM t").rows()) == 2
