"""What holds for every built-in step: the contract, awkward rows, and one result wherever it is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import workbench
from workbench.engines.duckdb import provide_embeddings, scratch
from workbench.errors import InvalidData, NotFound, StatementError
from workbench.transform.fitting import expand, fit
from workbench.transform.steps import STEPS
from workbench.transforms import TRANSFORMERS, Impute, OneHot, Standardize, TargetEncode

NUMBERS = [None, 0.0, -0.0, 1.5, -3.0, 2.0, math.nan, math.inf, -math.inf, 1e150, -1e150, 1e-300]
TEXTS = [None, "", "a", "b", "b", "it's", "ä 🦆 漢字", "a;--", "NULL", "x y z x", "3.5", "\n"]
TIMES = [None, *(f"2024-0{1 + place % 3}-1{place % 4} 0{place % 3}:30:00" for place in range(11))]
ROWS = len(NUMBERS)

# A call that is right, with the columns x (number), c (text), t (time), g (integer), n (the key).
RIGHT: Mapping[str, tuple[str, ...]] = {
    "standardize": ("x",),
    "min_max": ("x",),
    "robust_scale": ("x",),
    "log1p_signed": ("x",),
    "clip_quantile": ("x", "0.1", "0.9"),
    "bucketize": ("x", "4"),
    "quantile_bin": ("x", "3"),
    "impute": ("x", "'MEAN'"),
    "is_missing": ("x",),
    "polynomial": ("x", "3"),
    "interact": ("x", "g"),
    "one_hot": ("c", "5", "1", "'other'"),
    "ordinal": ("c",),
    "count_encode": ("c",),
    "target_encode": ("c", "x", "n", "5"),
    "hash_encode": ("c", "16"),
    "date_parts": ("t",),
    "cyclical": ("t", " 'Hour' "),
    "lag_feature": ("x", "g", "t", "2"),
    "rolling": ("x", "'mean'", "g", "t", "'30 days'"),
    "tokenize": ("c",),
    "ngrams": ("c", "2"),
    "hash_text": ("c", "4"),
    "tfidf": ("c", "4"),
    "embed": ("c",),
}
WRONG: Mapping[str, list[str]] = {
    "standardize": ["", "x, y"],
    "min_max": ["", "x, 0, 1"],
    "robust_scale": ["x, 1"],
    "log1p_signed": ["x, 2"],
    "clip_quantile": ["x, 0.9, 0.1", "x, 'low'", "x, 0, 2"],
    "bucketize": ["x", "x, 0", "x, [2, 1]", "x, []", "x, ['a']"],
    "quantile_bin": ["x", "x, -1", "x, 2.5"],
    "impute": ["x", "x, 'men'", "x, mean", "x, 'constant'", "x, 'mean', 3", "x, 'mode', 1, 2"],
    "is_missing": ["x, 1"],
    "polynomial": ["x", "x, 0"],
    "interact": ["x", "x, y, z"],
    "one_hot": ["", "x, 0", "x, -1", "x, 'all'", "x, 1, 0", "x, 1, 2, 'rest'"],
    "ordinal": ["x, 3"],
    "count_encode": [""],
    "target_encode": ["c", "c, y, n, 'much'", "c, y, n, -1", "c, y"],
    "hash_encode": ["c", "c, 0"],
    "date_parts": ["", "x, 'hour'"],
    "cyclical": ["x", "x, 'hours'", "x, hour"],
    "lag_feature": ["x, g", "x, g, t, 0"],
    "rolling": ["x, 'mean', g, t", "x, 'average', g, t, 3", "x, 'sum', g, t, 'a week'", "x, 'sum', g, t, 0"],
    "tokenize": ["c, 'subwords'", "c, 'word', 5", "c, 'subword', 0", "c, 'subword', 9, 'all'"],
    "ngrams": ["c", "c, 0"],
    "hash_text": ["c", "c, 'many'"],
    "tfidf": ["", "c, 0"],
    "embed": ["", "c, minilm", "c, ''", "c, 'a', 'b'"],
}

# What Ibis cannot compute on SQLite, and why.
NOT_IN_SQLITE = {
    **dict.fromkeys(
        ("clip_quantile", "bucketize", "quantile_bin", "impute", "is_missing"), "no function isnan"
    ),
    **dict.fromkeys(("ordinal", "count_encode"), "no type ENUM"),
    **dict.fromkeys(("polynomial", "one_hot", "ngrams", "hash_text", "tfidf"), "no lists"),
    **dict.fromkeys(("date_parts", "cyclical"), "no structs"),
    "hash_encode": "no function md5_number_lower",
    "tokenize": "no function regexp_extract_all",
    "embed": "no function that asks a model",
}


def call(name: str) -> str:
    return f"{name}({', '.join(RIGHT[name])})"


@pytest.fixture
def rows() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    provide_embeddings(connection)
    connection.execute("create table t (n integer, x double, c varchar, t timestamp, g integer)")
    values = [[n, NUMBERS[n], TEXTS[n], TIMES[n], n % 3 or None] for n in range(ROWS)]
    connection.executemany("insert into t values (?, ?, ?, ?, ?)", values)
    return connection


def test_every_step_has_its_cases() -> None:
    assert list(RIGHT) == list(STEPS)
    assert list(WRONG) == list(STEPS)
    assert all(name == step.name and step.signature.startswith(f"{name}(") for name, step in STEPS.items())


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, text) for name, texts in WRONG.items() for text in texts]
)
def test_wrong_arguments_are_refused_with_their_place(name: str, arguments: str) -> None:
    with pytest.raises(StatementError) as error:
        fit(duckdb.connect(), f"select 1,\n  {name}({arguments}) from t")
    assert (error.value.line, error.value.column) == (2, 3)
    assert name in error.value.message
    assert error.value.hint


def test_an_unknown_option_is_met_with_the_nearest() -> None:
    with pytest.raises(StatementError, match="Did you mean 'median'"):
        STEPS["impute"].check(("x", "'medain'"))


@pytest.mark.parametrize("name", list(STEPS))
def test_awkward_rows_come_through_one_by_one(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each row has a value, it is the same next to any other rows, and NULL in gives no surprise."""
    fitted = fit(rows, f"select n, {call(name)} as y from t order by n")
    relation = rows.sql(fitted.sql)
    found = relation.fetchall()
    assert [row[0] for row in found] == list(range(ROWS))
    again = rows.execute(fitted.sql).fetchall()
    assert repr(again) == repr(found)
    # The last digits of a neural network's answer depend on what else is in the batch.
    if name in ("lag_feature", "rolling", "embed"):
        return
    for n in range(ROWS):
        alone = rows.execute(
            f"select * from ({fitted.sql.replace('from t', f'from (from t where n = {n}) t')})"
        )
        assert repr(alone.fetchall()) == repr([found[n]])


