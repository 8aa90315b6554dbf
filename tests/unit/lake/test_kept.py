"""What is kept of the records and the columns: it is always what a reader would read now."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest

from workbench.engines.duckdb import execute
from workbench.errors import Conflict
from workbench.lake import Lake
from workbench.lake.kept import SCHEMA


def define(lake: Lake, name: str, version: int = 1) -> None:
    with lake.commit(f"define {name}") as tx:
        lake.records.define(tx, "query", name, version, "f", {"sql": "SELECT 1"})


def known(lake: Lake, cursor: Any = None) -> list[tuple[str, int]]:
    return [(row["name"], row["version"]) for row in lake.records.definitions(cursor=cursor)]


def test_another_connection_of_the_same_store_is_seen(lake: Lake) -> None:
    define(lake, "a")
    assert known(lake) == [("a", 1)]
    other = Lake.open(lake.folder)
    try:
        assert known(other) == [("a", 1)]
        define(other, "b")
        with other.commit("make") as tx:
            other.run(tx.cursor, "CREATE TABLE lake.main.t AS SELECT 1 AS id")
            other.tables.declare(tx, "main", "t", ("id",))
    finally:
        other.close()
    assert known(lake) == [("a", 1), ("b", 1)]
    found = lake.tables.find("t")
    assert found is not None
    assert found.key == ("id",)


def test_a_commit_sees_what_it_has_written_itself(lake: Lake) -> None:
    define(lake, "a")
    known(lake)
    with lake.commit("both") as tx:
        lake.records.define(tx, "query", "b", 1, "f", {"sql": "SELECT 2"})
        assert known(lake, tx.cursor) == [("a", 1), ("b", 1)]
        assert known(lake) == [("a", 1)]
        lake.run(tx.cursor, "CREATE TABLE lake.main.made AS SELECT 1 AS id")
        lake.tables.declare(tx, "main", "made", ("id",))
        found = lake.tables.find("made", tx.cursor)
        assert found is not None
        assert found.key == ("id",)
    assert known(lake) == [("a", 1), ("b", 1)]


def test_what_a_commit_wrote_before_it_failed_is_not_kept(lake: Lake) -> None:
    define(lake, "a")
    known(lake)

    def fail() -> None:
        with lake.commit("fails") as tx:
            lake.records.define(tx, "query", "b", 1, "f", {"sql": "SELECT 2"})
            lake.run(tx.cursor, "CREATE TABLE lake.main.made AS SELECT 1 AS id")
            assert known(lake, tx.cursor) == [("a", 1), ("b", 1)]
            assert lake.tables.find("made", tx.cursor) is not None
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert known(lake) == [("a", 1)]
    assert lake.tables.find("made") is None


def test_a_pinned_reader_sees_the_past_and_leaves_the_present(lake: Lake) -> None:
    define(lake, "a")
    with lake.pinned() as (cursor, _):
        define(lake, "b")
        assert known(lake) == [("a", 1), ("b", 1)]
        assert known(lake, cursor) == [("a", 1)]
        assert known(lake) == [("a", 1), ("b", 1)]
    with lake.pinned() as (cursor, _):
        assert known(lake, cursor) == [("a", 1), ("b", 1)]


def test_watermarks_follow_each_move(lake: Lake) -> None:
    for number in range(3):
        with lake.commit("move") as tx:
            lake.records.set_watermarks(tx, "d", {"main.t": number})
            assert lake.records.watermarks("d", cursor=tx.cursor) == {"main.t": number}
        assert lake.records.watermarks("d") == {"main.t": number}


def test_old_watermarks_do_not_pile_up(lake: Lake) -> None:
    for number in range(150):
        with lake.commit("move") as tx:
            lake.records.set_watermarks(tx, "d", {"main.t": number})
    assert lake.records.watermarks("d") == {"main.t": 149}
    assert len(lake.records.kept("watermarks")) < 100


def test_watermarks_that_somebody_else_moved_are_a_conflict(lake: Lake) -> None:
    with lake.commit("mark") as tx:
        lake.records.set_watermarks(tx, "d", {"main.t": 1})
    other = Lake.open(lake.folder)
    with other.commit("move") as tx:
        other.records.set_watermarks(tx, "d", {"main.t": 2}, {"main.t": 1})
    other.close()
    with pytest.raises(Conflict), lake.commit("move too") as tx:
        lake.records.set_watermarks(tx, "d", {"main.t": 3}, {"main.t": 1})
    assert lake.records.watermarks("d") == {"main.t": 2}


def test_what_is_looked_at_once_sees_its_own_commits(lake: Lake) -> None:
    define(lake, "a")
    with lake.kept.once():
        assert known(lake) == [("a", 1)]
        define(lake, "b")
        assert known(lake) == [("a", 1), ("b", 1)]
        other = Lake.open(lake.folder)
        define(other, "c")
        other.close()
    assert known(lake) == [("a", 1), ("b", 1), ("c", 1)]


def test_what_did_not_change_is_read_once(lake: Lake) -> None:
    reads = []

    def read(cursor: Any) -> int:
        reads.append(cursor)
        return len(reads)

    def get() -> int:
        return lake.kept.get("definitions of mine", ("definitions",), None, read)

    assert [get(), get()] == [1, 1]
    with lake.commit("something else") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.t AS SELECT 1 AS id")
    assert get() == 1
    with lake.pinned() as (cursor, _):
        assert lake.kept.get("definitions of mine", ("definitions",), cursor, read) == 1
    define(lake, "a")
    assert [get(), get()] == [2, 2]
    assert [lake.kept.get("names", (SCHEMA,), None, read) for _ in range(2)] == [3, 3]


def test_columns_follow_what_is_altered_replaced_and_dropped(lake: Lake) -> None:
    def columns() -> list[str] | None:
        found = lake.tables.find("t")
        return None if found is None else list(found.columns)

    for statement, expected in {
        "CREATE TABLE lake.main.t AS SELECT 1 AS a": ["a"],
        "ALTER TABLE lake.main.t ADD COLUMN b INTEGER": ["a", "b"],
        "ALTER TABLE lake.main.t RENAME COLUMN a TO c": ["c", "b"],
        "CREATE OR REPLACE TABLE lake.main.t AS SELECT 1 AS d": ["d"],
        "DROP TABLE lake.main.t": None,
        "CREATE VIEW lake.queries.t AS SELECT 1 AS e": ["e"],
        "CREATE OR REPLACE VIEW lake.queries.t AS SELECT 1 AS f": ["f"],
        "DROP VIEW lake.queries.t": None,
    }.items():
        with lake.commit("change") as tx:
            lake.run(tx.cursor, statement)
        assert columns() == expected, statement


def test_files_are_read_by_others(lake: Lake) -> None:
    """The files are Parquet of version 2, with encodings that keep numbers small."""
    with lake.commit("make") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.t AS SELECT i AS id, 'n' || i AS s FROM range(9000) r(i)")
    files = execute(lake.cursor(), "SELECT data_file FROM ducklake_list_files('lake', 't')").fetchall()
    rows = pq.read_table(files[0][0])
    assert rows["id"].to_pylist() == list(range(9000))
    assert rows["s"].to_pylist() == [f"n{i}" for i in range(9000)]
    column = pq.ParquetFile(files[0][0]).metadata.row_group(0).column(0)
    assert "DELTA_BINARY_PACKED" in column.encodings
