"""A small shop that many tests look at, and a model that is a function."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import workbench
from workbench.store import Store


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A closed store with t, u → big (query) → f (transform) → agg (transform), to be copied."""
    folder = tmp_path_factory.mktemp("shop") / "store"
    shutil.copytree(empty_store, folder)
    rows = {"id": list(range(40)), "g": [i % 4 for i in range(40)], "x": [i * 1.5 for i in range(40)]}
    with workbench.connect(folder) as store:
        store.load("t", pa.table(rows), key="id")
        store.load("u", pa.table({"g": [0, 1, 2], "name": ["a", "b", "c"]}), key="g")
        store.query("big", "select * from t where x > 6")
        store.transform(
            "f", "select id, big.g, standardize(x) as z, name from big left join u using (g)", key="id"
        )
        store.transform("agg", "select g, sum(z) as s, count(*) as n from f group by g", key="g")
    return folder


@pytest.fixture
def shop(tmp_path: Path, shop_folder: Path) -> Iterator[Store]:
    """A shop of one's own, to be changed."""
    shutil.copytree(shop_folder, tmp_path / "shop")
    with workbench.connect(tmp_path / "shop") as store:
        yield store


@pytest.fixture(scope="session")
def seen_shop(tmp_path_factory: pytest.TempPathFactory, shop_folder: Path) -> Iterator[Store]:
    """One shop for all tests that only look."""
    folder = tmp_path_factory.mktemp("seen") / "shop"
    shutil.copytree(shop_folder, folder)
    with workbench.connect(folder) as store:
        yield store


@pytest.fixture
def toy() -> Iterator[str]:
    """A model that doubles x, or else z: a function of a module."""
    module = ModuleType("toy_model")

    def double(batch: pa.RecordBatch) -> pa.Array:
        return pc.multiply(batch.column("x" if "x" in batch.schema.names else "z"), 2.0)

    module.double = double  # type: ignore[attr-defined]
    sys.modules["toy_model"] = module
    yield "py:toy_model:double"
    del sys.modules["toy_model"]
