"""Lists and structs in CSV, read back by pandas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.store import Store
from workbench.train.dataset import ColumnSpec, FeatureSpec

QUERY = """
SELECT id, one_hot(zone) AS zone, cyclical(ts, 'hour') AS hour, standardize(x) AS x, words, "a b", pair
FROM t ORDER BY id
"""


@pytest.fixture
def filled(store: Store) -> Store:
    store.sql("""
        CREATE TABLE t AS
        SELECT i AS id, ['a', 'b', 'c'][1 + i % 3] AS zone, TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS ts,
               i * 1.0 AS x, [x FOR x IN ['p', 'q', 'r'] IF x > ['o', 'p'][1 + i % 2]] AS words,
               {'left side': i, 'right': 'r"'} AS "a b",
               CASE WHEN i > 0 THEN [i, -i] END AS pair
        FROM range(9) AS r(i)""")
    return store


def test_parts_are_columns_by_the_names_of_training(filled: Store, tmp_path: Path) -> None:
    filled.export(QUERY, tmp_path / "t.csv", format="csv")
    frame = pd.read_csv(tmp_path / "t.csv")
    table = filled.sql(QUERY).to_arrow()
    names = list(frame)[1:6]
    number = ColumnSpec("", "number")
    learned = FeatureSpec(
        (
            ColumnSpec("zone", "list", length=3, fields=(number,)),
            ColumnSpec("hour", "struct", fields=(replace(number, name="sin"), replace(number, name="cos"))),
        )
    )
    assert names == list(learned.names)
    np.testing.assert_array_equal(frame[names[:3]].to_numpy(), np.array(table["zone"].to_pylist()))
    np.testing.assert_allclose(frame["hour.sin"], [row["sin"] for row in table["hour"].to_pylist()])
    assert frame["a b.left side"].tolist() == list(range(9))
    assert set(frame["a b.right"]) == {'r"'}
    # Lists of other lengths are one text; of a list that is NULL, so is each part.
    assert frame["words"][0] == "[p, q, r]"
    assert frame["pair.0"].isna().tolist() == [True] + [False] * 8
    assert frame["pair.1"].dropna().tolist() == [-float(i) for i in range(1, 9)]


def test_a_name_that_is_taken_leaves_the_column_whole(filled: Store, tmp_path: Path) -> None:
    filled.export('SELECT pair, id AS "pair.0" FROM t', tmp_path / "t.csv", format="csv")
    assert list(pd.read_csv(tmp_path / "t.csv")) == ["pair", "pair.0"]


def test_formats_with_nested_types_keep_them(filled: Store, tmp_path: Path) -> None:
    filled.export(QUERY, tmp_path / "t.parquet", format="parquet")
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert list(frame) == ["id", "zone", "hour", "x", "words", "a b", "pair"]
    assert frame["zone"][1].tolist() == [0, 1, 0]


def test_no_rows_have_no_lengths(filled: Store, tmp_path: Path) -> None:
    filled.export("SELECT id, pair FROM t WHERE id > 99", tmp_path / "t.csv", format="csv")
    assert (tmp_path / "t.csv").read_text().strip() == "id,pair"
