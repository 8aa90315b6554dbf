"""Text analysis of SQL: calls, tables, canonical text, lineage and provenance, checked against DuckDB."""
# ruff: noqa: E501 - a query and what it must give read best on one line

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engines.sql import (
    column_lineage,
    find_calls,
    inline_views,
    normalise,
    provenance,
    replace_spans,
    set_columns,
    source_tables,
    written_tables,
)
from workbench.errors import StatementError

NAMES = {"impute", "standardize"}


# -- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "select 'standardize(x)'",
        "select 'it''s standardize(x)'",
        "select $$ standardize(x) $$",
        "select $tag$ standardize(x) $ standardize(y) $tag$",
        'select "standardize"(x)',
        "select t.standardize(x)",
        "select x.impute('mean')",
        "select 1 -- standardize(x)",
        "select /* standardize(x) /* impute(y) */ standardize(z) */ 1",
        "select standardize, impute from t",
        "with standardize(x) as (select 1) select * from standardize",
        "with recursive impute(x) as materialized (select 1) select * from impute",
        "insert into impute(x) values (1)",
        "create table standardize(x int)",
        "create macro impute(x, y) as x",
        "select * from (select 1) as impute(x)",
        "select not_standardize(x), standardize_x(y)",
    ],
)
def test_no_call_is_found_where_there_is_none(sql: str) -> None:
    assert find_calls(sql, NAMES) == []


def test_calls_keep_their_text_and_place() -> None:
    sql = "select 'é🦆', Standardize /* c */ ( impute( t.x ,\n 'a,(b' ) ) as \"ü\", impute([1, 2], {'a': f(1, 2)}) -- standardize(x)\nfrom t"
    calls = find_calls(sql, NAMES)
    assert [(call.name, call.arguments) for call in calls] == [
        ("standardize", ("impute( t.x ,\n 'a,(b' )",)),
        ("impute", ("t.x", "'a,(b'")),
        ("impute", ("[1, 2]", "{'a': f(1, 2)}")),
    ]
    assert sql[calls[0].start : calls[0].end].startswith("Standardize /* c */ (")
    for call in calls:
        assert tuple(sql[start:end] for start, end in call.places) == call.arguments


def test_a_comment_beside_an_argument_does_not_swallow_what_follows() -> None:
    (call,) = find_calls("select impute(x -- the value\n, 'mean' /* why */)", {"impute"})
    assert call.arguments == ("x", "'mean'")


def test_calls_without_arguments_and_in_deep_places() -> None:
    sql = "select case when standardize() then (select max(standardize(a)) over (order by standardize(b)) from t) end"
    assert [call.arguments for call in find_calls(sql, NAMES)] == [(), ("a",), ("b",)]


@pytest.mark.parametrize("sql", ["select standardize(x", "select standardize('x)", "select standardize(f(x)"])
def test_what_is_left_open_is_reported(sql: str) -> None:
    with pytest.raises(StatementError):
        find_calls(sql, NAMES)


@given(st.text(max_size=40))
def test_replacing_nothing_changes_nothing(sql: str) -> None:
    assert replace_spans(sql, []) == sql


@given(
    st.lists(
        st.sampled_from(
            ["'a''b'", "x", "\n", " ", "/* f(1) */", "$$f(2)$$", '"f"', "é", "🦆", ",", "-- f(3)\n"]
        )
    )
)
def test_only_the_calls_are_replaced(pieces: list[str]) -> None:
    around = " ".join(pieces)
    sql = f"{around} f(x, 1) {around} f(f(2)) {around}"
    outermost = []
    for call in find_calls(sql, {"f"}):
        if not outermost or call.start >= outermost[-1].end:
            outermost.append(call)
    assert (
        replace_spans(sql, [(call.start, call.end, "!") for call in outermost])
        == f"{around} ! {around} ! {around}"
    )


def test_spans_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        replace_spans("abcdef", [(0, 3, "x"), (2, 4, "y")])


