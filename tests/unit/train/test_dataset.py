"""Columns to numbers: every kind, NULL, the unseen, and clear errors."""

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from workbench.errors import InvalidData, Unsupported
from workbench.train import dataset
from workbench.train.dataset import ColumnSpec, FeatureSpec
from workbench.train.encoding import encode


def describe(table: pa.Table, columns: list[str]) -> FeatureSpec:
    with duckdb.connect() as connection:
        connection.register("given", table)
        schema = table.select(columns).schema
        return dataset.describe(schema, "given", lambda sql: connection.execute(sql).fetchall())


def rows(sql: str) -> pa.Table:
    return duckdb.sql(sql).to_arrow_table()


def column(sql: str) -> list[list[float]]:
    table = rows(f"SELECT {sql} AS x")
    return encode(table, describe(table, ["x"])).tolist()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("7::TINYINT", 7),
        ("1.25::DECIMAL(9, 3)", 1.25),
        ("170141183460469231731687303715884105727::HUGEINT", 1.7014118e38),
        ("true", 1),
        ("DATE '1970-01-03'", 2 * 86_400),
        ("TIMESTAMP '1970-01-01 00:00:10'", 10),
        ("TIMESTAMP_NS '1970-01-01 00:00:10'", 10),
        ("TIMESTAMP_S '1970-01-01 00:00:10'", 10),
        ("TIMESTAMPTZ '1970-01-01 00:00:10+00'", 10),
        ("TIME '00:01:00'", 60),
        ("'a'", 0),
        ("'a'::ENUM('z', 'a')", 0),
        ("'inf'::DOUBLE", math.nan),
        ("1e300", math.nan),
        ("NULL", math.nan),
        ("NULL::VARCHAR", math.nan),
        ("NULL::DATE", math.nan),
    ],
)
def test_each_type_has_its_number(sql: str, expected: float) -> None:
    [[value]] = column(sql)
    assert value == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("sql", ["'abc'::BLOB", "INTERVAL 1 DAY", "[[1]]", "[{'a': 1}]", "MAP {'a': 1}"])
def test_types_without_numbers_are_refused_by_name(sql: str) -> None:
    with pytest.raises(Unsupported, match="'x'"):
        column(sql)


def test_codes_are_places_in_the_sorted_vocabulary_and_the_rest_is_missing() -> None:
    spec = describe(rows("SELECT unnest(['b', 'c', 'a', 'b', NULL]) AS x"), ["x"])
    assert spec.columns[0].categories == ("a", "b", "c")
    encoded = encode(pa.table({"x": ["c", "new", None, "a"]}), spec)[:, 0]
    assert encoded.tolist() == pytest.approx([2, math.nan, math.nan, 0], nan_ok=True)


def test_a_dictionary_is_read_by_its_values_whatever_its_order() -> None:
    spec = FeatureSpec((ColumnSpec("x", "category", ("a", "b", "c")),))
    shuffled = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 2]), pa.array(["c", "new", "a"]))
    encoded = encode(pa.table({"x": shuffled}), spec)[:, 0]
    assert encoded.tolist() == pytest.approx([2, math.nan, math.nan, 0], nan_ok=True)


def test_the_vocabulary_keeps_the_most_frequent_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "CATEGORY_CAP", 2)
    spec = describe(rows("SELECT unnest(['z', 'z', 'm', 'm', 'm', 'a']) AS x"), ["x"])
    assert spec.columns[0].categories == ("m", "z")


def test_structs_and_lists_are_spread_out() -> None:
    table = rows(
        "SELECT unnest([{'p': 1, 'q': 'b'}, NULL, {'p': NULL, 'q': 'a'}]) AS s, "
        "unnest([[1.5, 2.5], [NULL, 4.5], NULL]) AS v"
    )
    spec = describe(table, ["s", "v"])
    assert spec.names == ("s.p", "s.q", "v.0", "v.1")
    nan = math.nan
    np.testing.assert_array_equal(
        encode(table, spec), [[1, 1, 1.5, 2.5], [nan, nan, nan, 4.5], [nan, 0, nan, nan]]
    )


