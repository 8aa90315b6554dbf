"""Keys that SQL declares: PRIMARY KEY in CREATE TABLE and ALTER TABLE."""

from __future__ import annotations

import pytest

from workbench.engines.sql import PrimaryKey, primary_key
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.store import Store

READ = {
    'create table "My t" ("a b" bigint not null primary key, c decimal(3, 2))': (
        '"My t"',
        ("a b",),
        'create table "My t" ("a b" bigint not null , c decimal(3, 2))',
    ),
    "create or replace table main.t (a int, b int, primary key (a, b))": (
        "main.t",
        ("a", "b"),
        "create or replace table main.t (a int, b int )",
    ),
    "create table if not exists t (constraint pk primary key (b), a int, b int)": (
        "t",
        ("b",),
        "create table if not exists t (  a int, b int)",
    ),
    "create table t (a int constraint pk primary key, b struct(x int, y int))": (
        "t",
        ("a",),
        "create table t (a int , b struct(x int, y int))",
    ),
    "-- why\ncreate table t (a int, -- PRIMARY KEY (b)\n b int /* it is */ primary key default 1)": (
        "t",
        ("b",),
        "-- why\ncreate table t (a int, -- PRIMARY KEY (b)\n b int /* it is */  default 1)",
    ),
    "alter table if exists lake.main.t add constraint pk primary key (a, b)": ("lake.main.t", ("a", "b"), ""),
}


@pytest.mark.parametrize("statement", READ)
def test_the_key_is_read_and_the_rest_stays_as_it_was_written(statement: str) -> None:
    assert primary_key(statement) == PrimaryKey(*READ[statement])


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table t (a int primary key)",
        "create table t (a int primary key, b int primary key)",
        "create table t as select 'primary key' as a",
        "alter table t add column primary_key int",
        "select 'alter table t add primary key (a)'",
    ],
)
def test_there_is_no_key_to_take_out(statement: str) -> None:
    assert primary_key(statement) is None


def key_of(store: Store, name: str) -> tuple[str, ...]:
    return store._lake.tables.resolve(name).key


def test_a_table_is_made_with_a_key(store: Store) -> None:
    store.sql("CREATE TABLE t (Id BIGINT PRIMARY KEY, x DOUBLE); INSERT INTO t VALUES (1, 2.0)")
    assert key_of(store, "t") == ("Id",)
    with pytest.raises(InvalidData, match="not unique: Id = 1"):
        store.sql("INSERT INTO t VALUES (1, 3.0)")
    with pytest.raises(InvalidData, match="NULL"):
        store.sql("INSERT INTO t VALUES (NULL, 3.0)")
    store.merge("t", [{"Id": 1, "x": 5.0}, {"Id": 2, "x": 6.0}])
    assert store.sql("FROM t ORDER BY Id").rows() == [{"Id": 1, "x": 5.0}, {"Id": 2, "x": 6.0}]


def test_a_key_is_checked_in_the_commit_that_declares_it(store: Store) -> None:
    with pytest.raises(InvalidData, match="not unique"):
        store.sql("CREATE TABLE t (id INT, PRIMARY KEY (id)); INSERT INTO t VALUES (1), (1)")
    assert store.sql("FROM mlstore.tables").rows() == []
    store.sql(
        "CREATE TABLE t AS SELECT unnest([1, 2, 2]) AS id, unnest([1, 2, 3]) AS n, unnest([1, NULL, 2]) AS m"
    )
    for column, said in (("id", "id = 2"), ("m", "NULL")):
        with pytest.raises(InvalidData, match=said):
            store.sql(f"ALTER TABLE t ADD PRIMARY KEY ({column})")
    with pytest.raises(NotFound, match="no column 'nn'") as raised:
        store.sql("ALTER TABLE t ADD PRIMARY KEY (nn)")
    assert "'n'" in str(raised.value.hint)
    assert key_of(store, "t") == ()


def test_a_table_gets_a_key_afterwards_and_then_all_that_needs_one(store: Store) -> None:
    store.sql("CREATE TABLE t AS SELECT i AS id, i * 2.0 AS x, i % 2 AS y FROM range(200) AS r(i)")
    store.train("m", "SELECT x, y FROM t", label="y", model="logistic")
    with pytest.raises(Unsupported) as raised:
        store.bind("guess", on="t", model="m")
    assert raised.value.hint == "Give it one, as in: ALTER TABLE t ADD PRIMARY KEY (id)."
    store.sql("ALTER TABLE t ADD PRIMARY KEY (ID)")
    assert key_of(store, "t") == ("id",)
    store.bind("guess", on="t", model="m")
    assert store.sql("SELECT count(guess) AS n FROM predictions.t").rows() == [{"n": 200}]


def test_a_key_is_declared_once(store: Store) -> None:
    store.sql("CREATE TABLE t (a INT PRIMARY KEY, b INT)")
    store.sql("ALTER TABLE t ADD PRIMARY KEY (a)")
    with pytest.raises(InvalidData, match=r"has the key \(a\) already"):
        store.sql("ALTER TABLE t ADD PRIMARY KEY (b)")
    store.sql("CREATE TABLE IF NOT EXISTS t (a INT, b INT PRIMARY KEY)")
    assert key_of(store, "t") == ("a",)
    store.sql("CREATE OR REPLACE TABLE t (a INT, b INT, PRIMARY KEY (b, a))")
    assert key_of(store, "t") == ("b", "a")


def test_what_the_store_keeps_gets_no_key(store: Store) -> None:
    store.sql("CREATE TABLE t AS SELECT 1 AS id")
    store.transform("f", "SELECT id, id + 1 AS n FROM t", key="id")
    for name in ("features.f", "f", "mlstore.runs"):
        with pytest.raises(Unsupported):
            store.sql(f"ALTER TABLE {name} ADD PRIMARY KEY (n)")
    with pytest.raises(NotFound):
        store.sql("ALTER TABLE nowhere ADD PRIMARY KEY (n)")
    with pytest.raises(StatementError):
        store.sql("CREATE TABLE u (a INT PRIMARY KEY, b INT PRIMARY KEY)")