# -- tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("from t select (select max(a) from u)", ("t", "u")),
        ("select (select max(a) from u) from t", ("u", "t")),
        ("with t as (select * from t) select * from t", ("t",)),
        ("with a as (from t), b as (from a) select * from b, c", ("t", "c")),
        ("select * from x where id in (with w as (from q) from w) and k in (from w)", ("x", "q", "w")),
        ("with recursive r as (select 1 union all select * from r) from r", ()),
        ("with a as (select 1) select * from main.a", ("main.a",)),
        ("select * from 'a.csv', read_csv('b.csv'), \"c.parquet\", range(3)", ()),
        ('select * from lake.main.x, lake.y, Features.Z, features.z at (version => 3), "My T"', ("main.x", "y", "Features.Z", "My T")),
        ("select * from (a join b using (k)) join c on true", ("a", "b", "c")),
        ("select * from t, lateral (select * from u where u.a = t.a), unnest(t.l)", ("t", "u")),
        ("pivot t on a using sum(b)", ("t",)),
        ("select a from t union by name (select a from u) limit (select n from w)", ("t", "u", "w")),
        ("insert into t select * from u", ("u",)),
        ("create table t as with a as (from b) from a", ("b",)),
        ("delete from t where a in (from u)", ("t", "u")),
        ("values (1)", ()),
    ],
)  # fmt: skip
def test_source_tables(sql: str, tables: tuple[str, ...]) -> None:
    assert source_tables(sql) == tables


def test_a_query_that_cannot_be_parsed_is_reported_with_its_place() -> None:
    with pytest.raises(StatementError) as error:
        source_tables("select *\nfrom t where (")
    assert (error.value.line, error.value.column) == (2, 14)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("insert into t select * from u", {"t"}),
        ("insert or replace into lake.main.t by name from u", {"main.t"}),
        ("with c as (from u) insert into t (a) select a from c", {"t"}),
        ("update t set a = 1 from u", {"t"}),
        ("delete from t", {"t"}),
        ("merge into t using u on t.a = u.a when matched then delete", {"t"}),
        ("create or replace table t as select 1", {"t"}),
        ("create table t (a int)", {"t"}),
        ("alter table t rename to u", {"t", "u"}),
        ("drop table if exists main.t", {"main.t"}),
        ("truncate t", {"t"}),
        ("copy t from 'x.csv'", {"t"}),
        ("insert into a values (1); select 1; delete from b", {"a", "b"}),
        ("copy t to 'x.csv'", set()),
        ("create view v as from t", set()),
        ("select 1", set()),
        ("explain delete from t", set()),
        ("explain analyze delete from t", None),
        ("explain (analyze) delete from t", None),
        ("drop schema s cascade", None),
        ("call f()", None),
        ("selec * from t", None),
    ],
)
def test_written_tables(sql: str, tables: set[str] | None) -> None:
    assert written_tables(sql) == tables


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('UPDATE t SET A = b + 1, "B" = 2 WHERE id = 3', {"t": {"a", "b"}}),
        ("WITH u AS (SELECT 1) UPDATE lake.main.t AS x SET a = x.id RETURNING id", {"main.t": {"a"}}),
        ("DELETE FROM t USING u WHERE t.id = u.id", {"t": set()}),
        ("DELETE FROM t; UPDATE t SET a = 1; UPDATE u SET id = 1; SELECT 1", {"t": {"a"}, "u": {"id"}}),
        (r"UPDATE t SET a = '\', id = 1 WHERE b = ''", {"t": {"a", "id"}}),
        (r"UPDATE t SET a = E'\'', id = 1 --'", {"t": {"a", "id"}}),
        ("UPDATE t SET a = 1 /* /* */ */, id = 2", {"t": {"a", "id"}}),
        ("UPDATE t SET (a, id) = (1, 2)", {}),
        ("UPDATE t SET s.id = 2", {}),
        ("UPDATE t SET a = u.a FROM u", {}),
        ("DELETE FROM t; INSERT INTO t VALUES (1)", {}),
        ("UPDATE t SET a = 1; EXPLAIN ANALYZE UPDATE t SET id = 1", {}),
        ("MERGE INTO t USING u USING (id) WHEN MATCHED THEN UPDATE SET a = 1", {}),
        ("CREATE OR REPLACE TABLE t AS SELECT 1 AS id", {}),
        ("UPDATE t SET", {}),
    ],
)
def test_columns_that_are_set_in_rows_that_stay(sql: str, columns: dict[str, set[str]]) -> None:
    assert set_columns(sql) == columns


