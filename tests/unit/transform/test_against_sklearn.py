"""The built-in steps against scikit-learn and NumPy, on random columns with missing values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.errors import InvalidData, StatementError
from workbench.transform.fitting import expand, fit

NAN = math.nan

numbers = st.one_of(
    st.none(), st.just(NAN), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 1.0, -2.5, 1e-9, 1e9])
)
columns = st.lists(numbers, min_size=1, max_size=40)
words = st.lists(
    st.one_of(
        st.none(), st.lists(st.sampled_from(["a", "b", "cc", "d1", "é", "ö"]), max_size=6).map(" ".join)
    ),
    min_size=1,
    max_size=25,
)


def run(values: list[Any], kind: str, call: str, extra: str = "") -> list[Any]:
    """Fit `call` on a column x and apply it to the same rows."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create table t (n int, x {kind}{extra and ', '}{extra})")
    connection.executemany(
        f"insert into t values ({', '.join('?' * (2 + bool(extra)))})",
        [[n, *(value if isinstance(value, tuple) else (value,))] for n, value in enumerate(values)],
    )
    fitted = fit(connection, f"select {call} as y from t order by n")
    return [row[0] for row in connection.execute(fitted.sql).fetchall()]


def matrix(values: list[float | None]) -> npt.NDArray[np.float64]:
    return np.array([NAN if value is None else value for value in values], np.float64).reshape(-1, 1)


def usable(values: list[float | None]) -> bool:
    """Leave out columns without values, and those that only scikit-learn takes for constant."""
    if np.isnan(matrix(values)).all():
        return False
    width = np.nanmax(matrix(values)) - np.nanmin(matrix(values))
    return bool(width == 0 or width > 1e-12)


def test_a_narrow_column_is_not_constant() -> None:
    """scikit-learn leaves scales below 10 epsilon out; a column of atoms' masses in kg is scaled here."""
    assert run([0.0, 1e-27, 4e-27], "double", "min_max(x)") == [0.0, 0.25, 1.0]


def agree(got: list[Any], wanted: npt.NDArray[Any], values: list[float | None], near: float = 1e-9) -> None:
    """Compare where there is a value; NULL stays NULL, and NaN is NaN or NULL."""
    for one, other, value in zip(got, wanted, values, strict=True):
        if value is None or math.isnan(value):
            assert one is None or math.isnan(one)
        else:
            assert one == pytest.approx(other, rel=1e-9, abs=near)


@settings(max_examples=60, deadline=None)
@given(columns)
def test_min_max(values: list[float | None]) -> None:
    from sklearn.preprocessing import MinMaxScaler

    if usable(values):
        wanted = MinMaxScaler().fit_transform(matrix(values))[:, 0]
        # scikit-learn adds the minimum after scaling, which costs digits far from zero.
        agree(run(values, "double", "min_max(x)"), wanted, values, near=1e-6)


@settings(max_examples=60, deadline=None)
@given(columns)
def test_robust_scale(values: list[float | None]) -> None:
    from sklearn.preprocessing import RobustScaler

    lower, upper = np.nanquantile(matrix(values), [0.25, 0.75]) if usable(values) else (0.0, 1e-15)
    if lower == upper or upper - lower > 1e-12:
        wanted = RobustScaler().fit_transform(matrix(values))[:, 0]
        agree(run(values, "double", "robust_scale(x)"), wanted, values)


@settings(max_examples=60, deadline=None)
@given(columns)
@example([5e-324, -5e-324, 1e-17, -1e-16, 1e-15])
def test_log1p_signed(values: list[float | None]) -> None:
    array = matrix(values)[:, 0]
    agree(run(values, "double", "log1p_signed(x)"), np.sign(array) * np.log1p(np.abs(array)), values, near=0)


@settings(max_examples=60, deadline=None)
@given(columns, st.sampled_from([(0.01, 0.99), (0.25, 0.5), (0, 1)]))
def test_clip_quantile(values: list[float | None], shares: tuple[float, float]) -> None:
    array = matrix(values)[:, 0]
    if usable(values):
        low, high = np.nanquantile(array, shares)
        call = f"clip_quantile(x, {shares[0]}, {shares[1]})"
        agree(run(values, "double", call), np.clip(array, low, high), values)


