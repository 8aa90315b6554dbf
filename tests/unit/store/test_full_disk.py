"""A disk that is full: each write says so, changes nothing, and works again when there is space."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

MOUNTED = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" -c "$3" "$1"'
"""A small disk of its own, seen by nobody else."""

PROGRAM = """
import sys
from contextlib import contextmanager
from pathlib import Path

import workbench
from workbench.errors import StoreFull

disk = Path(sys.argv[1])
store = workbench.connect(disk / "store")
rows = "select i as id, hash(i) / 1e19 as x, hash(i) % 2 = 0 as y from range({}, {}) as r(i)"
store.load("rows", store.sql(rows.format(0, 2000)), key="id")
store.train("before", "select * from rows", label="y", key="id", model="logistic") if {trained} else None


@contextmanager
def full():
    before, free = store.sql("select count(*) as n from mlstore.runs").snapshot, space()
    try:
        yield
    except StoreFull as error:
        assert "No space is left" in error.message and error.retryable and error.hint
    else:
        raise AssertionError("It found space.")
    assert store.sql("select count(*) as n from rows").snapshot == before, "something was committed"
    assert store.sql("select count(*) as n from rows").to_arrow()["n"].to_pylist() == [2000]
    assert space() > free - 2**20, "what could not be written to its end was left"


def space():
    import os
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


many = store.sql(rows.format(5000, 6_000_000))
with full():
    store.load("rows", many)
with full():
    store.sql(f"insert into rows {rows.format(5000, 6_000_000)}")
with full():
    store.sql(f"create table wide as {rows.format(5000, 6_000_000)}")

with open(disk / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        pass
with full():
    store.transform("features", "select id, x * 2 as z from rows", on="rows", key="id")
with full():
    store.train("model", "select * from rows", label="y", key="id", model="random_forest")
with full():
    store.export("rows", disk / "rows.csv", format="csv")
assert not (disk / "rows.csv").exists()

(disk / "ballast").unlink()
store.transform("features", "select id, x * 2 as z from rows", on="rows", key="id")
assert store.train("model", "select * from rows", label="y", key="id", model="logistic").version == 1
store.sql("insert into rows values (9000, 0.5, true)")
assert store.sql("select count(*) as n from rows").to_arrow()["n"].to_pylist() == [2001]
store.close()
print("done")
"""


def _may_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("trained", [False, True], ids=["first_model", "another_model"])
def test_a_full_disk_loses_nothing(tmp_path: Path, trained: bool) -> None:
    if not _may_mount(tmp_path):
        pytest.skip("this system does not let an ordinary user mount a small disk")
    program = PROGRAM.replace("{trained}", str(trained))
    command = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", str(tmp_path), sys.executable, program]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, check=False, cwd="/"
    )
    assert done.stdout.strip() == "done", done.stdout + done.stderr[-3000:]
