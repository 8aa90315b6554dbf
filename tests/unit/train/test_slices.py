"""Segments against SQL: each condition finds the rows it stands for, and the worst one comes first."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from workbench.train.evaluate import Answers
from workbench.train.slices import (
    LEAST_ROWS,
    MOST_SEGMENTS,
    _leaves,
    compare_metric,
    divide,
    row_losses,
    worst_segments,
)

ROWS = 4000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Columns of every type that segments are made of, with NULLs, NaN and texts with quotes."""
    rng = np.random.default_rng(0)
    start = dt.datetime(2020, 1, 1)
    gaps = rng.random(ROWS) < 0.1
    real = rng.normal(size=ROWS)
    real[:300] = np.nan
    real[300:310] = np.inf
    return pa.table(
        {
            "number": pa.array(real),
            "float": pa.array(rng.normal(size=ROWS).astype(np.float32)),
            "whole": pa.array(rng.integers(0, 500, ROWS), mask=gaps),
            "few": pa.array(rng.integers(0, 4, ROWS).astype(np.int8)),
            "constant": pa.array(np.ones(ROWS)),
            "nothing": pa.nulls(ROWS, pa.float64()),
            "price": pa.array([Decimal(int(each)) / 100 for each in rng.integers(0, 9999, ROWS)]),
            "flag": pa.array(rng.random(ROWS) < 0.4, mask=gaps),
            "city": pa.array(rng.choice(["Ulm", "Bonn", "L'Aquila AND Rome"], ROWS), mask=gaps),
            'odd "name"': pa.array(rng.choice(["x", "y"], ROWS)).dictionary_encode(),
            "day": pa.array([dt.date(2020, 1, 1) + dt.timedelta(int(d)) for d in rng.integers(0, 900, ROWS)]),
            "at": pa.array([start + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 9**8, ROWS)]),
            "zoned": pa.array(rng.integers(0, 10**15, ROWS), pa.timestamp("us", tz="UTC")),
            "clock": pa.array(rng.integers(0, 86_400 * 10**6, ROWS), pa.time64("us")),
            "place": pa.array(
                [None] * 310
                + [
                    {"x": float(x), "in": {"y z": "n" if x > 0 else None}}
                    for x in rng.normal(size=ROWS - 310)
                ]
            ),
            "vector": pa.array([[1.0, 2.0]] * ROWS),
        }
    )


def conditions(table: pa.Table) -> dict[str, list[tuple[str, np.ndarray]]]:
    return {
        expression: [(text, parts.codes == place) for place, text in enumerate(parts.conditions)]
        for expression, column in _leaves(table)
        if (parts := divide(expression, column)) is not None
    }


def test_every_segment_is_sql_for_its_rows(table: pa.Table) -> None:
    found = conditions(table)
    assert len(found) == 16  # all but the list, and two of the struct
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", table)
        for each in found.values():
            for condition, inside in each:
                asked = connection.sql(f"SELECT coalesce({condition}, false) AS i FROM rows").fetchnumpy()[
                    "i"
                ]
                assert (np.asarray(asked) == inside).all(), condition
            assert sum(inside.astype(int) for _, inside in each).tolist() == [1] * ROWS


def test_numbers_are_divided_at_their_quartiles_and_few_values_one_by_one(table: pa.Table) -> None:
    found = conditions(table)
    assert [text for text, _ in found['"few"']] == ['"few" = 0', '"few" = 1', '"few" = 2', '"few" = 3']
    quarters = [inside.sum() for _, inside in found['"float"']]
    assert len(quarters) == 4 and max(quarters) - min(quarters) <= 2
    assert [text for text, _ in found['"flag"']] == ['"flag" = false', '"flag" = true', '"flag" IS NULL']
    assert '"place"."in"."y z"' in found
    assert "\"city\" = 'L''Aquila AND Rome'" in [text for text, _ in found['"city"']]


