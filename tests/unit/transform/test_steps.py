"""The built-in steps against scikit-learn and DuckDB."""
# ruff: noqa: E501 - a query and what it must give read best on one line

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.transform.fitting import fit
from workbench.transform.steps.step import number

NAN, INF = math.nan, math.inf


def run(values: list[Any], kind: str, call: str) -> list[Any]:
    """Fit `call` on a column x and apply it to the same rows."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create table t (n int, x {kind})")
    if values:
        connection.executemany("insert into t values (?, ?)", list(enumerate(values)))
    fitted = fit(connection, f"select {call} as y from t order by n")
    return [row[0] for row in connection.execute(fitted.sql).fetchall()]


floats = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.1, 1e-9, 1e9, -1e9 + 0.1]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), floats), min_size=1, max_size=30))
def test_standardize_is_that_of_scikit_learn(values: list[float | None]) -> None:
    from sklearn.preprocessing import StandardScaler

    present = [value for value in values if value is not None]
    if not present:
        return
    scaler = StandardScaler().fit(np.array(present).reshape(-1, 1))
    expected = scaler.transform(
        np.array([NAN if value is None else value for value in values]).reshape(-1, 1)
    )
    spread = max(abs(value) for value in present) or 1.0
    # What is left of a column without variance is rounding, which scikit-learn leaves in.
    close = 1e-9 if scaler.scale_[0] != 1.0 else 1e-9 * spread
    for value, got, wanted in zip(
        values, run(values, "double", "standardize(x)"), expected[:, 0], strict=True
    ):
        assert (got is None) == (value is None)
        if got is not None:
            assert got == pytest.approx(wanted, rel=1e-9, abs=close)


def test_standardize_on_large_offsets_keeps_its_digits() -> None:
    from sklearn.preprocessing import StandardScaler

    values = [1.7e9 + i * 3600.5 for i in range(2000)]  # seconds since 1970, hour by hour
    expected = StandardScaler().fit_transform(np.array(values).reshape(-1, 1))[:, 0]
    assert run(values, "double", "standardize(x)") == pytest.approx(list(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", ["integer", "decimal(9, 2)", "boolean", "float", "ubigint"])
def test_standardize_takes_every_number(kind: str) -> None:
    assert run([0, 1, 1, 0, None], kind, "standardize(x)") == [-1.0, 1.0, 1.0, -1.0, None]


def test_standardize_leaves_null_nan_and_infinities_out_and_as_they_are() -> None:
    got = run([1.0, 3.0, None, NAN, INF, -INF], "double", "standardize(x)")
    assert got[:3] == [-1.0, 1.0, None]
    assert math.isnan(got[3])
    assert got[4:] == [INF, -INF]


@pytest.mark.parametrize("value", [0.0, 0.1, 5.0, 1e300, -7e-9])
def test_a_constant_column_becomes_zero(value: float) -> None:
    got = run([value] * 7 + [None, NAN], "double", "standardize(x)")
    assert got[:8] == [0.0] * 7 + [None]
    assert math.isnan(got[8])


@pytest.mark.parametrize("values", [[], [None, None], [NAN], [INF]])
def test_fitted_on_nothing_standardize_gives_null(values: list[float | None]) -> None:
    assert run(values, "double", "standardize(x)") == [None] * len(values)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.just(NAN), floats), min_size=1, max_size=25),
    strategy=st.sampled_from(["mean", "median", "mode"]),
)
def test_impute_is_that_of_scikit_learn(values: list[float | None], strategy: str) -> None:
    from sklearn.impute import SimpleImputer

    column = np.array([NAN if value is None else value for value in values]).reshape(-1, 1)
    if np.isnan(column).all():
        return
    imputer = SimpleImputer(strategy="most_frequent" if strategy == "mode" else strategy)
    expected = imputer.fit_transform(column)[:, 0]
    assert run(values, "double", f"impute(x, '{strategy}')") == pytest.approx(
        list(expected), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("varchar", ["b", "it's", "b", "it's", None, "nan"], ["b", "it's", "b", "it's", "b", "nan"]),
        ("integer", [3, 2, 3, 2, None], [3, 2, 3, 2, 2]),
        ("date", [datetime(2024, 1, 2).date(), None], [datetime(2024, 1, 2).date()] * 2),
        ("boolean", [True, None, True, False], [True, True, True, False]),
        ("integer[]", [[1, 2], None], [[1, 2], [1, 2]]),
        ("double", [0.1, 0.1, NAN, 3.0], [0.1, 0.1, 0.1, 3.0]),
    ],
)
def test_the_mode_keeps_its_type_and_is_the_smallest_of_several(
    kind: str, values: list[Any], expected: list[Any]
) -> None:
    assert run(values, kind, "impute(x, 'mode')") == expected


@pytest.mark.parametrize(
    ("kind", "values", "value", "expected"),
    [
        ("integer", [1, None], "-1", [1, -1]),
        ("varchar", ["nan", None], "'?'", ["nan", "?"]),
        ("double", [NAN, INF, None], "0", [0.0, INF, 0.0]),
        ("date", [None], "date '2020-01-01'", [datetime(2020, 1, 1).date()]),
    ],
)
def test_impute_a_constant(kind: str, values: list[Any], value: str, expected: list[Any]) -> None:
    assert run(values, kind, f"impute(x, 'constant', {value})") == expected


def test_infinities_are_no_part_of_mean_and_median() -> None:
    assert run([1.0, 2.0, INF, None], "double", "impute(x, 'mean')") == [1.0, 2.0, INF, 1.5]
    assert run([1.0, 4.0, -INF, None], "double", "impute(x, 'median')") == [1.0, 4.0, -INF, 2.5]


@pytest.mark.parametrize("strategy", ["mean", "median", "mode"])
def test_fitted_on_nothing_impute_changes_nothing(strategy: str) -> None:
    assert run([None, None], "double", f"impute(x, '{strategy}')") == [None, None]


# -- categories ------------------------------------------------------------------------------------


def test_one_hot_orders_by_frequency_then_value() -> None:
    got = run(["c", "b", "b", "a", None], "varchar", "one_hot(x)")
    assert got == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=40), most=st.integers(1, 5)
)
def test_one_hot_against_counting(values: list[int | None], most: int) -> None:
    counts = pd.Series([value for value in values if value is not None], dtype="int64").value_counts()
    ranked = sorted(counts.index, key=lambda value: (-counts[value], value))[:most]
    expected = [[int(value == each) for each in ranked] for value in values]
    assert run(values, "integer", f"one_hot(x, {most})") == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("varchar", ["", "it's", '"q"', "ä\n🦆", "NULL", "a;--"]),
        ("double", [0.1, 1e300, -2.5, 3.0]),
        ("date", [datetime(2024, 1, day).date() for day in (1, 2, 3)]),
        ("boolean", [True, False]),
        ("decimal(6, 3)", ["1.100", "2.000"]),
        ("timestamptz", ["2024-01-01 10:00:00+02", "2024-06-01 00:00:00+00"]),
    ],
)
def test_one_hot_finds_awkward_values_again(kind: str, values: list[Any]) -> None:
    got = run(values, kind, "one_hot(x)")
    assert sorted(got) == sorted([int(i == j) for j in range(len(values))] for i in range(len(values)))


def test_one_hot_keeps_at_most_fifty_and_small_numbers() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select i % 80 as x from range(1000) r(i)")
    relation = connection.sql(fit(connection, "select one_hot(x) as y from t").sql)
    assert str(relation.types[0]) == "UTINYINT[]"
    assert relation.aggregate("min(len(y)), max(len(y))").fetchall() == [(50, 50)]


def test_unseen_values_and_an_empty_fit() -> None:
    assert run([None, None], "varchar", "one_hot(x)") == [[], []]
    connection = duckdb.connect()
    connection.execute("create table t as select 'a' as x")
    sql = fit(connection, "select one_hot(x) as y from t").sql
    connection.execute("insert into t values ('new')")
    assert connection.execute(sql).fetchall() == [([1],), ([0],)]


def test_nan_is_no_category() -> None:
    assert run([1.0, NAN, NAN], "double", "one_hot(x)") == [[1], [0], [0]]


# -- dates -----------------------------------------------------------------------------------------

moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))


@settings(max_examples=30, deadline=None)
@given(moment=moments)
def test_date_parts_are_those_of_python(moment: datetime) -> None:
    (got,) = run([moment], "timestamp", "date_parts(x)")
    assert got == {
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "dow": moment.isoweekday() % 7,
        "doy": moment.timetuple().tm_yday,
        "hour": moment.hour,
        "minute": moment.minute,
    }


POSITIONS = {
    "minute": lambda moment: moment.minute / 60,
    "hour": lambda moment: moment.hour / 24,
    "dow": lambda moment: moment.isoweekday() % 7 / 7,
    "month": lambda moment: (moment.month - 1) / 12,
    "doy": lambda moment: (moment.timetuple().tm_yday - 1) / 365.25,
}


@settings(max_examples=40, deadline=None)
@given(moment=moments, unit=st.sampled_from(list(POSITIONS)))
def test_cyclical_is_a_place_on_the_circle(moment: datetime, unit: str) -> None:
    (got,) = run([moment], "timestamp", f"cyclical(x, '{unit}')")
    angle = 2 * math.pi * POSITIONS[unit](moment)
    assert (got["sin"], got["cos"]) == pytest.approx((math.sin(angle), math.cos(angle)), abs=1e-12)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_time_zone_of_the_session_makes_no_difference(zone: str) -> None:
    connection = duckdb.connect()
    connection.execute(f"set timezone = '{zone}'")
    sql = fit(
        connection, "select date_parts(timestamptz '2024-01-01 01:30:00+02') as p, cyclical(timestamptz '2024-01-01 01:30:00+02', 'hour') as c"
    ).sql  # fmt: skip
    parts, circle = connection.execute(sql).fetchone() or ()
    assert (parts["year"], parts["day"], parts["hour"], parts["minute"]) == (2023, 31, 23, 30)
    assert circle["cos"] == pytest.approx(math.cos(2 * math.pi * 23 / 24))


@pytest.mark.parametrize(
    "kind", ["date", "timestamp", "timestamptz", "timestamp_s", "timestamp_ms", "timestamp_ns"]
)
def test_every_kind_of_time_has_the_same_type_of_parts(kind: str) -> None:
    connection = duckdb.connect()
    relation = connection.sql(
        fit(
            connection, f"select date_parts('2024-02-29'::{kind}) as p, cyclical(null::{kind}, 'doy') as c"
        ).sql
    )
    assert str(relation.types[0]) == (
        'STRUCT("year" SMALLINT, "month" SMALLINT, "day" SMALLINT, dow SMALLINT, doy SMALLINT, "hour" SMALLINT, "minute" SMALLINT)'
    )
    parts, circle = relation.fetchone() or ()
    assert (parts["month"], parts["day"], parts["dow"], circle) == (2, 29, 4, None)


def test_null_and_infinite_times_give_null() -> None:
    connection = duckdb.connect()
    for value in ("null::timestamp", "'infinity'::timestamp", "'-infinity'::date"):
        sql = fit(connection, f"select date_parts({value}) as p, cyclical({value}, 'hour') as c").sql
        assert connection.execute(sql).fetchall() == [(None, None)]


def test_the_end_of_a_cycle_is_next_to_its_beginning() -> None:
    start = datetime(2024, 1, 1)
    day = run([start + timedelta(hours=hour) for hour in range(24)], "timestamp", "cyclical(x, 'hour')")
    steps = [
        math.dist(one.values(), other.values()) for one, other in zip(day, [*day[1:], day[0]], strict=True)
    ]
    assert steps == pytest.approx([steps[0]] * 24)


@settings(max_examples=60, deadline=None)
@given(st.floats())
def test_constants_read_back_as_the_same_float(value: float) -> None:
    connection = duckdb.connect()
    got, kind = connection.execute(f"select {number(value)} as v, typeof(v)").fetchone() or ()
    assert kind == "DOUBLE"
    assert math.isnan(value) if math.isnan(got) else np.float64(got).tobytes() == np.float64(value).tobytes()
