"""What is offered for a column, what the choices make, and what stands in their way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench.building import Applied, Builder, Choices, Feature, Source
from workbench.building.builder import SAMPLE
from workbench.building.choices import TRIGGERS, arguments, everything, expression, names, problems, trigger
from workbench.building.offers import OFFERS, Offer, column_kind
from workbench.errors import InvalidData, NotFound, StatementError, WorkbenchError
from workbench.language.draft import cell_for
from workbench.schedule import check_trigger
from workbench.store import Store
from workbench.transform.steps import STEPS

TRIPS = Source(
    "trips",
    {
        "id": "BIGINT",
        "fare": "DOUBLE",
        "area": "VARCHAR",
        "started": "TIMESTAMP",
        "late": "BOOLEAN",
        "my col": "INTEGER",
    },
    ("id",),
)


MEDIAN = Applied("impute", {"strategy": "median"})
MODE = {"strategy": "mode"}


def chosen(*features: Feature) -> Choices:
    return Choices("f", ("id",), features)


def constant(value: str) -> Applied:
    return Applied("impute", {"strategy": "constant", "value": value})


def step(name: str, **given: str) -> Applied:
    return Applied(name, given)


def back(entity: str) -> Applied:
    return step("lag_feature", entity=entity, time="started")


@pytest.fixture
def trips(store: Store) -> Store:
    store.load(
        "trips",
        store.sql(
            "SELECT i AS id, CASE WHEN i % 9 > 0 THEN i / 8 END AS fare, ['n', 's'][1 + i % 2] AS area, "
            "timestamp '2024-01-01' + interval (i) hour AS started FROM range(50) r(i)"
        ),
        key="id",
    )
    return store


def test_every_built_in_function_is_offered() -> None:
    assert set(OFFERS) == set(STEPS)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_as_it_is_offered_it_can_be_called(offer: Offer) -> None:
    columns = [name for name, type_ in TRIPS.columns.items() if column_kind(type_) in offer.takes]
    assert columns
    others = {"entity": "area", "time": "started"}
    given = {each.name: others.get(each.name, "fare") for each in offer.parameters if each.form == "column"}
    for column in columns:
        assert expression(TRIPS, Feature(column, (Applied(offer.step, given),))).startswith(f"{offer.step}(")


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (Feature("my col"), '"my col"'),
        (
            Feature("fare", (MEDIAN, step("min_max"))),
            "min_max(impute(fare, 'median'))",
        ),
        (
            Feature("fare", (constant("-1.5"),)),
            "impute(fare, 'constant', -1.5)",
        ),
        (Feature("area", (step("impute"),)), "impute(area, 'mode')"),
        (
            Feature("area", (constant("it's"),)),
            "impute(area, 'constant', 'it''s')",
        ),
        (Feature("area", (step("one_hot"),)), "one_hot(area)"),
        (Feature("area", (step("one_hot", rest="other"),)), "one_hot(area, 50, 1, 'other')"),
        (Feature("area", (step("tokenize", pieces="9"),)), "tokenize(area)"),
        (
            Feature("area", (step("tokenize", by="subword", length="9"),)),
            "tokenize(area, 'subword', 1000, 9)",
        ),
        (Feature("fare", (step("clip_quantile", high="0.9"),)), "clip_quantile(fare, 0.01, 0.9)"),
        (Feature("area", (step("target_encode", target="my col"),)), 'target_encode(area, "my col")'),
        (
            Feature("fare", (step("rolling", entity="area", time="started", back="7 days"),)),
            "rolling(fare, 'mean', area, started, '7 days')",
        ),
        (
            Feature("area", (step("ordinal"), step("standardize"))),
            "standardize(ordinal(area))",
        ),
    ],
)
def test_a_feature_in_sql(feature: Feature, text: str) -> None:
    assert expression(TRIPS, feature) == text


@pytest.mark.parametrize(
    ("feature", "kind", "said"),
    [
        (Feature("far"), NotFound, "fare"),
        (Feature("fare", (step("standardise"),)), NotFound, "standardize"),
        (Feature("area", (step("standardize"),)), StatementError, "standardize is for number columns"),
        (Feature("area", (step("one_hot"), step("min_max"))), StatementError, "one_hot(area) is none"),
        (Feature("fare", (back("fare"), back("area"))), StatementError, "which looks back itself"),
        (Feature("fare", (step("quantile_bin", bins="0"),)), StatementError, "above zero, not 0"),
        (
            Feature("fare", (step("quantile_bin", bins="9); drop table t"),)),
            StatementError,
            "a number",
        ),
        (Feature("fare", (step("quantile_bin", bins=""),)), StatementError, "not nothing"),
        (
            Feature("fare", (step("clip_quantile", low="0.9", high="0.1"),)),
            StatementError,
            "low to high",
        ),
        (Feature("area", (step("target_encode"),)), StatementError, "needs a target"),
        (Feature("area", (step("target_encode", target="fair"),)), NotFound, "fare"),
        (Feature("started", (step("cyclical", cycle="hours"),)), StatementError, "'hour'"),
        (
            Feature("fare", (step("rolling", entity="area", time="started", back="a week"),)),
            StatementError,
            "'7 days'",
        ),
    ],
)
def test_what_cannot_be(feature: Feature, kind: type[WorkbenchError], said: str) -> None:
    with pytest.raises(kind) as caught:
        expression(TRIPS, feature)
    assert said in str(caught.value)
    (found,) = problems(TRIPS, chosen(feature))
    assert (found.place, found.message) == (0, caught.value.message)


def test_names_are_free() -> None:
    filled, missing = step("impute"), step("is_missing")
    found = names(
        chosen(
            Feature("fare", (filled,)),
            Feature("fare", (missing,)),
            Feature("fare", (missing,)),
            Feature("fare"),
            Feature("id", (missing,)),
            Feature("area", (), "Fare_2"),
        )
    )
    assert found == ["fare", "fare_is_missing", "fare_is_missing_2", "fare_3", "id_is_missing", "Fare_2"]
    twice = problems(TRIPS, chosen(Feature("fare", (), "x"), Feature("area", (), "X")))
    assert [each.place for each in twice] == [0, 1]
    assert "would be called" in twice[1].message


def test_each_problem_has_its_place() -> None:
    wrong = Choices("my features", (), (Feature("fare"),), "every 'week'", "changed >= 0%")
    assert [each.place for each in problems(TRIPS, wrong)] == ["name", "key", "when", "refit_when"]
    with pytest.raises(InvalidData, match="cannot be the name"):
        arguments(TRIPS, wrong)
    assert problems(TRIPS, Choices("f", ("idd",), ()))[0].hint == "Did you mean 'id'?"


@pytest.mark.parametrize(("kind", "begin"), [(kind, begin) for kind, (_, begin) in TRIGGERS.items()])
def test_triggers_as_they_are_offered_are_triggers(kind: str, begin: str) -> None:
    assert check_trigger(trigger(kind, begin)) == trigger(kind, begin)


def test_choices_come_as_json() -> None:
    given = {
        "name": "f",
        "key": ["id"],
        "features": [
            {"column": "fare", "name": "", "steps": [{"step": "impute", "given": {"strategy": "mode"}}]}
        ],
        "when": {"kind": "changed", "value": "5"},
        "refit_when": {"kind": "every", "value": "1 day"},
    }
    found = Choices.of(given)
    assert found.features == (Feature("fare", (step("impute", strategy="mode"),)),)
    assert (found.when, found.refit_when) == ("changed >= 5%", "every '1 day'")
    assert Choices.of(json.loads(json.dumps(found.to_json()))) == found
    zone = "cron '0 6 * * *' tz 'Europe/Berlin'"
    for when in ("manual", zone, "changed >= 5% OF (a)", "after a or on write"):
        assert Choices.of(replace(found, when=when, refit_when="").to_json()).when == when
    assert cell_for("transform", arguments(TRIPS, found)) == (
        "%%mlstore transform f ON trips KEY (id) WHEN changed >= 5% REFIT WHEN every '1 day' AS\n"
        "select\n    id,\n    impute(fare, 'mode') as fare\nfrom trips"
    )


def test_nothing_is_made_before_create(trips: Store) -> None:
    head = trips.head()
    builder = trips.build("trips")
    assert builder.choices == everything(builder.source)
    steps = (step("impute"), step("standardize"))
    wanted = replace(builder.choices, features=(Feature("fare", steps), Feature("area", (step("one_hot"),))))
    preview = builder.preview(wanted)
    assert builder.outlook(wanted) == "Create makes the table trips_features."
    assert trips.head() == head
    made = builder.create(wanted)
    assert (made.name, made.key, made.on) == ("trips_features", ("id",), "trips")
    rows = trips.sql("from trips_features order by id limit 20").to_arrow()
    assert rows.equals(preview.rows.sort_by("id").cast(rows.schema))
    assert "is at version 1. Create makes a new version" in builder.outlook(wanted)
    again = trips.execute(cell_for("transform", builder.arguments(wanted)))
    assert again.version == 1


def test_a_preview_says_what_it_learned_from(store: Store) -> None:
    store.load("many", store.sql(f"SELECT i AS id, i::DOUBLE AS x FROM range({2 * SAMPLE}) r(i)"), key="id")
    builder = store.build("many")
    preview = builder.preview(Choices("f", ("id",), (Feature("x", (step("min_max"),)),)))
    assert preview.note.startswith("20 of 20,000 rows, with statistics of 10,000 taken at random;")
    assert max(preview.rows["id"].to_pylist()) > SAMPLE
    assert preview.rows["x"][0].as_py() == pytest.approx(
        preview.rows["id"][0].as_py() / (2 * SAMPLE), abs=0.01
    )
    again = builder.preview(Choices("f", ("id",), (Feature("x", (step("standardize"),)),)))
    assert again.rows["id"].equals(preview.rows["id"])
    back = step("rolling", entity="id", time="id", back="3")
    first = builder.preview(Choices("f", ("id",), (Feature("x", (back,)),)))
    assert "with statistics of the first 10,000;" in first.note
    assert first.rows["id"].to_pylist() == list(range(20))


def test_windows_leave_the_rows_of_a_preview_in_their_order(trips: Store) -> None:
    preview = trips.build("trips").preview(chosen(Feature("fare", (back("area"),))))
    assert preview.rows["id"].to_pylist() == list(range(20))


def test_what_the_engine_refuses_is_said_without_its_place(trips: Store) -> None:
    back = step("rolling", entity="area", time="id", back="7 days")
    with pytest.raises(StatementError, match="epoch_us") as caught:
        trips.build("trips").preview(chosen(Feature("fare", (back,))))
    assert "LINE" not in caught.value.message


def test_a_closed_builder_looks_again(trips: Store) -> None:
    builder = trips.build("trips")
    first = builder.preview().rows
    builder.close()
    builder.choices = replace(builder.choices, name="g")
    assert builder.preview().rows.equals(first)


def test_names_that_are_taken_are_refused(trips: Store) -> None:
    builder = trips.build("trips")
    with pytest.raises(InvalidData, match="the name of a table already"):
        builder.outlook(replace(builder.choices, name="trips"))


def test_queries_and_transforms_can_be_built_from(trips: Store) -> None:
    trips.query("long", "select id, fare from trips where fare > 3")
    trips.build("long").create(Choices("f", ("id",), (Feature("fare", (step("min_max"),)),)))
    assert trips.sql("select max(fare) as high from f").rows() == [{"high": 1.0}]
    builder: Builder = trips.build("f")
    assert builder.source.key == ("id",)
    builder.create(Choices("g", ("id",), (Feature("fare", (step("polynomial"),)),)))
    assert [each.name for each in trips.lineage("g").nodes if each.kind == "transform"] == ["f", "g"]


def test_there_must_be_such_a_table(trips: Store) -> None:
    with pytest.raises(NotFound, match="trip"):
        trips.build("trip")
