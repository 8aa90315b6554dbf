"""What does not fit together is named, and nothing half done is left."""

from __future__ import annotations

import shutil
import threading
from types import ModuleType

import pytest

import workbench
from tests.unit.bind.bound import bind, column
from workbench.errors import InvalidData, ModelError, NotFound, Unsupported, WorkbenchError
from workbench.plain import blocks, render
from workbench.store import Store


def test_an_input_that_is_not_there_is_named(table: Store) -> None:
    table.load("prices", [{"id": each, "price": 1.5 * each} for each in range(9)], key="id")
    with pytest.raises(NotFound, match="Did you mean 'price'"):
        bind(table, on="prices", inputs=["prise"])
    assert "prices__p" not in table.tables().to_arrow()["name"].to_pylist()


def test_a_model_gets_all_that_it_asks_for(trained: Store) -> None:
    with pytest.raises(InvalidData, match="also asks for"):
        trained.bind("again", on="trip_features", model="slow", inputs=["distance"])


def test_a_column_of_another_type_is_refused_before_anything_is_made(trained: Store) -> None:
    trained.load("words", [{"id": 1, "a": "x", "c": "y"}], key="id")
    trained.train(
        "high",
        "SELECT id, distance AS a, zone AS c, slow FROM trips",
        label="slow",
        key="id",
        model="xgboost",
    )
    head = trained._lake.head()
    with pytest.raises(InvalidData, match="'a' holds"):
        trained.bind("p", on="words", model="high")
    assert trained._lake.head() == head


def test_categories_never_seen_and_nulls_are_answered(trained: Store) -> None:
    trained.train(
        "high",
        "SELECT id, distance AS a, zone AS c, slow FROM trips",
        label="slow",
        key="id",
        model="xgboost",
    )
    rows = [
        {"id": 1, "a": 1.5, "c": "atlantis"},
        {"id": 2, "a": None, "c": None},
        {"id": 3, "a": 9, "c": "north"},
    ]
    trained.load("places", rows, key="id")
    trained.bind("p", on="places", model="high")
    assert column(trained, "p_status", "places") == ["ok"] * 3
    assert None not in column(trained, "p", "places")


def test_nan_is_no_number(table: Store) -> None:
    bind(table, function="halves")
    assert column(table, "p")[2:5] == [1.0, None, 2.0]
    assert column(table, "p_status")[2:5] == ["ok", "error", "ok"]
    assert table.stale("p").rows()[0]["why"] == "the model failed: ModelError: the model gave NaN"
    with pytest.raises(ModelError, match="NaN"):
        bind(table, "q", "halves", on_error="fail")


def test_text_where_a_number_was_promised(table: Store) -> None:
    bind(table, function="fickle")
    assert column(table, "p")[2:5] == [3.0, None, 6.0]
    [why] = [row["why"] for row in table.stale("p").rows()]
    assert "text, not double" in why


@pytest.mark.parametrize("isolate", ["none", "process"])
def test_a_row_has_the_class_and_message_of_its_error_wherever_the_model_runs(
    table: Store, isolate: str
) -> None:
    table.sql("INSERT INTO t VALUES (13, 13)")
    bind(table, function="picky", isolate=isolate)
    errors = "SELECT error FROM predictions.t__p WHERE status = 'error'"
    assert table.sql(errors).rows() == [{"error": "ValueError: thirteen"}]


def test_a_long_error_is_told_in_short(table: Store) -> None:
    bind(table, function="wordy")
    [why] = [row["why"] for row in table.stale("p").rows()]
    assert why.startswith("the model failed: ValueError: first line and more")
    assert len(why) < 350
    [kept] = table.sql("SELECT DISTINCT error FROM predictions.t__p").rows()
    assert len(kept["error"]) > 1800


def test_lengths_of_time_are_intervals(table: Store) -> None:
    bind(table, function="lasting")
    assert set(column(table, "p_status")) == {"ok"}
    assert table.sql("SELECT p FROM predictions.t WHERE p = INTERVAL 9 SECONDS").rows()


def test_a_wrong_number_of_answers(table: Store) -> None:
    bind(table, function="short")
    assert set(column(table, "p_status")) == {"error"}
    assert "values for 1 rows" in table.stale("p").rows()[0]["why"]


