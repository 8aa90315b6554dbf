"""The difference of a table at two snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from workbench.errors import InvalidData, NotFound
from workbench.lake import Lake, Result
from workbench.lake.difference import diff
from workbench.lake.statements import run_sql


def make(lake: Lake, query: str, key: tuple[str, ...] = (), name: str = "t") -> int:
    """Make a table (anew) and return the snapshot."""
    with lake.commit(f"make {name}") as tx:
        tx.cursor.execute(f"CREATE OR REPLACE TABLE lake.main.{name} AS {query}")
        lake.tables.forget(tx, "main", name)
        if key:
            lake.tables.declare(tx, "main", name, key)
    assert tx.snapshot is not None
    return tx.snapshot


def since(lake: Lake, first: int, sql: str) -> Result:
    run_sql(lake, sql)
    return diff(lake, "t", first, lake.head())


def test_rows_are_matched_by_key(lake: Lake) -> None:
    first = make(lake, "SELECT i AS id, i AS v, 'x' AS w FROM range(4) AS r(i)", ("id",))
    result = since(lake, first, "UPDATE t SET v = NULL WHERE id = 1; DELETE FROM t WHERE id = 2")
    assert result.message == f"0 added, 1 removed, 1 changed between t@{first} and t@{lake.head()}"
    assert [(row["change"], row["id"], row["columns"]) for row in result.rows()] == [
        ("changed", 1, ["v"]),
        ("removed", 2, None),
    ]
    assert result.columns == ["change", "id", "columns", "v_before", "v_after", "w_before", "w_after"]


@pytest.mark.parametrize("names", [("change", "columns"), ("columns", "change"), ("change", "v_before")])
def test_a_key_may_be_called_as_our_columns(lake: Lake, names: tuple[str, str]) -> None:
    one, two = names
    first = make(lake, f"SELECT 1 AS {one}, 2 AS {two}, 3 AS v", names)
    result = since(lake, first, "UPDATE t SET v = 4")
    (row,) = result.rows()
    assert (row[one], row[two]) == (1, 2)
    assert "0 added, 0 removed, 1 changed" in result.message
    values = list(row.values())
    assert values[0] == "changed" and values[-2:] == [3, 4] and ["v"] in values
    assert len(set(result.columns)) == 6


def test_columns_that_end_in_before_and_after(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id, 2 AS x, 3 AS x_before, 4 AS x_before_before", ("id",))
    result = since(lake, first, "UPDATE t SET x = 7, x_before = 8, x_before_before = 9")
    (row,) = result.rows()
    assert list(row.values()) == ["changed", 1, ["x", "x_before", "x_before_before"], 2, 7, 3, 8, 4, 9]
    assert len(set(result.columns)) == len(result.columns)


def test_only_changed_columns_are_shown_of_changed_rows(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id, 2 AS x, 3 AS x_after", ("id",))
    assert since(lake, first, "UPDATE t SET x_after = 4").columns == [
        "change",
        "id",
        "columns",
        "x_after_before",
        "x_after_after",
    ]


def test_without_a_key_equal_rows_are_counted(lake: Lake) -> None:
    first = make(lake, "SELECT * FROM (VALUES (1, NULL), (1, NULL), (2, 'a')) AS r(x, times)")
    result = since(
        lake, first, "DELETE FROM t WHERE x = 1; INSERT INTO t VALUES (1, NULL), (2, 'a'), (2, 'a'), (3, 'c')"
    )
    assert result.columns == ["change", "x", "times", "times_"]
    assert [tuple(row.values()) for row in result.rows()] == [
        ("added", 2, "a", 2),
        ("added", 3, "c", 1),
        ("removed", 1, None, 1),
    ]
    assert result.message.startswith("3 added, 1 removed between")


@pytest.mark.parametrize("key", [("id",), ()])
def test_no_difference_is_said(lake: Lake, key: tuple[str, ...]) -> None:
    first = make(lake, "SELECT 1 AS id, 'nan'::DOUBLE AS v, NULL AS n, [1, NULL] AS l", key)
    run_sql(lake, "UPDATE t SET id = id + 1")
    result = since(lake, first, "UPDATE t SET id = id - 1")
    assert len(result) == 0 and "no difference between" in result.message


def test_other_columns_are_named(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id, 2 AS a, 3 AS b", ("id",))
    second = make(lake, "SELECT 1 AS id, 2 AS A, 4 AS c, 5 AS d", ("id",))
    result = diff(lake, "t", first, second)
    assert "no difference" in result.message
    assert result.message.endswith("new columns c, d; gone column b")


def test_another_key_means_whole_rows_and_is_said(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS a, 2 AS b", ("a",))
    second = make(lake, "SELECT 1 AS a, 3 AS b", ("b",))
    result = diff(lake, "t", first, second)
    assert result.message.startswith("1 added, 1 removed between")
    assert "the key was (a), is (b), so whole rows were compared" in result.message
    third = make(lake, "SELECT 1 AS a, 3 AS b")
    assert "the key was (b), is none" in diff(lake, "t", second, third).message


def test_no_column_in_common(lake: Lake) -> None:
    first, second = make(lake, "SELECT 1 AS a"), make(lake, "SELECT 2 AS b")
    result = diff(lake, "t", first, second)
    assert len(result) == 0
    assert "no column in common, so no rows were compared" in result.message


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_column_of_another_type_is_compared_as_text(lake: Lake, key: tuple[str, ...]) -> None:
    first = make(lake, "SELECT 1 AS id, 5 AS v UNION ALL SELECT 2, 6", key)
    second = make(lake, "SELECT 1 AS id, '5' AS v UNION ALL SELECT 2, 'six'", key)
    result = diff(lake, "t", first, second)
    assert "v was INTEGER, is VARCHAR" in result.message
    values = {value for row in result.rows() for value in row.values() if isinstance(value, str)}
    assert {"6", "six"} <= values and "5" not in values


def test_numbers_of_another_width_are_compared_as_numbers(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id, 5::INTEGER AS v", ("id",))
    second = make(lake, "SELECT 1::BIGINT AS id, 5::DOUBLE AS v", ("id",))
    assert "no difference" in diff(lake, "t", first, second).message


def test_a_dropped_table_can_be_compared(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id", ("id",))
    second = run_sql(lake, "INSERT INTO t VALUES (2)").snapshot
    run_sql(lake, "DROP TABLE t")
    assert second is not None
    assert [row["id"] for row in diff(lake, "T", first, second).rows()] == [2]


def test_a_snapshot_at_which_it_did_not_exist(lake: Lake) -> None:
    first = make(lake, "SELECT 1 AS id")
    mistakes: Mapping[int, str] = {first - 1: f"was made in snapshot {first}", 999: "no snapshot 999"}
    for snapshot, message in mistakes.items():
        with pytest.raises(InvalidData, match=message):
            diff(lake, "t", snapshot, first)
    run_sql(lake, "DROP TABLE t")
    with pytest.raises(InvalidData, match="had been dropped"):
        diff(lake, "t", first, lake.head())
    with pytest.raises(NotFound, match="nope"):
        diff(lake, "nope", first, first)


def test_keys_of_several_columns(lake: Lake) -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}]
    values = ", ".join(f"({row['a']}, '{row['b']}', 0)" for row in rows)
    first = make(lake, f"SELECT * FROM (VALUES {values}) AS r(a, b, v)", ("a", "b"))
    result = since(lake, first, "UPDATE t SET v = 1 WHERE b = 'y'; INSERT INTO t VALUES (2, 'x', 0)")
    assert [(row["change"], row["a"], row["b"]) for row in result.rows()] == [
        ("added", 2, "x"),
        ("changed", 1, "y"),
    ]
