"""A process killed at any point of a refresh leaves the state before it, or the one after."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import workbench
from workbench.store import Store

QUERY = "SELECT g, count(*) AS n, sum(x) AS x FROM t GROUP BY g"
KILLS = 50

CHILD = """
import sys, workbench
with workbench.connect(sys.argv[1]) as store:
    step = int(sys.argv[2])
    while True:
        step += 1
        store.sql(f"UPDATE t SET x = x + 1 WHERE id % 7 = {step % 7}; DELETE FROM t WHERE id = {step}")
        print("written", step, flush=True)
        store.refresh("f")
        print("refreshed", step, flush=True)
"""


def check(store: Store) -> None:
    """Check that rows, run and watermarks agree with each other."""
    watermark = store._lake.records.watermarks("f")["main.t"]
    run = store._lake.records.rows("runs", "name = 'f' AND status = 'ok'")[-1]
    assert run["inputs"]["main.t"][1] == watermark
    kept = sorted(tuple(row.values()) for row in store.sql("FROM f").rows())
    assert kept == sorted(tuple(row.values()) for row in store.sql(QUERY, at=watermark).rows())
    store.refresh("f")
    kept = sorted(tuple(row.values()) for row in store.sql("FROM f").rows())
    assert kept == sorted(tuple(row.values()) for row in store.sql(QUERY).rows())
    assert store.refresh("f")[-1].mode == "noop"
    assert store.describe("f").facts["version"] == 1


@pytest.mark.slow
def test_killed_at_random_points_of_many_refreshes(store: Store) -> None:
    rows = store.sql("SELECT i AS id, i % 50 AS g, i AS x FROM range(5000) AS r(i)")
    store.load("t", rows, key="id")
    store.transform("f", QUERY, key="g")
    folder, step, refreshed = store.folder, 0, 0
    store.close()
    chance = random.Random(7)
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), str(step)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        # Let it do some whole rounds, then kill it at some point of the next refresh.
        for line in child.stdout:
            verb, number = line.split()
            step = int(number)
            refreshed += verb == "refreshed"
            if verb == "written" and chance.random() < 0.7:
                break
        time.sleep(chance.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        child.wait()
        step += 1
        with workbench.connect(folder) as again:
            check(again)
    assert refreshed > 0


TWO = """
import sys, workbench
with workbench.connect(sys.argv[1]) as store:
    for _ in range(8):
        print(store.refresh("f")[-1].mode, flush=True)
"""


@pytest.mark.slow
def test_two_processes_refresh_the_same_at_once(store: Store, tmp_path: Path) -> None:
    store.load("t", store.sql("SELECT i AS id, i % 50 AS g, i AS x FROM range(5000) AS r(i)"), key="id")
    store.transform("f", QUERY, key="g")
    others = [
        subprocess.Popen([sys.executable, "-c", TWO, str(store.folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for step in range(8):
        store.sql(f"UPDATE t SET x = x + 1 WHERE id % 7 = {step % 7}; DELETE FROM t WHERE id = {step}")
    said = [each.communicate(timeout=120)[0].split() for each in others]
    assert [each.returncode for each in others] == [0, 0]
    assert all(len(modes) == 8 for modes in said)
    check(store)
    # Each effect was recorded once: the runs read the table from where the one before them stopped.
    runs = store._lake.records.rows("runs", "name = 'f' AND status = 'ok'")
    pairs = [tuple(run["inputs"]["main.t"]) for run in runs]
    assert all(later[0] == earlier[1] for earlier, later in itertools.pairwise(pairs))
