"""Invariants of the store under random sequences of writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workbench
from workbench.store import Store

IDS = st.integers(0, 7)
VALUES = st.one_of(st.none(), st.integers(-3, 3))
WORDS = st.sampled_from(["a", "b", "", "É'\"", None])

WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), IDS, VALUES, WORDS),
        st.tuples(st.just("update"), IDS, VALUES, WORDS),
        st.tuples(st.just("delete"), IDS, st.none(), st.none()),
        st.tuples(st.just("undo"), IDS, st.none(), st.none()),
    ),
    max_size=6,
)

QUERIES = [
    "SELECT id, v * 2 AS w, coalesce(word, '-') AS word FROM {t} WHERE v IS DISTINCT FROM 0",
    "SELECT coalesce(word, 'none') AS id, sum(v) AS total, count(*) AS n FROM {t} GROUP BY 1",
    "SELECT a.id, count(b.id) AS near FROM {t} AS a LEFT JOIN {t} AS b ON b.v = a.v GROUP BY a.id",
    "SELECT id, row_number() OVER (PARTITION BY word ORDER BY id) AS place FROM {t}",
    "SELECT min(id) AS id, max(v) AS top FROM {t} HAVING count(*) > 0",
]

# One store serves all examples: each gets tables of its own.
NUMBERS = count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("property") / "store"
    shutil.copytree(empty_store, folder)
    with workbench.connect(folder) as store:
        yield store


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in store.sql(sql).rows()), key=repr)


def write(store: Store, table: str, step: tuple[Any, ...], first: int) -> None:
    verb, key, value, word = step
    if verb == "merge":
        store.merge(table, [{"id": key, "v": value, "word": word}])
    elif verb == "update":
        store.sql(
            f"UPDATE {table} SET v = $v::INTEGER, word = $word::VARCHAR WHERE id = $id",
            params={"v": value, "word": word, "id": key},
        )
    elif verb == "delete":
        store.delete(table, f"id = {key}")
    else:
        store.undo(table, first)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.dictionaries(IDS, st.tuples(VALUES, WORDS), max_size=6),
    steps=WRITES,
    query=st.sampled_from(QUERIES),
)
def test_changes_transforms_and_undo(
    shared: Store, start: dict[int, tuple[int | None, str | None]], steps: list[tuple[Any, ...]], query: str
) -> None:
    table = f"t{next(NUMBERS)}"
    shared.sql(f"CREATE TABLE {table}_empty (id INTEGER, v INTEGER, word VARCHAR)")
    shared.load(table, shared.sql(f"FROM {table}_empty"), key="id")
    if start:
        shared.append(table, [{"id": key, "v": v, "word": word} for key, (v, word) in start.items()])
    first = shared._lake.head()
    before = rows(shared, f"FROM {table}")
    body = query.format(t=table)
    shared.transform(f"f_{table}", body, key="id", when="on write")
    for step in steps:
        write(shared, table, step, first)
        # What was kept up to date on write is what the query gives from scratch.
        assert rows(shared, f"FROM f_{table}") == rows(shared, body)

    last = shared._lake.head()
    after = rows(shared, f"FROM {table}")
    changes = shared._lake.changes(table, first, last)
    # The net changes lead from the old rows to the new ones, and name no row that is the same.
    gone = [
        tuple(row.values()) for part in (changes.deletes, changes.updates_before) for row in part.to_pylist()
    ]
    come = [
        tuple(row.values()) for part in (changes.inserts, changes.updates_after) for row in part.to_pylist()
    ]
    assert not set(gone) & set(come)
    assert sorted([row for row in before if row not in gone] + come, key=repr) == after
    assert set(gone) <= set(before)

    counted = shared.diff(table, first, last).message
    assert f"{changes.inserts.num_rows} added, {changes.deletes.num_rows} removed" in counted
    assert f"{changes.updates_after.num_rows} changed" in counted

    shared.undo(table, first)
    assert rows(shared, f"FROM {table}") == before
    assert rows(shared, f"FROM f_{table}") == rows(shared, body)
    # The past is as it was.
    assert (
        sorted((tuple(row.values()) for row in shared.sql(f"FROM {table}", at=last).rows()), key=repr)
        == after
    )
