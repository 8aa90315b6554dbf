"""Ctrl-C in the middle of load, SQL, transform, refresh, bind and train leaves the state before."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from workbench.progress import Event, watch
from workbench.store import Store

SLOW = "SELECT count(*) AS n, 1 AS id FROM t AS a, t AS b, t AS c, t AS d, t AS e"


def interrupted(work: Callable[[], object], title: str = "") -> None:
    """Run `work` and press Ctrl-C shortly after it began, or after its step `title` did."""
    timer = threading.Timer(0.7, _thread.interrupt_main)
    begun = threading.Event()

    def begin(event: Event) -> None:
        if event.title.startswith(title) and not begun.is_set() and not event.finished:
            begun.set()
            timer.start()

    if not title:
        begun.set()
        timer.start()
    started = time.perf_counter()
    try:
        with watch(begin if title else lambda event: None), pytest.raises(KeyboardInterrupt):
            work()
    finally:
        if begun.is_set():
            timer.cancel()
            timer.join()
    assert time.perf_counter() - started < 60


@pytest.fixture
def table(store: Store) -> Store:
    """A store with a small table, on which SLOW is quick."""
    store.load("t", [{"id": 1}, {"id": 2}], key="id")
    return store


def grow(store: Store) -> None:
    """Make the table so large that SLOW takes for ever."""
    store.load("t", pa.table({"id": range(10, 5000)}))


def test_a_question(table: Store) -> None:
    grow(table)
    interrupted(lambda: table.sql(SLOW))
    assert table.sql("SELECT count(*) AS n FROM t").rows() == [{"n": 4992}]


def test_a_write(table: Store) -> None:
    grow(table)
    head = table._lake.head()
    interrupted(lambda: table.sql(f"INSERT INTO t VALUES (-1); CREATE TABLE u AS {SLOW}"))
    assert table._lake.head() == head
    assert len(table.sql("FROM t WHERE id = -1")) == 0
    assert table.sql("INSERT INTO t VALUES (-1)").snapshot == head + 1


def test_a_load(table: Store) -> None:
    made: list[int] = []

    def trickle() -> Iterator[pa.RecordBatch]:
        for number in range(100, 10_000):
            time.sleep(0.01)
            made.append(number)
            yield pa.RecordBatch.from_pydict({"id": [number]})

    head = table._lake.head()
    stream = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), trickle())
    interrupted(lambda: table.load("t", stream), "Loading")
    interrupted(
        lambda: table.load("new", pa.RecordBatchReader.from_batches(stream.schema, trickle())), "Loading"
    )
    assert table._lake.head() == head
    assert len(table.sql("FROM t")) == 2
    assert [row["name"] for row in table.tables().rows()] == ["t"]
    before = len(made)
    time.sleep(0.3)
    assert len(made) == before, "nobody reads on"


HURRIED = """
import _thread, sys, threading, time
import pyarrow as pa
import workbench

def trickle():
    yield pa.RecordBatch.from_pydict({"id": [0]})
    threading.Timer(0.3, _thread.interrupt_main).start()
    for number in range(1, 10_000):
        time.sleep(0.01)
        yield pa.RecordBatch.from_pydict({"id": [number]})

rows = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), trickle())
try:
    workbench.connect(sys.argv[1]).load("t", rows)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_the_process_ends_after_it(store: Store) -> None:
    """A thread that was still reading hung it, or made it crash."""
    command = [sys.executable, "-c", HURRIED, str(store.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr


def test_a_definition(table: Store) -> None:
    grow(table)
    head = table._lake.head()
    interrupted(lambda: table.transform("f", SLOW, key="id"))
    assert table._lake.head() == head
    assert [row["name"] for row in table.tables().rows()] == ["t"]


def test_a_refresh(table: Store) -> None:
    table.transform("f", SLOW, key="id")
    grow(table)
    head = table._lake.head()
    interrupted(lambda: table.refresh("f"))
    assert table._lake.head() == head
    assert table.sql("FROM f").rows() == [{"n": 32, "id": 1}]
    table.sql("DELETE FROM t WHERE id > 3")
    assert table.refresh("f")[0].status == "ok"


def test_what_follows_a_write(table: Store) -> None:
    """The write itself was committed before: it stays, and what follows catches up later."""
    table.transform("f", SLOW, key="id", when="on write")
    interrupted(lambda: grow(table), "Refreshing")
    assert len(table.sql("FROM t")) == 4992
    assert table.sql("FROM f").rows() == [{"n": 32, "id": 1}]
    assert [row["name"] for row in table.stale().rows()] == ["f"]


def test_a_training(trained: Store) -> None:
    head = trained._lake.head()
    interrupted(
        lambda: trained.train(
            "slow",
            "SELECT * FROM trip_features",
            label="slow",
            key="id",
            model="xgboost",
            params={"n_estimators": 1_000_000},
        ),
        "Training",
    )
    assert trained._lake.head() == head
    assert len(trained.models()) == 1


def test_a_binding(trained: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_models.py").write_text(
        "import time\nimport pyarrow.compute as pc\n"
        "def sleepy(rows):\n"
        "    time.sleep(0.1 * (rows.num_rows > 0))\n"
        "    return pc.multiply(rows.column('id'), 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    interrupted(
        lambda: trained.bind("p", on="trips", model="py:slow_models:sleepy", inputs=["id"], batch=1),
        "Predicting",
    )
    sys.modules.pop("slow_models", None)
    assert len(trained.sql("FROM predictions.trips__p")) == 0
    shown = trained.sql("SELECT DISTINCT p_status FROM predictions.trips").rows()
    assert shown == [{"p_status": "pending"}]


def test_a_question_with_very_many_rows(table: Store) -> None:
    """DuckDB itself does not look for Ctrl-C while it hands out rows."""
    grow(table)
    interrupted(lambda: table.sql("SELECT a.id FROM t AS a, t AS b, t AS c LIMIT 5000000000"))
    assert table.sql("SELECT count(*) AS n FROM t").rows() == [{"n": 4992}]