@settings(max_examples=60, deadline=None)
@given(columns, st.integers(2, 6), st.sampled_from(["uniform", "quantile"]))
def test_bins(values: list[float | None], count: int, strategy: str) -> None:
    from sklearn.preprocessing import KBinsDiscretizer

    present = [value for value in values if value is not None and not math.isnan(value)]
    if len(set(present)) < 2 or max(present) - min(present) < 1e-6:
        return
    options = {"quantile_method": "linear"} if strategy == "quantile" else {}
    binner = KBinsDiscretizer(count, encode="ordinal", strategy=strategy, subsample=None, **options)
    wanted = iter(binner.fit_transform(matrix(present))[:, 0])
    call = f"{'bucketize' if strategy == 'uniform' else 'quantile_bin'}(x, {count})"
    for one, value in zip(run(values, "double", call), values, strict=True):
        if value is None or math.isnan(value):
            assert one is None
            continue
        other = next(wanted)
        edges = binner.bin_edges_[0]
        # On an edge, the last digit of an interpolated quantile decides.
        on_edge = np.isclose(edges, value, rtol=1e-12, atol=1e-12).any()
        assert one == other or (on_edge and abs(one - other) == 1)


def test_bins_by_given_bounds() -> None:
    assert run([-1.0, 0.0, 5.0, 10.0, None, NAN], "double", "bucketize(x, [0, 10])") == [
        0,
        1,
        1,
        2,
        None,
        None,
    ]
    assert run([3, 3], "integer", "bucketize(x, 4)") == [0, 0]


@settings(max_examples=30, deadline=None)
@given(columns, st.integers(1, 5))
def test_polynomial(values: list[float | None], degree: int) -> None:
    from sklearn.preprocessing import PolynomialFeatures

    got = run(values, "double", f"polynomial(x, {degree})")
    for one, value in zip(got, values, strict=True):
        if value is None:
            assert one == [None] * degree
        elif not math.isnan(value):
            wanted = PolynomialFeatures(degree, include_bias=False).fit_transform([[value]])[0]
            assert one == pytest.approx(list(wanted), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "b", "B", "it's", "é", "🦆"])), min_size=1))
def test_ordinal_and_counts(values: list[str | None]) -> None:
    present = sorted({value for value in values if value is not None}, key=lambda text: text.encode())
    got = run(values, "varchar", "ordinal(x)")
    assert got == [None if value is None else present.index(value) for value in values]
    counts = run(values, "varchar", "count_encode(x)")
    assert counts == [None if value is None else values.count(value) for value in values]


def test_ordinal_is_that_of_scikit_learn_and_numbers_are_in_their_order() -> None:
    from sklearn.preprocessing import OrdinalEncoder

    values = [10, 9, 100, 9, -1]
    wanted = OrdinalEncoder().fit_transform(np.array(values).reshape(-1, 1))[:, 0]
    assert run(values, "integer", "ordinal(x)") == list(wanted)


def test_what_was_never_seen_is_missing_or_zero() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select 'a' as x")
    query = "select ordinal(x) as o, count_encode(x) as c, one_hot(x, 5, 1, 'other') as h from t"
    states = {step.call: step.state for step in fit(connection, query).steps}
    connection.execute("insert into t values ('new'), (null), ('')")
    assert connection.execute(expand(query, states)).fetchall() == [
        (0, 1, [1, 0]),
        (None, 0, [0, 1]),
        (None, None, [0, 0]),
        (None, 0, [0, 1]),
    ]


def test_one_hot_drops_rare_values_into_other() -> None:
    values = ["a", "a", "b", "b", "c", None]
    assert run(values, "varchar", "one_hot(x, 5, 2, 'other')") == [
        [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0],
    ]  # fmt: skip


def test_ten_thousand_categories_are_found_again() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select 'v' || (i % 9999) as x, i as n from range(30000) r(i)")
    fitted = fit(connection, "select ordinal(x) as o, count_encode(x) as c, x from t")
    found = connection.sql(fitted.sql).aggregate("count(distinct o), min(c), max(c), count(o)").fetchall()
    assert found == [(9999, 3, 4, 30000)]


def test_hash_encode_is_the_second_half_of_md5() -> None:
    import hashlib

    values = ["a", "", "é", None]
    wanted = [
        None if value is None else int.from_bytes(hashlib.md5(value.encode()).digest()[8:], "little") % 1000
        for value in values
    ]
    assert run(values, "varchar", "hash_encode(x, 1000)") == wanted


# -- target encoding -----------------------------------------------------------------------------------


def target_rows(count: int = 300, seed: int = 1) -> list[tuple[str | None, float | None]]:
    random = np.random.default_rng(seed)
    return [
        (
            None if place % 17 == 0 else "abcdef"[place % 6],
            None if place % 13 == 0 else float(random.normal(place % 6)),
        )
        for place in range(count)
    ]


