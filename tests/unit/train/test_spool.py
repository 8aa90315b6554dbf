"""Rows in a file: sorted whatever their order was, and the same to XGBoost as rows in memory."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import xgboost

from workbench.errors import InvalidData
from workbench.train import estimators, memory, spool
from workbench.train.boosting import Examples, fit_boosted
from workbench.train.dataset import ColumnSpec, FeatureSpec, describe
from workbench.train.encoding import encode
from workbench.train.matrix import float_query, without_gaps
from workbench.train.spool import Numbers, Spool

ROWS = 5_000
MADE = f"""
    SELECT i AS id, (hash(i) % 1000)::FLOAT AS f0,
           CASE WHEN i % 7 = 0 THEN 'nan'::FLOAT ELSE (hash(i + 1) % 77)::FLOAT END AS f1,
           (i % 3)::FLOAT AS f2, ['a', 'b', NULL][1 + i % 3] AS word, hash(i + 3) AS __hash
    FROM range({ROWS}) AS r(i)
"""


def spooled(order: str = "id", columns: str = "*", kept: tuple[str, ...] = ()) -> Spool:
    with duckdb.connect() as connection:
        reader = connection.execute(f"SELECT {columns} FROM ({MADE}) ORDER BY {order}").to_arrow_reader(1_000)
        return Spool(reader.schema, reader, ROWS, kept)


def numbers(**given: Any) -> Numbers:
    return Numbers(spooled(columns="f0, f1, f2, __hash", **given))


@pytest.mark.parametrize("cells", [10**9, 3_000])
def test_rows_come_in_the_order_of_their_hash(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """In one part and in many, whatever order they arrive in; nothing else of them is changed."""
    monkeypatch.setattr(spool, "_PART_CELLS", cells)
    expected = duckdb.sql(f"SELECT * EXCLUDE (__hash) FROM ({MADE}) ORDER BY __hash").to_arrow_table()
    for order in ("id", "id DESC", "word, f0"):
        found = spooled(order, kept=("id",))
        rows = pa.Table.from_batches(found.batches(), found.schema)
        assert repr(rows.to_pylist()) == repr(expected.drop_columns("id").to_pylist())  # NaN is not NaN
        assert found.kept.column("id").combine_chunks() == expected["id"].combine_chunks()
        assert found.num_rows == ROWS
        assert [path.name for path in found.folder.iterdir()] == ["rows"]


def test_its_files_are_gone_with_it() -> None:
    found = spooled()
    folder = found.folder
    assert folder.exists()
    del found
    assert not folder.exists()


def test_some_rows_are_read_by_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_MOST_ROWS", 999)
    found = spooled()
    places = np.array([0, 5, 998, 999, 1_000, 3_777, ROWS - 1])
    rows = pa.Table.from_batches(found.batches()).combine_chunks()
    assert repr(found.take(places).to_pylist()) == repr(rows.take(pa.array(places)).to_pylist())
    assert found.take(np.array([], int)).num_rows == 0


def test_a_matrix_is_filled_and_parts_of_it_are_chosen() -> None:
    matrix = numbers().matrix()
    table = duckdb.sql(f"SELECT f0, f1, f2 FROM ({MADE}) ORDER BY __hash").to_arrow_table()
    np.testing.assert_array_equal(matrix, np.column_stack([column.to_numpy() for column in table.columns]))
    assert matrix.flags.c_contiguous
    mask = matrix[:, 2] == 1
    some = numbers().take(mask)
    assert isinstance(some, Numbers)
    assert some.shape == (int(mask.sum()), 3)
    np.testing.assert_array_equal(some.matrix(), matrix[mask])
    inner = np.arange(len(some)) % 2 == 0
    np.testing.assert_array_equal(some.take(inner).matrix(), matrix[mask][inner])
    np.testing.assert_array_equal(some.take(np.array([3, 4, 70])), matrix[mask][[3, 4, 70]])


def test_rows_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.SETTING, "1 kB")
    with pytest.raises(InvalidData, match="5,000 training rows of 3 numbers take 0 MB"):
        numbers().matrix()
    monkeypatch.setenv(memory.SETTING, "lots")
    with pytest.raises(InvalidData, match="'lots' is no size"):
        memory.available()


def test_the_limits_of_the_process_count() -> None:
    assert 2**20 < memory.available() < 2**63 - 1


def label(matrix: np.ndarray, task: str) -> np.ndarray:
    value = matrix[:, 0] + np.nan_to_num(matrix[:, 1]) * matrix[:, 2]
    return value if task == "regression" else np.digitize(value, [500] if task == "binary" else [300, 600])


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("weighted", [False, True])
def test_xgboost_learns_the_same_from_a_file(
    monkeypatch: pytest.MonkeyPatch, task: Any, weighted: bool
) -> None:
    """The dump of the model is that of the library's own estimator, given the matrix."""
    monkeypatch.setattr(spool, "_MOST_ROWS", 700)
    rows = numbers()
    matrix = rows.matrix()
    known = label(matrix, task)
    weights = np.linspace(0.5, 2, ROWS) if weighted else None
    made = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    given = {"n_estimators": 8, "tree_method": "hist", "subsample": 0.7, "random_state": 4, "n_jobs": 1}
    ours, theirs = made(**given), made(**given)
    grown = fit_boosted(ours, Examples(rows, known, weights))
    theirs.fit(matrix, known, sample_weight=weights)
    assert grown == 8
    assert ours.get_booster().get_dump() == theirs.get_booster().get_dump()
    np.testing.assert_array_equal(ours.predict(matrix), theirs.predict(matrix))


