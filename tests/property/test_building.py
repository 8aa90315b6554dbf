"""Whatever is chosen in the builder makes a statement that parses, and previews."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workbench
from workbench.building import Applied, Builder, Choices, Feature
from workbench.building.choices import TRIGGERS, looks_back, names, problems, trigger
from workbench.building.offers import BACK, Kind, Offer, Parameter, column_kind, suited
from workbench.language import parse
from workbench.language.draft import cell_for
from workbench.store import Store

ROWS = """
SELECT i AS id, CASE WHEN i % 7 > 0 THEN i / 3.0 END AS fare, (i * 7) % 5 AS "my zone", i % 3 = 0 AS late,
       ['north', 'it''s', NULL, 'a "b"'][1 + i % 4] AS "order", 'word ' || i % 6 || ' über' AS "Text",
       DATE '2024-01-01' + CAST(i AS INTEGER) AS day,
       TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) HOUR AS "from",
       CAST(i AS DECIMAL(9, 2)) AS exact, CASE WHEN i % 5 > 0 THEN [i, i + 1] END AS list, {'a': i} AS struct,
       CAST('x' || i AS BLOB) AS bytes, CAST(NULL AS INTEGER) AS nothing, uuid() AS uuid,
       TIME '12:00' AS "time", INTERVAL 1 DAY AS wait, 'nan'::FLOAT AS nan
FROM range(20) r(i)
"""
_NUMBERS = {"bins": "1..9", "degree": "1..3", "most": "1..5", "least": "1..3", "n": "1..3", "words": "1..9"}
_NUMBERS |= {"buckets": "1..9", "pieces": "20..60", "length": "1..9"}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder, workbench.connect(Path(folder) / "store") as opened:
        opened.load("wide", opened.sql(ROWS), key="id")
        yield opened


def typed(parameter: Parameter, kind: Kind, columns: dict[str, str]) -> st.SearchStrategy[str]:
    """What a user could type into a parameter, or choose, that means something."""
    if parameter.form == "choice":
        return st.sampled_from(parameter.choice(kind))
    if parameter.form == "column":
        return st.sampled_from(
            [name for name, type_ in columns.items() if column_kind(type_) in parameter.of]
        )
    if parameter.form == "value":
        values = {"number": ["0", "-2.5", "1e3"], "flag": ["true", "false"], "time": ["2024-02-29"]}
        return st.sampled_from(values.get(kind, ["", "it's"]))
    if parameter.name in ("low", "high"):
        return st.sampled_from(["0.01", "0.2"] if parameter.name == "low" else ["0.7", "1"])
    if parameter.form == "word":
        return st.sampled_from(["1", "3", "7 days"])
    low, high = map(int, _NUMBERS[parameter.name].split(".."))
    return st.integers(low, high).map(str)


@st.composite
def applied(draw: st.DrawFn, offer: Offer, kind: Kind, columns: dict[str, str]) -> Applied:
    known = {each.name: draw(typed(each, kind, columns)) for each in offer.parameters}
    needed = {each.name for each in offer.parameters if each.form == "column"}
    left = draw(st.sets(st.sampled_from(sorted(set(known) - needed)))) if set(known) - needed else set()
    return Applied(offer.step, {name: text for name, text in known.items() if name not in left})


@st.composite
def features(draw: st.DrawFn, columns: dict[str, str]) -> Feature:
    column = draw(st.sampled_from(sorted(columns)))
    kind, steps = column_kind(columns[column]), []
    for _ in range(draw(st.integers(0, 3))):
        offers = [each for each in suited(kind) if each.step != "embed"]  # the model is an extra
        if looks_back(steps):
            offers = [each for each in offers if each.group != BACK]
        if not offers:
            break
        offer = draw(st.sampled_from(offers))
        steps.append(draw(applied(offer, kind, columns)))
        kind = offer.gives or kind
    return Feature(column, tuple(steps))


@st.composite
def choices(draw: st.DrawFn, columns: dict[str, str]) -> Choices:
    chosen = tuple(draw(st.lists(features(columns), max_size=5)))
    kind = draw(st.sampled_from(sorted(TRIGGERS)))
    when = trigger(kind, TRIGGERS[kind][1])
    return Choices("made", ("id",), chosen, when)


def test_each_function_on_each_column_that_it_is_offered_for(store: Store) -> None:
    builder = store.build("wide")
    others = {"entity": "my zone", "time": "day", "target": "fare", "with": "exact"}
    for column, type_ in builder.source.columns.items():
        offers = [each for each in suited(column_kind(type_)) if each.step != "embed"]
        chosen = [Feature(column, (Applied(each.step, others),)) for each in offers]
        if any(each.step == "rolling" for each in offers):
            chosen.append(Feature(column, (Applied("rolling", {**others, "back": "7 days"}),)))
        made = Choices("made", ("id",), tuple(chosen))
        assert builder.preview(made).rows.column_names == ["id", *names(made)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_combination_of_choices(store: Store, data: st.DataObject) -> None:
    builder: Builder = store.build("wide")
    chosen = data.draw(choices(dict(builder.source.columns)))
    assert problems(builder.source, chosen) == []
    cell = cell_for("transform", builder.arguments(chosen))
    said = parse(cell).call()
    assert said.method == "transform"
    assert {"when": "manual", **said.arguments} == builder.arguments(chosen)
    assert parse(str(parse(cell))) == parse(cell)
    rows = builder.preview(chosen).rows
    assert rows.column_names == ["id", *names(chosen)]
    assert rows.num_rows == 20