def test_rows_without_a_target_get_what_scikit_learns_encoder_gives() -> None:
    from sklearn.preprocessing import TargetEncoder

    rows = [row for row in target_rows() if row[0] is not None and row[1] is not None]
    encoder = TargetEncoder(smooth=10.0, target_type="continuous")
    encoder.fit([[row[0]] for row in rows], [row[1] for row in rows])
    connection = duckdb.connect()
    connection.execute("create table t (n int, c varchar, y double)")
    connection.executemany("insert into t values (?, ?, ?)", [[n, *row] for n, row in enumerate(rows)])
    query = "select target_encode(c, y, n) as e from t order by n"
    states = {step.call: step.state for step in fit(connection, query).steps}
    connection.execute("delete from t; insert into t values (1, 'a', null), (2, 'f', null), (3, 'new', null)")
    got = [row[0] for row in connection.execute(expand(query, states)).fetchall()]
    assert got == pytest.approx(list(encoder.transform([["a"], ["f"], ["new"]])[:, 0]), rel=1e-9)


def test_no_row_sees_its_own_target() -> None:
    """Change the target of a row: the encoding of every row of its fold stays, that of others moves."""
    rows = target_rows()
    before = run(rows, "varchar", "target_encode(x, y, n)", "y double")
    changed = list(rows)
    changed[20] = (rows[20][0], 1e6)
    after = run(changed, "varchar", "target_encode(x, y, n)", "y double")
    moved = [n for n in range(len(rows)) if before[n] != after[n]]
    assert 20 not in moved
    assert len(moved) > len(rows) / 2


def test_noise_tells_nothing_of_its_target() -> None:
    """With a category of its own for each pair of rows and a random target, nothing can be learned."""
    random = np.random.default_rng(7)
    rows = [(f"c{n // 2}", float(random.integers(0, 2))) for n in range(2000)]
    encoded = run(rows, "varchar", "target_encode(x, y, n, 0)", "y double")
    assert abs(np.corrcoef(encoded, [row[1] for row in rows])[0, 1]) < 0.1


def test_target_encoding_asks_for_what_tells_rows_apart() -> None:
    with pytest.raises(StatementError, match="tell rows apart"):
        run(target_rows(5), "varchar", "target_encode(x, y)", "y double")
    connection = duckdb.connect()
    connection.execute("create table t as select 1 as a, 2 as b, 'x' as c, 1.5 as y")
    fitted = fit(connection, "select target_encode(c, y) as e from t", ["a", "b"])
    assert fitted.steps[0].call == "target_encode(c, y, (a, b))"
    with pytest.raises(InvalidData, match="Could not convert"):
        fit(connection, "select target_encode(y, c, a) as e from t")


# -- text ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(words, st.integers(1, 5))
def test_tfidf(texts: list[str | None], terms: int) -> None:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    present = [text for text in texts if text is not None]
    if not any(present):
        return
    counts = CountVectorizer(token_pattern=r"\w+").fit(present)
    totals = np.asarray(counts.transform(present).sum(axis=0))[0]
    ranked = sorted(counts.vocabulary_, key=lambda word: (-totals[counts.vocabulary_[word]], word))
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", vocabulary=sorted(ranked[:terms]))
    wanted = iter(vectorizer.fit_transform(present).toarray())
    for got, text in zip(run(texts, "varchar", f"tfidf(x, {terms})"), texts, strict=True):
        assert (got is None) == (text is None)
        if text is not None:
            assert got == pytest.approx(list(next(wanted)), rel=1e-9, abs=1e-12)


def test_words_in_any_language() -> None:
    texts = ["Ünïcode it's 漢字 3.5", "नमस्ते दुनिया", "a_b\n\tC", "", None, "…!?"]
    assert run(texts, "varchar", "tokenize(x)") == [
        ["ünïcode", "it", "s", "漢字", "3", "5"], ["नमस्ते", "दुनिया"], ["a_b", "c"], [], None, [],
    ]  # fmt: skip
    assert run(["a b c", "a", ""], "varchar", "ngrams(x, 2)") == [["a b", "b c"], [], []]
    assert run(["a b c"], "varchar", "ngrams(x, 1)") == [["a", "b", "c"]]


