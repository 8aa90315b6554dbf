"""What a model can be bound on: transforms, named queries, and the predictions of other models."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.unit.bind.bound import bind, column
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.store import Store


def test_a_transform(table: Store) -> None:
    table.transform("f", "SELECT id, v + 1 AS v FROM t", key="id", when="on write")
    bind(table, on="f")
    table.sql("UPDATE t SET v = 50 WHERE id = 0")
    assert column(table, "p", "f")[:2] == [102, 4]


def test_a_named_query(table: Store, models: ModuleType) -> None:
    table.query("big", "SELECT id, v * 10 AS v FROM t WHERE v >= 5")
    bind(table, on="big")
    assert column(table, "p", "big") == [100, 120, 140, 160, 180]
    models.CALLS.clear()
    table.sql("UPDATE t SET v = 1 WHERE id = 5; UPDATE t SET v = 8 WHERE id = 0")
    assert table.sql("SELECT id, p, p_status FROM predictions.big WHERE id < 7 ORDER BY id").rows() == [
        {"id": 0, "p": 160, "p_status": "ok"},
        {"id": 6, "p": 120, "p_status": "ok"},
    ]
    assert sum(models.CALLS) == 1
    with pytest.raises(InvalidData, match="binding"):
        table.drop("big")
    table.query("big", "SELECT id, v * 100 AS v FROM t WHERE v >= 9")
    table.refresh("p")
    assert column(table, "p", "big") == [1800]


def shown(store: Store, name: str) -> list[str]:
    columns = store.sql(f"FROM predictions.{name}").to_arrow().column_names
    return [each for each in columns if not each.startswith("p_")]


def test_a_view_follows_the_columns_of_its_table_at_once(table: Store) -> None:
    """Also where the binding itself waits: its view did not show them, or could not be read at all."""
    made = table._lake.head()
    table.transform("f", "SELECT id, v, v + 1 AS w FROM t", key="id")
    table.query("q", "SELECT id, v FROM t")
    bind(table, on="f", when="manual")
    bind(table, on="q", when="manual")
    table.drop("q.p")
    bind(table, when="manual")
    bind(table, on="q", when="manual")
    table.sql("ALTER TABLE t ADD COLUMN note VARCHAR")
    assert shown(table, "t") == ["id", "v", "note", "p"]
    table.transform("f", "SELECT id, v, note FROM t", key="id")
    table.query("q", "SELECT id, v, v * 2 AS more FROM t")
    assert (shown(table, "f"), shown(table, "q")) == (["id", "v", "note", "p"], ["id", "v", "more", "p"])
    table.transform("f", "SELECT id, v FROM t", key="id")
    table.undo("t", made)
    assert shown(table, "t") == ["id", "v", "p"]
    table.transform("f", "SELECT v, count(*) AS n FROM t GROUP BY v", key="v")
    assert set(column(table, "p_status", "f", "v")) == {"pending"}
    head = table._lake.head()
    for statement, said in (
        ("ALTER TABLE t DROP COLUMN v", "t.v is read by the binding 'p'"),
        ("ALTER TABLE t RENAME COLUMN v TO w", "t.v is read by the binding 'p'"),
        ("ALTER TABLE t ADD COLUMN p INTEGER", "two columns 'p'"),
    ):
        with pytest.raises(InvalidData, match=said):
            table.sql(statement)
    assert table._lake.head() == head


def test_a_query_of_a_query(table: Store) -> None:
    table.query("larger", "FROM t WHERE v > 3")
    table.query("few", "SELECT * FROM larger WHERE v < 6")
    bind(table, on="few")
    assert column(table, "p", "few") == [8, 10]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT v, count(*) AS n FROM t GROUP BY v", "the key of no table"),
        ("SELECT id + 1 AS key, v FROM t", "the key of no table"),
        ("SELECT t.id, u.uid, t.v FROM t JOIN u ON t.id = u.uid", "the keys of"),
    ],
)
def test_a_query_whose_rows_cannot_be_told_apart(table: Store, query: str, said: str) -> None:
    table.load("u", [{"uid": 1}], key="uid")
    table.query("q", query)
    with pytest.raises(Unsupported, match=said):
        bind(table, on="q")


def test_a_query_that_repeats_the_key(table: Store) -> None:
    table.query("twice", "SELECT id, v FROM t UNION ALL SELECT id, v FROM t")
    with pytest.raises(InvalidData, match="not unique"):
        bind(table, on="twice")


def test_predictions_of_predictions_follow_in_order(table: Store, models: ModuleType) -> None:
    bind(table)
    bind(table, "r", "length", on="predictions.t", inputs=["p_status"])
    bind(table, "q", "nothing_known", on="predictions.t", inputs=["v"])
    assert column(table, "r") == [2] * 10
    shown = table.sql("FROM predictions.t").columns
    assert shown[:3] == ["id", "v", "p"] and {"q", "r", "r_status"} < set(shown)
    table.sql("INSERT INTO t VALUES (10, 10); DELETE FROM t WHERE id = 0")
    assert column(table, "p")[-1] == 20 and column(table, "r")[-1] == 2 and len(column(table, "r")) == 10
    assert table.stale().rows() == []


def test_a_chain_waits_for_what_is_pending(table: Store, models: ModuleType) -> None:
    bind(table, mode="async")
    bind(table, "q", "more", on="predictions.t", inputs=["p"], mode="async")
    table.refresh("q")
    assert column(table, "q") == [each * 2 + 1 for each in range(10)]
    table.sql("UPDATE t SET v = 100 WHERE id = 1; INSERT INTO t VALUES (10, 10)")
    assert column(table, "q_status")[-1] == "pending"
    runs = table.refresh("q")
    assert [run.name for run in runs] == ["t__p", "t__q"]
    assert column(table, "q")[1] == 201 and column(table, "q")[-1] == 21
    assert table.lineage("q").to_mermaid()
    assert [each.table for each in table.trace("predictions.t", 1).sources][-1] == "main.t"


def test_what_another_reads_is_not_dropped(table: Store) -> None:
    bind(table)
    bind(table, "q", "length", on="predictions.t", inputs=["p_status"])
    with pytest.raises(InvalidData, match="binding t__q"):
        table.drop("p")
    table.drop("q")
    table.drop("p")
    with pytest.raises(NotFound):
        table.sql("FROM predictions.t")


def test_a_circle_is_refused(table: Store) -> None:
    bind(table)
    bind(table, "q", "length", on="predictions.t", inputs=["p_status"])
    with pytest.raises(InvalidData, match="would read itself"):
        bind(table, "p", "length", on="predictions.t", inputs=["q_status"])
    assert column(table, "p") == [each * 2 for each in range(10)]


def test_a_side_table_is_not_bound_on(table: Store) -> None:
    bind(table)
    with pytest.raises(Unsupported, match=r"predictions\.t instead"):
        bind(table, "q", on="predictions.t__p", inputs=["value"])


def test_what_reads_a_column_follows_another_model_of_it(table: Store) -> None:
    bind(table)
    bind(table, "more", "more", on="predictions.t", inputs=["p"])
    table.transform("doubled", "SELECT id, p FROM predictions.t", key="id", when="on write")
    bind(table, function="triple")
    assert column(table, "more") == [each * 3 + 1 for each in range(10)]
    assert table.sql("SELECT p FROM doubled ORDER BY id").to_arrow()["p"].to_pylist() == [
        each * 3 for each in range(10)
    ]
    assert table.stale().rows() == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_key_that_becomes_wider(store: Store, models: ModuleType, mode: str) -> None:
    """Rows with keys that did not fit before stayed without a prediction."""
    store.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v BIGINT); INSERT INTO t VALUES (1, 1)")
    bind(store, mode=mode)
    store.sql("ALTER TABLE t ALTER COLUMN id TYPE BIGINT")
    store.sql("INSERT INTO t VALUES (5_000_000_000, 2)")
    store.refresh("p")
    assert column(store, "p") == [2, 4]
    store.sql("UPDATE t SET v = 3 WHERE id > 1")
    store.refresh("p")
    assert column(store, "p") == [2, 6]
    assert store.stale().rows() == []


def test_a_key_of_another_kind(table: Store) -> None:
    table.query("q", "SELECT id, v FROM t")
    bind(table, on="q")
    table.query("q", "SELECT id::VARCHAR AS id, v FROM t")
    with pytest.raises(InvalidData, match="now VARCHAR") as raised:
        table.refresh("p")
    assert "Say again: bind p ON q" in raised.value.hint
    bind(table, on="q")
    assert sorted(column(table, "p", "q")) == sorted(each * 2 for each in range(10))  # type: ignore[type-var]