def test_views_are_put_in_place_of_their_names() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select i as a, i % 2 as g from range(10) r(i)")
    views = {"big": "select * from t where a > 3", "queries.odd": "select b.a from big as b where g = 1"}
    sql = inline_views("from queries.odd join big using (a) select a, g", views)
    assert source_tables(sql) == ("t",)
    assert sorted(connection.execute(sql).fetchall()) == [(5, 1), (7, 1), (9, 1)]


# -- canonical text --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select A, b from T where x>1", 'SELECT a,\n"B" FROM t -- why\nWHERE (X > 1);'),
        ("select (a + b) * c from t", "select ((a) + (b)) * (c) from t"),
        ("select * from ((select 1))", "select * from (select 1)"),
        ("select x::int from t", "select cast(x as int) from t"),
        ("select F(x)", "select f(X)"),
        ("select sum(x) over (order by y rows unbounded preceding)", "SELECT sum(x) OVER (ORDER BY y ROWS UNBOUNDED PRECEDING)"),
        ("select a and (b and c) or d", "select (a and (b and c)) or d"),
        ("call f(1)", "CALL   f(1) ;"),
    ],
)  # fmt: skip
def test_what_makes_no_difference(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select (a + b) * c", "select a + b * c"),
        ("select a - (b - c)", "select a - b - c"),
        ("select 'a'", "select 'A'"),
        ("select 'a  b'", "select 'a b'"),
        ("select 1", "select 1.0"),
        ("select a from t", "select a from u"),
        ("select a, b from t", "select b, a from t"),
        ("select not (a and b)", "select not a and b"),
        ("select -(a + b)", "select -a + b"),
        ("call f('a  b')", "call f('a b')"),
        ("select (t).a from t", "select t.a from t"),
    ],
)
def test_what_makes_a_difference(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def _expressions() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["a", "b", "2", "3", "(a)"])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "<", "="]), inner).map(
                lambda p: f"{p[0]} {p[1]} ({p[2]})"
            ),
            st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
                lambda p: f"({p[0]}) {p[1]} {p[2]}"
            ),
            inner.map(lambda each: f"-({each})"),
            inner.map(lambda each: f"case when ({each}) > 1 then 1 else {each} end"),
        ),
        max_leaves=6,
    )


@pytest.fixture(scope="module")
def numbers() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table t as select i::int as a, (7 * i % 5)::int as b from range(6) r(i)")
        yield connection


@settings(max_examples=100, deadline=None)
@given(expression=_expressions())
def test_canonical_text_means_the_same_and_stays_the_same(
    numbers: duckdb.DuckDBPyConnection, expression: str
) -> None:
    sql = f"select {expression} as x from t order by a"
    try:
        expected = numbers.execute(sql).fetchall()
    except duckdb.Error:
        return
    canonical = normalise(sql)
    assert numbers.execute(canonical).fetchall() == expected
    assert normalise(canonical) == canonical


# -- column lineage --------------------------------------------------------------------------------

SCHEMA = {
    "main.t": {"id": "INTEGER", "a": "INTEGER", "b": "INTEGER", "l": "INTEGER[]"},
    "u": {"id": "INTEGER", "c": "INTEGER", "d": "INTEGER"},
}