def test_a_key_called_like_a_column_of_the_side_table(store: Store, models: ModuleType) -> None:
    rows = [{"value": n, "status": f"s{n}", "key_value": n, "v": n} for n in range(3)]
    store.load("t", rows, key=["value", "status", "key_value"])
    bind(store, on="t")
    store.sql("UPDATE t SET v = 50 WHERE value = 1; DELETE FROM t WHERE value = 2")
    assert column(store, "p", order="value") == [0, 100]
    assert store.sql("SELECT value, status FROM predictions.t WHERE p = 100").rows() == [
        {"value": 1, "status": "s1"}
    ]
    assert store.trace("predictions.t", (1, "s1", 1)).sources
    assert store.stale().rows() == []


def test_a_column_beside_its_score(table: Store) -> None:
    bind(table, "p")
    with pytest.raises(InvalidData, match="two columns 'p_score'"):
        bind(table, "p_score")
    table.sql("ALTER TABLE t ADD COLUMN q_status VARCHAR")
    with pytest.raises(InvalidData, match="'q_status' already"):
        bind(table, "q")


def test_the_same_column_twice(table: Store) -> None:
    bind(table)
    head = table._lake.head()
    bind(table)
    bind(table, "P")
    assert table._lake.head() == head
    bind(table, function="triple")
    assert column(table, "p") == [each * 3 for each in range(10)]
    assert table._lake.records.definition("t__p")["version"] == 2  # type: ignore[index]


def test_what_is_stale_is_found_by_any_name_of_a_binding(table: Store) -> None:
    bind(table, when="manual")
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    for name in ("p", "P", "t.p", "t__p"):
        assert [row["rows"] for row in table.stale(name).rows()] == [1], name
    assert table.stale("t").rows() == []
    with pytest.raises(NotFound, match="no transform, model or binding 'pp'"):
        table.stale("pp")


@pytest.mark.parametrize("name", ["p", "P", "t.p", "t__p", "predictions.t__p"])
def test_a_plan_knows_a_binding_by_the_names_that_refresh_does(table: Store, name: str) -> None:
    bind(table, when="manual")
    table.sql("INSERT INTO t VALUES (100, 100)")
    assert table.plan("refresh", name=name).action == "t__p: incremental, main.t changed"
    assert [run.name for run in table.refresh(name)] == ["t__p"]
    table.pause(name)
    for verb in (table.refresh, lambda name: table.plan("refresh", name=name)):
        with pytest.raises(InvalidData, match="paused"):
            verb(name)


def test_a_column_bound_on_two_tables_is_asked_about(table: Store) -> None:
    """It paused the one that was bound first, and showed its runs and history."""
    table.load("u", [{"id": 1, "v": 1}], key="id")
    bind(table)
    bind(table, on="u")
    for verb in (table.pause, table.resume, table.runs, table.history, table.refresh, table.describe):
        with pytest.raises(InvalidData, match="several tables") as raised:
            verb("p")
        assert "t.p or u.p" in raised.value.hint
    assert [row["name"] for row in table.runs("u.p").rows()] == ["u__p"]


def test_a_first_fill_that_fails_says_what_is_there(table: Store) -> None:
    table.sql("INSERT INTO t VALUES (13, 13)")
    with pytest.raises(ModelError, match="thirteen") as raised:
        bind(table, function="picky", on_error="fail")
    assert "refresh p tries again" in raised.value.hint
    table.sql("DELETE FROM t WHERE id = 13")
    assert column(table, "p") == [each * 10 for each in range(10)]


@pytest.mark.parametrize("name", ["predictions.t", "predictions.t__p"])
def test_nothing_is_loaded_into_predictions(table: Store, name: str) -> None:
    """It went into the table of that name in main."""
    bind(table)
    for verb in (table.load, table.append, table.merge):
        with pytest.raises(InvalidData, match=name):
            verb(name, [{"id": 100, "v": 100}])
    assert len(column(table, "p")) == 10
    for name in ("main.t", "lake.main.t"):
        table.merge(name, [{"id": 1, "v": 5}])
    assert column(table, "p")[1] == 10


def test_a_binding_is_not_undone_by_itself(table: Store) -> None:
    bind(table)
    with pytest.raises(Unsupported, match="binding 'P' is not undone"):
        table.undo("P", 3)


def test_the_answer_says_where_to_read(table: Store) -> None:
    bound = table.execute("bind p ON t(v) MODEL 'py:test_models:double' MODE async ISOLATE none")
    assert "stand in predictions.t: p, p_score, " in (said := render(blocks(bound)))
    assert "refresh p fills them" in said


