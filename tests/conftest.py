"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from workbench.lake import Lake
from workbench.store import Store


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
