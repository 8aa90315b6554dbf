"""The next rows are read in a thread while the model answers: nothing of it is left when something fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import ModuleType

import pyarrow as pa
import pytest

from tests.unit.bind.bound import bind, column
from workbench.bind import refresh as refreshing
from workbench.bind.ahead import in_order, read_ahead
from workbench.bind.side import Waiting
from workbench.engines.duckdb import execute, stream
from workbench.errors import InvalidData, ModelError
from workbench.lake import Lake
from workbench.store import Store


def readers() -> list[str]:
    """Name the threads that still read."""
    return [each.name for each in threading.enumerate() if each.name.startswith("mlstore-reader")]


def test_all_rows_come_in_order_and_one_batch_is_read_before_it_is_asked_for(lake: Lake) -> None:
    _, batches = stream(execute(lake.cursor(), "SELECT i FROM range(10_000) AS r(i) ORDER BY i"), 1000)
    read: list[int] = []

    def noted() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            read.append(batch.num_rows)
            yield batch

    ahead = read_ahead(lake.cursor(), noted())
    first = next(ahead)
    deadline = time.monotonic() + 60
    while len(read) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 2
    rows = pa.Table.from_batches([first, *ahead])
    assert rows["i"].to_pylist() == list(range(10_000))
    assert readers() == []


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_to_close_it_ends_the_statement(lake: Lake, seconds: float) -> None:
    """Also one that begins only then, of which DuckDB forgets that it was to be interrupted."""
    cursor = lake.new_cursor()

    def endless() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"i": [1]})
        time.sleep(0.1)
        execute(cursor, "SELECT count(*) FROM range(1_000_000_000_000) AS r(i) WHERE hash(i) = 1")

    ahead = read_ahead(cursor, endless())
    assert next(ahead).num_rows == 1
    time.sleep(seconds)
    started = time.perf_counter()
    ahead.close()
    assert time.perf_counter() - started < 60
    assert readers() == []
    assert execute(cursor, "SELECT 1").fetchall() == [(1,)]


def test_what_fails_while_reading_leaves_the_state_before(table: Store) -> None:
    """The query fails on a row of the fourth batch, when the model has answered for others."""
    table.query("q", "SELECT id, CASE WHEN id < 8 THEN v ELSE CAST('x' || v AS BIGINT) END AS v FROM t")
    with pytest.raises(InvalidData, match="x8"):
        bind(table, on="q", batch=2)
    assert readers() == []
    assert table.sql("FROM predictions.q__p").rows() == []
    table.query("q", "SELECT id, v FROM t")
    table.refresh("p")
    assert column(table, "p", "q") == [each * 2 for each in range(10)]


def test_a_model_that_fails_while_rows_are_read(table: Store, models: ModuleType) -> None:
    table.sql("UPDATE t SET v = 13 WHERE id = 5")
    with pytest.raises(ModelError, match="thirteen"):
        bind(table, function="picky", batch=2, on_error="fail")
    assert readers() == []
    assert table.sql("FROM predictions.t__p").rows() == []
    bind(table, "q", function="picky", batch=2)
    rows = table.sql("SELECT id, status, error FROM predictions.t__q WHERE status <> 'ok'").rows()
    assert rows == [{"id": 5, "status": "error", "error": "ValueError: thirteen"}]


def test_parts_with_and_without_failures(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first part is written as one in which all is well, the last is not."""
    monkeypatch.setattr(refreshing, "CHUNK_ROWS", 4)
    table.sql("UPDATE t SET v = 13 WHERE id IN (5, 9)")
    bind(table, function="picky", batch=2)
    rows = table.sql("SELECT id, status, error IS NULL AS fine FROM predictions.t__p ORDER BY id").rows()
    assert [row["id"] for row in rows if row["status"] == "error"] == [5, 9]
    assert all(row["fine"] == (row["status"] == "ok") for row in rows)
    table.sql("UPDATE t SET v = 1 WHERE id = 9")
    assert column(table, "p_status") == ["error" if each == 5 else "ok" for each in range(10)]


