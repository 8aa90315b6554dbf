"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from workbench.lake import Lake
from workbench.store import Store

ROOT = Path(__file__).resolve().parents[1]

# Before MLflow is imported: no test asks the network for anything.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new store, to be copied: making one takes longer than copying it."""
    folder = tmp_path_factory.mktemp("template") / "store"
    Lake.open(folder).close()
    return folder


@pytest.fixture
def lake(tmp_path: Path, empty_store: Path) -> Iterator[Lake]:
    """A new, empty lake."""
    shutil.copytree(empty_store, tmp_path / "store")
    opened = Lake.open(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """A new, empty store."""
    shutil.copytree(empty_store, tmp_path / "store")
    with workbench.connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executed quickstart: that of `make demo` while it is newer than all code, else a fresh one."""
    made = ROOT / "build" / "demo" / "quickstart.ipynb"
    page = made.with_suffix(".html")  # It is written only when every cell has run.
    code = [ROOT / "notebooks" / "quickstart.ipynb", *(ROOT / "workbench").rglob("*.py")]
    if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in code):
        return made
    folder = tmp_path_factory.mktemp("demo") / "run"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "demo.py"), str(folder)], check=True)
    return folder / "quickstart.ipynb"
