"""What processes tell each other about what is running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.plain import running as told
from workbench.plain.running import announced, kernel_id, opened, running, tell_open
from workbench.progress import Event


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "DELAY", 0.02)
    monkeypatch.setattr(told, "PERIOD", 0.02)


def _wait(folder: Path, step: str) -> told.Running:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = running(folder)
        if found and found[0].step == step:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"{step!r} was not told")


def test_a_statement_is_told_while_it_runs(tmp_path: Path) -> None:
    with announced(tmp_path, "train late LABEL late", "k1") as sink:
        assert _wait(tmp_path, "").fraction is None
        sink(Event("Training late", 25, 100))
        seen = _wait(tmp_path, "Training late")
    assert (seen.statement, seen.kernel, seen.pid, seen.fraction) == (
        "train late LABEL late",
        "k1",
        os.getpid(),
        0.25,
    )
    assert running(tmp_path) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_a_short_statement_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "DELAY", 30)
    with announced(tmp_path, "select 1"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_is_taken_back_when_the_statement_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with announced(tmp_path, "train x"):
            _wait(tmp_path, "")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert running(tmp_path) == []


def test_what_a_dead_process_left_is_passed_over_and_swept_up(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with announced(tmp_path, "first"):
        _wait(tmp_path, "")
        left = tmp_path / "running" / f"{dead.pid}-x.json"
        mine = next((tmp_path / "running").glob("*.json"))
        left.write_text(json.dumps(json.loads(mine.read_text()) | {"pid": dead.pid, "id": "x"}))
        assert [each.pid for each in running(tmp_path)] == [os.getpid()]
    assert not left.exists()


def test_a_folder_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    with announced(tmp_path / "gone", "select 1"):
        time.sleep(0.1)
    assert running(tmp_path / "gone") == []


def test_a_kernel_tells_which_stores_it_has_open(tmp_path: Path) -> None:
    connection_file = tmp_path / "kernel-7d0c-11.json"
    tell_open(connection_file, [tmp_path / "b", tmp_path / "a"])
    assert opened(tmp_path) == {kernel_id(connection_file): [tmp_path / "a", tmp_path / "b"]}
    (tmp_path / "mlstore-broken.json").write_text("{")
    assert list(opened(tmp_path)) == ["7d0c-11"]
    tell_open(connection_file, [])
    assert [each.name for each in tmp_path.iterdir()] == ["mlstore-7d0c-11.json"]


def test_a_kernel_that_tells_while_another_sweeps_up_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_alive = told._is_alive

    def meanwhile(pid: int) -> bool:
        monkeypatch.setattr(told, "_is_alive", is_alive)
        tell_open(tmp_path / "kernel-2.json", [tmp_path / "b"])
        return is_alive(pid)

    monkeypatch.setattr(told, "_is_alive", meanwhile)
    tell_open(tmp_path / "kernel-1.json", [tmp_path / "a"])
    assert opened(tmp_path) == {"1": [tmp_path / "a"], "2": [tmp_path / "b"]}
