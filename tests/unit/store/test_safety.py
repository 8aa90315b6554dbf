"""What a user's SQL must not be able to do, and what the store must not forget."""

from __future__ import annotations

import pytest

import workbench
from workbench.errors import Conflict, InvalidData, NotFound, Unsupported, WorkbenchError
from workbench.store import Store

ROWS = [{"id": 1, "x": 1.0}, {"id": 2, "x": 2.0}]


@pytest.fixture
def table(store: Store) -> Store:
    """A store with a keyed table `a`."""
    store.load("a", ROWS, key="id")
    return store


@pytest.mark.parametrize(
    "sql",
    [
        "DROP SCHEMA queries CASCADE",
        "CREATE SCHEMA more",
        "DELETE FROM MLSTORE.watermarks",
        "DELETE FROM Features.f",
        "DELETE FROM __ducklake_metadata_lake.ducklake_snapshot_changes",
        "CALL ducklake_expire_snapshots('lake', older_than => now())",
        "FROM ducklake_expire_snapshots('lake', older_than => now())",
        "CALL lake.set_option('data_inlining_row_limit', 5)",
        "EXPLAIN ANALYZE DELETE FROM mlstore.runs",
        "CREATE OR REPLACE VIEW queries.q AS SELECT 1 AS a",
        "DROP VIEW queries.q",
        "ALTER TABLE a RENAME TO b",
    ],
)
def test_the_store_is_not_for_sql_to_write(table: Store, sql: str) -> None:
    table.transform("f", "SELECT id, x FROM a", key="id")
    table.query("q", "SELECT count(*) AS n FROM a")
    head = table._lake.head()
    with pytest.raises(Unsupported):
        table.sql(sql)
    assert table._lake.head() == head
    assert table.sql("FROM q").rows() == [{"n": 2}]
    with workbench.connect(table.folder) as other:
        assert len(other.sql("FROM f", at=head)) == 2


def test_what_explain_analyze_runs_is_a_commit_like_any_other(table: Store) -> None:
    with pytest.raises(InvalidData, match="not unique"):
        table.sql("EXPLAIN ANALYZE INSERT INTO a VALUES (1, 9.0)")
    assert len(table.sql("FROM a")) == 2
    assert table.sql("EXPLAIN ANALYZE INSERT INTO a VALUES (3, 9.0)").snapshot == table._lake.head()
    assert len(table.sql("FROM a")) == 3


def test_the_past_cannot_be_written(table: Store) -> None:
    head = table._lake.head()
    for sql in ("INSERT INTO lake.main.a VALUES (1, 7)", "SET threads = 1"):
        with pytest.raises(Unsupported):
            table.sql(sql, at=head)
    assert table._lake.head() == head
    again = table.sql("SELECT count(*) AS n FROM a WHERE x > $low", at=head, params={"low": 1, "more": 2})
    assert again.rows() == [{"n": 1}]
    table.sql("UPDATE a SET x = x * 100")
    past = table.sql("SELECT max(standardize(x)) AS z FROM a", at=head).rows()
    assert past[0]["z"] == pytest.approx(1.0)
    assert len(table.sql(table.table("a"), at=head)) == 2


@pytest.mark.parametrize("name", ["snapshot_id", "rowid", "RowId"])
def test_names_of_the_engine_are_refused_as_columns(store: Store, name: str) -> None:
    with pytest.raises(InvalidData, match=name):
        store.sql(f'CREATE TABLE c AS SELECT 1 AS id, 2 AS "{name}"')
    with pytest.raises(NotFound):
        store.sql("FROM c")


def test_ddl_cannot_break_a_named_query(table: Store) -> None:
    table.query("q", "SELECT x FROM a")
    with pytest.raises(InvalidData, match=r"queries\.q"):
        table.sql("ALTER TABLE a DROP COLUMN x")
    assert len(table.sql("FROM q")) == 2