def test_lists_must_be_of_one_length() -> None:
    with pytest.raises(InvalidData, match="'v' are of different lengths: 1 to 2"):
        describe(rows("SELECT unnest([[1], [1, 2]]) AS v"), ["v"])
    spec = describe(rows("SELECT [1, 2] AS v"), ["v"])
    with pytest.raises(InvalidData, match="3 elements where the model learned 2"):
        encode(rows("SELECT [1, 2, 3] AS v"), spec)


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    spec = describe(rows("SELECT 1 AS a, 2 AS b"), ["a", "b"])
    assert encode(rows("SELECT 7 AS B, 'other' AS c, 5 AS A"), spec).tolist() == [[5, 7]]


def test_a_missing_column_is_named_with_what_may_be_meant() -> None:
    spec = describe(rows("SELECT 1 AS distance, 2 AS b"), ["distance", "b"])
    with pytest.raises(InvalidData, match=r"needs the column 'distance'") as caught:
        encode(rows("SELECT 1 AS distnce, 2 AS b"), spec)
    assert "did you mean 'distnce' to be 'distance'" in caught.value.hint


@pytest.mark.parametrize(
    ("learned", "given"),
    [("1", "'1'"), ("'a'", "1"), ("[1]", "1"), ("DATE '2020-01-01'", "1"), ("{'a': 1}", "{'b': 1}")],
)
def test_a_column_of_another_type_is_named(learned: str, given: str) -> None:
    spec = describe(rows(f"SELECT {learned} AS x"), ["x"])
    with pytest.raises(InvalidData, match="'x' holds"):
        encode(rows(f"SELECT {given} AS x"), spec)


def test_a_column_of_nothing_but_null_fits_every_kind() -> None:
    spec = describe(rows("SELECT 'a' AS x, [1, 2] AS v, {'p': 1} AS s"), ["x", "v", "s"])
    for kind in (pa.null(), pa.int32()):
        encoded = encode(pa.table({name: pa.nulls(3, kind) for name in "xvs"}), spec)
        assert encoded.shape == (3, 4)
        assert np.isnan(encoded).all()


def test_chunks_and_blocks_do_not_matter() -> None:
    columns = "CASE WHEN i % 3 <> 0 THEN i END AS n, ['a', NULL, 'b'][1 + i % 3] AS c"
    sql = f"SELECT {columns} FROM range(150_000) AS r(i)"
    whole = rows(sql).combine_chunks()
    pieces = pa.concat_tables([whole.slice(start, 7_001) for start in range(0, 150_000, 7_001)])
    spec = describe(whole, ["n", "c"])
    expected = encode(whole, spec)
    np.testing.assert_array_equal(encode(pieces, spec), expected)
    place = np.arange(150_000)
    np.testing.assert_array_equal(expected[:, 0], np.where(place % 3 != 0, place, np.nan).astype(np.float32))


def test_a_slice_is_read_from_its_own_start() -> None:
    table = rows("SELECT unnest([{'p': 1}, {'p': 2}, {'p': 3}]) AS s, unnest([[1], [2], [3]]) AS v")
    spec = describe(table, ["s", "v"])
    assert encode(table.to_batches()[0].slice(1, 1), spec).tolist() == [[2, 2]]


def test_names_are_unique_and_without_the_signs_xgboost_refuses() -> None:
    number = ColumnSpec("", "number")
    spec = FeatureSpec(
        (
            ColumnSpec("a.b", "number"),
            ColumnSpec("a", "struct", fields=(ColumnSpec("b", "number"),)),
            ColumnSpec("x[1]", "number"),
            ColumnSpec("v", "list", length=2, fields=(number,)),
        )
    )
    assert spec.names == ("a.b", "a.b_2", "x_1_", "v.0", "v.1")


def test_a_record_gives_back_the_spec() -> None:
    table = rows("SELECT 1 AS n, 'a' AS c, [1, 2] AS v, {'p': 'z'} AS s, DATE '2020-01-01' AS d")
    spec = describe(table, table.column_names)
    assert FeatureSpec.from_record(spec.to_record()) == spec
    assert list(spec) == ["n", "c", "v", "s", "d"]
