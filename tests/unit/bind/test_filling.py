"""What is predicted when: in parts, within limits, recent rows first, and each row once."""

from __future__ import annotations

import _thread
import threading
from types import ModuleType

import pytest

from tests.unit.bind.bound import bind, column
from workbench.bind import refresh as refreshing
from workbench.errors import InvalidData, Unsupported
from workbench.progress import Event, watch
from workbench.store import Store


def statuses(store: Store, name: str = "p") -> list[object]:
    return column(store, f"{name}_status")


def test_a_limit_takes_the_rows_that_changed_last(table: Store, models: ModuleType) -> None:
    bind(table, when="manual")
    table.sql("UPDATE t SET v = 100")
    table.sql("UPDATE t SET v = 200 WHERE id IN (2, 5)")
    assert set(statuses(table)) == {"pending"}
    models.CALLS.clear()
    [run] = table.refresh("p", limit=2)
    assert (run.rows_written, run.details["left"]) == (2, 8)
    assert column(table, "p")[2] == column(table, "p")[5] == 400
    assert statuses(table) == ["ok" if each in (2, 5) else "pending" for each in range(10)]
    [stale] = [row for row in table.stale("p").rows() if "pending" in row["why"] or "changed" in row["why"]]
    assert stale["rows"] == 8
    table.refresh("p", limit=5)
    [last] = table.refresh("p")
    assert last.rows_written == 3
    assert sum(models.CALLS) == 10
    assert set(statuses(table)) == {"ok"}
    assert table.stale("p").rows() == []
    assert table.refresh("p")[0].mode == "noop"


def test_a_limit_counts_all_bindings_of_the_run(table: Store) -> None:
    bind(table, "p", when="manual")
    bind(table, "q", "triple", when="manual")
    table.sql("UPDATE t SET v = v + 1")
    runs = table.refresh(limit=12)
    assert sum(run.rows_written for run in runs) == 12
    table.refresh()
    assert table.stale().rows() == []


def test_a_budget_that_is_over_leaves_the_rest(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bind(table, when="manual", batch=3)
    table.sql("UPDATE t SET v = v + 1")
    moments = iter([0.0, 0.0, 0.0, 99.0])
    monkeypatch.setattr("workbench.bind.limits.now", lambda: next(moments, 99.0))
    [run] = table.refresh("p", budget="30 s")
    assert run.rows_written == 6 and run.details["left"] == 4
    assert statuses(table).count("pending") == 4
    table.refresh("p")
    assert statuses(table).count("ok") == 10


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"limit": 0}, InvalidData, "LIMIT 0"),
        ({"limit": 1, "full": True}, Unsupported, "FULL"),
        ({"errors": True, "full": True}, Unsupported, "FULL"),
    ],
)
def test_limits_that_make_no_sense(
    table: Store, arguments: dict[str, object], error: type[Exception], said: str
) -> None:
    bind(table)
    with pytest.raises(error, match=said):
        table.refresh("p", **arguments)  # type: ignore[arg-type]


def test_a_transform_has_no_limits(table: Store) -> None:
    table.transform("f", "SELECT id, v FROM t", key="id")
    with pytest.raises(Unsupported, match="'f' is no binding"):
        table.refresh("f", limit=3)


def test_much_is_committed_in_parts(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "CHUNK_ROWS", 4)
    before = table._lake.head()
    bind(table, batch=2)
    messages = [row["message"] for row in table.history().rows() if row["snapshot"] > before]
    assert messages[::-1] == [
        "bind p ON t MODEL py:test_models:double, 4 rows",
        "predict p ON t, 8 rows",
        "predict p ON t, 10 rows",
    ]
    assert column(table, "p") == [each * 2 for each in range(10)]
    assert [run["rows_written"] for run in table.runs("p").rows()] == [2, 4, 4]


def test_ctrl_c_keeps_what_is_committed(
    table: Store, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "CHUNK_ROWS", 4)

    def press(event: Event) -> None:
        if event.title.startswith("Predicting") and event.done == 6:
            _thread.interrupt_main()
            threading.Event().wait(0.05)

    with watch(press), pytest.raises(KeyboardInterrupt):
        bind(table, batch=2)
    assert statuses(table).count("ok") == 4
    assert [(row["why"], row["rows"]) for row in table.stale("p").rows()] == [("pending: never predicted", 6)]
    models.CALLS.clear()
    table.refresh("p")
    assert sum(models.CALLS) == 6
    assert statuses(table).count("ok") == 10


