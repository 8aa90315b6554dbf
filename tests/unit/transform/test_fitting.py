"""Fitting the built-in functions of a query: over which rows, in which order, into which text."""
# ruff: noqa: E501 - a query and what it must give read best on one line

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest

from workbench.engines.sql import find_calls
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.transform.fitting import Fitted, expand, fit, read_states
from workbench.transform.steps import STEPS

T = """
create table t as select i as id, i % 3 as g, case when i % 7 = 0 then null else i * 1.5::double end as x,
  ['a', 'b', 'c'][1 + i % 3] as k, timestamp '2024-01-01' + interval (i) hour as ts from range(100) r(i)
"""


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(T)
        yield connection


def numbers(cursor: duckdb.DuckDBPyConnection, sql: str) -> np.ndarray[Any, Any]:
    return np.array([row[0] for row in cursor.execute(sql).fetchall() if row[0] is not None], dtype=float)


def state(fitted: Fitted, call: str) -> dict[str, Any]:
    return dict(next(step.state for step in fitted.steps if step.call == call))


class Spy:
    """Counts the queries that fitting runs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection, self.queries = connection, list[str]()

    def execute(self, sql: str, *params: Any) -> duckdb.DuckDBPyConnection:
        self.queries.append(sql)
        return self.connection.execute(sql, *params)


# -- the text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select 1",
        "not sql at all ((",
        "select 'standardize(x)' -- impute(y)\n\n",
        "SELECT  t.standardize(x)",
        "∑ \r\n\t",
    ],
)
def test_a_body_without_steps_passes_byte_for_byte(sql: str) -> None:
    spy = Spy(duckdb.connect())
    assert fit(spy, sql) == Fitted((), sql)  # type: ignore[arg-type]
    assert expand(sql, {}) == sql
    assert spy.queries == []


def test_all_but_the_calls_stays_byte_for_byte(cursor: duckdb.DuckDBPyConnection) -> None:
    around = "SELECT  /* é🦆 */ id ,\n\t{} as Z, 'standardize(x)' -- impute(x)\r\n FROM  t  WHERE id<$$99$$ ;"
    sql = fit(cursor, around.format("standardize( x )")).sql
    before, after = around.split("{}")
    assert sql.startswith(before)
    assert sql.endswith(after)
    assert find_calls(sql, STEPS) == []


@pytest.mark.parametrize(
    ("call", "alias"),
    [
        ("standardize(x)", "standardize_x"),
        ("standardize( t.x )", "standardize_x"),
        ("impute(x, 'mean')", "impute_x_mean"),
        ("standardize(x + 1.5)", "standardize_x_1_5"),
        ("standardize(impute(x, 'mean'))", "standardize_impute_x_mean"),
        ("cyclical(ts, 'hour')", "cyclical_ts_hour"),
        ("standardize(x) as z", "z"),
        ("standardize(x) z", "z"),
        ("z: standardize(x)", "z"),
    ],
)
def test_a_column_has_a_readable_name(cursor: duckdb.DuckDBPyConnection, call: str, alias: str) -> None:
    relation = cursor.sql(fit(cursor, f"select id, {call}, t.* exclude (x) from t").sql)
    assert [column.lower() for column in relation.columns] == ["id", alias, "id", "g", "k", "ts"]


def test_inside_an_expression_no_name_is_put(cursor: duckdb.DuckDBPyConnection) -> None:
    assert " AS standardize" not in fit(cursor, "select standardize(x) + 1, abs(standardize(x)) from t").sql


# -- the rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "argument", "rows"),
    [
        ("select standardize(x) from t", "x", "t"),
        ("select standardize(x) from t where id < 50", "x", "t where id < 50"),
        ("select standardize(x) from t where id < 50 order by id limit 3", "x", "t where id < 50"),
        ("select distinct standardize(x) from t", "x", "t"),
        ("select g, standardize(sum(x)) from t group by g", "s", "(select sum(x) as s from t group by g)"),
        ("select g, standardize(sum(x)) from t group by all having g > 0", "s", "(select sum(x) as s from t where g > 0 group by g)"),
        ("select g, k, standardize(sum(x)) from t group by 1, 2", "s", "(select sum(x) as s from t group by g, k)"),
        ("select g, avg(standardize(x)) from t group by g having count(*) > 1", "x", "t"),
        ("select standardize(x) from t qualify row_number() over (partition by g order by id) = 1", "x",
         "(from t qualify row_number() over (partition by g order by id) = 1)"),
        ("select distinct on (g) standardize(x) from t order by g, id desc", "x", "(select distinct on (g) x from t order by g, id desc)"),
        ("select standardize(t.x - u.x) from t join t as u on u.id = t.id + 1", "d", "(select t.x - u.x as d from t join t as u on u.id = t.id + 1)"),
        ("with w as (from t where g = 1) select standardize(x) from w", "x", "t where g = 1"),
        ("select * from (select standardize(x) from (select x * 2 as x from t))", "x", "(select x * 2 as x from t)"),
        ("with a as (from t where g = 1), b as (select standardize(x) as z from a) from b", "x", "t where g = 1"),
        ("from t select standardize(x) where id > 9", "x", "t where id > 9"),
        ("create table n as select standardize(x) as z from t where g = 2", "x", "t where g = 2"),
        ("select x * 2 as y, standardize(y) from t where y > 30", "y", "(select x * 2 as y from t where y > 30)"),
        ("select standardize(x) as x from t where x > 30", "x", "t where x > 30"),
        ("select id from t where standardize(x) > 1", "x", "t"),
        ("select standardize(x) from t where standardize(x) > 1", "x", "t"),
        ("select standardize(x - lag(x) over w) from t window w as (order by id)", "d", "(select x - lag(x) over (order by id) as d from t)"),
    ],
)  # fmt: skip
def test_a_step_is_fitted_over_the_rows_of_its_select(
    cursor: duckdb.DuckDBPyConnection, sql: str, argument: str, rows: str
) -> None:
    fitted = fit(cursor, sql)
    values = numbers(cursor, f"select {argument} from {rows}")
    (step,) = fitted.steps
    assert step.state["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert step.state["std"] == pytest.approx(values.std(), rel=1e-12)
    assert step.state["count"] == len(values)
    cursor.execute(fitted.sql)


def test_the_standardized_column_has_mean_zero_and_deviation_one(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "with a as (select g, standardize(sum(x)) as s from t group by all) select standardize(s) as q from a"
    )
    values = numbers(cursor, fit(cursor, sql).sql)
    assert values.mean() == pytest.approx(0, abs=1e-12)
    assert values.std() == pytest.approx(1)


def test_nested_calls_are_fitted_from_the_inside_out(cursor: duckdb.DuckDBPyConnection) -> None:
    fitted = fit(cursor, "select standardize(impute(x, 'median')) as z from t")
    values = numbers(cursor, "select coalesce(x, (select median(x) from t)) from t")
    assert state(fitted, "standardize(impute(x, 'median'))")["mean"] == pytest.approx(values.mean())
    result = numbers(cursor, fitted.sql)
    assert result == pytest.approx((values - values.mean()) / values.std(), rel=1e-9, abs=1e-9)


def test_a_call_on_the_alias_of_another_waits_for_it(cursor: duckdb.DuckDBPyConnection) -> None:
    fitted = fit(cursor, "select impute(x, 'mean') as y, standardize(y) as z, standardize(x) as w from t")
    filled = numbers(cursor, "select coalesce(x, (select avg(x) from t)) from t")
    assert state(fitted, "standardize(y)")["std"] == pytest.approx(filled.std())
    assert state(fitted, "standardize(x)")["std"] == pytest.approx(numbers(cursor, "select x from t").std())


def test_one_pass_for_the_aggregates_of_a_select_and_one_for_each_ranking(
    cursor: duckdb.DuckDBPyConnection,
) -> None:
    spy = Spy(cursor)
    fitted = fit(
        spy,  # type: ignore[arg-type]
        "select standardize(x), standardize( X ), impute(x, 'mode'), one_hot(k), date_parts(ts), standardize(id) from t",
    )
    assert len(spy.queries) == 1 + 2
    assert [step.call for step in fitted.steps] == [
        "standardize(x)", "impute(x, 'mode')", "one_hot(k)", "date_parts(ts)", "standardize(id)",
    ]  # fmt: skip


def test_equal_calls_over_other_rows_are_fitted_apart(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = "select standardize(x) as z from t union all select standardize(x) from t where g = 1"
    fitted = fit(cursor, sql)
    assert [step.call for step in fitted.steps] == ["standardize(x)", "standardize(x)#2"]
    second = numbers(cursor, "select x from t where g = 1")
    assert state(fitted, "standardize(x)#2")["mean"] == pytest.approx(second.mean())
    everything = numbers(cursor, "select x from t")
    expected = [
        *((everything - everything.mean()) / everything.std()),
        *((second - second.mean()) / second.std()),
    ]
    assert sorted(numbers(cursor, fitted.sql)) == pytest.approx(sorted(expected))


def test_shadowed_ctes_mean_what_they_mean_in_sql(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = "with t as (select x + 1000 as x from t) select * from (with t as (select x * 2 as x from t) select standardize(x) as z from t)"
    (step,) = fit(cursor, sql).steps
    assert step.state["mean"] == pytest.approx((numbers(cursor, "select x from t").mean() + 1000) * 2)


def test_steps_without_statistics_stand_anywhere(cursor: duckdb.DuckDBPyConnection) -> None:
    spy = Spy(cursor)
    sql = (
        "select u.id from t join t as u on impute(t.x, 'constant', 0) = u.x where date_parts(t.ts).hour = 3 "
        "group by u.id, cyclical(t.ts, 'hour')"
    )
    cursor.execute(fit(spy, sql).sql)  # type: ignore[arg-type]
    assert spy.queries == []


def test_refitting_follows_the_data_and_expanding_does_not(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = "select standardize(x) as z from t"
    first = fit(cursor, sql)
    cursor.execute("insert into t (x) values (1e6)")
    assert fit(cursor, sql).sql != first.sql
    assert expand(sql, {step.call: step.state for step in first.steps}) == first.sql


def test_no_rows_at_all(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = "select standardize(x) as z, impute(x, 'mean') as i, impute(k, 'mode') as m, one_hot(k) as o from t"
    fitted = fit(cursor, f"{sql} where false")
    relation = cursor.sql(fitted.sql.removesuffix(" where false"))
    assert [str(kind) for kind in relation.types] == ["DOUBLE", "DOUBLE", "VARCHAR", "UTINYINT[]"]
    row = cursor.execute(relation.sql_query()).fetchone()
    assert row is not None
    assert (row[0], row[3]) == (None, [])
    grouped = fit(cursor, "select standardize(sum(x)) as z from t where false").sql
    assert cursor.execute(grouped).fetchall() == [(None,)]


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "error", "text"),
    [
        ("select standardize(typo) from t", NotFound, "typo"),
        ("select standardize(x) from nope", NotFound, "nope"),
        ("select standardize(k) from t", InvalidData, "Could not convert string 'a'"),
        ("select standardize(x) over (order by id) from t", StatementError, "no window function"),
        ("select standardize(x) filter (where g = 1) from t", StatementError, "no aggregate"),
        ("select standardize(distinct x) from t", StatementError, "single columns"),
        ("select standardize(columns('x')) from t", StatementError, "single columns"),
        ("select * from t join t as u on standardize(t.x) = u.x", StatementError, "FROM or JOIN"),
        ("update t set x = standardize(x)", StatementError, "no rows"),
        ("select (select standardize(u.x + t.x) from t as u) from t", StatementError, '"t" not found'),
        ("select standardize(x) as z, g from t where z > 1 group by 1", Unsupported, "GROUP BY 1"),
        ("select standardize(x) as z from t where z > 1", NotFound, "z"),
        ("select standardize(x) from t where (", StatementError, "cannot be read"),
    ],
)
def test_mistakes_are_reported(
    cursor: duckdb.DuckDBPyConnection, sql: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        fit(cursor, sql)
    assert text in str(raised.value)
    assert "mlstore_" not in str(raised.value)


# -- records ---------------------------------------------------------------------------------------


def test_the_record_gives_the_same_again(cursor: duckdb.DuckDBPyConnection) -> None:
    sql = (
        "select standardize(impute(x, 'median')), one_hot(k, 2), impute(k, 'mode'), date_parts(ts) from t "
        "union all by name select standardize(impute(x, 'median')), one_hot(g) from t where g < 1"
    )
    fitted = fit(cursor, sql)
    rows = fitted.to_rows()
    assert set(rows[0]) == {"step", "call", "statistic", "position", "number", "text"}
    assert expand(sql, read_states(reversed(rows))) == fitted.sql
    # As a record of the lake gives them back.
    cursor.execute(
        "create table f (step varchar, call varchar, statistic varchar, position bigint, number double, text varchar)"
    )
    cursor.executemany(
        "insert into f values (?, ?, ?, ?, ?, ?)",
        [[*list(row.values())[:3], row["position"], row["number"], row["text"]] for row in rows],
    )
    names = ("step", "call", "statistic", "position", "number", "text")
    stored = [dict(zip(names, row, strict=True)) for row in cursor.execute("from f").fetchall()]
    assert expand(sql, read_states(stored)) == fitted.sql


def test_a_list_has_a_row_for_each_element(cursor: duckdb.DuckDBPyConnection) -> None:
    rows = fit(cursor, "select one_hot(k) from t").to_rows()
    assert [(row["position"], row["text"], row["number"]) for row in rows] == [
        (0, "a", None),
        (1, "b", None),
        (2, "c", None),
    ]


def test_a_record_that_lacks_a_call_is_refused() -> None:
    with pytest.raises(InvalidData, match="has not been fitted"):
        expand("select standardize(x) from t", {})


def test_what_was_fitted_can_be_said(cursor: duckdb.DuckDBPyConnection) -> None:
    said = [
        step.describe()
        for step in fit(cursor, "select standardize(id), one_hot(k), date_parts(ts) from t").steps
    ]
    assert said == [
        "standardize(id): mean 49.5, standard deviation 28.8661",
        "one_hot(k): categories a, b, c",
        "date_parts(ts)",
    ]