def edges(sql: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for edge in column_lineage(sql, SCHEMA):
        name = edge.output_column if edge.kind == "value" else edge.kind
        found.setdefault(name, set()).add(f"{edge.table.rpartition('.')[2]}.{edge.column}")
    return found


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select a + b as x from t where id > 0", {"x": {"t.a", "t.b"}, "filter": {"t.id"}}),
        ("select * exclude (l, id) replace (a * 2 as a) rename (b as c) from t", {"a": {"t.a"}, "c": {"t.b"}}),
        ("with q as (select id, sum(c) as s from u group by id) select t.a, q.s from t join q using (id)",
         {"a": {"t.a"}, "s": {"u.c"}, "join": {"t.id", "u.id"}, "group": {"u.id"}}),
        ("select id, a from t union all select c, d from u", {"id": {"t.id", "u.c"}, "a": {"t.a", "u.d"}}),
        ("select id, a from t union all by name select c as a, id from u", {"id": {"t.id", "u.id"}, "a": {"t.a", "u.c"}}),
        ("select id from t except select c from u", {"id": {"t.id"}, "filter": {"u.c"}}),
        ("select a as x, x + b as y from t", {"x": {"t.a"}, "y": {"t.a", "t.b"}}),
        ("select list_transform(l, lambda id: id + a) as y, [b + 1 for b in l] as z from t", {"y": {"t.l", "t.a"}, "z": {"t.l"}}),
        ("select (select max(c) from u where u.id = t.id) as m from t", {"m": {"u.c"}, "filter": {"u.id", "t.id"}}),
        ("select sum(a) over (partition by id order by b) as w from t", {"w": {"t.a", "t.id", "t.b"}}),
        ("select count(*) as n from t group by a", {"n": {"t.*"}, "group": {"t.a"}}),
        ("select x.p from (select a, b from t) as x(p, q)", {"p": {"t.a"}}),
        ("with t as (select c as a from u) select a from t", {"a": {"u.c"}}),
        ("select id, max(a) as m from t group by all having min(b) > 0", {"id": {"t.id"}, "m": {"t.a"}, "group": {"t.id"}, "filter": {"t.b"}}),
        ("from t semi join u on t.id = u.c select a", {"a": {"t.a"}, "join": {"t.id", "u.c"}}),
        ("select * from nowhere where k = 1", {"*": {"nowhere.*"}, "filter": {"nowhere.k"}}),
        ("select unnest(l) as e, r.i from t, range(a) as r(i)", {"e": {"t.l"}, "i": {"t.a"}}),
        ("with recursive r as (select id, a from t union all select id + 1, c from r join u using (id)) select a from r",
         {"a": {"t.a", "u.c"}, "join": {"t.id", "u.id"}}),
        ("select T.A from T", {"a": {"t.a"}}),
    ],
)  # fmt: skip
def test_column_lineage(sql: str, expected: dict[str, set[str]]) -> None:
    assert edges(sql) == expected


@pytest.mark.parametrize(
    "sql",
    ["selec", "", "select", "insert into t values (1)", "from t pivot (sum(a) for b in (1))", "values (1, 2)",
     "select columns(c -> c like 'a%') from t", "select * from t match_recognize (x)", "call f()", "select (("],
)  # fmt: skip
def test_lineage_of_exotic_sql_never_raises(sql: str) -> None:
    column_lineage(sql, SCHEMA)


def test_output_columns_can_be_named_by_the_caller() -> None:
    (edge,) = column_lineage("select a + 1 from t", SCHEMA, names=["(a + 1)"])
    assert (edge.output_column, edge.column) == ("(a + 1)", "a")


QUERIES = [
    "select t.id as i, a, c from t left join u on t.id = u.id where b > 1",
    "with q as (select d, sum(c) as s from u group by d) select t.id, q.s, t.a from t join q on q.d = t.b",
    "select id, a * 2 as x, x + b as y from t where y > 4",
    "select b, sum(a) as s, count(*) as n from t group by b having max(id) > 3",
    "select id, sum(a) over (partition by b order by id) as w from t qualify row_number() over (order by a, id) < 5",
    "select id, a from t union all select id, c from u",
    "select id, (select max(c) from u where u.d = t.b) as m from t",
    "select * exclude (l, b) from t where id in (select c from u where d > 0)",
    "from t join u using (id) select id, a - c as e",
    "select distinct b, a % 2 as p from t anti join u on t.a = u.d",
    "select list_sum(list_transform(l, lambda x: x + a)) as z, id from t",
    "select max(id) as id, a from t group by all order by a limit 3",
]


