"""Keys are unique and not null after every commit, in whichever way rows are written."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import InvalidData
from workbench.ingest.load import Load, append, load, merge
from workbench.lake import Lake
from workbench.lake.statements import run_sql

# Of each type: three keys in their order, and one that lies outside their bounds.
TYPES = {
    "BIGINT": ("-5", "0", "7", "9000000000"),
    "UTINYINT": ("0", "1", "200", "255"),
    "DATE": ("DATE '0044-03-15 (BC)'", "DATE '2024-02-29'", "DATE 'infinity'", "DATE '-infinity'"),
    "TIMESTAMP": (
        "TIMESTAMP '1969-12-31 23:59:59.999999'",
        "TIMESTAMP '2024-01-01'",
        "TIMESTAMP '2024-01-01 00:00:00.000001'",
        "TIMESTAMP '2025-01-01'",
    ),
    "TIMESTAMPTZ": ("TIMESTAMPTZ '2024-01-01 00:00:00+02'", "'2024-01-01'", "'2024-06-01'", "'2025-01-01'"),
    "VARCHAR": ("''", "'it''s'", "'z'", "'€'"),
    "DECIMAL(9,2)": ("-1.5", "0.01", "7", "99.99"),
    "DOUBLE": ("'-infinity'::DOUBLE", "0.1::DOUBLE + 0.2::DOUBLE", "'nan'::DOUBLE", "0.3::DOUBLE"),
    "UUID": (*(f"'{n:032x}'::UUID" for n in (1, 5, 2**127)), f"'{2**126:032x}'::UUID"),
    "BOOLEAN[]": ("[true]", "[true, NULL]", "[false]", "[]"),
}


def write(lake: Lake, way: str, key: str) -> None:
    if way == "append":
        append(lake, "t", run_sql(lake, f"SELECT {key} AS \"K\", 'new' AS v").table)
        return
    statement = {
        "insert": f"INSERT INTO t (v, k) VALUES ('new', {key})",
        "update": f"UPDATE t SET K = {key} WHERE v = 'spare'",
        "merge into": f"MERGE INTO t USING (SELECT {key} AS n) AS s ON false "
        "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.n, 'new')",
    }[way]
    run_sql(lake, statement)


@pytest.mark.parametrize("kind", TYPES)
def test_a_key_of_any_type_is_refused_when_it_is_there_already(lake: Lake, kind: str) -> None:
    *there, other = TYPES[kind]
    rows = ", ".join(f"({key}, 'old')" for key in there)
    query = f"SELECT k::{kind} AS k, v FROM (VALUES {rows}) AS r(k, v)"
    load(lake, Load("t", run_sql(lake, query).table, ("k",)))
    for way in ("insert", "append", "merge into"):
        for key in there:
            with pytest.raises(InvalidData, match=r"The key \(k\) of 't' is not unique: k = .*\(2 rows\)"):
                write(lake, way, key)
        with pytest.raises(InvalidData, match=r"The key \(k\) of 't' is NULL in 1 row;"):
            write(lake, way, "NULL")
        write(lake, way, other)
        run_sql(lake, "DELETE FROM t WHERE v = 'new'")
    run_sql(lake, f"UPDATE t SET v = 'spare' WHERE k = {there[1]}")
    for key in (there[0], there[2]):
        with pytest.raises(InvalidData, match="not unique"):
            write(lake, "update", key)
    write(lake, "update", other)


def test_all_repeated_keys_are_counted(lake: Lake) -> None:
    load(lake, Load("t", [{"a": n // 3, "b": n % 3, "v": 0} for n in range(9)], ("a", "b")))
    rows = [{"a": n // 3, "b": n % 3, "v": 1} for n in (0, 0, 1, 2, 3, 4, 5, 20)]
    said = r"a = 0, b = 0 \(3 rows\); a = 0, b = 1 \(2 rows\); .* and 1 more; nothing was changed"
    values = ", ".join(f"({row['a']}, {row['b']}, 1)" for row in rows)
    for work in (lambda: append(lake, "t", rows), lambda: run_sql(lake, f"INSERT INTO t VALUES {values}")):
        with pytest.raises(InvalidData, match=said):
            work()
    with pytest.raises(InvalidData, match=r"NULL in 2 rows"):
        append(lake, "t", [{"a": 9, "v": 1}, {"a": None, "v": 1}])
    append(lake, "t", [{"a": 0, "b": 9, "v": 1}, {"a": 9, "b": 0, "v": 1}])


def test_keys_are_compared_as_the_table_stores_them(lake: Lake) -> None:
    load(lake, Load("t", [{"id": "1", "v": 0}], ("id",)))
    with pytest.raises(InvalidData, match=r"id = 1 \(2 rows\)"):
        append(lake, "t", [{"id": 1, "v": 1}])
    append(lake, "t", [{"id": 2, "v": 1}])


def test_a_key_may_leave_and_come_back_in_one_commit(lake: Lake) -> None:
    load(lake, Load("t", [{"id": n, "v": 0} for n in range(5)], ("id",)))
    run_sql(lake, "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 1), (9, 1)")
    run_sql(lake, "UPDATE t SET id = id + 1; UPDATE t SET v = 2; DELETE FROM t WHERE id = 3")
    run_sql(lake, "CREATE OR REPLACE TABLE t AS SELECT range AS id, 0 AS v FROM range(3)")
    with pytest.raises(InvalidData, match="not unique"):
        run_sql(lake, "CREATE OR REPLACE TABLE t AS SELECT 1 AS id, 0 AS v FROM range(2)")
    with pytest.raises(InvalidData, match="not unique"):
        run_sql(lake, "UPDATE t SET v = 1; UPDATE t SET id = 1 WHERE id = 2; DELETE FROM t WHERE id = 0")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        st.tuples(st.just("append"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        st.tuples(st.just("merge"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        st.tuples(st.just("shift"), st.lists(st.integers(0, 30), min_size=2, max_size=2)),
        st.tuples(st.just("touch"), st.lists(st.integers(0, 30), min_size=2, max_size=2)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 30), min_size=1, max_size=2)),
    ),
    min_size=3,
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_a_table_is_as_a_dictionary_would_be(lake: Lake, steps: list[tuple[str, list[int]]]) -> None:
    known = Counter(range(0, 20, 2))
    load(lake, Load("t", [{"id": n, "v": 0} for n in known], ("id",), "replace"))
    for what, numbers in steps:
        wanted = _after(known, what, numbers)
        if max(wanted.values(), default=0) > 1:
            with pytest.raises(InvalidData, match="not unique"):
                _do(lake, what, numbers)
        else:
            _do(lake, what, numbers)
            known = wanted
        found = run_sql(lake, "SELECT id FROM t ORDER BY id").table["id"].to_pylist()
        assert found == sorted(known.elements())


def _after(known: Counter[int], what: str, numbers: list[int]) -> Counter[int]:
    if what in ("insert", "append"):
        return known + Counter(numbers)
    if what == "merge":
        return Counter(numbers) if max(Counter(numbers).values()) > 1 else known | Counter(numbers)
    if what == "shift":
        return Counter(n + numbers[1] if n >= numbers[0] else n for n in known)
    return known - Counter(numbers) if what == "delete" else known


def _do(lake: Lake, what: str, numbers: list[int]) -> None:
    rows = [{"id": n, "v": 1} for n in numbers]
    if what == "append":
        append(lake, "t", rows)
    elif what == "merge":
        merge(lake, "t", rows)
    else:
        first, last = numbers[0], numbers[-1]
        statements = {
            "insert": f"INSERT INTO t VALUES {', '.join(f'({n}, 1)' for n in numbers)}",
            "shift": f"UPDATE t SET id = id + {last} WHERE id >= {first}",
            "touch": f"UPDATE t SET v = id WHERE id IN ({first}, {last})",
            "delete": f"DELETE FROM t WHERE id IN ({', '.join(map(str, numbers))})",
        }
        run_sql(lake, statements[what])
