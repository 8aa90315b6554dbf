"""Nouns as blocks and as text."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import noun_samples as samples
import pyarrow as pa
import pytest

from workbench.plain import Grid, Note, blocks, render
from workbench.plain.text import cell_width
from workbench.plain.values import column_values, number, texts, type_name


@pytest.mark.parametrize("name", samples.EVERYTHING)
def test_every_noun_reads_as_text(name: str) -> None:
    text = render(blocks(samples.EVERYTHING[name]), width=120)
    assert text
    assert "object at 0x" not in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_a_result_says_how_many_rows_when_and_how_to_see_more() -> None:
    (grid,) = blocks(samples.result(), limit=5)
    assert isinstance(grid, Grid)
    assert len(grid.rows) == 5
    assert grid.footer == "5 of 40 rows · 0.12 s · snapshot 14 · showing the first 5; --limit N shows more"


def test_a_result_that_is_shown_whole_says_no_more_than_needed() -> None:
    (grid,) = blocks(samples.result(samples.flights(1), snapshot=None))
    assert isinstance(grid, Grid)
    assert grid.footer == "1 row · 0.12 s"


def test_counts_have_separators_and_ids_do_not() -> None:
    table = pa.table({"id": pa.array(range(1_234_000, 1_235_500))})
    (grid,) = blocks(samples.result(table))
    assert isinstance(grid, Grid)
    assert grid.footer.startswith("20 of 1,500 rows")
    assert grid.rows[0] == ("1234000",)


def test_a_write_says_what_it_did() -> None:
    (note,) = blocks(samples.EVERYTHING["message"])
    assert note == Note("3 rows inserted · 0.12 s · snapshot 14", "good")


def test_an_empty_result_still_has_its_columns() -> None:
    (grid,) = blocks(samples.result(samples.flights().slice(0, 0)))
    assert isinstance(grid, Grid)
    assert len(grid.columns) == 9
    assert grid.rows == ()
    assert grid.footer.startswith("0 rows")


def test_a_trace_points_out_what_changed() -> None:
    cards = [block for block in blocks(samples.TRACE) if type(block).__name__ == "Card"]
    assert [card.badge for card in cards] == ["changed", "unchanged", "deleted"]
    then, now = cards[0].body
    assert then.marked == now.marked == {(0, 2)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 22], ["1", None, "22"]),
        ([1.0, 2.5], ["1.0", "2.5"]),
        ([0.1 + 0.2, 100.0], ["0.3", "100.0"]),
        ([1e-9, 5.0], ["1e-09", "5.0"]),
        ([1e300, 0.0, -0.5], ["1e+300", "0.0", "-0.5"]),
        ([123456789.123, 0.000123456], ["123456789.1", "0.000123456"]),
        ([1.0, 0.000244181, 0.7], ["1.0", "0.000244181", "0.7"]),
        ([float("nan"), float("-inf")], ["NaN", "-∞"]),
        ([True, False, None], ["true", "false", None]),
        ([Decimal("1.10")], ["1.10"]),
        ([dt.date(2013, 1, 2)], ["2013-01-02"]),
        ([dt.datetime(2013, 1, 2, 3, 4)], ["2013-01-02 03:04"]),
        (
            [dt.datetime(2013, 1, 2), dt.datetime(2013, 1, 2, 3, 4, 5)],
            ["2013-01-02 00:00:00", "2013-01-02 03:04:05"],
        ),
        ([dt.datetime(2013, 1, 2, 3, 4, tzinfo=dt.UTC)], ["2013-01-02 03:04Z"]),
        ([dt.timedelta(hours=25)], ["1 day, 1:00:00"]),
        ([{"a": {"b": [1, None]}}], ["{a: {b: [1, NULL]}}"]),
        ([[("k", 1), ("l", 2)]], ["{k: 1, l: 2}"]),
        ([b"\x00\xff"], ["0x00ff (2 bytes)"]),
        ([""], [""]),
        ([], []),
        ([None], [None]),
    ],
)
def test_values(values: list[object], expected: list[str | None]) -> None:
    assert texts(values) == expected


def test_long_values_are_clipped() -> None:
    (text,) = texts(["x" * 10_000_000])
    assert text is not None and len(text) < 2100
    assert text.endswith("10,000,000 characters")


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([pa.array([1], pa.timestamp("ns"))]),
        pa.chunked_array([pa.array([9_000_000_000_000_000_000], pa.timestamp("us"))]),
        pa.chunked_array([pa.array([-(2**62)], pa.timestamp("s"))]),
        pa.chunked_array([pa.array([2**30], pa.date32())]),
        pa.chunked_array([pa.nulls(2)]),
        pa.chunked_array([pa.array(["a", "b"]).dictionary_encode()]),
        pa.chunked_array([pa.array([(1, 2, 3)], pa.month_day_nano_interval())]),
        pa.chunked_array([pa.array([b"0" * 16], pa.uuid())]),
    ],
    ids=lambda column: str(column.type),
)
def test_unusual_values_are_shown_somehow(column: pa.ChunkedArray) -> None:
    assert len(texts(column_values(column))) == len(column)
    assert type_name(column.type)


def test_numbers_keep_their_whole_part() -> None:
    assert number(12345678.9) == "12345678.9"
    assert number(-1234567.25) == "-1234567.2"


def test_wide_letters_keep_the_columns_straight() -> None:
    grid = Grid.of_rows(["city", "n"], [("東京", 1), ("Oslo", 22), ("é", 3)])
    lines = render([grid]).splitlines()
    assert len({cell_width(line) for line in lines}) == 1


def test_columns_that_do_not_fit_are_named() -> None:
    grid = Grid.of_rows([f"column_{i}" for i in range(30)], [range(30)])
    text = render([grid], width=60)
    assert max(map(len, text.splitlines()[:-1])) <= 60
    assert "more columns: column_" in text


def test_data_cannot_steer_the_terminal() -> None:
    grid = Grid.of_rows(["a\x1b[2J"], [("\x1b[31mred\r\nnext\x07",)])
    text = render([grid, Note("note\x1b[0m")])
    assert "\x1b" not in text and "\r" not in text and "\x07" not in text
    assert len(text.splitlines()) == 4
