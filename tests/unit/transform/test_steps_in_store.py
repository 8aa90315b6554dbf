"""Built-in steps in transforms: kept when rows change, refreshed in part, described."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.errors import InvalidData, WorkbenchError
from workbench.schedule import clock
from workbench.store import Store
from workbench.transform.definition import find_transform
from workbench.transform.steps import STEPS

CALLS = {
    "embed": "embed(c)",
    "standardize": "standardize(x)",
    "min_max": "min_max(x)",
    "robust_scale": "robust_scale(x)",
    "log1p_signed": "log1p_signed(x)",
    "clip_quantile": "clip_quantile(x)",
    "bucketize": "bucketize(x, 4)",
    "quantile_bin": "quantile_bin(x, 4)",
    "impute": "impute(x, 'median')",
    "is_missing": "is_missing(x)",
    "polynomial": "polynomial(x, 2)",
    "interact": "interact(x, g)",
    "one_hot": "one_hot(c, 2, 1, 'other')",
    "ordinal": "ordinal(c)",
    "count_encode": "count_encode(c)",
    "target_encode": "target_encode(c, x)",
    "hash_encode": "hash_encode(c, 8)",
    "date_parts": "date_parts(t)",
    "cyclical": "cyclical(t, 'month')",
    "lag_feature": "lag_feature(x, g, t)",
    "rolling": "rolling(x, 'sum', g, t, '3 days')",
    "tokenize": "tokenize(c)",
    "ngrams": "ngrams(c, 2)",
    "hash_text": "hash_text(c, 3)",
    "tfidf": "tfidf(c, 3)",
}


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Store]:
    store = workbench.connect(tmp_path / "store")
    store.sql(
        "CREATE TABLE made AS SELECT i::INT AS n, nullif(i % 11, 5)::DOUBLE AS x, i % 4 AS g, "
        "['red', 'dark red', 'blue', NULL][i % 4 + 1] AS c, "
        "TIMESTAMP '2024-01-01' + to_days((i % 20)::INT) AS t FROM range(200) r(i)"
    )
    store.load("t", store.table("made"), key="n")
    yield store
    store.close()


def _check_vectors(found: list[dict], wanted: list[dict]) -> None:
    """Compare up to what a network's sums depend on what else is in the batch."""
    assert [(row["n"], row["y"] is None) for row in found] == [(row["n"], row["y"] is None) for row in wanted]
    vectors = (np.array([row["y"] for row in rows if row["y"]]) for rows in (found, wanted))
    np.testing.assert_allclose(*vectors, atol=1e-5)


@pytest.mark.parametrize("name", list(STEPS))
def test_a_step_is_refreshed_in_part_by_what_was_fitted(table: Store, name: str) -> None:
    query = f"SELECT n, {CALLS[name]} AS y FROM t"
    table.transform("f", query, key="n")
    expanded = find_transform(table._lake, "f").expanded
    table.sql("UPDATE t SET x = 1e6, c = 'new red' WHERE n IN (3, 4)")
    table.sql("DELETE FROM t WHERE n IN (7, 8, 190)")
    table.sql("INSERT INTO t VALUES (500, 3, 1, 'red', '2024-01-03'), (501, NULL, NULL, NULL, NULL)")
    run = table.refresh("f")[-1]
    assert run.mode == "incremental", run.reason
    assert find_transform(table._lake, "f").expanded == expanded
    wanted = table.sql(f"SELECT * FROM ({expanded}) ORDER BY n").rows()
    found = table.sql("SELECT * FROM f ORDER BY n").rows()
    assert len(wanted) == 199
    if name == "embed":
        _check_vectors(found, wanted)
    else:
        assert repr(found) == repr(wanted)


def test_state_changes_only_by_refit_and_is_a_new_version(table: Store) -> None:
    table.transform("f", "SELECT n, min_max(x) AS y, ordinal(c) AS o FROM t", key="n")
    table.sql("INSERT INTO t (n, x, c) VALUES (600, 1000, 'zebra')")
    table.refresh("f", full=True)
    assert table.sql("SELECT y, o FROM f WHERE n = 600").rows() == [{"y": 100.0, "o": None}]
    table.refit("f")
    assert table.sql("SELECT y, o FROM f WHERE n = 600").rows() == [{"y": 1.0, "o": 3}]
    states = table.sql(
        "SELECT version, number FROM mlstore.fitted WHERE name = 'f' AND statistic = 'max' ORDER BY version"
    ).rows()
    assert states == [{"version": 1, "number": 10.0}, {"version": 2, "number": 1000.0}]


def test_many_categories_are_kept_as_state(table: Store) -> None:
    table.sql("CREATE TABLE wide AS SELECT i AS n, 'v' || (i % 6000) AS c FROM range(9000) r(i)")
    table.transform("f", "SELECT n, count_encode(c) AS y FROM wide", key="n")
    assert table.sql("SELECT count(*) AS k FROM mlstore.fitted WHERE name = 'f'").rows() == [{"k": 12000}]
    assert table.sql("SELECT sum(y) AS s FROM f").rows() == [{"s": 3000 * 2 * 2 + 3000}]
    from workbench.transforms import CountEncode

    shared = CountEncode().from_store(table, "f", "c")
    import pyarrow as pa

    assert shared.transform(pa.table({"c": ["v1", "v5999", "?"]}))["c"].to_pylist() == [2, 1, 0]


def test_refit_when_fits_anew_and_counts_from_the_last_fit(table: Store) -> None:
    table.transform(
        "f", "SELECT n, min_max(x) AS y FROM t", on="t", key="n", when="on write", refit_when="changed >= 10%"
    )
    table.sql("UPDATE t SET x = 20 WHERE n = 1")
    assert find_transform(table._lake, "f").version == 1
    facts = table.describe("f").facts
    assert facts["refit when"] == "changed >= 10%"
    assert facts["refit due"].startswith("no")
    assert "0.5" in facts["refit due"]
    table.transform("g", "SELECT n, y * 2 AS twice FROM f", key="n", when="on write")
    table.sql("UPDATE t SET x = 40 WHERE n BETWEEN 2 AND 30")
    assert find_transform(table._lake, "f").version == 2
    assert table.sql("SELECT max(y) AS y FROM f").rows() == [{"y": 1.0}]
    assert table.sql("SELECT max(twice) AS y FROM g").rows() == [{"y": 2.0}]
    assert table.describe("f").facts["refit due"].startswith("no")
    table.sql("UPDATE t SET x = 80 WHERE n = 1")
    assert table.sql("SELECT max(y) AS y FROM f").rows() == [{"y": 2.0}]


def test_refit_when_on_a_schedule_is_done_by_refresh_all(
    table: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    table.transform("f", "SELECT n, min_max(x) AS y FROM t", key="n", refit_when="every '1 day'")
    table.sql("UPDATE t SET x = 40 WHERE n = 2")
    table.refresh()
    assert find_transform(table._lake, "f").version == 1
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=2))
    runs = table.refresh()
    assert [run.reason for run in runs] == ["refitted: version 2"]
    assert table.refresh(full=True)[0].reason == "asked for"
    assert find_transform(table._lake, "f").version == 2


def test_refit_when_needs_something_to_fit(table: Store) -> None:
    with pytest.raises(InvalidData, match="nothing can be fitted"):
        table.transform("f", "SELECT n, x FROM t", key="n", refit_when="on write")
    with pytest.raises(WorkbenchError, match="parsec"):
        table.transform("f", "SELECT n, min_max(x) AS x FROM t", key="n", refit_when="every '1 parsec'")
