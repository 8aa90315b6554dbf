"""Nouns as HTML: structure and escaping."""

from __future__ import annotations

import importlib
from html.parser import HTMLParser

import noun_samples as samples
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.derivation import Run
from workbench.notebook import display, html
from workbench.plain import Tick

_VOID = {"rect", "path", "br"}


class Reader(HTMLParser):
    """Reads HTML, and fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def read(value: object, limit: int = 20) -> Reader:
    return Reader(display.bundle(value, limit)["text/html"])


@pytest.mark.parametrize("name", samples.EVERYTHING)
def test_every_noun_is_sound_html_that_needs_nothing(name: str) -> None:
    page = read(samples.EVERYTHING[name])
    assert not {"script", "iframe", "object", "embed", "link", "img"} & set(page.seen)
    assert not [key for key, _ in page.attributes if key.startswith("on") or key in ("href", "src")]


def test_a_table_has_its_rows_types_nulls_and_footer() -> None:
    page = read(samples.result(), limit=7)
    assert page.seen.count("tr") == 8
    assert page.words.count("NULL") == 2
    assert "bigint" in page.words
    assert "7 of 40 rows · 0.12 s · snapshot 14 · showing the first 7; --limit N shows more" in page.words


def _hostile() -> dict[str, object]:
    bad = samples.HOSTILE
    table = samples.result(pa.table({bad: [bad], "nested": [{bad: [bad]}], "change": [bad]}), message=bad)
    return {
        "result": table,
        "run": Run(bad, bad, "full", bad, {bad: (1, 2)}, error=bad, status=bad, details={bad: bad}),  # type: ignore[arg-type]
        "runs": [Run(bad, bad, error=bad)],
        "description": samples.Description(bad, bad, {bad: bad, "query": bad, "status": bad}, {bad: table}),
        "lineage": samples.Lineage(
            f"{bad}.{bad}",
            (samples.Node(bad, bad),),
            (samples.Edge(bad, bad, (samples.ColumnPair(bad, bad, bad),)),),
            bad,
        ),
        "trace": samples.Trace(bad, (bad,), table, [samples.Source(bad, 1, table, bad, table)], (bad,)),
        "model": samples.Model(
            bad,
            1,
            bad,
            bad,
            bad,
            samples.Features((samples.Feature(bad, bad),)),
            (bad,),
            1,
            1,
            {"by": bad, "columns": [bad], "holdout": 0.2},
            {bad: {"value": 0.5, "low": 0.1, "high": 0.9, "baseline": None}},
            0,
            1.0,
            bad,
            bad,
            bad,
        ),
    }


@pytest.mark.parametrize("name", _hostile())
def test_data_never_becomes_markup(name: str) -> None:
    text = display.bundle(_hostile()[name])["text/html"]
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "script" not in Reader(text).seen


def test_a_quote_does_not_end_an_attribute() -> None:
    value = '" onmouseover="alert(1)" ' * 4
    page = read(samples.result(pa.table({"a": [value]})))
    assert ("title", value) in page.attributes
    assert not [key for key, _ in page.attributes if key.startswith("on")]


def test_long_values_have_their_whole_text_on_hovering() -> None:
    value = "word " * 30
    assert ("title", value) in read(samples.result(pa.table({"a": [value]}))).attributes


def test_status_words_are_coloured_only_where_they_are_a_status() -> None:
    table = pa.table({"change": ["deleted", "other"], "comment": ["deleted", "inserted"]})
    classes = [value for key, value in read(samples.result(table)).attributes if key == "class"]
    assert classes.count("mls-bad") == 1
    assert "mls-good" not in classes


def test_ten_thousand_rows_are_as_small_as_twenty() -> None:
    assert len(display.bundle(samples.result(samples.flights(10_000)))["text/html"]) < 60_000


@pytest.mark.parametrize(("module", "name"), display.NOUNS)
def test_nouns_are_where_the_formatters_look_for_them(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name).__module__ == module


def test_charts_are_where_the_formatter_looks_for_them() -> None:
    import altair

    places = [(each.__module__, each.__name__) for each in altair.LayerChart.__mro__]
    assert display.CHARTS in places


@pytest.fixture
def shell() -> InteractiveShell:
    return InteractiveShell()


def test_a_shell_formats_nouns_and_leaves_the_rest_alone(shell: InteractiveShell) -> None:
    limits = display.Limits()
    display.register(shell, limits)
    assert shell.display_formatter is not None
    result = samples.result()
    data, _ = shell.display_formatter.format(result)
    assert {"text/html", "text/plain"} <= set(data)
    assert "20 of 40 rows" in data["text/plain"]
    limits.set(result, 3)
    assert "3 of 40 rows" in shell.display_formatter.format(result)[0]["text/html"]
    assert "20 of 40 rows" in shell.display_formatter.format(samples.result())[0]["text/html"]
    data, _ = shell.display_formatter.format([samples.RUN])
    assert "incremental" in data["text/html"] and data["text/plain"].startswith("name")
    assert shell.display_formatter.format([1, 2])[0] == {"text/plain": "[1, 2]"}
    assert shell.display_formatter.format([])[0] == {"text/plain": "[]"}


def test_a_bar_has_a_width_only_with_a_total() -> None:
    assert "width:25.0%" in html.bar(Tick("a <b>", 25, 100, 3.0))
    assert "a &lt;b&gt; · 25 % (25 of 100) · 3.0 s" in html.bar(Tick("a <b>", 25, 100, 3.0))
    assert '<i style="width' not in html.bar(Tick("a", 0, None, 3.0))


def test_a_search_shows_its_best_settings_and_the_line_to_them() -> None:
    from workbench.train.trials import Trial

    def trial(number: int, value: float | None, name: str = "knn") -> Trial:
        status = "failed" if value is None else "ok"
        return Trial(number, name, {"p": 0.12345}, "rmse", value, 0.1, 5, 99, 0.2, status)  # type: ignore[arg-type]

    trials = (trial(1, 3.0), trial(2, None, "lost"), trial(3, 4.0), trial(4, 2.5, "<best>"))
    drawn = html.bar(Tick("Searching m", 4, 9, 3.0, "rmse 2.5 by <best>, trial 4", trials))
    assert "rmse 2.5 by &lt;best&gt;, trial 4" in drawn
    assert drawn.index("&lt;best&gt;</td>") < drawn.index("<td>knn</td>")
    assert "lost" not in drawn
    assert "p 0.123" in drawn
    assert "Best rmse over 3 trials: from 3 to 2.5" in drawn
    assert html.bar(Tick("Searching m", 4, 9, 3.0, "", (trial(1, 3.0),))).count("<svg") == 0