def _database(rows: list[tuple[int, int, int, int]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    values = ", ".join(map(str, rows))
    connection.execute(
        f"create table rows as from (values {values}) as r(id, a, b, c);"
        "create table t as select id, a, b, [a, c] as l from rows;"
        "create table u as select id + 1 as id, c, a as d from rows"
    )
    return connection


@pytest.mark.parametrize("sql", QUERIES)
@settings(max_examples=8, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=3, max_size=10, unique_by=lambda row: row[0])
)
def test_a_column_that_is_not_in_the_lineage_makes_no_difference(
    sql: str, rows: list[tuple[int, int, int, int]]
) -> None:
    found = column_lineage(sql, SCHEMA)
    connection = _database(rows)
    names = [column[0] for column in connection.execute(sql).description]
    before = {
        name: sorted(connection.execute(f"select {name} from ({sql})").fetchall(), key=str) for name in names
    }
    for table, column in itertools.chain((("t", each) for each in "ab"), (("u", each) for each in "cd")):
        about = [edge for edge in found if edge.table.endswith(table) and edge.column in (column, "*")]
        connection.execute(f"begin; update {table} set {column} = {column} + 3")
        for name in names:
            touched = [edge for edge in about if edge.kind != "value" or edge.output_column == name]
            if not [edge for edge in touched if edge.column == column]:
                after = sorted(connection.execute(f"select {name} from ({sql})").fetchall(), key=str)
                assert after == before[name], (table, column, name)
        connection.execute("rollback")


# -- provenance ------------------------------------------------------------------------------------

TABLES = {
    "t": dict.fromkeys(("id", "a", "b", "l"), "INTEGER"),
    "u": dict.fromkeys(("id", "c", "d"), "INTEGER"),
}

TRACED = [
    ("select id, a from t where b > 1", ["id"]),
    ("select b, sum(a) as s from t where id > 1 group by b having sum(a) > 2 order by s", ["b"]),
    ("select t.id, c from t left join u on t.id = u.id", ["id"]),
    ("select id, c from t full join u using (id)", ["id"]),
    ("select id, c from t right join u using (id) order by c limit 3", ["id"]),
    ("from t join u using (id) select id, row_number() over (partition by id order by a) as r", ["id"]),
    ("select * from t semi join u on t.id = u.id", ["id"]),
    ("select x.id, y.id as other from t as x join t as y on y.id = x.id + 1", ["id"]),
    ("select a * 2 as y, y + b as k, count(*) as n from t where y > 2 group by all", ["y", "k"]),
    ("select id, a from t union all select id, c from u", ["id"]),
    ("with p as (select id, a + b as s from t where a > 1), q as (select s, count(*) as n from p group by s) select s as k, n from q", ["k"]),
    ("select t.id, p.total from t join (select b, sum(a) as total from t group by b) as p on p.b = t.b", ["id"]),
    ("with p as (select d, max(c) as top from u group by d) select top as k, count(*) as n from p group by top", ["k"]),
    ("select g, sum(s) as s from (select b as g, a as s from t union all select d, c from u) group by g", ["g"]),
    ("with z as (from t) select * exclude (l) from z where a > 0", ["id"]),
    ("select b % 2 as p, coalesce(d, -1) as q, count(*) as n from t left join u on t.id = u.id and u.c > 1 group by 1, 2", ["p", "q"]),
    ("select b, avg(a) as m from (select distinct a, b from t) group by b", ["b"]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "key"), TRACED)
@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=2, max_size=9, unique_by=lambda row: row[0])
)
def test_the_traced_rows_alone_give_the_output_row_again(
    sql: str, key: list[str], rows: list[tuple[int, int, int, int]]
) -> None:
    queries = provenance(sql, TABLES, key)
    assert queries is not None
    connection = _database(rows)
    names = [column[0] for column in connection.execute(sql).description]
    outputs = connection.execute(sql.partition(" limit")[0]).fetchall()
    for output in connection.execute(sql).fetchall():
        values = {f"k{index}": output[names.index(name)] for index, name in enumerate(key)}
        wanted = [
            row for row in outputs if all(row[names.index(name)] == output[names.index(name)] for name in key)
        ]
        assert sorted(_on_traced_rows(connection, sql, queries, values, names, key), key=str) == sorted(
            wanted, key=str
        )


