"""Whatever is written between two refreshes, a bound column is what the model says of the rows there are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench
from workbench.bind import work
from workbench.store import Store

MODULE = "doubling_model"
FUNCTION = "import pyarrow.compute as pc\n\ndef double(rows):\n    return pc.multiply(rows.column('v'), 2)\n"

IDS = st.integers(0, 5)
STEP = st.one_of(
    st.tuples(st.just("merge"), IDS, st.integers(-3, 3)),
    st.tuples(st.just("update"), IDS, st.integers(-3, 3)),
    st.tuples(st.just("note"), IDS, st.integers(0, 1)),
    st.tuples(st.just("delete"), IDS, st.none()),
    st.tuples(st.just("rename"), IDS, IDS),
    st.tuples(st.just("undo"), st.integers(0, 4), st.none()),
    st.tuples(st.just("limit"), st.integers(1, 2), st.none()),
)
NUMBERS = count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("bindings")
    (folder / f"{MODULE}.py").write_text(FUNCTION)
    sys.path.insert(0, str(folder))
    shutil.copytree(empty_store, folder / "store")
    with workbench.connect(folder / "store") as store:
        yield store
    sys.path.remove(str(folder))


def write(store: Store, table: str, step: tuple[Any, ...], first: int) -> None:
    verb, key, value = step
    if verb == "merge":
        store.merge(table, [{"id": key, "v": value, "note": 0}])
    elif verb == "update":
        store.sql(f"UPDATE {table} SET v = {value} WHERE id >= {key}")
    elif verb == "note":
        store.sql(f"UPDATE {table} SET note = {value} WHERE id <> {key}")
    elif verb == "delete":
        store.sql(f"DELETE FROM {table} WHERE id = {key}")
    elif verb == "rename":
        store.sql(
            f"UPDATE {table} SET id = {value} WHERE id = {key} AND {value} NOT IN (SELECT id FROM {table})"
        )
    elif verb == "undo":
        store.undo(table, min(first + key, store._lake.head()))
    else:
        store.refresh(f"p_{table}", limit=key)


@pytest.mark.parametrize("few", [work._FEW_ROWS, 0], ids=["read once", "read again"])
@settings(max_examples=8, deadline=None)
@given(
    start=st.dictionaries(IDS, st.integers(-3, 3), min_size=1, max_size=5),
    rounds=st.lists(st.lists(STEP, min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_predictions_follow_all_writes(
    shared: Store, few: int, start: dict[int, int], rounds: list[list[tuple[Any, ...]]]
) -> None:
    with patch.object(work, "_FEW_ROWS", few):
        follow_all_writes(shared, start, rounds)


def follow_all_writes(store: Store, start: dict[int, int], rounds: list[list[tuple[Any, ...]]]) -> None:
    table = f"t{next(NUMBERS)}"
    store.load(table, [{"id": key, "v": v, "note": 0} for key, v in start.items()], key="id")
    first = store._lake.head()
    store.bind(
        f"p_{table}", on=table, inputs=["v"], model=f"py:{MODULE}:double", when="manual", isolate="none"
    )
    for steps in rounds:
        for step in steps:
            write(store, table, step, first)
        store.refresh(f"p_{table}")
        there = store.sql(f"SELECT id, v * 2 AS value FROM {table} ORDER BY id").rows()
        kept = store.sql(f"SELECT id, value FROM predictions.{table}__p_{table} ORDER BY id").rows()
        assert kept == there
        assert store.stale(f"p_{table}").rows() == []
        assert store.refresh(f"p_{table}")[0].mode == "noop"