def test_the_segment_made_bad_comes_first(table: pa.Table) -> None:
    rng = np.random.default_rng(5)
    loss = rng.exponential(size=ROWS)
    bad = pc.fill_null(pc.equal(table["city"], "Bonn"), False).to_numpy()
    worst = worst_segments(table, loss + bad)[0]
    assert worst.condition == "\"city\" = 'Bonn'"
    assert (worst.inside == bad).all() and worst.rows == bad.sum()
    welch = stats.ttest_ind((loss + bad)[bad], (loss + bad)[~bad], equal_var=False).confidence_interval(0.95)
    assert (worst.low, worst.high) == pytest.approx(tuple(welch), rel=0.01)
    assert worst.difference == pytest.approx((loss + bad)[bad].mean() - (loss + bad)[~bad].mean())


def test_a_pair_made_bad_comes_before_its_halves(table: pa.Table) -> None:
    rng = np.random.default_rng(6)
    bad = (table["few"].to_numpy() == 2) & pc.equal(table['odd "name"'].cast("string"), "y").to_numpy()
    worst = worst_segments(table, rng.exponential(size=ROWS) + 2 * bad)
    assert worst[0].condition == '"few" = 2 AND "odd ""name""" = \'y\''
    assert (worst[0].inside == bad).all()
    assert {'"few" = 2', '"odd ""name""" = \'y\''} <= {segment.condition for segment in worst}


def test_small_segments_are_not_named() -> None:
    rows = 2 * LEAST_ROWS + 100
    names = ["rare"] * (LEAST_ROWS - 1) + ["enough"] * LEAST_ROWS
    names += ["usual"] * (rows - len(names))
    table = pa.table({"a": names})
    loss = np.where(np.array(names) == "usual", 0.1, 1.0)
    assert [segment.condition for segment in worst_segments(table, loss)] == ["\"a\" = 'enough'"]
    # Two percent of many rows are more than fifty.
    many = pa.table({"a": names + ["usual"] * 9000})
    assert worst_segments(many, np.r_[loss, np.full(9000, 0.1)]) == []


def test_at_most_so_many_are_returned_and_only_worse_ones() -> None:
    rng = np.random.default_rng(7)
    table = pa.table({f"c{place}": rng.normal(size=1000) for place in range(30)})
    found = worst_segments(table, rng.exponential(size=1000))
    assert len(found) == MOST_SEGMENTS
    assert all(segment.difference > 0 for segment in found)
    assert [segment.low for segment in found] == sorted((segment.low for segment in found), reverse=True)


def test_nothing_to_divide_gives_nothing() -> None:
    assert worst_segments(pa.table({"v": [[1.0]] * 300}), np.ones(300)) == []
    assert worst_segments(pa.table({"n": pa.nulls(300)}), np.ones(300)) == []
    assert worst_segments(pa.table({"a": [1, 2, 3]}), np.arange(3.0)) == []


def test_the_metric_inside_and_outside_is_scikit_learns(table: pa.Table) -> None:
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 2, ROWS)
    score = np.clip(0.5 * rng.random(ROWS) + 0.4 * truth, 0.01, 0.99)
    answers = Answers(truth, (score > 0.5).astype(int), np.column_stack((1 - score, score)))
    name, losses = row_losses(answers, "auc")
    assert name == "logloss" and losses.mean() == pytest.approx(log_loss(truth, score))
    segment = worst_segments(table, losses)[0]
    inside = segment.inside
    assert compare_metric(segment, answers, "auc") == pytest.approx(
        (roc_auc_score(truth[inside], score[inside]), roc_auc_score(truth[~inside], score[~inside]))
    )


def test_the_loss_of_a_regression_is_that_of_its_metric() -> None:
    answers = Answers(np.array([1.0, 2.0]), np.array([1.5, 0.0]))
    assert row_losses(answers, "rmse")[1].tolist() == [0.25, 4.0]
    assert row_losses(answers, "mae")[1].tolist() == [0.5, 2.0]