@settings(max_examples=30, deadline=None)
@given(words, st.integers(1, 8))
def test_hash_text_counts_every_word_once(texts: list[str | None], buckets: int) -> None:
    import hashlib

    for got, text in zip(run(texts, "varchar", f"hash_text(x, {buckets})"), texts, strict=True):
        if text is None:
            assert got is None
            continue
        wanted = [0] * buckets
        for word in text.split():
            wanted[int.from_bytes(hashlib.md5(word.encode()).digest()[8:], "little") % buckets] += 1
        assert got == wanted


# -- time ----------------------------------------------------------------------------------------------

events = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 8), st.one_of(st.none(), st.integers(-5, 5))), max_size=25
)


@settings(max_examples=40, deadline=None)
@given(events, st.integers(1, 3), st.sampled_from(["sum", "min", "max", "count", "mean"]))
def test_windows_see_only_the_past(rows: list[tuple[int, int, int | None]], width: int, word: str) -> None:
    connection = duckdb.connect()
    connection.execute("create table t (n int, g int, d date, x int)")
    for n, (group, day, value) in enumerate(rows):
        connection.execute(
            "insert into t values (?, ?, date '2024-01-01' + ?::int, ?)", [n, group, day, value]
        )
    query = (
        f"select lag_feature(x, g, d, {width}) as l, rolling(x, '{word}', g, d, {width}) as r, "
        f"rolling(x, '{word}', (g, 1), d, '{width} days') as i from t order by n"
    )
    found = connection.execute(fit(connection, query).sql).fetchall()
    for (group, day, _), (lagged, rolled, over_days) in zip(rows, found, strict=True):
        past = [(when, value) for other, when, value in rows if other == group and when < day]
        times = sorted({when for when, _ in past}, reverse=True)[:width]
        at = [
            value for when, value in past if len(times) == width and when == times[-1] and value is not None
        ]
        assert lagged == (max(at) if at else None)
        assert rolled == aggregate(word, [value for when, value in past if when in times])
        assert over_days == aggregate(word, [value for when, value in past if when >= day - width])


def aggregate(word: str, values: list[int | None]) -> float | None:
    present = [value for value in values if value is not None]
    if word == "count":
        return float(len(present))
    if not present:
        return None
    return float({"sum": sum, "min": min, "max": max, "mean": lambda v: sum(v) / len(v)}[word](present))


# -- subwords ------------------------------------------------------------------------------------------


def test_subwords_are_those_of_the_tokenizers_library() -> None:
    """Cut by one regular expression in SQL, exactly as the library cuts."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = Path(__file__).resolve().parents[3]
    lines = [line for line in (root / "docs" / "concepts.md").read_text("utf-8").splitlines() if line.strip()]
    connection = duckdb.connect()
    connection.execute(
        "create table t as select unnest($l) as x, generate_subscripts($l, 1) as n", {"l": lines}
    )
    fitted = fit(connection, "select tokenize(x, 'subword', 300, 400) as y from t order by n")
    found = [row[0] for row in connection.execute(fitted.sql).fetchall()]
    pieces = fitted.steps[0].state["pieces"]
    assert isinstance(pieces, tuple)
    assert len(pieces) <= 300
    named = [str(each)[1:] if str(each).startswith("▁") else f"##{each}" for each in pieces]
    vocabulary = {"[UNK]": 1, **{name: place + 2 for place, name in enumerate(named)}}
    library = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words = [
        " ".join(row[0])
        for row in connection.execute(
            fit(connection, "select tokenize(x) as y from t order by n").sql
        ).fetchall()
    ]
    wanted = [each.ids for each in library.encode_batch(words)]
    assert [row[: len(ids)] for row, ids in zip(found, wanted, strict=True)] == wanted
    assert all(len(row) == 400 and not any(row[len(ids) :]) for row, ids in zip(found, wanted, strict=True))


def test_subwords_of_unseen_signs_and_of_nothing() -> None:
    connection = duckdb.connect()
    connection.execute("create table t as select 'aa ab' as x, 1 as n")
    query = "select tokenize(x, 'subword', 10, 4) as y from t order by n"
    states = {step.call: step.state for step in fit(connection, query).steps}
    connection.execute("insert into t values ('ω', 2), ('', 3), (null, 4), ('aa aa aa aa aa aa', 5)")
    rows = [row[0] for row in connection.execute(expand(query, states)).fetchall()]
    assert rows[1:4] == [[1, 1, 0, 0], [0, 0, 0, 0], None]
    assert [len(row) for row in (rows[0], rows[4])] == [4, 4]
    assert 0 not in rows[4]
    empty = fit(connection, "select tokenize(x, 'subword') as y from t where n < 0").steps[0].state
    assert empty["pieces"] is None or empty["pieces"] == ()