@pytest.mark.parametrize("name", list(STEPS))
def test_the_type_does_not_depend_on_what_was_fitted(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    query = f"select {call(name)} as y from t"
    full = rows.sql(fit(rows, query).sql)
    empty = rows.sql(fit(rows, f"select y from (select {call(name)} as y from (from t limit 0) t)").sql)
    assert full.types == empty.types
    assert empty.fetchall() == []
    unseen = expand(query, {step.call: step.state for step in fit(rows, f"{query} where n < 0").steps})
    assert len(rows.execute(unseen).fetchall()) == ROWS


@pytest.mark.parametrize("name", list(STEPS))
def test_steps_stand_in_any_expression(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    changed = tuple(f"coalesce({each}, {each})" if each in ("x", "c", "t") else each for each in RIGHT[name])
    query = f"select ({name}({', '.join(changed)})) is null as y from t as s order by n"
    plain = f"select ({call(name)}) is null as y from t order by n"
    assert rows.execute(fit(rows, query).sql).fetchall() == rows.execute(fit(rows, plain).sql).fetchall()


# -- one result in SQL, in scikit-learn's transformer, on another backend -------------------------------

OPTIONS: Mapping[str, dict[str, Any]] = {
    "clip_quantile": {"low": 0.1, "high": 0.9},
    "bucketize": {"bins": 4},
    "quantile_bin": {"bins": 3},
    "impute": {"strategy": "mean"},
    "polynomial": {"degree": 3},
    "one_hot": {"max": 5, "least": 1, "other": True},
    "target_encode": {"smoothing": 5},
    "hash_encode": {"buckets": 16},
    "cyclical": {"cycle": "hour"},
    "ngrams": {"n": 2},
    "hash_text": {"buckets": 4},
    "tfidf": {"terms": 4},
}


def transformer(name: str) -> Any:
    return TRANSFORMERS[name](**OPTIONS.get(name, {}))


def test_all_steps_of_one_column_are_transformers() -> None:
    assert set(STEPS) - set(TRANSFORMERS) == {"interact", "lag_feature", "rolling"}


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name != "target_encode"])
def test_the_transformer_gives_what_sql_gives(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    column = RIGHT[name][0]
    table = rows.sql(f"select {column} from t order by n").to_arrow_table()
    wanted = rows.execute(fit(rows, f"select {call(name)} as y from t order by n").sql).fetchall()
    fitted = transformer(name).fit(table)
    made = fitted.transform(table)[column].to_pylist()
    assert len(made) == len(wanted)
    same = [repr(_plain(one)) == repr(_plain(other[0])) for one, other in zip(made, wanted, strict=True)]
    assert all(same)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return list(value.values())
    return value


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name not in ("tokenize", "ngrams")])
def test_the_kinds_of_tables_agree(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    import polars

    column = RIGHT[name][0]
    filled = {"x": "coalesce(x, 0)", "c": "coalesce(c, '')", "t": "coalesce(t, '2020-01-01')"}[column]
    table = rows.sql(f"select {filled} as {column} from t where isfinite(x) order by n").to_arrow_table()
    target = [float(place % 2) for place in range(len(table))]
    fitted = transformer(name).fit(table, target)
    names = fitted.get_feature_names_out().tolist()
    frame = fitted.transform(table.to_pandas())
    assert frame.columns.tolist() == names
    other = fitted.transform(polars.from_arrow(table))
    assert other.columns == names
    assert repr(other.to_dicts()) == repr(polars.from_pandas(frame).cast(other.schema).to_dicts())
    if column == "x":
        array = transformer(name).fit_transform(table.to_pandas().to_numpy())
        assert array.shape == (len(table), len(names))


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name != "target_encode"])
@pytest.mark.parametrize("backend", ["sqlite", "duckdb"])
def test_ibis_tables_give_the_same(rows: duckdb.DuckDBPyConnection, backend: str, name: str) -> None:
    import ibis

    column = RIGHT[name][0]
    table = rows.sql(f"select {column} from t where isfinite(x) order by n").to_arrow_table()
    fitted = transformer(name).fit(table)
    source = getattr(ibis, backend).connect().create_table("t", table)
    if backend == "sqlite" and name in NOT_IN_SQLITE:
        with pytest.raises(Exception, match=r".+"):
            fitted.transform(source).to_pyarrow()
        return
    got = fitted.transform(source).to_pyarrow()[column].to_pylist()
    wanted = fitted.transform(table)[column].to_pylist()
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-12) if isinstance(other, float) else one == other


