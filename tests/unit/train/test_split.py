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
    [(threshold,)] = duckdb.sql(split.threshold_query(f"({relation})")).fetchall()
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


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("hsah(id)", NotFound),
        ("time", InvalidData),
        ("time(a, b)", InvalidData),
        ("column", InvalidData),
        ("random(a)", InvalidData),
        ("hash(a", NotFound),
    ],
)
def test_a_wrong_rule_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Split.parse(text)


@pytest.mark.parametrize("holdout", [0, 1, -0.1, 20])
def test_a_wrong_part_is_refused(holdout: float) -> None:
    with pytest.raises(InvalidData, match="HOLDOUT"):
        Split.parse("hash", holdout=holdout)
