"""Finding the stores of a folder."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.plain.running import tell_open
from workbench.server import places
from workbench.server.places import Places


def _found(there: Places) -> list[str]:
    return [there.shown(each.folder) for each in there.all()]


def test_stores_are_found_a_few_levels_deep(tmp_path: Path, empty_store: Path) -> None:
    for name in ("a/mlstore", "b", ".hidden/c", "node_modules/d", "1/2/3/4/5/6/deep"):
        shutil.copytree(empty_store, tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert _found(Places(tmp_path, tmp_path)) == ["a/mlstore", "b"]


def test_what_a_kernel_has_open_comes_first(tmp_path: Path, empty_store: Path) -> None:
    shutil.copytree(empty_store, tmp_path / "root" / "a")
    shutil.copytree(empty_store, tmp_path / "root" / "z")
    tell_open(tmp_path / "kernel-1.json", [tmp_path / "root" / "z", tmp_path / "far"])
    there = Places(tmp_path / "root", tmp_path)
    assert _found(there) == [str(tmp_path / "far"), "z", "a"]
    assert [each.kernels for each in there.all()] == [("1",), ("1",), ()]


def test_nobody_waits_for_a_slow_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def search(_root: Path) -> list[Path]:
        gate.wait(120)
        return [tmp_path / "late"]

    monkeypatch.setattr(places, "_search", search)
    there = Places(tmp_path, tmp_path)
    begun = time.monotonic()
    assert there.all() == []
    assert there.all() == []
    assert time.monotonic() - begun < 60
    gate.set()
    while not there.all():
        assert time.monotonic() - begun < 180
        time.sleep(0.05)


def test_what_was_found_stays_until_the_next_search_however_long_one_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 100.0
    left = [tmp_path / "store"]

    def search(_root: Path) -> list[Path]:
        nonlocal passed
        passed += 20
        return left

    monkeypatch.setattr(places, "_search", search)
    monkeypatch.setattr(places, "time", SimpleNamespace(monotonic=lambda: passed))
    monkeypatch.setattr(places, "_PATIENCE_SECONDS", 60)
    there = Places(tmp_path, tmp_path)
    assert _found(there) == ["store"]
    passed += 190
    assert _found(there) == ["store"]
    left = []
    passed += 20
    assert _found(there) == []
