"""After any writes, an incremental refresh leaves what the query gives from scratch."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

import workbench
from tests.property.generate_sql import queries
from workbench.store import Store

EXAMPLES = int(os.environ.get("MLSTORE_EXAMPLES", "12"))
NUMBERS = count()
IDS = count(1000)

SMALL = st.one_of(st.none(), st.integers(0, 3))
REALS = st.sampled_from([None, 0.5, 1.5, 2.0])
WORDS = st.sampled_from([None, "x", "y", "", "É'\""])
ROWS = st.lists(st.tuples(SMALL, SMALL, REALS, WORDS), max_size=6)
WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from("tuv"), ROWS),
        st.tuples(st.just("delete"), st.sampled_from("tuv"), st.integers(0, 3)),
        st.tuples(st.just("update"), st.sampled_from("tuv"), st.tuples(st.integers(0, 3), SMALL, WORDS)),
        st.tuples(st.just("again"), st.sampled_from("tu"), st.integers(2, 4)),
        st.tuples(st.just("merge"), st.sampled_from("tu"), st.integers(1, 3)),
        st.tuples(st.just("twice"), st.sampled_from("tuv"), st.integers(0, 3)),
        st.tuples(st.just("undo"), st.sampled_from("tuv"), st.none()),
        st.tuples(st.just("column"), st.sampled_from("tuv"), st.none()),
        st.tuples(st.just("compact"), st.just(""), st.booleans()),
        st.tuples(st.just("insert"), st.sampled_from("tuv"), ROWS),
        st.tuples(st.just("refresh"), st.just(""), st.none()),
    ),
    min_size=3,
    max_size=7,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("incremental") / "store"
    shutil.copytree(empty_store, folder)
    with workbench.connect(folder) as store:
        yield store


def sql_value(value: object) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


KEYS = {"t": ("part", "id"), "u": ("id",)}
WHOLE = st.sampled_from(["INTEGER", "BIGINT", "SMALLINT", "DECIMAL(9, 0)"])
TYPES = {
    "a": WHOLE,
    "b": WHOLE,
    "c": st.sampled_from(["DOUBLE", "FLOAT", "DECIMAL(9, 2)"]),
    "d": st.just("VARCHAR"),
}
# Columns that no query names, but that a star brings along.
OTHERS = st.lists(
    st.sampled_from(
        ['"Order" DATE', '"a b" INTEGER[]', "Z BOOLEAN", '"é" STRUCT(x INTEGER)', '"at" TIMESTAMPTZ']
    ),
    max_size=2,
    unique=True,
)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, str]:
    """Draw the columns of each table: their types, their order, and some that nobody asked for."""
    keys = {"t": ["part " + draw(WHOLE), "id " + draw(st.sampled_from(["INTEGER", "BIGINT"]))]}
    keys |= {"u": ["id VARCHAR"], "v": []}
    found = {}
    for table, key in keys.items():
        columns = [*key, *(f"{name} {draw(kind)}" for name, kind in TYPES.items()), *draw(OTHERS)]
        found[table] = ", ".join(draw(st.permutations(columns)))
    return found


def with_key(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    number = next(IDS)
    key: dict[str, tuple[Any, ...]] = {"t": (number % 2, number), "u": (f"k{number}",), "v": ()}
    return (*key[table], *row)


def insert(table: str, rows: list[tuple[Any, ...]]) -> str:
    shown = ", ".join("(" + ", ".join(map(sql_value, with_key(table, row))) + ")" for row in rows)
    columns = ", ".join((*KEYS.get(table, ()), "a", "b", "c", "d"))
    return f"INSERT INTO {table} ({columns}) VALUES {shown}"


def start(store: Store, schema: dict[str, str], contents: dict[str, list[tuple[Any, ...]]]) -> None:
    """Make the three tables anew."""
    for table, rows in contents.items():
        store.sql(f"DROP TABLE IF EXISTS {table}")
        if table == "v":
            store.sql(f"CREATE TABLE v ({schema[table]})")
        else:
            store.sql(f"CREATE OR REPLACE TABLE made ({schema[table]})")
            store.load(table, store.table("made"), key=KEYS[table])
        if rows:
            store.sql(insert(table, rows))


def write(store: Store, step: tuple[str, str, Any], first: int, made: list[str]) -> str:
    """Do one step; return it as a statement that can be pasted."""
    verb, table, what = step
    if verb == "insert":
        sql = insert(table, what) if what else "SELECT 1"
    elif verb == "delete":
        sql = f"DELETE FROM {table} WHERE a = {what}"
    elif verb == "update":
        sql = f"UPDATE {table} SET a = {sql_value(what[1])}, d = {sql_value(what[2])} WHERE b = {what[0]}"
    elif verb == "again":
        # The same keys with other values, in one commit.
        key = ", ".join(KEYS[table])
        some = f"hash(id) % {what} = 0"
        sql = (
            f"CREATE OR REPLACE TEMP TABLE kept AS SELECT {key} FROM {table} WHERE {some}; "
            f"DELETE FROM {table} WHERE {some}; "
            f"INSERT INTO {table} ({key}, a, b, c, d) SELECT {key}, 1, 2, 0.5, 'x' FROM kept"
        )
    elif verb == "merge":
        rows = store.sql(f"SELECT * REPLACE (a + 1 AS a) FROM {table} WHERE hash(id) % {what} = 0")
        store.merge(table, rows)
        return f"-- merge into {table}"
    elif verb == "twice":
        sql = f"UPDATE {table} SET b = {what} WHERE a = 1; UPDATE {table} SET b = 1, c = 2 WHERE a = 1"
    elif verb == "column":
        made.append(f"extra_{len(made)}")
        sql = f"ALTER TABLE {table} ADD COLUMN {made[-1]} INTEGER"
    elif verb == "undo":
        store.undo(table, first)
        return f"-- undo {table} TO {first}"
    else:
        store._lake.cursor().execute("CALL ducklake_merge_adjacent_files('lake')")
        if what:
            store._lake.cursor().execute("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0)")
        return f"-- merge adjacent files{', rewrite' if what else ''}"
    store.sql(sql)
    return sql


def rows_of(store: Store, query: str) -> list[tuple[Any, ...]]:
    table = store.sql(query).to_arrow()
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), key=repr)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def assert_same(kept: list[tuple[Any, ...]], computed: list[tuple[Any, ...]]) -> None:
    agree = len(kept) == len(computed) and all(
        all(map(same, one, other)) for one, other in zip(kept, computed, strict=True)
    )
    if not agree:
        only_kept, only_computed = Counter(kept) - Counter(computed), Counter(computed) - Counter(kept)
        raise AssertionError(f"only in the table: {only_kept}; only from scratch: {only_computed}")


def check_changes(store: Store, name: str, before: list[tuple[Any, ...]], since: int) -> None:
    """See that the net changes lead from the rows before to those now, and name no row that is the same."""
    changes = store._lake.changes(name, since, store._lake.head())

    def listed(part: Any) -> list[tuple[Any, ...]]:
        return (
            list(zip(*(column.to_pylist() for column in part.columns), strict=True)) if part.num_rows else []
        )

    gone = Counter(listed(changes.deletes)) + Counter(listed(changes.updates_before))
    come = Counter(listed(changes.inserts)) + Counter(listed(changes.updates_after))
    assert not gone & come, "a row is among the changes that did not change"
    assert Counter(before) - gone + come == Counter(rows_of(store, f"FROM {name}"))


def refresh_and_check(store: Store, name: str, query: str) -> None:
    before, since = rows_of(store, f"FROM {name}"), store._lake.head()
    (run,) = [run for run in store.refresh(name) if run.name == name]
    note(f"refreshed: {run.mode}, {run.reason}, {dict(run.details)}")
    event(run.mode if run.mode != "full" else f"full: {run.reason.rpartition('; ')[2][:40]}")
    assert "by itself" not in run.reason, "the planner wrote a query that the engine refuses"
    assert_same(rows_of(store, f"FROM {name}"), rows_of(store, query))
    check_changes(store, name, before, since)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(
    schema=schemas(),
    contents=st.fixed_dictionaries({"t": ROWS, "u": ROWS, "v": ROWS}),
    made=queries(),
    steps=WRITES,
)
def test_incremental_is_full(
    shared: Store,
    schema: dict[str, str],
    contents: dict[str, list[tuple[Any, ...]]],
    made: tuple[str, str],
    steps: list[tuple[str, str, Any]],
) -> None:
    query, key = made
    start(shared, schema, contents)
    name = f"f{next(NUMBERS)}"
    note(f"schema: {schema}\ncontents: {contents}\nquery: {query}\nkey: {key}")
    shared.transform(name, query, key=key.split(","))
    # A transform on the transform, by another part of its key.
    on_it = f"SELECT coalesce(n, -1) AS k, count(*) AS m FROM {name} GROUP BY 1"
    stacked = "n" in shared.catalog()[name]
    if stacked:
        shared.transform(f"{name}_on", on_it, key="k")
    first, added = shared._lake.head(), list[str]()
    for step in [*steps, ("refresh", "", None)]:
        if step[0] == "refresh":
            refresh_and_check(shared, name, query)
            if stacked:
                refresh_and_check(shared, f"{name}_on", on_it)
        else:
            note(write(shared, step, first, added))
    for made_name in (f"{name}_on", name) if stacked else (name,):
        shared.drop(made_name)