def test_early_stopping_reads_its_rows_from_the_file_as_well() -> None:
    rows = numbers()
    matrix = rows.matrix()
    rng = np.random.default_rng(0)
    known = (label(matrix, "binary") ^ (rng.random(ROWS) < 0.2)).astype(int)
    examples = Examples(rows, known)
    chosen = np.arange(ROWS) % 10 == 0
    given = {"n_estimators": 300, "early_stopping_rounds": 4, "learning_rate": 0.6, "n_jobs": 1}
    ours = xgboost.XGBClassifier(**given)
    grown = fit_boosted(ours, examples.take(~chosen), validation=examples.take(chosen))
    stop = xgboost.callback.EarlyStopping(rounds=4, save_best=True)
    theirs = xgboost.XGBClassifier(n_estimators=300, learning_rate=0.6, n_jobs=1, callbacks=[stop])
    theirs.fit(matrix[~chosen], known[~chosen], eval_set=[(matrix[chosen], known[chosen])], verbose=False)
    assert ours.get_booster().num_boosted_rounds() < grown < 300
    assert ours.get_booster().get_dump() == theirs.get_booster().get_dump()


@pytest.mark.parametrize(
    "params", [{"tree_method": "exact"}, {"tree_method": "approx"}, {"booster": "gblinear"}]
)
def test_what_takes_no_bins_gets_the_matrix(params: dict[str, Any]) -> None:
    rows = numbers()
    matrix = rows.matrix()
    known = label(matrix, "regression")
    given = {"n_estimators": 3, "n_jobs": 1, **params}
    ours, theirs = xgboost.XGBRegressor(**given), xgboost.XGBRegressor(**given)
    fit_boosted(ours, Examples(rows, known))
    theirs.fit(matrix, known)
    np.testing.assert_allclose(ours.predict(matrix), theirs.predict(matrix), rtol=1e-5)


