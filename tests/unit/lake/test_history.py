"""History: what is counted for each snapshot is what happened in it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from workbench.engines.duckdb import execute
from workbench.errors import InvalidData
from workbench.lake import Lake
from workbench.lake.history import snapshot_at, table_history
from workbench.lake.statements import run_sql

Row = dict[str, Any]


@pytest.fixture
def keyed(lake: Lake) -> Lake:
    """A lake with a table `t` of five rows, with the key `id`."""
    with lake.commit("make t") as tx:
        tx.cursor.execute("CREATE TABLE lake.main.t AS SELECT i AS id, i AS v FROM range(5) AS r(i)")
        lake.tables.declare(tx, "main", "t", ("id",))
    return lake


def history(lake: Lake, name: str = "t") -> list[Row]:
    return table_history(lake, "main", name).rows()


def counts(row: Row) -> tuple[int, int, int]:
    return row["inserts"], row["updates"], row["deletes"]


def write(lake: Lake, sql: str) -> Row:
    run_sql(lake, sql)
    return history(lake)[0]


def state(lake: Lake) -> dict[int, int]:
    return dict(execute(lake.cursor(), "SELECT id, v FROM t").fetchall())


def random_statement(chance: random.Random, value: int, known: set[int]) -> str:
    some = [chance.randrange(12) for _ in range(3)]
    listed = ", ".join(map(str, some))
    kind = chance.choice(("insert", "update", "delete", "again", "merge"))
    if kind == "insert":
        new = max(known, default=0) + 100 + value
        known.add(new)
        return f"INSERT INTO t VALUES ({new}, {value})"
    if kind == "update":
        return f"UPDATE t SET v = {value} WHERE id IN ({listed})"
    if kind == "delete":
        return f"DELETE FROM t WHERE id IN ({listed})"
    if kind == "again":
        return f"DELETE FROM t WHERE id = {some[0]}; INSERT INTO t VALUES ({some[0]}, {value})"
    rows = ", ".join(f"({key}, {value})" for key in set(some))
    return (
        f"MERGE INTO t USING (VALUES {rows}) AS u(id, v) ON t.id = u.id "
        "WHEN MATCHED THEN UPDATE SET v = u.v WHEN NOT MATCHED THEN INSERT VALUES (u.id, u.v)"
    )


@pytest.mark.parametrize("seed", range(4))
def test_mixed_writes_of_one_commit_are_counted_net(keyed: Lake, seed: int) -> None:
    chance, known, value = random.Random(seed), set(range(5)), 1000
    expected = []
    for _ in range(8):
        old, statements = state(keyed), []
        for _ in range(chance.randint(1, 4)):
            value += 1
            statements.append(random_statement(chance, value, known))
        snapshot = run_sql(keyed, "; ".join(statements)).snapshot
        new = state(keyed)
        both = old.keys() & new.keys()
        changed = sum(old[key] != new[key] for key in both)
        if old != new:
            expected.append((snapshot, (len(new) - len(both), changed, len(old) - len(both))))
    found = {row["snapshot"]: counts(row) for row in history(keyed)}
    assert [(snapshot, found[snapshot]) for snapshot, _ in expected] == expected


def test_a_row_written_again_under_its_key_is_an_update(keyed: Lake) -> None:
    assert counts(write(keyed, "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 9), (7, 9)")) == (
        1,
        1,
        0,
    )
    assert counts(write(keyed, "UPDATE t SET v = v + 1; UPDATE t SET v = v + 1 WHERE id = 1")) == (0, 6, 0)


def test_a_table_without_a_key_is_counted_by_rows(lake: Lake) -> None:
    run_sql(lake, "CREATE TABLE t AS SELECT 1 AS x FROM range(3)")
    assert counts(history(lake)[0]) == (3, 0, 0)
    assert counts(write(lake, "INSERT INTO t VALUES (2), (2), (1)")) == (3, 0, 0)
    assert counts(write(lake, "UPDATE t SET x = 5 WHERE x = 2; DELETE FROM t WHERE x = 1")) == (0, 2, 4)
    assert counts(write(lake, "DELETE FROM t; INSERT INTO t VALUES (5)")) == (1, 0, 2)


def test_what_was_only_inserted_is_not_read(keyed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.lake import history as module

    run_sql(keyed, "INSERT INTO t VALUES (7, 7), (8, 8)")
    asked: list[tuple[int, int]] = []
    real = module.count_changes_query

    def count(table: Any, first: int, last: int) -> str:
        asked.append((first, last))
        return real(table, first, last)

    monkeypatch.setattr(module, "count_changes_query", count)
    assert [counts(row) for row in history(keyed)] == [(2, 0, 0), (5, 0, 0)]
    assert asked == []
    run_sql(keyed, "DELETE FROM t WHERE id = 7")
    head = keyed.head()
    assert counts(history(keyed)[0]) == (0, 0, 1)
    assert asked == [(head, head)]


def test_a_table_made_anew_keeps_its_earlier_life(keyed: Lake) -> None:
    run_sql(keyed, "DELETE FROM t WHERE id = 0")
    run_sql(keyed, "DROP TABLE t")
    run_sql(keyed, "CREATE TABLE t AS SELECT 7 AS x")
    run_sql(keyed, "CREATE OR REPLACE TABLE t AS SELECT 8 AS x FROM range(2)")
    run_sql(keyed, "UPDATE t SET x = 9")
    assert [(row["event"], *counts(row)) for row in history(keyed)] == [
        (None, 0, 2, 0),
        ("made anew", 2, 0, 1),
        ("created", 1, 0, 0),
        ("dropped", 0, 0, 4),
        (None, 0, 0, 1),
        ("created", 5, 0, 0),
    ]


def test_a_dropped_table_has_its_history_still(keyed: Lake) -> None:
    run_sql(keyed, "DROP TABLE t")
    assert [row["event"] for row in history(keyed)] == ["dropped", "created"]


def test_changed_columns_are_told_apart_from_changed_rows(keyed: Lake) -> None:
    run_sql(keyed, "ALTER TABLE t ADD COLUMN w INTEGER")
    run_sql(keyed, "ALTER TABLE t RENAME COLUMN v TO u")
    run_sql(keyed, "ALTER TABLE t DROP COLUMN u; UPDATE t SET w = 1 WHERE id < 2")
    assert [(row["event"], *counts(row)) for row in history(keyed)] == [
        ("columns changed", 0, 2, 0),
        ("columns changed", 0, 0, 0),
        ("columns changed", 0, 0, 0),
        ("created", 5, 0, 0),
    ]


def test_a_renamed_table_keeps_its_history_under_the_new_name(lake: Lake) -> None:
    run_sql(lake, "CREATE TABLE t AS SELECT 1 AS x")
    run_sql(lake, "INSERT INTO t VALUES (2); DELETE FROM t WHERE x = 1")
    run_sql(lake, "ALTER TABLE t RENAME TO u")
    run_sql(lake, "UPDATE u SET x = 3")
    assert [(row["event"], *counts(row)) for row in history(lake, "u")] == [
        (None, 0, 1, 0),
        ("renamed from t", 0, 0, 0),
        (None, 1, 0, 1),
        ("created", 1, 0, 0),
    ]
    assert history(lake)[0]["event"] == "renamed to u"
    assert counts(history(lake)[0]) == (0, 0, 0)


@pytest.mark.parametrize("column", ["change_type", "snapshot", "before", "inserts", "event", "n"])
def test_columns_may_be_called_as_those_of_the_history(lake: Lake, column: str) -> None:
    with lake.commit("make t") as tx:
        tx.cursor.execute(f"CREATE TABLE lake.main.t AS SELECT 1 AS {column}, 2 AS v")
        lake.tables.declare(tx, "main", "t", (column,))
    assert counts(write(lake, "UPDATE t SET v = 3")) == (0, 1, 0)


def test_upkeep_is_no_change(keyed: Lake) -> None:
    run_sql(keyed, "INSERT INTO t VALUES (7, 7)")
    run_sql(keyed, "INSERT INTO t VALUES (8, 8)")
    run_sql(keyed, "UPDATE t SET v = 0 WHERE id < 3; DELETE FROM t WHERE id = 4")
    before = [(row["snapshot"], *counts(row)) for row in history(keyed)]
    keyed.cursor().execute("CALL lake.merge_adjacent_files()")
    assert [(row["snapshot"], *counts(row)) for row in history(keyed)] == before
    keyed.cursor().execute("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)")
    assert [(row["snapshot"], *counts(row)) for row in history(keyed)] == before


def test_a_moment_is_a_snapshot_or_a_time(keyed: Lake) -> None:
    made = history(keyed)[0]
    run_sql(keyed, "DELETE FROM t")
    assert snapshot_at(keyed, made["time"]) == made["snapshot"]
    assert snapshot_at(keyed, str(made["snapshot"])) == made["snapshot"]
    with pytest.raises(InvalidData, match="neither a snapshot nor a time"):
        snapshot_at(keyed, "champion")


def test_a_row_inserted_and_updated_in_one_commit_is_an_insert(keyed: Lake) -> None:
    both = "INSERT INTO t VALUES (8, 8), (9, 9); UPDATE t SET v = -1 WHERE id IN (1, 8)"
    assert counts(write(keyed, both)) == (2, 1, 0)
    more = "INSERT INTO t VALUES (18, 8), (19, 9); UPDATE t SET v = -2 WHERE id IN (1, 18)"
    assert counts(write(keyed, f"{more}; DELETE FROM t WHERE id = 18")) == (1, 1, 0)


def test_what_was_written_as_it_was_is_no_change(keyed: Lake) -> None:
    assert counts(write(keyed, "UPDATE t SET v = v WHERE id > 1; UPDATE t SET v = 9 WHERE id = 1")) == (
        0,
        1,
        0,
    )
    assert counts(write(keyed, "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 9)")) == (0, 0, 0)


def test_rows_that_share_an_id_of_the_engine_are_counted_one_by_one(lake: Lake) -> None:
    run_sql(lake, "CREATE TABLE t AS SELECT 0 AS x")
    for value in (1, 2, 3):
        run_sql(lake, f"INSERT INTO t VALUES ({value}); UPDATE t SET x = x + 10 WHERE x = {value}")
    ids = execute(lake.cursor(), "SELECT count(*), count(DISTINCT rowid) FROM t").fetchone()
    assert ids == (4, 2)
    assert counts(write(lake, "DELETE FROM t WHERE x > 11")) == (0, 0, 2)
