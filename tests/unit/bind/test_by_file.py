"""Many new predictions are written into a file while they come: it is the table's, or it is not there."""

from __future__ import annotations

import _thread
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import duckdb
import pyarrow as pa
import pytest

import workbench
from tests.unit.bind.bound import bind, column
from workbench.bind import refresh as refreshing
from workbench.bind import side
from workbench.engines.duckdb import execute
from workbench.errors import ModelError, NotFound, StoreFull
from workbench.lake import Lake, row_file
from workbench.lake.catalog import ask
from workbench.lake.row_file import RowFile
from workbench.names import literal
from workbench.progress import Event, watch
from workbench.store import Store


@pytest.fixture
def many(table: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which ten rows are many."""
    monkeypatch.setattr(side, "FILE_ROWS", 4)
    monkeypatch.setattr(row_file, "_GROUP_ROWS", 4)
    return table


def on_disk(store: Store) -> set[str]:
    """Name the files of side tables."""
    return {path.name for path in (store._lake.folder / "data" / "predictions").rglob("*.parquet")}


def known(store: Store) -> set[tuple[str, str, bool]]:
    """Name the files of side tables that the catalog knows: path, relative or not, added or not."""
    rows = ask(
        store._lake.cursor(),
        "SELECT f.path, f.path_is_relative, f.mapping_id IS NOT NULL FROM ducklake_data_file AS f "
        "JOIN ducklake_table AS t USING (table_id) JOIN ducklake_schema AS s USING (schema_id) "
        "WHERE s.schema_name = 'predictions'",
    )
    return {(str(path), str(relative), added == "1") for path, relative, added in rows}


def contents(store: Store, name: str = "p") -> list[dict[str, object]]:
    rows = f"SELECT * EXCLUDE (predicted_at, source_snapshot) FROM predictions.t__{name} ORDER BY id"
    return store.sql(rows).rows()


def test_a_file_holds_what_an_insert_would(many: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    many.sql("UPDATE t SET v = 13 WHERE id = 5")
    bind(many, "p", "picky", batch=3)
    [(path, relative, added)] = known(many)
    assert added and relative == "1" and {path} == on_disk(many)
    monkeypatch.setattr(side, "FILE_ROWS", 1000)
    bind(many, "q", "picky", batch=3)
    assert contents(many, "p") == contents(many, "q")
    assert [row["status"] for row in contents(many)] == ["error" if each == 5 else "ok" for each in range(10)]
    kinds = "SELECT column_name, column_type FROM (DESCRIBE predictions.t__{})"
    assert many.sql(kinds.format("p")).rows() == many.sql(kinds.format("q")).rows()


def test_rows_of_a_file_are_found_after_an_insert(many: Store) -> None:
    """Of a file without statistics of a column DuckLake finds no row by it, once others have come."""
    many.sql("UPDATE t SET v = 13 WHERE id = 5")
    bind(many, "p", "picky", batch=3)
    before = contents(many)
    many.sql("INSERT INTO t VALUES (100, 7)")
    for column_name in before[0]:
        for row in before:
            same = f"{column_name} IS NOT DISTINCT FROM $value"
            found = many.sql(
                f"SELECT id FROM predictions.t__p WHERE {same} ORDER BY id",
                params={"value": row[column_name]},
            ).rows()
            assert row["id"] in [each["id"] for each in found], column_name
    [extremes] = many.sql("SELECT max(value) AS most, min(status) AS least FROM predictions.t__p").rows()
    assert extremes == {"most": max(row["value"] for row in contents(many) if row["value"]), "least": "error"}


def test_a_table_whose_files_lie_elsewhere_takes_none(lake: Lake) -> None:
    """DuckLake keeps them in a folder that is called like the table only where the name is plain."""
    for name, plain in (("größe", False), ("size", True)):
        execute(lake.cursor(), f'CREATE TABLE "{name}" AS SELECT 1 AS id')
        [(path,)] = ask(lake.cursor(), f"SELECT path FROM ducklake_table WHERE table_name = {literal(name)}")
        assert RowFile.can_take(lake.tables.resolve(f'"{name}"')) is plain is (path == f"{name}/")


@pytest.mark.parametrize(
    ("kind", "made", "by_file"),
    [
        ("VARCHAR", "'k' || i", True),
        ("DATE", "DATE '2020-01-01' + i::INT", True),
        ("DECIMAL(9,2)", "i / 4", False),
    ],
)
def test_keys_of_several_types(many: Store, kind: str, made: str, by_file: bool) -> None:
    many.sql(f"CREATE TABLE raw AS SELECT CAST({made} AS {kind}) AS k, i AS v FROM range(10) AS r(i)")
    many.load("keyed", many.table("raw"), key="k")
    bind(many, on="keyed")
    assert sorted(map(str, column(many, "p", "keyed", "v"))) == sorted(str(each * 2) for each in range(10))
    assert [added for _, _, added in known(many)] == [by_file]
    one = many.sql("SELECT k FROM keyed WHERE v = 7").rows()[0]["k"]
    found = many.sql("SELECT p, p_status FROM predictions.keyed WHERE k = $one", params={"one": one}).rows()
    assert found == [{"p": 14, "p_status": "ok"}]


def test_changes_after_it(many: Store) -> None:
    bind(many)
    filled = many._lake.head()
    many.sql("UPDATE t SET v = 100 WHERE id = 3; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (20, 20)")
    wanted = [0, 2, 4, 200, 10, 12, 14, 16, 18, 40]
    assert column(many, "p") == wanted
    changes = many._lake.changes("predictions.t__p", filled, many._lake.head())
    assert [len(each) for each in (changes.inserts, changes.updates_after, changes.deletes)] == [1, 1, 1]
    lake = many._lake
    execute(lake.cursor(), "CALL ducklake_merge_adjacent_files('lake')")
    execute(
        lake.cursor(),
        "CALL ducklake_rewrite_data_files('lake', 't__p', schema => 'predictions', delete_threshold => 0)",
    )
    assert column(many, "p") == wanted
    many.sql("UPDATE t SET v = 5 WHERE id = 3")
    assert column(many, "p") == [10 if each == 200 else each for each in wanted]
    many.undo("t", to=filled)
    assert column(many, "p") == [each * 2 for each in range(10)]


def test_parts_are_files_that_can_be_joined(many: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "CHUNK_ROWS", 4)
    bind(many, batch=2)
    assert [added for _, _, added in known(many)] == [True] * 3
    before = contents(many)
    execute(many._lake.cursor(), "CALL ducklake_merge_adjacent_files('lake')")
    assert contents(many) == before
    assert column(many, "p") == [each * 2 for each in range(10)]


def test_a_store_that_was_moved(many: Store, tmp_path: Path) -> None:
    bind(many)
    folder = many._lake.folder
    many.close()
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    with workbench.connect(moved) as store:
        assert column(store, "p") == [each * 2 for each in range(10)]
        store.sql("UPDATE t SET v = 50 WHERE id = 0")
        assert column(store, "p")[0] == 100
    with duckdb.connect() as plain:
        files = f"{moved}/data/predictions/t__p/*.parquet"
        found = plain.sql(f"SELECT sum(value) FROM read_parquet('{files}', union_by_name = true)").fetchone()
    assert found == (90 + 100,)


def test_nothing_is_left_of_a_model_that_fails(many: Store) -> None:
    many.sql("UPDATE t SET v = 13 WHERE id = 9")
    with pytest.raises(ModelError, match="thirteen") as raised:
        bind(many, function="picky", on_error="fail", batch=2)
    assert "The binding is there" in raised.value.hint
    assert on_disk(many) == set() and contents(many) == []
    assert column(many, "p_status") == ["pending"] * 10
    many.sql("UPDATE t SET v = 1 WHERE id = 9")
    assert column(many, "p")[9] == 10


def test_ctrl_c_leaves_no_file(many: Store, models: ModuleType) -> None:
    def press(event: Event) -> None:
        if event.title.startswith("Predicting") and event.done == 6:
            _thread.interrupt_main()
            threading.Event().wait(0.05)

    with watch(press), pytest.raises(KeyboardInterrupt):
        bind(many, batch=2)
    assert on_disk(many) == set()
    assert column(many, "p_status") == ["pending"] * 10
    assert many.runs("p").rows() == []
    many.refresh("p")
    assert column(many, "p") == [each * 2 for each in range(10)]
    assert len(on_disk(many)) == 1


def test_a_table_that_changes_meanwhile(many: Store, models: ModuleType) -> None:
    """Nothing is kept of what was predicted for the table before; the view shows the new column."""

    def change(event: Event) -> None:
        if event.title.startswith("Predicting") and event.done == 6 and len(changed) < 1:
            changed.append(1)
            work = threading.Thread(target=lambda: many.sql("ALTER TABLE t ADD COLUMN more INTEGER"))
            work.start()
            work.join()

    changed: list[int] = []
    with watch(change):
        bind(many, batch=2)
    assert column(many, "p") == [each * 2 for each in range(10)]
    assert "more" in many.sql("FROM predictions.t").to_arrow().column_names
    assert on_disk(many) == {path for path, _, _ in known(many)}


def test_rows_that_come_meanwhile_are_predicted_too(many: Store) -> None:
    def add(event: Event) -> None:
        if event.title.startswith("Predicting") and event.done == 6 and not added:
            added.append(1)
            work = threading.Thread(target=lambda: many.sql("INSERT INTO t VALUES (10, 10)"))
            work.start()
            work.join()

    added: list[int] = []
    with watch(add):
        bind(many, batch=2)
    assert column(many, "p") == [each * 2 for each in range(11)]


def test_a_file_that_a_commit_took_over_is_never_removed(many: Store) -> None:
    """As when Ctrl-C comes between the end of the commit and the moment in which we know of it."""
    many.sql("CREATE TABLE u (id BIGINT)")
    lake = many._lake
    file = RowFile(lake, lake.tables.resolve("u"), ())
    file.write([pa.array([1, 2, 3])])
    with lake.commit("add") as tx:
        file.attach(tx)
    file.discard()
    assert many.sql("SELECT count(*) AS n FROM u").rows() == [{"n": 3}]
    lost = RowFile(lake, lake.tables.resolve("u"), ())
    lost.write([pa.array([4])])
    with pytest.raises(NotFound), lake.commit("fails") as tx:
        execute(tx.cursor, f"SELECT {lost.attach(tx)} FROM nothing")
    lost.discard()
    assert len(list((lake.folder / "data" / "main" / "u").iterdir())) == 1
    assert many.sql("SELECT count(*) AS n FROM u").rows() == [{"n": 3}]


def test_no_space_for_a_file(many: Store) -> None:
    """Writing stops where a limit of the system says so, as on a disk that is full."""
    import resource

    many.sql("CREATE TABLE u (id BIGINT)")
    file = RowFile(many._lake, many._lake.tables.resolve("u"), ())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreFull):
            file.write([pa.array(range(100_000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    file.discard()
    assert list((many._lake.folder / "data" / "main" / "u").iterdir()) == []


def test_a_process_that_is_killed_leaves_the_state_before(many: Store) -> None:
    folder = many._lake.folder
    many.close()
    code = (
        "import sys, time, workbench\n"
        "from workbench.bind import side\n"
        "import pyarrow as pa\n"
        "side.FILE_ROWS = 1\n"
        "def slow(rows):\n"
        "    if rows.num_rows:\n"
        "        print('asked', flush=True); time.sleep(0.3)\n"
        "    return pa.array([1] * rows.num_rows, pa.int64())\n"
        "store = workbench.connect(sys.argv[1])\n"
        "store.bind('p', on='t', model='py:__main__:slow', inputs=['v'], batch=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "asked\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.1)
    with workbench.connect(folder) as store:
        assert [row["name"] for row in store.tables().rows()] == ["t"]
        bind(store)
        assert column(store, "p") == [each * 2 for each in range(10)]


def test_a_binding_and_its_first_values_are_one_commit(table: Store) -> None:
    before = table._lake.head()
    bind(table)
    bind(table, "q", function="triple")
    made = [row["message"] for row in table.history().rows() if row["snapshot"] > before]
    assert made == [
        f"bind {name}"
        for name in ("q ON t MODEL py:test_models:triple", "p ON t MODEL py:test_models:double")
    ]