def test_bins_that_do_not_fit_into_memory_are_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = numbers()
    matrix = rows.matrix()
    known = label(matrix, "regression")
    used = []
    real = xgboost.ExtMemQuantileDMatrix
    monkeypatch.setattr(xgboost, "ExtMemQuantileDMatrix", lambda *a, **b: used.append(1) or real(*a, **b))
    monkeypatch.setenv(memory.SETTING, "10 kB")
    chosen = np.arange(ROWS) % 10 == 0
    estimator = xgboost.XGBRegressor(n_estimators=40, early_stopping_rounds=5)
    examples = Examples(rows, known)
    fit_boosted(estimator, examples.take(~chosen), validation=examples.take(chosen))
    assert len(used) == 2
    off = np.abs(estimator.predict(matrix) - known)
    assert off.mean() < 0.05 * np.abs(known - known.mean()).mean()


def test_an_interrupt_while_rows_are_sorted_into_bins_is_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost reads batches by calling Python from C, where a KeyboardInterrupt would only be printed."""
    monkeypatch.setattr(spool, "_MOST_ROWS", 50)
    rows = numbers()
    known = label(rows.matrix(), "binary")
    read = Numbers.batches
    seen = []

    def batches(self: Numbers) -> Any:
        for table in read(self):
            seen.append(1)
            if len(seen) == 30:
                os.kill(os.getpid(), signal.SIGINT)
            yield table

    monkeypatch.setattr(Numbers, "batches", batches)
    before = signal.getsignal(signal.SIGINT)
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        estimators.fit(xgboost.XGBClassifier(n_estimators=500), Examples(rows, known))
    assert len(seen) < 40
    assert signal.getsignal(signal.SIGINT) is before


def test_the_numbers_in_sql_are_those_of_the_encoder(tmp_path: Path) -> None:
    """For every type, with what is missing, unseen, infinite or beyond a float32."""
    sql = """
        SELECT * FROM (VALUES
            (1, 1.5::DOUBLE, 1e300::DOUBLE, 3.25::DECIMAL(9, 3), true, 'a',
             DATE '1970-01-03', TIMESTAMP '2024-02-29 12:34:56.789', TIME '00:01:00',
             {'p': 1, 'q': 'x'}, [1.5::DOUBLE, 2.5], 7::HUGEINT),
            (2, 'inf', -1e300, NULL, false, 'b', DATE '2100-01-01', TIMESTAMP '1969-12-31 23:59:59', NULL,
             {'p': NULL, 'q': 'y'}, [NULL, 4], 170141183460469231731687303715884105727),
            (3, 'nan', 3.5e38, -7.125, NULL, NULL, NULL, NULL, TIME '23:59:59', NULL, NULL, NULL),
            (2147483647, '-inf', 0.1, 123456.789, true, 'rare', DATE '0001-01-01',
             TIMESTAMP '1677-09-21 00:12:44', TIME '12:00:00', {'p': 5, 'q': 'z'}, [9, 1e39], -5)
        ) AS t(whole, real, large, exact, flag, word, day, instant, clock, pair, list, huge)
    """
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE given AS {sql}")
        table = connection.execute("FROM given").to_arrow_table()
        schema = table.schema
        learned = describe(
            schema, "(FROM given WHERE word <> 'rare')", lambda text: connection.execute(text).fetchall()
        )
        read = connection.execute(float_query(learned, "given", {})).to_arrow_table().to_batches()
    found = pa.Table.from_batches([without_gaps(batch, len(learned.leaves)) for batch in read])
    assert all(column.null_count == 0 for column in found.columns)
    np.testing.assert_array_equal(
        np.column_stack([column.to_numpy() for column in found.columns]), encode(table, learned)
    )


def test_a_text_with_a_hundred_thousand_values_keeps_a_thousand() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 'v' || (i % 100000) AS v FROM range(150000) AS r(i)")
        schema = connection.execute("FROM t LIMIT 0").to_arrow_table().schema
        spec = describe(schema, "t", lambda text: connection.execute(text).fetchall())
    [column] = spec.columns
    assert len(column.categories) == 1000
    assert column.categories == tuple(sorted(sorted(f"v{i}" for i in range(50_000))[:1000]))
    assert isinstance(spec, FeatureSpec)
    assert isinstance(column, ColumnSpec)