def test_a_model_that_fails_half_way_keeps_nothing_under_on_error_fail(
    table: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "CHUNK_ROWS", 4)
    bind(table, function="picky", batch=2, on_error="fail")
    table.sql("UPDATE t SET v = 13 WHERE id = 9")
    table.sql("UPDATE t SET v = v + 100 WHERE id < 9")
    assert column(table, "p")[0] == 0
    assert "thirteen" in str(table.runs("p").rows()[0]["error"])


def test_errors_are_done_again_and_nothing_else(table: Store, models: ModuleType) -> None:
    bind(table, function="picky")
    table.sql("UPDATE t SET v = 13 WHERE id IN (3, 4)")
    assert column(table, "p_status")[2:6] == ["ok", "error", "error", "ok"]
    error = table.sql("SELECT DISTINCT error FROM predictions.t__p WHERE status = 'error'").rows()
    assert error == [{"error": "ValueError: thirteen"}]
    assert [(row["why"], row["rows"]) for row in table.stale("p").rows()] == [
        ("the model failed: ValueError: thirteen", 2)
    ]
    models.CALLS.clear()
    assert table.refresh("p")[0].mode == "noop"
    assert models.CALLS in ([], [0])
    models.picky = models.double
    models.CALLS.clear()
    [run] = table.refresh("p", errors=True)
    assert run.rows_written == 2 and sum(models.CALLS) == 2
    assert statuses(table) == ["ok"] * 10
    assert table.stale("p").rows() == []


def test_rows_wait_in_an_asynchronous_binding(table: Store) -> None:
    bind(table, mode="async")
    table.refresh("p")
    table.sql("UPDATE t SET v = 70 WHERE id = 7; INSERT INTO t VALUES (10, 10); DELETE FROM t WHERE id = 0")
    rows = table.sql("SELECT id, p, p_status FROM predictions.t WHERE id IN (0, 1, 7, 10) ORDER BY id").rows()
    assert rows == [
        {"id": 1, "p": 2, "p_status": "ok"},
        {"id": 7, "p": 14, "p_status": "pending"},
        {"id": 10, "p": None, "p_status": "pending"},
    ]
    assert {row["why"]: row["rows"] for row in table.stale("p").rows()} == {
        "inputs changed": 1,
        "pending: never predicted": 1,
        "the row is gone": 1,
    }
    table.refresh("p")
    assert statuses(table) == ["ok"] * 10
    assert table.sql("SELECT count(*) AS n FROM predictions.t__p").rows() == [{"n": 10}]


def test_null_inputs_are_inputs(table: Store, models: ModuleType) -> None:
    bind(table, function="nothing_known")
    table.sql("UPDATE t SET v = NULL WHERE id = 3")
    assert column(table, "p")[3] == -1 and statuses(table)[3] == "ok"
    assert table.stale("p").rows() == []


def test_a_changed_function_makes_values_stale(table: Store, models: ModuleType) -> None:
    bind(table, when="manual")
    version = table.sql("SELECT DISTINCT p_model FROM predictions.t").rows()[0]["p_model"]
    assert version.startswith("py:test_models:double#")
    table.bind("p", on="t", model="py:test_models:triple", inputs=["v"], when="manual", isolate="none")
    assert column(table, "p") == [each * 3 for each in range(10)]


def test_calls_are_made_again(table: Store, models: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("workbench.bind.patience.sleep", waited.append)
    models.DOWN.extend([TimeoutError("slow"), ConnectionError("lost")])
    bind(table, function="remote", retry=2, rate="1000/s")
    assert statuses(table) == ["ok"] * 10
    assert [each for each in waited if each >= 0.5] == [0.5, 1.0]
    models.DOWN.extend([ConnectionError("lost")] * 3)
    models.CALLS.clear()
    table.sql("UPDATE t SET v = v + 1")
    assert len(models.CALLS) == 3
    assert statuses(table) == ["error"] * 10
    table.refresh("p", errors=True)
    assert statuses(table) == ["ok"] * 10