def test_a_column_that_a_transform_no_longer_has(table: Store) -> None:
    """It was told as if the model were gone."""
    table.transform("f", "SELECT id, v FROM t", on="t", key="id", when="on write")
    bind(table, on="f")
    with pytest.warns(RuntimeWarning, match="no column 'v' in f"):
        table.transform("f", "SELECT id, v AS w FROM t", on="t", key="id", when="on write")
    with pytest.raises(NotFound) as raised:
        table.refresh("p")
    assert raised.value.message == "There is no column 'v' in f."


def test_another_key(table: Store) -> None:
    table.load("u", [{"v": each, "x": each} for each in range(3)], key="v")
    table.query("q", "SELECT id, v FROM t")
    bind(table, on="q")
    table.query("q", "SELECT v, x FROM u")
    assert table.stale("p").rows()[0]["why"].startswith("broken: The key of 'q' is now (v)")
    with pytest.raises(InvalidData, match="Say again: bind p ON q"):
        table.refresh("p")
    bind(table, on="q")
    assert column(table, "p", "q", order="v") == [0, 2, 4]


def test_a_table_or_column_under_a_binding_stays(table: Store) -> None:
    bind(table)
    with pytest.raises(InvalidData, match="binding"):
        table.drop("t")
    with pytest.raises(InvalidData, match="binding"):
        table.sql("DROP TABLE t")
    with pytest.raises(InvalidData, match=r"t\.v is read by the binding 'p'"):
        table.sql("ALTER TABLE t RENAME COLUMN v TO w")
    assert column(table, "p") == [each * 2 for each in range(10)]


def test_files_of_a_model_that_are_gone(trained: Store) -> None:
    trained.bind("lost", on="trip_features", model="slow")
    before = column(trained, "lost", "trip_features")
    for folder in (trained.folder / "artifacts").iterdir():
        shutil.rmtree(folder)
    with workbench.connect(trained.folder) as again:
        from workbench.train import registry

        registry._load.cache_clear()
        with pytest.raises(ModelError, match="slow@1"):
            again.refresh("lost", full=True)
        assert column(again, "lost", "trip_features") == before


def test_a_bound_model_is_not_dropped(trained: Store) -> None:
    trained.bind("kept", on="trip_features", model="slow")
    with pytest.raises(InvalidData, match="kept"):
        trained.drop("slow")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 0}, "BATCH 0"),
        ({"batch": 1.5}, "BATCH 1.5"),
        ({"retry": -1}, "RETRY -1"),
        ({"retry": None}, "RETRY None"),
        ({"rate": "often"}, "no rate"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": ["v", "V"]}, "'v' is named twice"),
    ],
)
def test_options_that_make_no_sense(table: Store, options: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        bind(table, **options)


@pytest.mark.parametrize("option", ["mode", "on_error"])
def test_an_option_that_is_none(table: Store, option: str) -> None:
    with pytest.raises(NotFound, match="None"):
        bind(table, **{option: None})


def test_one_input_is_named_by_itself(table: Store) -> None:
    bind(table, inputs="v")
    assert table._lake.records.definition("t__p")["definition"]["columns"] == ["v"]  # type: ignore[index]


def test_two_stores_that_bind_the_same_name_at_once(table: Store) -> None:
    """Each definition gets a version of its own, whoever comes first."""
    failed: list[WorkbenchError] = []
    barrier = threading.Barrier(2)

    def define(function: str) -> None:
        with workbench.connect(table.folder) as other:
            barrier.wait()
            try:
                bind(other, function=function)
            except WorkbenchError as error:
                failed.append(error)

    threads = [threading.Thread(target=define, args=[name]) for name in ("double", "triple")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(error.retryable for error in failed)
    rows = table._lake.records.history("t__p")
    versions = {row["version"]: row["definition"]["model"] for row in rows}
    assert sorted(versions) == [1, 2]
    assert len({(row["version"], row["definition"]["model"]) for row in rows}) == 2
    table.refresh("p")
    factor = 2 if versions[2].endswith("double") else 3
    assert column(table, "p") == [each * factor for each in range(10)]


def test_two_stores_refresh_at_once(table: Store) -> None:
    bind(table, when="manual")
    table.sql("UPDATE t SET v = v + 1")
    failed: list[WorkbenchError] = []

    def refresh() -> None:
        with workbench.connect(table.folder) as other:
            try:
                other.refresh("p")
            except WorkbenchError as error:
                failed.append(error)

    threads = [threading.Thread(target=refresh) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert column(table, "p") == [(each + 1) * 2 for each in range(10)]
    assert table.sql("SELECT count(*) AS n FROM predictions.t__p").rows() == [{"n": 10}]