def test_values_of_many_bytes_are_committed_in_parts(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "CHUNK_BYTES", 100)
    bind(table, batch=5)
    assert [run["rows_written"] for run in table.runs("p").rows()] == [5, 5]
    assert column(table, "p") == [each * 2 for each in range(10)]


def test_what_is_kept_of_a_batch_keeps_no_other_column(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns of a batch of the engine's share their memory: one of them would keep it all."""
    kept: list[pa.RecordBatch] = []
    keep = Waiting.keep

    def watched(self: Waiting, rows: pa.RecordBatch, answers: pa.Table) -> None:
        keep(self, rows, answers)
        ours = {each.address for column in self.parts[-1].columns for each in column.buffers() if each}
        theirs = {each.address for column in rows.columns for each in column.buffers() if each}
        assert not ours & theirs
        kept.extend(self.parts)

    monkeypatch.setattr(Waiting, "keep", watched)
    bind(table)
    assert sum(each.num_rows for each in kept) == 10


@pytest.mark.parametrize("key", ["id", "id, value"])
def test_a_change_among_many_rows_is_predicted_once(table: Store, models: ModuleType, key: str) -> None:
    """Rows written again with the same inputs keep their prediction, also beside rows that changed."""
    columns = [each.strip() for each in key.split(",")]
    rows = [{"id": each, "value": each, "v": each} for each in range(500)]
    table.load("many", rows, key=columns)
    table.bind("p", on="many", model="py:test_models:double", inputs=["v"], isolate="none")
    models.CALLS.clear()
    table.sql("UPDATE many SET v = CASE WHEN id = 7 THEN 70 ELSE v END WHERE id < 100")
    assert sum(models.CALLS) == 1
    found = table.sql("SELECT id, p, p_status FROM predictions.many ORDER BY id").rows()
    assert [row["p"] for row in found] == [140 if each == 7 else each * 2 for each in range(500)]
    assert {row["p_status"] for row in found} == {"ok"}


def test_several_threads_work_at_once_and_the_order_stays() -> None:
    together = threading.Barrier(3, timeout=20)
    began: list[str] = []

    def work(number: int) -> int:
        if number < 3:
            together.wait()
        time.sleep(0.001 * (7 - number % 7))
        return number * 2

    found = list(in_order(work, range(40), 3, lambda: began.append(threading.current_thread().name)))
    assert found == [each * 2 for each in range(40)]
    assert len(set(began)) == len(began) <= 3


def test_what_fails_in_a_thread_is_raised_in_its_turn() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 5:
            raise ModelError("five")
        done.append(number)
        return number

    given = in_order(work, range(1000), 2, lambda: None)
    assert [next(given) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ModelError, match="five"):
        next(given)
    assert len(done) < 15
    assert not [each for each in threading.enumerate() if each.name.startswith("mlstore-caller")]


@pytest.mark.parametrize("label", ["y", "many"])
def test_a_model_asked_in_several_threads_says_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(refreshing, "BATCH_ROWS", 500)
    store.sql(
        "CREATE TABLE made AS SELECT i AS id, hash(i) % 100 AS a, hash(i, 1) % 7 AS b, "
        "a * b / 10.0 AS y, if(a > 50, 'high', 'low') AS many FROM range(6000) AS r(i)"
    )
    store.load("t", store.table("made"), key="id")
    store.train(
        "m", f"SELECT id, a, b, {label} FROM t WHERE id < 2000", label=label, key="id", model="xgboost"
    )
    monkeypatch.setattr("workbench.train.estimators._threads", lambda: 3)
    store.bind("p", on="t", model="m")
    rows = store.sql("SELECT id, a, b, p, p_score FROM predictions.t ORDER BY id").to_arrow()
    wanted = store.predict("m", rows.select(["a", "b"]))
    assert rows["p"].to_pylist() == wanted["value"].to_pylist()
    assert rows["p_score"].to_pylist() == wanted["score"].to_pylist()
