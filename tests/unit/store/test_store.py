"""The path through the rooms, and what follows a write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from workbench.errors import InvalidData, NotFound, StatementError, Unsupported, WorkbenchError
from workbench.lake import Result
from workbench.store import Store

ROWS = [{"id": number, "v": number * 10, "who": "ab"[number % 2]} for number in range(1, 5)]


def values(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.sql(sql).rows()]


def agrees(store: Store) -> None:
    """Assert that the engineered table and its predictions are what a fresh computation gives."""
    stale = store.stale().rows()
    assert [row for row in stale if row["kind"] != "model"] == []
    described = store.describe("trip_features")
    version = described.facts["version"]
    definition = store._lake.records.definition("trip_features")
    assert definition is not None and definition["version"] == version
    fresh = definition["definition"]["expanded"]
    for one, other in ((fresh, "FROM trip_features"), ("FROM trip_features", fresh)):
        assert values(store, f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))") == [(0,)]
    wrong = values(
        store,
        "SELECT count(*) FROM predictions.trip_features AS p WHERE slow_prediction_status <> 'ok' "
        "OR slow_prediction IS DISTINCT FROM predict(slow, p.*) "
        "OR abs(slow_prediction_score - predict_proba(slow, p.*)) > 1e-9",
    )
    assert wrong == [(0,)]
    sizes = values(
        store,
        "SELECT (SELECT count(*) FROM trip_features), "
        "(SELECT count(*) FROM predictions.trip_features__slow_prediction)",
    )
    assert sizes[0][0] == sizes[0][1]


# -- definitions ---------------------------------------------------------------------------------


DEFINE = {
    "query": lambda store, text: store.query("made", text),
    "transform": lambda store, text: store.transform("made", text, on="t", key="id"),
    "train": lambda store, text: store.train("made", text, label="v", key="id"),
    "export": lambda store, text: store.export(text, store.folder / "t.csv", format="csv"),
}


@pytest.mark.parametrize("verb", DEFINE)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("select id, vv from t", "LINE 1: select id, vv from t\n"),
        ("select id,\n  nothing(v) from t", "LINE 2:   nothing(v) from t\n"),
        ("select id x y from t", "LINE 1: select id x y from t\n"),
    ],
)
def test_a_mistake_in_a_query_is_shown_as_it_was_written(
    store: Store, verb: str, text: str, line: str
) -> None:
    """Not in the statement that the store puts around it."""
    store.load("t", ROWS, key="id")
    with pytest.raises(WorkbenchError) as caught:
        DEFINE[verb](store, text)
    assert line in str(caught.value)
    for ours in ("DESCRIBE", "mlstore_", "CREATE", "FROM ("):
        assert ours not in str(caught.value)


@pytest.mark.parametrize("verb", ["query", "transform", "train"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("select id, v from t where v > $low", r"has no parameters; this one has \$low"),
        ("select id from t; select 2", "one query that reads"),
        ("delete from t", "one query that reads"),
    ],
)
def test_a_definition_is_one_query_without_parameters(store: Store, verb: str, text: str, words: str) -> None:
    store.load("t", ROWS, key="id")
    with pytest.raises(Unsupported, match=words):
        DEFINE[verb](store, text)
    assert store.sql("select count(*) as n from t").rows() == [{"n": 4}]


def test_an_ibis_table_of_no_snapshot_is_refused(store: Store) -> None:
    store.load("t", ROWS, key="id")
    head = store._lake.head()
    store.append("t", [{"id": 9, "v": 90, "who": "a"}])
    assert store.table("t", at=head).count().execute() == 4
    with pytest.raises(InvalidData, match="no snapshot 999"):
        store.table("t", at=999)
    with pytest.raises(InvalidData, match="did not exist at snapshot 1"):
        store.table("t", at=1)
    with pytest.raises(NotFound, match=r"no table 'tt'\.\nDid you mean 't'"):
        store.append("tt", ROWS)


# -- SQL -----------------------------------------------------------------------------------------


def test_a_question_says_its_snapshot_and_changes_nothing(store: Store) -> None:
    store.load("t", ROWS, key="id")
    before = store._lake.head()
    result = store.sql("SELECT sum(v) AS total FROM t")
    assert result.rows() == [{"total": 100}]
    assert result.snapshot == before == store._lake.head()
    assert result.message == ""


def test_a_write_of_several_statements_is_one_snapshot(store: Store) -> None:
    store.load("t", ROWS, key="id")
    before = store._lake.head()
    result = store.sql(
        "INSERT INTO t VALUES (9, 1, 'z'); UPDATE t SET v = 0 WHERE id < 3; DELETE FROM t WHERE id = 4"
    )
    assert result.snapshot == store._lake.head() == before + 1
    assert result.message == "1 row inserted, 2 rows updated, 1 row deleted"


def test_a_write_is_all_or_nothing(store: Store) -> None:
    store.load("t", ROWS, key="id")
    with pytest.raises(InvalidData):
        store.sql("DELETE FROM t; INSERT INTO t VALUES ('x', 1, 'z')")
    assert len(store.sql("FROM t")) == 4


@pytest.mark.parametrize("params", [{"low": 25}, {"low": 25, "unused": 1}])
def test_parameters_are_bound_as_values(store: Store, params: dict[str, object]) -> None:
    store.load("t", ROWS, key="id")
    assert values(store, "SELECT count(*) FROM t") == [(4,)]
    assert store.sql("SELECT id FROM t WHERE v > $low ORDER BY id", params=params).rows() == [
        {"id": 3},
        {"id": 4},
    ]


def test_a_parameter_without_a_value_is_named(store: Store) -> None:
    with pytest.raises(InvalidData, match=r"\$low"):
        store.sql("SELECT $low")


def test_reading_the_past(store: Store) -> None:
    first = store.load("t", ROWS, key="id").snapshot
    second = store.sql("DELETE FROM t WHERE id > 1").snapshot
    assert first is not None and second is not None
    assert len(store.sql("FROM t", at=first)) == 4
    assert len(store.sql("FROM t", at=second)) == 1
    assert store.table("t", at=first).count().to_pyarrow().as_py() == 4
    assert store.table(f"t@{first}").count().to_pyarrow().as_py() == 4
    moment = store.history("t").rows()[0]["time"]
    assert len(store.sql("FROM t", at=moment)) == 1
    with pytest.raises(InvalidData, match="no store at"):
        store.sql("FROM t", at="1999-01-01")


def test_ibis_goes_in_and_out(store: Store) -> None:
    store.load("t", ROWS, key="id")
    expression = store.table("t").group_by("who").agg(n=lambda t: t.count())
    assert sorted(row["n"] for row in store.sql(expression).rows()) == [2, 2]
    made = store.transform("counts", expression, key="who")
    assert made.using == "ibis" and made.inputs == ("main.t",)
    store.sql("INSERT INTO t VALUES (5, 1, 'a')")
    store.refresh("counts")
    assert values(store, "SELECT who, n FROM counts ORDER BY who") == [("a", 3), ("b", 2)]
    with pytest.raises(InvalidData, match="only in memory"):
        store.query("q", store.sql("FROM t").to_ibis())


@pytest.mark.parametrize(
    "sql",
    ["BEGIN", "COMMIT", "SET threads = 1", "USE lake", "ATTACH 'x.db'", "DETACH lake", "CHECKPOINT; VACUUM"],
)
def test_statements_about_the_connection_are_refused(store: Store, sql: str) -> None:
    with pytest.raises(Unsupported):
        store.sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO trip_features SELECT * FROM trip_features LIMIT 1",
        "DELETE FROM features.trip_features",
        "UPDATE lake.mlstore.runs SET status = 'ok'",
        "DROP TABLE predictions.trip_features__slow_prediction",
        "CREATE TABLE features.mine AS SELECT 1 AS a",
    ],
)
def test_what_the_store_keeps_cannot_be_written_by_hand(trained: Store, sql: str) -> None:
    head = trained._lake.head()
    with pytest.raises(Unsupported):
        trained.sql(sql)
    assert trained._lake.head() == head


def test_sql_cannot_drop_what_is_read(trained: Store) -> None:
    with pytest.raises(InvalidData, match=r"trips.*transform 'trip_features'"):
        trained.sql("DROP TABLE trips")
    assert len(trained.sql("FROM trips")) > 0


def test_sql_cannot_hide_a_name(trained: Store) -> None:
    with pytest.raises(Unsupported, match="trip_features"):
        trained.sql("CREATE TABLE trip_features AS SELECT 1 AS a")


def test_own_tables_by_sql(store: Store) -> None:
    assert store.sql("-- mine\nCREATE TABLE scratch AS SELECT 1 AS a").message == "table created with 1 row"
    store.sql("ALTER TABLE scratch ADD COLUMN b INTEGER; INSERT INTO scratch VALUES (2, 3)")
    assert values(store, "SELECT * FROM scratch ORDER BY a") == [(1, None), (2, 3)]
    assert store.sql("DROP TABLE scratch").message == "table dropped"
    with pytest.raises(NotFound):
        store.sql("FROM scratch")


def test_a_key_column_cannot_be_lost(store: Store) -> None:
    store.load("t", ROWS, key="id")
    with pytest.raises(InvalidData, match="key"):
        store.sql("ALTER TABLE t DROP COLUMN id")
    assert "id" in store.sql("FROM t").columns


def test_the_engines_line_and_caret_are_shown(store: Store) -> None:
    with pytest.raises(StatementError) as caught:
        store.sql("SELECT 1\nFROM t WHERE\nGROUP BY 2")
    assert "LINE 3" in str(caught.value) and "^" in str(caught.value)
    assert caught.value.line == 3


# -- what follows a write -------------------------------------------------------------------------


def test_inserts_updates_and_deletes_reach_features_and_predictions(trained: Store) -> None:
    agrees(trained)
    result = trained.sql(
        "INSERT INTO trips SELECT id + 1000, distance, passengers, zone, started, slow FROM trips LIMIT 5"
    )
    assert "trip_features refreshed, 5 rows" in result.message
    agrees(trained)
    shown = trained.sql("FROM predictions.trip_features WHERE id >= 1000").rows()
    assert [row["slow_prediction_status"] for row in shown] == ["ok"] * 5
    trained.sql("UPDATE trips SET distance = distance + 3 WHERE id IN (3, 4)")
    agrees(trained)
    trained.delete("trips", "id < 10")
    agrees(trained)
    assert len(trained.sql("FROM predictions.trip_features")) == len(trained.sql("FROM trips")) == 395


def test_only_rows_that_changed_are_predicted_again(trained: Store) -> None:
    before = dict(values(trained, "SELECT id, slow_prediction_at FROM predictions.trip_features"))
    trained.sql(
        "UPDATE trips SET distance = 0 WHERE id = 7; "
        "INSERT INTO trips SELECT 999, 1, 1, 'north', started, false FROM trips LIMIT 1"
    )
    after = dict(values(trained, "SELECT id, slow_prediction_at FROM predictions.trip_features"))
    assert {key for key in after if after[key] != before.get(key)} == {7, 999}
    run = trained.runs("slow_prediction").rows()[0]
    assert (run["mode"], run["rows_read"]) == ("incremental", 2)


def test_a_write_that_changes_nothing_that_is_read_refreshes_nothing(trained: Store) -> None:
    trained.load("other", ROWS, key="id")
    runs = len(trained.runs())
    assert trained.sql("INSERT INTO other VALUES (77, 1, 'x')").message == "1 row inserted"
    assert len(trained.runs()) == runs


def test_a_write_stands_when_what_follows_fails(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("by_who", "SELECT who, v FROM t WHERE id < 3", key="who", when="on write")
    result = store.sql("INSERT INTO t VALUES (0, 5, 'a')")
    assert "by_who was not refreshed" in result.message and "not unique" in result.message
    assert values(store, "SELECT count(*) FROM t") == [(5,)]
    assert len(store.sql("FROM by_who")) == 2
    failed = store.runs("by_who").rows()[0]
    assert failed["status"] == "failed" and "not unique" in failed["error"]
    store.sql("DELETE FROM t WHERE id = 0")
    assert store.stale().rows() == []


def test_runs_of_a_name_that_never_was_are_no_empty_answer(store: Store) -> None:
    store.load("Trips", ROWS, key="id")
    store.sql("CREATE TABLE made AS SELECT 1 AS id")
    with pytest.raises(NotFound, match="Trisp") as raised:
        store.runs("Trisp")
    assert raised.value.nearest == ("Trips",)
    assert len(store.runs("made")) == 0
    store.drop("trips")
    assert [row["kind"] for row in store.runs("TRIPS").rows()] == ["drop", "load"]


def test_two_underscores_in_the_name_of_a_table_do_not_hide_it(store: Store) -> None:
    store.sql("CREATE TABLE some__thing AS SELECT 1 AS id")
    assert [row["name"] for row in store.tables().rows()] == ["some__thing"]
    assert store.names()["table"] == ["some__thing"]
    assert store.describe("some__thing").kind == "table"


def test_a_plan_and_a_refresh_take_names_in_any_case_and_with_their_schema(trained: Store) -> None:
    assert trained.plan("refresh", name="SLOW").action.startswith("slow: noop")
    assert trained.refresh("SLOW")[0].name == "slow"
    for name in ("features.trip_features", "TRIP_features"):
        assert trained.plan("refresh", name=name).action.startswith("trip_features: noop")
        assert trained.refresh(name)[0].name == "trip_features"
    with pytest.raises(Unsupported, match="no binding"):
        trained.plan("refresh", name="trip_features", limit=5)


def test_a_failed_refresh_names_the_transform(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("numbers", "SELECT id, CAST(who AS INTEGER) AS n FROM t WHERE v > 1000", key="id")
    store.transform("more", "SELECT id, n + 1 AS n FROM numbers", key="id")
    store.sql("INSERT INTO t VALUES (77, 2000, 'x')")
    for name in (None, "more"):
        with pytest.raises(InvalidData, match="transform 'numbers' cannot be computed: Conversion Error"):
            store.refresh(name)
    assert "transform 'numbers'" in store.runs("numbers").rows()[0]["error"]


@pytest.mark.parametrize("statement", ["query d", "transform d KEY (id)"])
def test_a_version_from_before_a_drop_stays_readable(store: Store, statement: str) -> None:
    store.load("t", ROWS, key="id")
    store.execute(f"{statement} AS SELECT id, v FROM t")
    store.drop("d")
    store.execute(f"{statement} AS SELECT id FROM t")
    assert "gone column v" in store.diff("d", 1, 2).message
    assert store.table("d@1").columns == ("id", "v")


def test_sql_with_a_version_in_our_words_is_told_those_of_sql(store: Store) -> None:
    with pytest.raises(StatementError) as raised:
        store.sql("FROM trips@3")
    assert "AT (VERSION => 17)" in raised.value.hint


def test_the_history_of_a_model_tells_of_its_drop(trained: Store) -> None:
    trained.drop("slow_prediction")
    trained.drop("slow")
    assert trained.history("slow").rows()[0]["event"] == "dropped"


def test_a_manual_transform_waits_for_refresh(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("double", "SELECT id, v * 2 AS v FROM t", on="t", key="id")
    store.append("t", [{"id": 9, "v": 1, "who": "a"}])
    assert len(store.sql("FROM double")) == 4
    assert [row["name"] for row in store.stale().rows()] == ["double"]
    (run,) = store.refresh("double")
    assert (run.mode, run.rows_written, run.rows_deleted) == ("incremental", 1, 0)
    assert [each.mode for each in store.refresh("double")] == ["noop"]
    assert store.refresh() == []


def test_transforms_on_transforms_are_refreshed_in_order(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("a", "SELECT id, v + 1 AS v FROM t", key="id", when="on write")
    store.transform("b", "SELECT id, v * 2 AS v FROM a", key="id", when="on write")
    store.query("q", "SELECT id, v FROM b WHERE v > 50")
    store.transform("c", "SELECT count(*) AS n, 1 AS id FROM q", key="id", when="on write")
    store.sql("UPDATE t SET v = 100 WHERE id = 1")
    assert values(store, "SELECT n FROM c") == [(3,)]
    assert store.stale().rows() == []


def test_a_paused_derivation_is_left_alone(trained: Store) -> None:
    trained.pause("trip_features")
    trained.sql("DELETE FROM trips WHERE id = 1")
    assert len(trained.sql("FROM trip_features WHERE id = 1")) == 1
    trained.resume("trip_features")
    assert len(trained.sql("FROM trip_features WHERE id = 1")) == 0


# -- versions, history, undo ------------------------------------------------------------------------


def test_the_same_definition_again_changes_nothing(trained: Store) -> None:
    head = trained._lake.head()
    definition = trained._lake.records.definition("trip_features")
    assert definition is not None
    query = definition["definition"]["query"]
    again = trained.transform(
        "trip_features", f"-- a comment\n{query.lower()}", on="trips", key="id", when="on write"
    )
    trained.train(
        "slow",
        "select * from trip_features",
        label="slow",
        key="id",
        model="xgboost",
        params={"n_estimators": 20},
    )
    trained.bind("slow_prediction", on="trip_features", model="slow")
    assert again.version == 1 and trained._lake.head() == head


def test_a_changed_definition_is_a_new_version_and_the_old_one_stays(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("f", "SELECT id, v FROM t", key="id")
    assert store.transform("f", "SELECT id, v + 1 AS w, who FROM t", key="id").version == 2
    assert store.sql("FROM f").columns == ["id", "w", "who"]
    assert store.table("f@1").columns == ("id", "v")
    assert "new columns w, who" in store.diff("f", 1, 2).message
    store.undo("f", 1)
    assert store.sql("FROM f").columns == ["id", "v"]
    assert store.describe("f").facts["version"] == 3


def test_refit_is_a_new_version(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.transform("f", "SELECT id, standardize(v) AS v FROM t", key="id")
    store.sql("UPDATE t SET v = v * 100")
    store.refresh("f")
    assert values(store, "SELECT max(v) > 100 FROM f") == [(True,)]
    run = store.refit("f")
    assert "version 2" in run.reason
    assert values(store, "SELECT abs(avg(v)) < 1e-9 FROM f") == [(True,)]
    fitted = store.sql("SELECT DISTINCT version FROM mlstore.fitted WHERE name = 'f' ORDER BY 1").rows()
    assert [row["version"] for row in fitted] == [1, 2]


def test_history_counts_rows(store: Store) -> None:
    store.load("t", ROWS, key="id")
    store.sql("UPDATE t SET v = 1 WHERE id < 3; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (8, 8, 'z')")
    newest, oldest = store.history("t").rows()
    assert (newest["inserts"], newest["updates"], newest["deletes"]) == (1, 2, 1)
    assert (oldest["inserts"], oldest["updates"], oldest["deletes"]) == (4, 0, 0)
    assert newest["message"].startswith("UPDATE t SET v = 1") and newest["author"]
    assert oldest["run"] is not None
    assert store.history().rows()[0]["tables"] == ["main.t"]


def test_diff_says_which_rows_and_columns(store: Store) -> None:
    first = store.load("t", ROWS, key="id").snapshot
    store.sql(
        "UPDATE t SET v = 1, who = 'x' WHERE id = 1; DELETE FROM t WHERE id = 4; "
        "INSERT INTO t VALUES (8, 8, 'z')"
    )
    assert first is not None
    result = store.diff("t", first)
    assert "1 added, 1 removed, 1 changed" in result.message
    assert [(row["change"], row["id"], row["columns"]) for row in result.rows()] == [
        ("added", 8, None),
        ("changed", 1, ["v", "who"]),
        ("removed", 4, None),
    ]
    assert result.rows()[1]["v_before"] == 10 and result.rows()[1]["v_after"] == 1


def test_diff_of_a_keyless_table_counts_repeated_rows(store: Store) -> None:
    store.load("t", [{"a": 1}, {"a": 1}])
    first = store._lake.head()
    store.sql("INSERT INTO t VALUES (2), (2); DELETE FROM t WHERE a = 1")
    assert [tuple(row.values()) for row in store.diff("t", first).rows()] == [
        ("added", 2, 2),
        ("removed", 1, 2),
    ]


def test_undo_is_a_new_snapshot_and_is_followed(trained: Store) -> None:
    good = trained._lake.head()
    trained.sql("DELETE FROM trips WHERE id % 2 = 0")
    trained.sql("UPDATE trips SET distance = 0")
    worst = trained._lake.head()
    snapshot = trained.undo("trips", good)
    assert snapshot.id > worst and f"@{good}" in (snapshot.message or "")
    assert "0 added, 0 removed, 0 changed" in trained.diff("trips", good).message
    agrees(trained)
    trained.undo("trips", worst)
    assert values(trained, "SELECT max(distance) FROM trips") == [(0,)]
    agrees(trained)


def test_undo_brings_back_a_dropped_table_with_its_key(store: Store) -> None:
    good = store.load("t", ROWS, key="id").snapshot
    store.drop("t")
    with pytest.raises(NotFound):
        store.sql("FROM t")
    assert good is not None
    store.undo("t", good)
    assert len(store.sql("FROM t")) == 4
    with pytest.raises(InvalidData, match="not unique"):
        store.sql("INSERT INTO t VALUES (1, 1, 'x')")


def test_undo_brings_back_columns(store: Store) -> None:
    good = store.load("t", ROWS, key="id").snapshot
    store.sql("ALTER TABLE t DROP COLUMN who")
    assert good is not None
    store.undo("t", good)
    assert store.sql("FROM t").columns == ["id", "v", "who"]


# -- models -----------------------------------------------------------------------------------------


def test_reproduce_and_the_side_of_a_row_are_asked_at_the_store(trained: Store) -> None:
    model = trained.train(
        "sided", "SELECT * FROM trip_features", label="slow", key="id", model="baseline", deploy="never"
    )
    before = trained.sql("SELECT 1 AS one").snapshot
    said = trained.execute("reproduce sided@1")
    assert isinstance(said, Result)
    assert said.message.startswith("sided@1 was reproduced exactly")
    assert trained.reproduce("sided").rows()[0]["what"] == "rows"
    assert trained.sql("SELECT 1 AS one").snapshot == before
    side = "SELECT count(*) FROM trip_features AS t WHERE held_out(sided@1, t.*)"
    assert values(trained, side) == [(model.split["held_out"],)]
    for refused in (trained.query, lambda name, text: trained.train(name, text, label="slow")):
        with pytest.raises(Unsupported, match="held_out"):
            refused("sides", "SELECT *, held_out(sided, t.*) AS side FROM trip_features AS t")


def test_a_new_champion_makes_predictions_anew(trained: Store) -> None:
    model = trained.train(
        "slow",
        "SELECT * FROM trip_features",
        label="slow",
        key="id",
        model="xgboost",
        params={"n_estimators": 3},
    )
    assert model.version == 2 and model.deployed
    assert values(trained, "SELECT DISTINCT slow_prediction_model FROM predictions.trip_features") == [
        ("slow@2",)
    ]
    agrees(trained)
    assert trained.rollback("slow").version == 1
    assert values(trained, "SELECT DISTINCT slow_prediction_model FROM predictions.trip_features") == [
        ("slow@1",)
    ]
    assert [row["version"] for row in trained.sql("SELECT version FROM mlstore.deployments").rows()] == [
        1,
        2,
        1,
    ]


def test_a_model_is_trained_again_when_it_is_refreshed_by_name(trained: Store) -> None:
    assert [run.mode for run in trained.refresh("slow")] == ["noop"]
    trained.sql("UPDATE trips SET slow = NOT slow WHERE id < 100")
    assert trained.refresh() == []
    (run,) = trained.refresh("slow")
    assert run.mode == "full" and len(trained.models()) == 2
    agrees(trained)


def test_two_versions_side_by_side(trained: Store) -> None:
    trained.train(
        "slow",
        "SELECT * FROM trip_features",
        label="slow",
        key="id",
        model="xgboost",
        params={"n_estimators": 1, "max_depth": 1},
        deploy="never",
    )
    rows = values(
        trained,
        "SELECT avg(predict_proba(slow@1, f.*)) AS a, avg(predict_proba(slow@2, f.*)) AS b, "
        "avg(predict_proba(slow, f.*)) AS c FROM trip_features AS f",
    )
    assert rows[0][0] != rows[0][1] and rows[0][0] == rows[0][2]


def test_predict_by_name_in_any_order(trained: Store) -> None:
    by_star = values(trained, "SELECT id, predict(slow, f.*) FROM trip_features AS f ORDER BY id LIMIT 5")
    by_name = values(
        trained,
        "SELECT id, predict(slow, hour, zone, f.passengers, distance + 0 AS distance) "
        "FROM trip_features AS f ORDER BY id LIMIT 5",
    )
    assert by_star == by_name
    shown = trained.sql(
        "SELECT id, predict(slow,\n f.*), predict(slow, f.*) > 1 AS long FROM trip_features AS f"
    )
    assert list(shown.to_arrow().column_names) == ["id", "predict(slow, f.*)", "long"]
    outside = trained.predict("slow", trained.sql("SELECT * FROM trip_features ORDER BY id LIMIT 5"))
    assert isinstance(outside, pa.Table)
    assert outside["value"].to_pylist() == [value for _, value in by_star]


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("SELECT predict(slwo, f.*) FROM trip_features AS f", NotFound, "slow"),
        ("SELECT predict(slow, distance) FROM trip_features", InvalidData, "passengers"),
        ("SELECT predict(slow, f.*, id) FROM trip_features AS f", NotFound, "id"),
        ("SELECT predict(slow, f.*, 1 + 1) FROM trip_features AS f", StatementError, "no name"),
        ("SELECT predict(slow) FROM trip_features", StatementError, "its columns"),
        ("SELECT predict(slow, t.*) FROM trips AS t", NotFound, "hour"),
        ("SELECT predict(slow@9, f.*) FROM trip_features AS f", NotFound, "9"),
    ],
)
def test_predict_says_what_is_wrong(trained: Store, sql: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        trained.sql(sql)


def test_steps_in_a_question_are_fitted_on_what_it_reads(store: Store) -> None:
    store.load("t", ROWS, key="id")
    mean = values(store, "SELECT avg(z), stddev_pop(z) FROM (SELECT standardize(v) AS z FROM t)")
    assert mean[0] == pytest.approx((0, 1))


# -- drop, export, describe -------------------------------------------------------------------------


def test_drop_refuses_what_is_read_and_says_by_what(trained: Store) -> None:
    for name, reader in (
        ("trips", "transform trip_features"),
        ("trip_features", "slow"),
        ("slow", "binding"),
    ):
        with pytest.raises(InvalidData, match=reader):
            trained.drop(name)
    for name in ("slow_prediction", "slow", "trip_features", "trips"):
        trained.drop(name)
    assert len(trained.tables()) == 0
    with pytest.raises(NotFound):
        trained.describe("slow")


def test_a_dropped_table_can_be_loaded_again(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    store.load("t", tmp_path / "a.csv", key="id")
    store.drop("t")
    assert store.load("t", tmp_path / "a.csv", key="id").rows_written == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_exports_are_read_back_by_others(store: Store, tmp_path: Path, kind: str) -> None:
    snapshot = store.load("t", ROWS, key="id").snapshot
    store.sql("DELETE FROM t WHERE id > 2")
    path = tmp_path / f"t.{kind}"
    artifact = store.export(f"t@{snapshot}", path, format=kind, label="v", features=["who", "id"])
    assert (artifact.rows, artifact.snapshot) == (4, snapshot)
    if kind == "csv":
        read = pyarrow.csv.read_csv(path)
    elif kind == "parquet":
        read = pyarrow.parquet.read_table(path)
    else:
        import pandas

        read = pa.Table.from_pandas(pandas.read_json(path, lines=True), preserve_index=False)
    assert read.column_names == ["v", "who", "id"]
    assert sorted(read["id"].to_pylist()) == [1, 2, 3, 4]
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [path.name]
    assert store.export("SELECT id FROM t", tmp_path / "q.csv", format="csv").rows == 2


def test_an_export_that_fails_leaves_the_old_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(InvalidData):
        store.export("SELECT CAST('x' AS INTEGER) AS a FROM range(3)", tmp_path / "t.csv", format="csv")
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"
    with pytest.raises(InvalidData, match="no folder"):
        store.export("SELECT 1 AS a", tmp_path / "nowhere" / "t.csv", format="csv")
    with pytest.raises(NotFound, match="csw"):
        store.export("SELECT 1 AS a", tmp_path / "t.csv", format="csw")


@pytest.mark.parametrize("name", ["trips", "trip_features", "slow", "slow@1", "slow_prediction"])
def test_everything_can_be_described(trained: Store, name: str) -> None:
    described = trained.describe(name)
    assert described.facts and described.kind
    assert all(len(each.columns) for each in described.tables.values())


def test_an_unknown_name_is_answered_with_the_nearest(trained: Store) -> None:
    for ask in (trained.describe, trained.history, trained.drop, trained.refresh, trained.lineage):
        with pytest.raises(NotFound, match="trip_feature"):
            ask("trip_feature")


def test_a_plan_tells_of_all_that_changes_something(trained: Store) -> None:
    """It called them questions, and did not look whether what they name is there."""
    params = {"n_estimators": 3}
    trained.train(
        "slow", "SELECT * FROM trip_features", label="slow", key="id", model="xgboost", params=params
    )
    head = trained._lake.head()
    said = {
        ("refit", "name", "trip_features"): "makes version 2 of trip_features",
        ("pause", "name", "SLOW_prediction"): "refreshes the binding",
        ("resume", "name", "trip_features"): "again by its trigger, and now",
        ("deploy", "ref", "slow@1"): "makes slow@1 the champion, in place of slow@2",
        ("rollback", "name", "slow"): "makes slow@1 the champion again, in place of slow@2",
    }
    for (verb, argument, name), action in said.items():
        assert action in trained.plan(verb, **{argument: name}).action
    for verb, argument, _ in (*said, ("undo", "name", "")):
        with pytest.raises(NotFound, match="nope"):
            trained.plan(verb, **{argument: "nope"}, **({"to": 1} if verb == "undo" else {}))
    for wrong in ({"model": "nope"}, {"model": "slow", "inputs": ("nope",)}):
        with pytest.raises(NotFound, match="nope"):
            trained.plan("bind", column="p", on="trips", **wrong)
    assert trained._lake.head() == head


def test_a_plan_changes_nothing(trained: Store) -> None:
    head = trained._lake.head()
    plans = {
        "sql": {"query": "DELETE FROM trips"},
        "load": {"table": "trips", "source": "x.csv"},
        "transform": {"name": "n", "query": "SELECT id FROM trips", "key": ("id",)},
        "train": {"name": "slow", "query": "SELECT * FROM trip_features", "label": "slow"},
        "bind": {"column": "p", "on": "trips", "model": "slow"},
        "refresh": {"name": None, "full": True},
        "drop": {"name": "trips"},
        "undo": {"name": "trips", "to": 1},
    }
    reports = {verb: trained.plan(verb, **arguments) for verb, arguments in plans.items()}
    assert trained._lake.head() == head
    assert reports["sql"].refreshes == ("trip_features", "trip_features__slow_prediction")
    assert reports["sql"].reads == (("main.trips", 400),)
    assert "first run" in reports["transform"].action
    with pytest.raises(NotFound):
        trained.plan("sql", query="DELETE FROM tirps")


def test_a_write_says_of_how_many_rows_the_model_failed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model_of_some.py").write_text(
        "def f(rows):\n    if None in rows['v'].to_pylist():\n        raise ValueError('no v')\n"
        "    return rows['v']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    store.load("t", [{"id": 1, "v": 1.0}], key="id")
    store.bind("same", on="t", model="py:model_of_some:f", inputs=["v"], isolate="none")
    result = store.sql("INSERT INTO t VALUES (2, NULL), (3, 3.0)")
    assert result.message is not None and "same refreshed, 2 rows (1 failed)" in result.message