def test_undo_does_not_mix_with_what_somebody_else_writes(
    table: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = table._lake.head()
    table.sql("DELETE FROM a")
    from workbench.lake import undo, write

    real = write.compare
    calls = []

    def compare_while_another_writes(*args: object, **how: object) -> object:
        delta = real(*args, **how)  # type: ignore[arg-type]
        if not calls:
            calls.append(1)
            with workbench.connect(table.folder) as other:
                other.sql("INSERT INTO a VALUES (7, 7.0)")
        return delta

    monkeypatch.setattr(undo.write, "compare", compare_while_another_writes)
    table.undo("a", good)
    assert [row["id"] for row in table.sql("SELECT id FROM a ORDER BY id").rows()] == [1, 2]


@pytest.mark.parametrize("body", ["SELECT id FROM a; DELETE FROM a", "DELETE FROM a"])
def test_a_definition_is_one_query_that_reads(table: Store, body: str) -> None:
    head = table._lake.head()
    with pytest.raises(Unsupported, match="one query"):
        table.transform("f", body, key="id")
    with pytest.raises(Unsupported, match="one query"):
        table.query("q", body)
    assert table._lake.head() == head


def test_an_old_definition_does_not_write_over_a_new_one(table: Store) -> None:
    from workbench.transform import find_transform

    table.transform("f", "SELECT id, x FROM a", key="id")
    table.transform("f", "SELECT id, x + 1 AS x FROM a", key="id")
    table.sql("INSERT INTO a VALUES (3, 3.0)")
    with pytest.raises(Conflict, match="defined anew"):
        find_transform(table._lake, "f", 1).refresh(table._lake)
    table.refresh("f")
    assert table.sql("SELECT max(x) AS x FROM f").rows() == [{"x": 4.0}]


def test_resume_is_followed_all_the_way(table: Store) -> None:
    table.transform("f", "SELECT id, x + 1 AS x FROM a", key="id", when="on write")
    table.transform("g", "SELECT id, x * 2 AS x FROM f", key="id", when="on write")
    table.pause("f")
    table.sql("UPDATE a SET x = 10 WHERE id = 1")
    with pytest.raises(InvalidData, match="paused"):
        table.refresh("f")
    table.resume("f")
    assert table.sql("SELECT x FROM g WHERE id = 1").rows() == [{"x": 22.0}]


def test_failures_of_what_follows_are_said(table: Store) -> None:
    good = table._lake.head()
    table.sql("UPDATE a SET x = 5")
    table.transform("f", "SELECT x AS id FROM a WHERE id = 1", key="id", when="on write")
    table.transform("g", "SELECT id FROM f UNION ALL SELECT 1.0", key="id", when="on write")
    with pytest.warns(RuntimeWarning, match="g was not refreshed"):
        table.undo("a", good)
    assert len(table.sql("FROM a")) == 2


def test_a_dropped_model_does_not_come_back(trained: Store) -> None:
    trained.drop("slow_prediction")
    trained.drop("slow")
    model = trained.train("slow", "SELECT * FROM trip_features", label="slow", key="id", deploy="never")
    assert not model.deployed
    with pytest.raises(NotFound, match="deployed"):
        trained.sql("SELECT predict(slow, f.*) FROM trip_features AS f")


def test_plans_check_what_they_promise(table: Store) -> None:
    with pytest.raises(NotFound):
        table.plan("drop", name="nope")
    with pytest.raises(InvalidData, match="999"):
        table.plan("undo", name="a", to=999)
    table.query("q", "FROM a")
    assert "refused" in table.plan("drop", name="a").action


def test_odd_names_are_exported(store: Store, tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    snapshot = store.load("order", [{"select": 1, "Order Id": 2}], key="Order Id").snapshot
    assert store.export(f"order@{snapshot}", folder / "a.csv", format="csv").rows == 1
    assert store.export("-- mine\nSELECT 1 AS a", folder / "b.csv", format="csv").rows == 1
    with pytest.raises(WorkbenchError, match="folder"):
        store.export("order", folder, format="csv")


def test_conflicts_are_not_swallowed_for_ever(table: Store) -> None:
    def never() -> None:
        raise Conflict("busy")

    with pytest.raises(Conflict):
        table._lake.retry(never)


@pytest.mark.parametrize(
    "write",
    [
        "INSERT INTO t VALUES (5_000_000_000, 2)",
        "UPDATE t SET v = 2",
        "WITH n AS (SELECT 7 AS id) INSERT INTO t SELECT id, 1 FROM n",
    ],
)
def test_no_rows_are_written_after_a_column_got_another_type(store: Store, write: str) -> None:
    """DuckLake's least and greatest values of the column were wrong after it, and sorts gave other rows."""
    store.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1)")
    head = store._lake.head()
    for retype in (
        "ALTER TABLE t ALTER COLUMN id TYPE BIGINT",
        "alter table t alter id set data type bigint",
    ):
        with pytest.raises(Unsupported, match="writes no rows after it"):
            store.sql(f"{retype}; -- then\n{write}")
    assert store._lake.head() == head
    store.sql("INSERT INTO t VALUES (2, 2); ALTER TABLE t ALTER COLUMN id TYPE BIGINT")
    store.sql(write)
    store.sql("UPDATE t SET v = 3 WHERE id > 1")
    ordered = store.sql("FROM t ORDER BY id").rows()
    assert ordered == sorted(store.sql("FROM t").rows(), key=lambda row: row["id"])
