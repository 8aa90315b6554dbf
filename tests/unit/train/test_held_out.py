"""The split as a column: for every rule the side that the training took, of each version its own."""

from dataclasses import replace

import pyarrow as pa
import pytest

from workbench.bind import expand_predictions, reads_predictions
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.lake import Lake
from workbench.train import reading, registry
from workbench.train.definition import Training
from workbench.train.model import Model
from workbench.train.split import Split
from workbench.train.spool import Numbers
from workbench.train.training import train

QUERY = "SELECT * REPLACE (day::TIMESTAMPTZ AS day), id % 40 AS customer, id % 3 = 0 AS part FROM flights"


def define(name: str, query: str = QUERY, **words: object) -> Training:
    given = {"label": "late", "key": "id", "model": "baseline", "features": "speed", "split": "hash", **words}
    return Training.define(name, query, **given)


def asked(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with expand_predictions(lake, sql) as text:
        return lake.run(lake.cursor(), text).fetchall()


def trained_on(lake: Lake, training: Training, model: Model) -> dict[int, bool]:
    """Read the rows again as the training did; return for each id whether it was held out."""
    with lake.pinned() as (cursor, _):
        split = Split.from_record(model.split)
        source = replace(reading.stage(lake, cursor, training, split), features=("id",))
        rows = reading.read(lake, cursor, source, split)
    learned = Numbers(rows.training).matrix()[:, 0].astype(int).tolist()
    tested = pa.Table.from_batches(rows.tested.batches())["id"].to_pylist()
    return dict.fromkeys(learned, False) | dict.fromkeys(tested, True)


@pytest.mark.parametrize(
    "split",
    [
        "hash",
        "hash(day)",
        "group(customer)",
        "group(customer, level)",
        "stratified(late)",
        "stratified(level, late)",
        "time(day)",
        "random",
        "column(part)",
    ],
)
def test_it_is_the_side_of_the_training(lake: Lake, split: str) -> None:
    name = "side_" + "".join(filter(str.isalnum, split))
    training = define(name, split=split, seed=5)
    model = train(lake, training)
    found = dict(asked(lake, f"SELECT id, held_out({name}, t.*) FROM ({QUERY}) AS t"))
    assert found == trained_on(lake, training, model)
    assert sum(found.values()) == model.split["held_out"]
    assert len(found) - sum(found.values()) == model.split["trained"]


def test_a_stratified_training_holds_out_the_share_of_each_class(lake: Lake) -> None:
    model = train(lake, define("strata", split="stratified(level)", holdout=0.25))
    assert model.split["columns"] == ["level", "id"]
    rows = asked(
        lake,
        f"SELECT level, count(*), count(*) FILTER (held_out(strata, t.*)) FROM ({QUERY}) AS t GROUP BY 1",
    )
    assert len(rows) == 3
    assert all(held == int(count * 0.25 + 0.5) for _, count, held in rows)


def test_a_stratified_split_keeps_its_rows_when_trained_again_on_more(lake: Lake) -> None:
    few, more = (f"FROM ({QUERY}) WHERE id <= {last}" for last in (700, 1200))
    words = {
        "split": "stratified(late)",
        "seed": 3,
        "features": None,
        "exclude": ("delay",),
        "model": "logistic",
    }
    first = train(lake, define("growing", few, **words))
    second = train(lake, define("growing", more, **words))
    assert second.split["threshold"] == first.split["threshold"]
    assert "standardize" in first.prepared_as
    sides = asked(lake, f"SELECT held_out(growing@1, t.*), held_out(growing@2, t.*) FROM ({QUERY}) AS t")
    assert all(one == other for one, other in sides)
    narrower = train(lake, define("growing", more, **{**words, "holdout": 0.1}))
    assert narrower.split["threshold"] != first.split["threshold"]


def test_a_time_keeps_its_threshold_whatever_the_seed(lake: Lake) -> None:
    first = train(lake, define("timely", f"FROM ({QUERY}) WHERE id < 300", split="time(day)", seed=1))
    second = train(lake, define("timely", split="time(DAY)", seed=2))
    assert second.split["threshold"] == first.split["threshold"]


def test_each_version_has_its_own_split(lake: Lake) -> None:
    first = train(lake, define("versions", holdout=0.2))
    second = train(lake, define("versions", holdout=0.4))
    sql = "SELECT count(*) FILTER (held_out(versions@1, t.*)), count(*) FILTER (held_out(versions@2, t.*)), "
    sql += "count(*) FILTER (held_out(versions, t.*)) FROM flights AS t"
    assert asked(lake, sql) == [tuple(each.split["held_out"] for each in (first, second, second))]
    registry.rollback(lake, "versions")
    [(count,)] = asked(lake, "SELECT count(*) FROM flights WHERE held_out(versions@champion, *)")
    assert count == first.split["held_out"]


def test_columns_are_given_by_name_and_cast_to_what_they_were(lake: Lake) -> None:
    model = train(lake, define("named"))
    held = model.split["held_out"]
    for given in (
        "id",
        "t.id",
        "id::INTEGER AS id",
        "(id + 1 - 1)::VARCHAR AS ID",
        "CAST(id AS DOUBLE) AS id",
    ):
        assert asked(lake, f"SELECT count(*) FROM flights AS t WHERE held_out(named, {given})") == [(held,)]
    [(grouped,)] = asked(
        lake,
        "SELECT count(DISTINCT held_out(named, id)) FROM (SELECT id, held_out(named, id) AS h FROM flights)",
    )
    assert grouped == 2


def test_wrong_calls_are_refused(lake: Lake) -> None:
    train(lake, define("refused"))
    assert reads_predictions("SELECT held_out(m, t.*) FROM t")
    assert not reads_predictions("SELECT held_out FROM t -- held_out(m, t.*)")
    with pytest.raises(StatementError, match="held_out\\(\\) needs a model and its columns"):
        asked(lake, "SELECT held_out(refused) FROM flights")
    with pytest.raises(NotFound, match="no model 'refussed'"):
        asked(lake, "SELECT held_out(refussed, t.*) FROM flights AS t")
    with pytest.raises(NotFound, match="no version '9'"):
        asked(lake, "SELECT held_out(refused@9, t.*) FROM flights AS t")
    with pytest.raises(NotFound, match="no column 'speed'"):
        asked(lake, "SELECT held_out(refused, speed) FROM flights AS t")
    with pytest.raises(NotFound):
        asked(lake, "SELECT held_out(refused, t.*) FROM (SELECT 1 AS other) AS t")
    with pytest.raises(Unsupported, match="asks models of the store"):
        asked(lake, "SELECT held_out('py:a:b', t.*) FROM flights AS t")
    [row] = lake.records.rows("models", "name = 'refused'")
    old = Model.from_record({**row, "split": {k: v for k, v in row["split"].items() if k != "types"}})
    with pytest.raises(Unsupported, match="types of the columns that divide the rows of refused@1"):
        old.held_out({"id": "id"})


def test_a_stratified_split_needs_a_key_and_few_values(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="needs a KEY"):
        define("keyless", key=None, split="stratified(late)")
    with pytest.raises(InvalidData, match="different values"):
        train(lake, define("many", split="stratified(distance)"))
    with pytest.raises(NotFound, match="split column"):
        train(lake, define("nothing", split="stratified(nothing)"))


def test_a_plan_does_not_change_the_columns_of_the_split(lake: Lake) -> None:
    """A column of the split that is a feature as well is left as it is, or the sides would change."""
    words = {"features": ("carrier", "speed"), "model": "logistic", "split": "stratified(carrier)"}
    training = define("planned", **words)
    model = train(lake, training)
    assert model.prepared_as == ""
    found = dict(asked(lake, f"SELECT id, held_out(planned, t.*) FROM ({QUERY}) AS t"))
    assert found == trained_on(lake, training, model)
