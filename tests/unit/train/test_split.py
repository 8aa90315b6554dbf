"""A row stays on its side, whatever else there is."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InvalidData, NotFound
from workbench.train.split import Split


def sides(split: Split, relation: str) -> dict[object, bool]:
    """Return for each id whether the row is held out."""
    types = {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE FROM ({relation})").fetchall()}
    return dict(duckdb.sql(f"SELECT id, {split.expression(types)} FROM ({relation})").fetchall())


@given(
    before=st.sets(st.integers(-(10**9), 10**9), min_size=1, max_size=40),
    after=st.sets(st.integers(-(10**9), 10**9), max_size=40),
    rule=st.sampled_from(["hash", "random"]),
    holdout=st.floats(0.05, 0.95),
)
@settings(max_examples=60, deadline=None)
def test_a_row_never_changes_side_as_data_grows(
    before: set[int], after: set[int], rule: str, holdout: float
) -> None:
    split = Split.parse(rule, holdout=holdout, seed=3).resolved(["id"], [])
    small = sides(split, f"SELECT unnest({sorted(before)}) AS id")
    large = sides(split, f"SELECT unnest({sorted(after | before, reverse=True)})::BIGINT AS id")
    assert {key: large[key] for key in small} == small


def test_the_sides_are_these_for_ever() -> None:
    """Fixed values: another hash would move the rows of every store there is."""
    split = Split.parse("hash", holdout=0.3).resolved(["id", "name"], [])
    held = sides(split, "SELECT i AS id, 'n' || i AS name FROM range(20) AS r(i)")
    assert [key for key, side in held.items() if side] == [0, 1, 2, 6, 8, 9, 10, 11, 18, 19]


@pytest.mark.parametrize("rule", ["hash", "random"])
def test_the_part_held_out_is_about_as_asked(rule: str) -> None:
    split = Split.parse(rule, holdout=0.2).resolved(["id"], [])
    held = sides(split, "SELECT i AS id FROM range(20_000) AS r(i)")
    assert sum(held.values()) / 20_000 == pytest.approx(0.2, abs=0.015)


def test_a_wider_holdout_contains_the_narrower() -> None:
    relation = "SELECT i AS id FROM range(500) AS r(i)"
    narrow, wide = (
        {key for key, side in sides(Split("hash", ("id",), part), relation).items() if side}
        for part in (0.2, 0.4)
    )
    assert narrow < wide


def test_the_seed_changes_a_random_split_only() -> None:
    relation = "SELECT i AS id FROM range(200) AS r(i)"
    one, two = (sides(Split("random", ("id",), 0.5, seed), relation) for seed in (1, 2))
    assert one != two
    assert sides(Split("hash", ("id",), 0.5, 1), relation) == sides(Split("hash", ("id",), 0.5, 2), relation)


def test_columns_are_not_run_together() -> None:
    """Of pairs that read the same when joined, some fall on different sides."""
    relation = "SELECT i AS id, repeat('x', 1 + i) AS a, repeat('x', 40 - i) AS b FROM range(40) AS r(i)"
    assert len(set(sides(Split("hash", ("a", "b"), 0.5), relation).values())) == 2
    null_and_dash = "SELECT * FROM (VALUES (1, NULL, '-'), (2, '-', NULL)) AS t(id, a, b)"
    assert None not in sides(Split("hash", ("a", "b"), 0.5), null_and_dash).values()


def test_a_time_zone_moves_no_row() -> None:
    start = "TIMESTAMPTZ '2020-01-01 00:00:00+00'"
    relation = f"SELECT i AS id, {start} + i * INTERVAL 1 HOUR AS t FROM range(100) AS r(i)"
    split = Split("hash", ("t",), 0.5)
    found = []
    for zone in ("UTC", "Asia/Tokyo"):
        duckdb.sql(f"SET TimeZone = '{zone}'")
        found.append(sides(split, relation))
    assert found[0] == found[1]


def test_a_split_by_time_holds_out_the_last_rows_and_keeps_its_threshold() -> None:
    relation = "SELECT i AS id, DATE '2020-01-01' + i::INT AS day FROM range(100) AS r(i)"
    split = Split.parse("time(day)", holdout=0.2)
    assert split.needs_threshold
    [(threshold,)] = duckdb.sql(split.threshold_query(f"({relation})", {"day": "DATE"})).fetchall()
    split = Split.from_record({**split.to_record(), "threshold": threshold})
    held = sides(split, relation)
    assert [key for key, side in held.items() if side] == list(range(80, 100))
    grown = sides(split, relation.replace("range(100)", "range(300)"))
    assert {key: grown[key] for key in held} == held
    assert split.same_rule(Split.parse("time(day)", holdout=0.2))
    assert not split.same_rule(Split.parse("time(day)", holdout=0.3))


def test_null_times_are_trained_on() -> None:
    split = Split("time", ("day",), threshold="2020-01-01")
    relation = "SELECT * FROM (VALUES (1, NULL), (2, DATE '2021-01-01')) AS t(id, day)"
    assert sides(split, relation) == {1: False, 2: True}


def test_a_column_says_itself() -> None:
    split = Split.parse("column(part)")
    booleans = "SELECT * FROM (VALUES (1, true), (2, false), (3, NULL)) AS t(id, part)"
    assert sides(split, booleans) == {1: True, 2: False, 3: False}
    words = "SELECT * FROM (VALUES (1, 'Test'), (2, 'train'), (3, NULL)) AS t(id, part)"
    assert sides(split, words) == {1: True, 2: False, 3: False}
    with pytest.raises(duckdb.Error, match="must hold train or test, not dev"):
        sides(split, "SELECT 1 AS id, 'dev' AS part")
    with pytest.raises(InvalidData, match="boolean or a text"):
        sides(split, "SELECT 1 AS id, 2 AS part")


def test_a_group_stays_together_as_hash_keeps_it() -> None:
    relation = "SELECT i AS id, i % 40 AS customer FROM range(400) AS r(i)"
    held = sides(Split.parse("group(customer)", holdout=0.3).resolved(["id"], []), relation)
    assert all(side == held[key % 40] for key, side in held.items())
    assert 0 < sum(held.values()) < 400
    assert held == sides(Split.parse("hash(customer)", holdout=0.3), relation)


def settled(split: Split, relation: str) -> Split:
    types = {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE FROM ({relation})").fetchall()}
    [(threshold,)] = duckdb.sql(split.threshold_query(f"({relation})", types)).fetchall()
    return Split.from_record(split.settled(threshold).to_record())


def test_a_stratified_split_has_the_share_of_each_class_exactly() -> None:
    value = "CASE WHEN i % 50 = 0 THEN 'rare' WHEN i % 3 = 0 THEN 'it''s' END"
    relation = f"SELECT i AS id, {value} AS c FROM range(1003) AS r(i)"
    rule = Split.parse("stratified(c)", holdout=0.2).resolved(["id"], [])
    assert rule.columns == ("c", "id")
    assert rule.needs_threshold
    split = settled(rule, relation)
    held = sides(split, relation)
    classes = dict(duckdb.sql(relation).fetchall())
    for each in ("rare", "it's", None):
        rows = [key for key, value in classes.items() if value == each]
        assert sum(held[key] for key in rows) == round(len(rows) * 0.2)
    assert split.same_rule(rule)
    assert split.same_rule(Split.parse("stratified(C)", holdout=0.2, seed=4).resolved(["ID"], []))
    assert not split.same_rule(Split.parse("stratified(id)", holdout=0.2).resolved(["c"], []))


@given(
    before=st.dictionaries(st.integers(-(10**9), 10**9), st.sampled_from("abc"), min_size=1, max_size=60),
    after=st.dictionaries(st.integers(-(10**9), 10**9), st.sampled_from("abcd"), max_size=60),
    holdout=st.floats(0.05, 0.95),
)
@settings(max_examples=60, deadline=None)
def test_a_stratified_split_moves_no_row_as_data_grows(
    before: dict[int, str], after: dict[int, str], holdout: float
) -> None:
    def relation(rows: dict[int, str]) -> str:
        return f"SELECT unnest({list(rows)}) AS id, unnest({list(rows.values())}) AS c"

    split = settled(Split.parse("stratified(c)", holdout=holdout).resolved(["id"], []), relation(before))
    small = sides(split, relation(before))
    for each in set(before.values()):
        rows = [key for key, value in before.items() if value == each]
        # DuckDB rounds halves up, Python to even.
        assert abs(sum(small[key] for key in rows) - min(len(rows) * holdout, len(rows) - 1)) <= 0.5
    large = sides(split, relation({**after, **before}))
    assert {key: large[key] for key in small} == small


def test_later_rows_are_held_out_about_as_asked() -> None:
    rows = "SELECT i AS id, (i // 100) % 2 = 0 OR i > 20_000 AS c, i > 15_000 AS late FROM range({n}) AS r(i)"
    split = settled(
        Split.parse("stratified(c, late)", holdout=0.3).resolved(["id"], []), rows.format(n=2_000)
    )
    held = sides(split, rows.format(n=30_000))
    for first, last in ((2_000, 15_000), (15_001, 20_000), (20_001, 30_000)):
        assert sum(held[key] for key in range(first, last)) / (last - first) == pytest.approx(0.3, abs=0.05)


def test_too_many_strata_are_refused() -> None:
    with pytest.raises(InvalidData, match=r"stratified\(v\) finds 101 different values; 100 are the most"):
        settled(Split("stratified", ("v", "id"), strata=1), "SELECT i AS id, i AS v FROM range(101) AS r(i)")


@pytest.mark.parametrize("rule", ["hash", "random", "time", "column", "stratified"])
def test_an_expression_can_be_of_other_texts_than_the_columns(rule: str) -> None:
    relation = "SELECT i AS id, i AS v, i % 3 = 0 AS part FROM range(200) AS r(i)"
    columns = {"time": ("v",), "column": ("part",), "stratified": ("part", "id")}.get(rule, ("id",))
    split = Split(rule, columns, threshold={"time": "150"}.get(rule), strata=int(rule == "stratified"))
    if rule == "stratified":
        split = settled(split, relation)
    values = {"id": "(t.n - 1)", "v": "(t.n - 1)", "part": "(t.n % 3 = 1)"}
    types = {"id": "BIGINT", "v": "BIGINT", "part": "BOOLEAN"}
    other = duckdb.sql(f"SELECT n - 1, {split.expression(types, values)} FROM range(1, 201) AS t(n)")
    assert dict(other.fetchall()) == sides(split, relation)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("hsah(id)", NotFound),
        ("time", InvalidData),
        ("time(a, b)", InvalidData),
        ("column", InvalidData),
        ("random(a)", InvalidData),
        ("hash(a", NotFound),
        ("group", InvalidData),
        ("group()", InvalidData),
        ("stratified", InvalidData),
    ],
)
def test_a_wrong_rule_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Split.parse(text)


@pytest.mark.parametrize("holdout", [0, 1, -0.1, 20])
def test_a_wrong_part_is_refused(holdout: float) -> None:
    with pytest.raises(InvalidData, match="HOLDOUT"):
        Split.parse("hash", holdout=holdout)


def test_a_quoted_column_may_have_any_sign_in_it() -> None:
    assert Split.parse('group("Zone, (old)", day)').columns == ("Zone, (old)", "day")
    assert Split.parse('time("a ""b""")').columns == ('a "b"',)
