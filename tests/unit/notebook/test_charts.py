"""Charts of a description: a sound Vega-Lite specification with its rows, and text; no network."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import altair
import noun_samples as samples
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.lake.description import Chart
from workbench.lake.result import Result
from workbench.notebook import charts, display

CURVE = Result(
    pa.table(
        {
            "false positive rate": [0.0, 0.2, 1.0],
            "true positive rate": [0.0, 0.7, 1.0],
            "series": ["yes"] * 3,
        }
    )
)
COUNTS = Result(
    pa.table(
        {
            "actual": ["no", "no", "yes"],
            "predicted": ["no", "yes", "yes"],
            "rows": [5, 1, 4],
            "share": [5 / 6, 1 / 6, 1.0],
        }
    )
)
CHARTS = {
    "Importance": Chart(
        Result(pa.table({"feature": ["b", "a"], "permutation": [0.3, 0.1]})), "bar", "permutation", "feature"
    ),
    "Confusion matrix": Chart(COUNTS, "heat", "predicted", "actual", series="share"),
    "ROC": Chart(CURVE, "line", "false positive rate", "true positive rate", series="series", diagonal=True),
}
DESCRIPTION = replace(samples.DESCRIPTION, charts=CHARTS)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> tuple[InteractiveShell, list[dict[str, Any]]]:
    """A shell with the displays, and what it publishes."""
    shell = InteractiveShell()
    display.register(shell, display.Limits())
    outputs: list[dict[str, Any]] = []
    monkeypatch.setattr(shell.display_pub, "publish", lambda data, *_, **__: outputs.append(data))
    return shell, outputs


def test_a_bundle_has_a_sound_specification_with_its_rows_and_text() -> None:
    bundle = charts.bundle(CHARTS)
    assert set(bundle) == {charts.VEGA_LITE, "text/plain"}
    spec = bundle[charts.VEGA_LITE]
    altair.ConcatChart.from_dict(spec)  # raises where the schema does not hold
    text = json.dumps(spec)
    assert '"false positive rate": 0.2' in text and '"permutation": 0.3' in text
    assert '"url"' not in text
    for word in ("Importance", "b", "0.3", "ROC", "Confusion matrix", "yes"):
        assert word in bundle["text/plain"]
    assert "VegaLite" not in bundle["text/plain"]


def test_each_mark_is_drawn_from_the_named_columns() -> None:
    bars, heat, lines = charts.specification(CHARTS)["concat"]
    assert bars["mark"]["type"] == "bar" and bars["encoding"]["y"] == {
        "field": "feature",
        "sort": None,
        "title": None,
        "type": "nominal",
    }
    assert (
        heat["encoding"]["x"]["scale"]["domain"] == heat["encoding"]["y"]["scale"]["domain"] == ["no", "yes"]
    )
    assert heat["encoding"]["color"]["field"] == "share"
    diagonal, line = lines["layer"]
    assert diagonal["mark"]["strokeDash"] and line["encoding"]["y"]["field"] == "true positive rate"
    # A line goes along the rows: ordered by x it would zigzag where y jumps.
    assert line["encoding"]["order"]["field"] == line["transform"][0]["window"][0]["as"]


def test_text_reads_on_light_and_on_dark() -> None:
    config = charts.specification(CHARTS)["config"]
    assert config["background"] == "transparent"
    colours = {
        config["axis"]["labelColor"],
        config["axis"]["titleColor"],
        config["title"]["color"],
        config["legend"]["labelColor"],
    }
    assert colours == {charts._GREY}
    assert all(_contrast(charts._GREY, back) > 4 for back in ("#ffffff", "#111111"))


def _contrast(one: str, two: str) -> float:
    """Contrast by WCAG 2.1."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(two)))
    return (high + 0.05) / (low + 0.05)


def test_several_series_have_colours_and_a_long_curve_is_thinned_in_text() -> None:
    rows = pa.table({"x": list(range(300)), "y": list(range(300)), "series": ["a", "b", "c"] * 100})
    chart = {"Curves": Chart(Result(rows), "line", "x", "y", series="series")}
    assert charts.specification(chart)["concat"][0]["encoding"]["color"]["field"] == "series"
    lines = charts.as_text(chart).splitlines()
    assert len(lines) < 16 and "every 30th of 300 points" in lines[-1]


def test_a_description_with_charts_is_shown_as_two_outputs(published) -> None:
    shell, outputs = published
    assert shell.display_formatter.format(DESCRIPTION) == ({}, {})
    assert [set(each) for each in outputs] == [{"text/html", "text/plain"}, {charts.VEGA_LITE, "text/plain"}]


def test_a_description_without_charts_is_a_value_as_ever(published) -> None:
    shell, outputs = published
    data, _ = shell.display_formatter.format(samples.DESCRIPTION)
    assert "late_features" in data["text/html"] and outputs == []


def test_hostile_words_stay_data() -> None:
    bad = samples.HOSTILE
    chart = {bad: Chart(Result(pa.table({bad: [bad], "n": [1.0]})), "bar", "n", bad)}
    bundle = charts.bundle(chart)
    assert bundle[charts.VEGA_LITE]["concat"][0]["encoding"]["y"]["field"] == bad
    assert "text/html" not in bundle
