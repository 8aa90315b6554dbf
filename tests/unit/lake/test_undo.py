"""The way back: a table as it was, as a new snapshot, with few writes."""

from __future__ import annotations

import pytest

from workbench.engines.duckdb import execute
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.lake import Lake
from workbench.lake.history import table_history
from workbench.lake.statements import run_sql
from workbench.lake.undo import undo_table


def make(lake: Lake, query: str, key: tuple[str, ...] = (), *, auto: bool = False) -> int:
    """Make the table `t` and return the snapshot."""
    with lake.commit("make t") as tx:
        tx.cursor.execute(f"CREATE TABLE lake.main.t AS {query}")
        if key:
            lake.tables.declare(tx, "main", "t", key, auto=auto, next_id=100)
    assert tx.snapshot is not None
    return tx.snapshot


def rows(lake: Lake, name: str = "t") -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = execute(lake.cursor(), f"SELECT * FROM {name} ORDER BY ALL").fetchall()
    return found


def written(lake: Lake) -> tuple[int, int, int]:
    """Count the rows that the newest snapshot inserted, updated and deleted."""
    (newest, *_) = table_history(lake, "main", "t").rows()
    assert newest["snapshot"] == lake.head()
    return newest["inserts"], newest["updates"], newest["deletes"]


def table_ids(lake: Lake) -> int:
    """Count how often the table was made."""
    sql = (
        "SELECT count(DISTINCT table_id) FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = 't'"
    )
    row = execute(lake.cursor(), sql).fetchone()
    assert row is not None
    return int(row[0])


def test_only_rows_that_differ_are_written_by_key(lake: Lake) -> None:
    good = make(lake, "SELECT i AS id, i AS v FROM range(100) AS r(i)", ("id",))
    before = rows(lake)
    run_sql(
        lake,
        "UPDATE t SET v = 0 WHERE id IN (5, 6); DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (200, 1)",
    )
    undo_table(lake, "t", good)
    assert rows(lake) == before
    assert written(lake) == (1, 2, 1)
    assert table_ids(lake) == 1


def test_only_rows_that_differ_are_written_without_a_key(lake: Lake) -> None:
    good = make(lake, "SELECT * FROM (VALUES (1, NULL), (1, NULL), (2, ['a']), (3, [NULL])) AS r(x, l)")
    before = rows(lake)
    run_sql(lake, "DELETE FROM t WHERE x = 3; INSERT INTO t VALUES (1, NULL), (2, ['a']), (9, NULL)")
    undo_table(lake, "t", good)
    assert rows(lake) == before
    assert written(lake) == (1, 0, 3)
    assert table_ids(lake) == 1


def test_undo_of_an_undo_is_a_redo(lake: Lake) -> None:
    good = make(lake, "SELECT i AS id FROM range(4) AS r(i)", ("id",))
    worse = run_sql(lake, "DELETE FROM t WHERE id > 1").snapshot
    assert worse is not None
    first = undo_table(lake, "t", good)
    assert first.id > worse and len(rows(lake)) == 4
    second = undo_table(lake, "t", first.id - 1)
    assert second.id > first.id and len(rows(lake)) == 2
    undo_table(lake, "t", first.id)
    assert len(rows(lake)) == 4


def test_undo_to_what_it_is_already_writes_nothing(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id", ("id",))
    assert undo_table(lake, "t", good).id == lake.head() == good


@pytest.mark.parametrize("key", [("id",), ()])
def test_columns_come_back(lake: Lake, key: tuple[str, ...]) -> None:
    good = make(lake, "SELECT 1 AS id, 2 AS v, 3 AS w", key)
    run_sql(lake, "ALTER TABLE t DROP COLUMN w; ALTER TABLE t ADD COLUMN u INTEGER")
    undo_table(lake, "t", good)
    assert rows(lake) == [(1, 2, 3)]
    assert lake.tables.resolve("t").key == key


def test_a_dropped_table_comes_back_with_its_key(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id, 2 AS v", ("id",))
    run_sql(lake, "DROP TABLE t")
    undo_table(lake, "MAIN.T", good)
    assert rows(lake) == [(1, 2)]
    assert lake.tables.resolve("t").key == ("id",)
    with pytest.raises(InvalidData, match="not unique"):
        run_sql(lake, "INSERT INTO t VALUES (1, 1)")


def test_the_name_of_a_dropped_table_may_be_taken(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id")
    run_sql(lake, "DROP TABLE t")
    with lake.commit("query t") as tx:
        tx.cursor.execute("CREATE VIEW lake.queries.t AS SELECT 1 AS x")
    with pytest.raises(InvalidData, match="is the name of a query now"):
        undo_table(lake, "main.t", good)


def test_a_table_that_did_not_exist(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id")
    head = lake.head()
    with pytest.raises(InvalidData, match=f"did not exist at snapshot {good - 1}"):
        undo_table(lake, "t", good - 1)
    with pytest.raises(InvalidData, match="no snapshot 999"):
        undo_table(lake, "t", 999)
    with pytest.raises(NotFound, match="nope"):
        undo_table(lake, "nope", good)
    assert lake.head() == head


def test_views_are_not_undone(lake: Lake) -> None:
    run_sql(lake, "CREATE VIEW v AS SELECT 1 AS x")
    head = lake.head()
    with pytest.raises(Unsupported, match="view"):
        undo_table(lake, "v", head)


def test_a_query_that_could_no_longer_be_read_stops_it(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id")
    run_sql(lake, "ALTER TABLE t ADD COLUMN v INTEGER")
    with lake.commit("query q") as tx:
        tx.cursor.execute("CREATE VIEW lake.queries.q AS SELECT v FROM lake.main.t")
    head = lake.head()
    with pytest.raises(InvalidData, match=r"queries\.q"):
        undo_table(lake, "t", good)
    assert lake.head() == head


@pytest.mark.parametrize("key", [("id",), ()])
def test_rows_that_share_an_id_of_the_engine_are_not_taken_for_each_other(
    lake: Lake, key: tuple[str, ...]
) -> None:
    make(lake, "SELECT 0 AS id, 0 AS v", key)
    for value in (1, 2, 3):
        run_sql(lake, f"INSERT INTO t VALUES ({value}, 0); UPDATE t SET v = {value} WHERE id = {value}")
    assert execute(lake.cursor(), "SELECT count(DISTINCT rowid) FROM t").fetchone() == (2,)
    good, before = lake.head(), rows(lake)
    run_sql(lake, "UPDATE t SET v = 9 WHERE id = 2")
    undo_table(lake, "t", good)
    assert rows(lake) == before


def test_rows_numbered_by_the_store_come_back(lake: Lake) -> None:
    make(lake, "SELECT 1::BIGINT AS _id, 'a' AS v", ("_id",), auto=True)
    for value in ("b", "c", "d"):
        run_sql(lake, f"INSERT INTO t (v) VALUES ('{value}')")
    good, before = lake.head(), rows(lake)
    run_sql(lake, "UPDATE t SET v = 'x' WHERE v = 'c'; DELETE FROM t WHERE v = 'd'")
    undo_table(lake, "t", good)
    assert rows(lake) == before


def test_numbers_come_back_to_the_last_digit(lake: Lake) -> None:
    good = make(lake, "SELECT 1 AS id, 0.3::DOUBLE AS v", ("id",))
    run_sql(lake, "UPDATE t SET v = 0.1::DOUBLE + 0.2::DOUBLE")
    undo_table(lake, "t", good)
    assert rows(lake) == [(1, 0.3)]