def _on_traced_rows(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    queries: dict[str, str],
    values: dict[str, Any],
    names: list[str],
    key: list[str],
) -> list[tuple[Any, ...]]:
    """Run `sql` on a database that holds the traced rows only."""
    for table in ("t", "u"):
        query = queries.get(table, f"from {table} where false")
        used = {name: value for name, value in values.items() if f"${name}" in query}
        kept = connection.execute(query, used).to_arrow_table()
        full = connection.execute(f"from {table}").to_arrow_table()
        everything = full.to_pylist()
        assert all(row in everything for row in kept.to_pylist())
        connection.register(f"kept_{table}", kept)
        connection.execute(f"create temp table traced_{table} as from kept_{table}")
    try:
        smaller = f"with t as (from temp.traced_t), u as (from temp.traced_u) select * from ({sql.partition(' limit')[0]})"
        rows = connection.execute(smaller).fetchall()
    finally:
        connection.execute("drop table temp.traced_t; drop table temp.traced_u")
    places = [names.index(name) for name in key]
    return [row for row in rows if all(row[p] == values[f"k{i}"] for i, p in enumerate(places))]


ROWS = [(0, 1, 0, 2), (1, 2, 1, 0), (2, 3, 0, 1), (3, 0, 1, 2), (4, 2, 0, 3)]
"""t(id, a, b): 0 1 0, 1 2 1, 2 3 0, 3 0 1, 4 2 0. u(id, c, d): 1 2 1, 2 0 2, 3 1 3, 4 2 0, 5 3 2."""

EXACT: list[tuple[str, str, Any, dict[str, set[int]]]] = [
    ("select b, sum(a) as s from t where a > 1 group by b", "b", 0, {"t": {2, 4}}),
    ("select id, a from t where b = 0 or a = 0", "id", 1, {"t": set()}),
    ("select t.id, c from t join u on u.id = t.id and u.c > 1", "id", 1, {"t": {1}, "u": {1}}),
    ("select t.id, c from t left join u on u.d = t.a and u.c > 0", "id", 1, {"t": {1}, "u": {5}}),
    (
        "with p as (select b, max(a) as m from t where id > 0 group by b) select u.id, m from u join p on p.b = u.d",
        "id",
        1,
        {"u": {1}, "t": {1, 3}},
    ),
    (
        "select t.id, p.n from t join (select d, count(*) as n from u group by d) as p on p.d = t.a",
        "id",
        4,
        {"t": {4}, "u": {2, 5}},
    ),
    (
        "with p as (select d, max(c) as top from u group by d) select top as k, count(*) as n from p group by top",
        "k",
        2,
        {"u": {1, 4}},
    ),
    (
        "select s.k, sum(s.v) as v from (select b as k, a as v from t where a > 0 union all select d, c from u where c > 1) as s group by s.k",
        "k",
        1,
        {"t": {1}, "u": {1}},
    ),
    (
        "select * from t where id > 1 union all select id, c, d, null from u where id > 2",
        "id",
        2,
        {"t": {2}, "u": set()},
    ),
    (
        "with p as (from t where a > 0), q as (select id, b as g from p) select g, count(*) as n from q where id < 3 group by g",
        "g",
        0,
        {"t": {0, 2}},
    ),
    ("select id, a from t semi join u on u.d = t.a", "id", 4, {"t": {4}, "u": {2, 5}}),
    ("select id, a from t anti join u on u.id = t.a", "id", 3, {"t": {3}}),
]


@pytest.mark.parametrize(("sql", "key", "value", "expected"), EXACT)
def test_no_other_rows_are_traced(sql: str, key: str, value: Any, expected: dict[str, set[int]]) -> None:
    queries = provenance(sql, TABLES, [key])
    assert queries is not None
    connection = _database(ROWS)
    found = {name: connection.execute(query, {"k0": value}).fetchall() for name, query in queries.items()}
    assert {name: {row[0] for row in rows} for name, rows in found.items()} == expected


