"""Versions of definitions, their names, and the way back to them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import workbench
from workbench.errors import InvalidData, NotFound, StatementError
from workbench.lake import Lake
from workbench.store import Store
from workbench.transform.query import define_query

ROWS = [{"id": number, "v": float(number), "who": "ab"[number % 2]} for number in range(6)]


@pytest.fixture
def table(store: Store) -> Store:
    """A store with a table `t` of six rows."""
    store.load("t", ROWS, key="id")
    return store


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.sql(sql).rows()]


def definitions(store: Store, name: str) -> list[int]:
    return [row["version"] for row in store._lake.records.history(name)]


# -- diff -------------------------------------------------------------------------------------------


def test_versions_of_a_transform_are_compared(table: Store) -> None:
    table.transform("f", "SELECT id, v, 1 AS a FROM t", key="id")
    table.sql("UPDATE t SET v = 100 WHERE id = 1")
    table.transform("f", "SELECT id, v, 2 AS b FROM t", key="id")
    result = table.diff("f", 1, 2)
    assert result.message == "0 added, 0 removed, 1 changed between f@1 and f@2; new column b; gone column a"
    assert [(row["id"], row["columns"]) for row in result.rows()] == [(1, ["v"])]
    assert table.execute("diff f@1 f@2").message == result.message  # type: ignore[attr-defined]


def test_versions_with_another_key_are_compared_as_rows(table: Store) -> None:
    table.transform("f", "SELECT id, who FROM t WHERE id < 2", key="id")
    table.transform("f", "SELECT id, who FROM t WHERE id < 3", key=["who", "id"])
    result = table.diff("f", 1)
    assert result.message.startswith(
        "1 added, 0 removed between f@1 and f now; the key was (id), is (who, id)"
    )


def test_versions_of_a_query_are_compared(table: Store) -> None:
    table.query("q", "SELECT id FROM t")
    table.query("q", "SELECT id FROM t WHERE id > 0")
    assert table.diff("q", 1, 2).message.startswith("0 added, 1 removed between q@1 and q@2")


@pytest.mark.parametrize(
    "statement", ["diff t@{0} t@{1}", "diff t@{0} t", "diff t@{0}", "diff t@'{2}' T@{1}"]
)
def test_snapshots_and_times_are_compared(table: Store, statement: str) -> None:
    first = table.history("t").rows()[0]
    table.sql("DELETE FROM t WHERE id = 1")
    text = statement.format(first["snapshot"], table._lake.head(), first["time"].isoformat())
    if "T@" in text:
        with pytest.raises(StatementError, match="one table"):
            table.execute(text)
        text = text.replace("T@", "t@")
    assert "0 added, 1 removed, 0 changed" in table.execute(text).message  # type: ignore[attr-defined]


def test_what_is_no_version_is_said(table: Store) -> None:
    table.transform("f", "SELECT id FROM t", key="id")
    with pytest.raises(NotFound, match="7"):
        table.diff("f", 7)
    for name in ("t", "f"):
        with pytest.raises(InvalidData, match="neither a snapshot nor a time"):
            table.diff(name, "champion")
    with pytest.raises(NotFound, match="nope"):
        table.diff("nope", 1)


# -- history ----------------------------------------------------------------------------------------


def test_history_of_a_transform_says_how_and_why(table: Store) -> None:
    table.transform("f", "SELECT id, v FROM t", key="id", when="on write")
    table.sql("UPDATE t SET v = 50 WHERE id = 1; INSERT INTO t VALUES (9, 9, 'a')")
    table.pause("f")
    table.resume("f")
    table.transform("f", "SELECT id, v + 1 AS v FROM t", key="id", when="manual")
    table.transform("f", "SELECT id, v + 1 AS v FROM t", key="id", when="on write")
    found = table.history("F").rows()
    assert [row["event"] for row in found if row["event"]] == [
        "trigger changed",
        found[1]["event"],
        "resumed",
        "paused",
        "created, version 1",
    ]
    assert "version 2" in found[1]["event"] and found[1]["reason"] == "a new version"
    refreshed = next(row for row in found if row["message"] == "refresh f")
    assert (refreshed["inserts"], refreshed["updates"], refreshed["deletes"]) == (1, 1, 0)
    assert refreshed["mode"] == "incremental" and "main.t changed" in refreshed["reason"]
    assert found[-1]["reason"] == "first run"
    runs = {row["snapshot"]: row for row in table.runs("F").rows()}
    assert all(row["mode"] == runs[row["snapshot"]]["mode"] for row in found if row["mode"])


def test_history_of_a_query(table: Store) -> None:
    table.query("q", "SELECT id FROM t")
    table.query("q", "SELECT v FROM t")
    table.drop("q")
    assert [row["event"] for row in table.history("q").rows()] == ["dropped", "version 2", "version 1"]


def test_history_of_a_model_and_a_binding(trained: Store) -> None:
    trained.deploy("slow@1")
    events = [row["event"] for row in trained.history("SLOW").rows()]
    assert len(events) == 1
    assert events[0].startswith("version 1, version 1 deployed: ")
    bound = trained.history("slow_prediction").rows()
    assert bound[-1]["event"] == "created, version 1"
    assert [(row["inserts"], row["mode"]) for row in bound if row["mode"]] == [(400, "full")]


def test_history_of_what_is_gone_or_never_was(table: Store) -> None:
    table.drop("t")
    assert [row["event"] for row in table.history("t").rows()] == ["dropped", "created"]
    with pytest.raises(NotFound, match="nope"):
        table.history("nope")


# -- undo -------------------------------------------------------------------------------------------


def test_undo_of_a_transform_brings_its_fitted_values_back(table: Store) -> None:
    table.transform("f", "SELECT id, standardize(v) AS z FROM t", key="id")
    first = rows(table, "SELECT * FROM f ORDER BY id")
    table.sql("UPDATE t SET v = v * 10 + 3")
    table.refit("f")
    assert rows(table, "SELECT round(avg(z), 6) FROM f") == [(0.0,)]
    table.sql("UPDATE t SET v = (v - 3) / 10")
    table.undo("f", 1)
    assert rows(table, "SELECT * FROM f ORDER BY id") == [(key, pytest.approx(value)) for key, value in first]
    fitted = "SELECT number FROM mlstore.fitted WHERE name = 'f' AND version = {} ORDER BY statistic"
    assert rows(table, fitted.format(3)) == rows(table, fitted.format(1)) != rows(table, fitted.format(2))


def test_undo_of_a_dropped_query_and_transform(table: Store) -> None:
    table.query("q", "SELECT id FROM t")
    table.query("q", "SELECT v FROM t")
    table.drop("q")
    table.undo("q", 1)
    assert table.sql("FROM q").columns == ["id"]
    table.transform("f", "SELECT id, 1 AS a FROM t", key="id")
    table.transform("f", "SELECT id, 2 AS b FROM t", key="id")
    table.drop("f")
    table.undo("f", 1)
    assert table.sql("FROM f").columns == ["id", "a"]
    with pytest.raises(NotFound, match="9"):
        table.undo("f", 9)


def test_undo_of_a_dropped_transform_to_its_last_version(table: Store) -> None:
    table.transform("f", "SELECT id FROM t", key="id")
    table.drop("f")
    table.undo("f", 1)
    assert len(table.sql("FROM f")) == 6


def test_undo_of_a_table_is_followed_incrementally(table: Store) -> None:
    table.transform("f", "SELECT id, v * 2 AS w FROM t", key="id", when="on write")
    good = table._lake.head()
    table.sql("UPDATE t SET v = -1 WHERE id = 2; DELETE FROM t WHERE id = 3")
    table.undo("t", good)
    newest = table.history("f").rows()[0]
    assert newest["mode"] == "incremental"
    assert (newest["inserts"], newest["updates"], newest["deletes"]) == (1, 1, 0)
    assert rows(table, "SELECT id, w FROM f ORDER BY id") == [(row["id"], row["v"] * 2) for row in ROWS]


def test_undo_to_a_time(table: Store) -> None:
    moment = table.history("t").rows()[0]["time"]
    table.sql("DELETE FROM t")
    table.execute(f"undo t TO @'{moment.isoformat()}'")
    assert len(table.sql("FROM t")) == 6


def test_rows_numbered_by_the_store_are_merged_one_by_one(store: Store) -> None:
    store.load("t", [{"v": 1}], key="auto")
    for value in (2, 3):
        store.append("t", [{"v": value}])
    store.merge("t", [{"_id": 2, "v": 20}])
    assert rows(store, "SELECT v FROM t ORDER BY v") == [(1,), (3,), (20,)]


# -- names ------------------------------------------------------------------------------------------


def test_names_that_differ_in_case_are_the_same(table: Store) -> None:
    table.query("Few", "SELECT id FROM t WHERE id < 2")
    made = table.query("FEW", "SELECT id FROM t WHERE id < 3")
    assert (made.name, made.version) == ("Few", 2)
    assert len(table.sql("FROM few")) == 3
    table.undo("few", 1)
    assert len(table.sql("FROM few")) == 2
    assert definitions(table, "fEW") == [1, 2, 3]
    table.drop("FEW")
    assert table.query("few", "SELECT 1 AS x").name == "Few"


def test_a_model_and_a_binding_are_found_in_any_case(trained: Store) -> None:
    assert trained.deploy("SLOW@1").name == "slow"
    assert len(trained.history("Slow_Prediction")) > 0
    assert len(trained.runs("SLOW_PREDICTION")) == len(trained.runs("slow_prediction")) > 0
    again = trained.bind("Slow_Prediction", on="trip_features", model="slow")
    assert (again.column, again.version) == ("slow_prediction", 1)
    trained.drop("Slow_Prediction")
    trained.drop("Slow")
    assert len(trained.models()) == 0


def test_a_transform_is_found_in_any_case(table: Store) -> None:
    table.transform("f", "SELECT id FROM t", key="id")
    made = table.transform("F", "SELECT id, v FROM t", key="id")
    assert (made.name, made.version) == ("f", 2)
    assert "version 3" in table.refit("F").reason
    table.sql("DELETE FROM t WHERE id = 1")
    assert [run.name for run in table.refresh("F")] == ["f"]


def test_a_table_replaced_in_another_case_keeps_its_key(store: Store) -> None:
    store.load("t", ROWS, key="auto")
    store.sql("CREATE OR REPLACE TABLE T AS SELECT * FROM t")
    assert store.describe("t").facts["key"].startswith("_id")
    store.sql("INSERT INTO t (v) VALUES (7)")
    assert rows(store, "SELECT count(*), count(DISTINCT _id) FROM t") == [(7, 7)]


def test_a_name_has_one_meaning(trained: Store) -> None:
    trained.query("q", "SELECT 1 AS x")
    for name, kind in (
        ("TRIPS", "table"),
        ("trip_features", "transform"),
        ("Slow", "model"),
        ("slow_prediction", "bound column"),
    ):
        with pytest.raises(InvalidData, match=f"is the name of a {kind}"):
            trained.query(name, "SELECT 1 AS x")
    for column in ("trips", "Q", "trip_features"):
        with pytest.raises(InvalidData, match="is the name of a"):
            trained.bind(column, on="trip_features", model="slow")
    with pytest.raises(InvalidData, match="is the name of a query"):
        trained.train("q", "SELECT * FROM trip_features", label="slow", key="id")
    with pytest.raises(InvalidData, match="something else"):
        trained.sql("CREATE TABLE slow AS SELECT 1 AS x")


# -- queries that read queries ----------------------------------------------------------------------


def test_a_query_cannot_read_itself(table: Store) -> None:
    table.query("a", "SELECT id FROM t")
    table.query("b", "SELECT id FROM a")
    table.transform("f", "SELECT id FROM b", key="id")
    head = table._lake.head()
    for body, circle in (
        ("SELECT * FROM a", "a reads a"),
        ("SELECT * FROM b", "a reads b reads a"),
        ("SELECT * FROM t JOIN f USING (id)", "a reads f reads a"),
    ):
        with pytest.raises(InvalidData, match=circle):
            table.query("A", body)
    assert table._lake.head() == head and len(table.sql("FROM b")) == 6


def test_what_others_read_is_not_dropped(table: Store) -> None:
    table.query("a", "SELECT id, v FROM t")
    table.query("b", "SELECT id, v FROM a")
    table.transform("f", "SELECT id, v FROM b", key="id")
    for name, reader in (("A", "query b"), ("b", "transform f"), ("t", "query a")):
        with pytest.raises(InvalidData, match=f"read by .*{reader}"):
            table.drop(name)
    table.drop("f")
    table.drop("b")
    table.drop("a")
    assert table._lake.tables.names() == ["t"]


def test_a_query_that_a_model_was_trained_on_is_not_dropped(trained: Store) -> None:
    trained.query("training", "SELECT * FROM trip_features")
    trained.train("other", "SELECT * FROM training", label="slow", key="id", params={"n_estimators": 2})
    with pytest.raises(InvalidData, match="model other"):
        trained.drop("training")


def test_a_query_that_others_read_keeps_what_they_need(table: Store) -> None:
    table.query("a", "SELECT id, v FROM t")
    table.query("b", "SELECT v FROM a")
    table.transform("f", "SELECT * FROM a", key="id")
    head = table._lake.head()
    with pytest.raises(InvalidData, match=r"the query b, which could no longer be run"):
        table.query("a", "SELECT id FROM t")
    with pytest.raises(InvalidData, match=r"the transform f.*\n.*no column id"):
        table.query("a", "SELECT v FROM t")
    assert table._lake.head() == head
    assert table.query("a", "SELECT id, v, who FROM t").version == 2
    assert len(table.sql("FROM b")) == 6


# -- at once ----------------------------------------------------------------------------------------


def test_two_definitions_at_once_are_two_versions(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = Lake.commit, []

    def commit(lake: Lake, *args: Any, **how: Any) -> Any:
        if not done:
            done.append(True)
            with workbench.connect(lake.folder) as other:
                other.query("q", "SELECT 1 AS x")
        return real(lake, *args, **how)

    monkeypatch.setattr(Lake, "commit", commit)
    made = table.query("q", "SELECT 2 AS x")
    assert made.version == 2 and definitions(table, "q") == [1, 2]
    assert rows(table, "FROM q") == [(2,)]


def test_definitions_from_many_threads_are_numbered_once(table: Store) -> None:
    gate, failures = threading.Barrier(4), []

    def define(number: int) -> None:
        gate.wait()
        try:
            define_query(table._lake, "q", f"SELECT {number // 2} AS x")
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=define, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = definitions(table, "q")
    assert not failures and versions == list(range(1, len(versions) + 1)) and len(versions) in (2, 3, 4)


# -- text -------------------------------------------------------------------------------------------


def test_a_semicolon_and_a_comment_at_the_end(table: Store) -> None:
    table.query("q", "SELECT 1 AS x; -- done; really")
    table.query("p", "SELECT ';' AS é /* ; */ ;\n")
    table.transform("f", "SELECT id FROM t; -- done", key="id")
    assert rows(table, "FROM q") == [(1,)] and rows(table, "FROM p") == [(";",)]
    assert table.query("q", "SELECT 1 AS x").version == 1