def test_texts_as_target_do_not_disturb_what_has_no_use_for_them() -> None:
    table = pa.table({"x": [1.0, 2.0, 3.0]})
    assert Standardize().fit(table, ["a", "b", "a"]).transform(table).num_rows == 3
    with pytest.raises(InvalidData, match="not a number"):
        TargetEncode().fit(pa.table({"c": ["a", "b", "c"]}), ["a", "b", "a"])


@pytest.mark.parametrize("name", ["hash_text", "polynomial", "one_hot", "tfidf", "date_parts"])
def test_widths_do_not_depend_on_the_rows_given(rows: duckdb.DuckDBPyConnection, name: str) -> None:
    """The first row fitted has no value, and neither has any row given; there may be none at all."""
    import pandas as pd

    column = RIGHT[name][0]
    table = rows.sql(f"select {column} from t order by {column} is not null").to_arrow_table()
    fitted = transformer(name).fit(table)
    width = len(fitted.get_feature_names_out())
    assert width > 1
    empty = table.slice(0, 0).to_pandas()
    gone = pd.concat([table.slice(0, 1).to_pandas()] * 3, ignore_index=True).astype(empty.dtypes)
    assert fitted.transform(gone).shape == (3, width)
    assert fitted.transform(empty).shape == (0, width)


def test_transformers_share_an_engine_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open one takes a fifth of a second; what one thread gives it another must not see."""
    scratch().close()
    monkeypatch.setattr("workbench.engines.duckdb.connect", lambda: pytest.fail("opened another one"))

    def mean(start: int) -> object:
        rows = pa.table({"x": range(start, start + 1001)})
        for _ in range(5):
            fitted = Standardize().fit(rows)
            assert fitted.transform(rows)["x"][500].as_py() == 0
        return fitted.states_["x"]["mean"]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(mean, range(16))) == [start + 500 for start in range(16)]


def test_missing_values_in_arrays_of_objects() -> None:
    import numpy as np

    array = np.array([["a"], [float("nan")], [None], ["a"]], dtype=object)
    made = Impute("mode").fit_transform(array)
    assert made.tolist() == [["a"]] * 4


def test_a_call_without_its_defaults_is_found_in_the_store(tmp_path: Path) -> None:
    with workbench.connect(tmp_path / "store") as store:
        store.sql("CREATE TABLE t AS SELECT i AS id, ['a', 'b'][i % 2 + 1] AS c FROM range(9) r(i)")
        store.transform("f", on="t", key="id", query="SELECT id, one_hot(c, 1) AS c FROM t")
        found = OneHot(max=1).from_store(store, "f", "c")
        assert found.get_feature_names_out().tolist() == ["c_a"]
        with pytest.raises(NotFound):
            OneHot(max=2).from_store(store, "f", "c")