def test_the_padding_of_an_outer_join_is_no_row() -> None:
    connection = _database([(1, 1, 1, 1), (5, 2, 2, 2)])
    queries = provenance("select t.id, c from t left join u on t.id = u.id", TABLES, ["id"])
    assert queries is not None
    assert connection.execute(queries["u"], {"k0": 5}).fetchall() == []
    assert len(connection.execute(queries["t"], {"k0": 5}).fetchall()) == 1


def test_a_null_key_finds_its_rows() -> None:
    connection = _database([(1, 1, 1, 1)])
    connection.execute("insert into t values (7, null, 2, [])")
    queries = provenance("select a, count(*) from t group by a", TABLES, ["a"])
    assert queries is not None
    assert [row[0] for row in connection.execute(queries["t"], {"k0": None}).fetchall()] == [7]


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("select sum(a) as s from t", ["s"]),
        ("select row_number() over () as r, a from t", ["r"]),
        ("select random() as r, a from t", ["r"]),
        ("select a from t", ["nope"]),
        ("select a from t except select c from u", ["a"]),
        (
            "with recursive r as (select 1 as n union all select n + 1 from r where n < 3) select n from r",
            ["n"],
        ),
        ("delete from t", ["a"]),
        ("selec", ["a"]),
        ("select 1 as a", ["a"]),
    ],
)
def test_what_cannot_be_traced_is_none(sql: str, key: list[str]) -> None:
    assert provenance(sql, TABLES, key) is None


def test_tables_in_expressions_are_absent() -> None:
    queries = provenance(
        "select id, (select max(c) from u) as m from t where id in (select d from u)", TABLES, ["id"]
    )
    assert queries is not None
    assert set(queries) == {"t"}


def test_sqlglot_is_imported_late() -> None:
    code = "import sys, workbench.engines.sql; sys.exit('sqlglot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("select f(a) from t", "f(a)"),
        ("select id, f(a)", "f(a)"),
        ("from t select distinct f(a), id", "f(a)"),
        ("select * from (select max(id), f(a) from t) where b in (1, 2)", "f(a)"),
        ("select 1 + f(a), id from t", "1 + f(a)"),
        ("select f(a)::int from t", "f(a)::int"),
        ("select a, avg(f(a)) filter (where f(a) > 1) from t", "avg(f(a)) filter (where f(a) > 1)"),
        (
            "select max(b) over (partition by a order by f(a)) from t",
            "max(b) over (partition by a order by f(a))",
        ),
        ("select a, case when f(a) > 1 then 2 end from t", "case when f(a) > 1 then 2 end"),
        ("select f(a) is distinct from b + 1 from t", "f(a) is distinct from b + 1"),
        ("select extract(year from f(a)), b from t", "extract(year from f(a))"),
        ("select (select f(a) from u) as x from t", "f(a)"),
        ("select round(f(a)) as x, b from t", None),
        ("select f(a) as x from t", None),
        ("select f(a) x from t", None),
        ("select x: f(a) from t", None),
        ("select f(a) > 1 x from t", None),
        ("select f(a)::double precision from t", "f(a)::double precision"),
        ("select f(a) > 1 from t using sample 10", "f(a) > 1"),
        ("select * replace (f(a) as a), t.* replace (f(b) as b) from t", None),
        ("select f(columns(*)) from t", None),
        ("select id from t where f(a) group by id, f(a) order by id, f(a)", None),
        ("select id from t qualify row_number() over (order by f(a)) = 1", None),
        ("select distinct on (id, f(a)) id from t", None),
        ("select id from t join u on f(a) = u.id", None),
        ("insert into t values (1, f(a))", None),
        ("update t set a = 1, b = f(a)", None),
    ],
)
def test_a_column_without_a_name(sql: str, column: str | None) -> None:
    found = {call.column and sql[slice(*call.column)] for call in find_calls(sql, {"f"})}
    assert found == {column}
