"""A store with a small table, and prediction functions that say how often they were asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from workbench.store import Store

FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

CALLS = []
DOWN = []

def double(rows):
    CALLS.append(rows.num_rows)
    return pc.multiply(rows.column("v"), 2)

def triple(rows):
    CALLS.append(rows.num_rows)
    return pc.multiply(rows.column("v"), 3)

def length(rows):
    CALLS.append(rows.num_rows)
    return pc.fill_null(pc.utf8_length(rows.column(0)), -1).cast(pa.int64())

def picky(rows):
    CALLS.append(rows.num_rows)
    if 13 in rows.column("v").to_pylist():
        raise ValueError("thirteen")
    return pc.multiply(rows.column("v"), 10)

def hopeless(rows):
    CALLS.append(rows.num_rows)
    if rows.num_rows:
        raise ValueError(f"no good: {rows.column('v')[0]}")
    return pa.array([], pa.int64())

def remote(rows):
    if rows.num_rows:
        CALLS.append(rows.num_rows)
        if DOWN:
            raise DOWN.pop()
    return pc.multiply(rows.column("v"), 1)

def halves(rows):
    half = pc.divide(rows.column("v"), 2.0)
    return pc.if_else(pc.equal(rows.column("v"), 3), pa.scalar(float("nan")), half)

def fickle(rows):
    if 3 in rows.column("v").to_pylist():
        return pa.array(["three"] * rows.num_rows)
    return pc.multiply(rows.column("v"), 1.5)

def short(rows):
    return pa.array([1.0] * (rows.num_rows // 2), pa.float64())

def lasting(rows):
    return pc.cast(rows.column("v"), pa.duration("s"))

def wordy(rows):
    if rows.num_rows:
        raise ValueError("first line\\n" + "and more " * 200)
    return pa.array([], pa.int64())

def name(rows):
    return pc.cast(rows.column("v"), pa.string())

def more(rows):
    return pc.add(rows.column("p"), 1)

def nothing_known(rows):
    return pc.fill_null(rows.column("v"), -1)
"""


sys.path.insert(0, str(Path(__file__).parent))  # for model_kinds


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the functions."""
    (tmp_path / "test_models.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    import test_models

    yield test_models
    sys.modules.pop("test_models", None)


@pytest.fixture
def table(store: Store, models: ModuleType) -> Store:
    """A store with a keyed table of ten rows."""
    store.load("t", [{"id": number, "v": number} for number in range(10)], key="id")
    return store
