"""The trace of one row in a real store: what it came from, and what became of that."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.lake import Result
from workbench.lineage import MOST_ROWS
from workbench.store import Store


def said(store: Store, table: str, key: Any) -> dict[str, tuple[list[Any], str, list[Any]]]:
    """Return, for each source, its rows then, what became of them, and its rows now."""
    found = store.trace(table, key)
    return {
        source.table: (_tuples(source.as_it_was), source.since, _tuples(source.now))
        for source in found.sources
    }


def _tuples(result: Result) -> list[Any]:
    return [tuple(row.values()) for row in result.rows()]


def test_a_table_has_its_row_and_no_sources(seen_shop: Store) -> None:
    found = seen_shop.trace("t", 3)
    assert (found.table, found.key, found.row.rows()) == ("main.t", (3,), [{"id": 3, "g": 3, "x": 4.5}])
    assert found.sources == []


def test_a_transform_leads_to_the_rows_it_read(seen_shop: Store) -> None:
    assert said(seen_shop, "f", 9) == {
        "main.t": ([(9, 1, 13.5)], "unchanged", [(9, 1, 13.5)]),
        "main.u": ([(1, "b")], "unchanged", [(1, "b")]),
    }


def test_the_missing_side_of_a_left_join_is_no_source_row(seen_shop: Store) -> None:
    assert said(seen_shop, "f", 11)["main.u"] == ([], "unchanged", [])


def test_what_became_of_the_rows(shop: Store) -> None:
    shop.sql("update t set x = 100 where id = 9")
    shop.sql("delete from t where id = 13")
    shop.sql("update t set x = x where id = 17")
    assert said(shop, "f", 9)["main.t"] == ([(9, 1, 13.5)], "changed", [(9, 1, 100.0)])
    assert said(shop, "f", 13)["main.t"] == ([(13, 1, 19.5)], "deleted", [])
    assert said(shop, "f", 17)["main.t"] == ([(17, 1, 25.5)], "unchanged", [(17, 1, 25.5)])
    shop.refresh()
    assert said(shop, "f", 9)["main.t"] == ([(9, 1, 100.0)], "unchanged", [(9, 1, 100.0)])


def test_a_new_column_is_a_change(shop: Store) -> None:
    shop.sql("alter table t add column y integer")
    rows, since, now = said(shop, "f", 9)["main.t"]
    assert (rows, since, now) == ([(9, 1, 13.5)], "changed", [(9, 1, 13.5, None)])


def test_an_aggregate_leads_to_its_group_and_on_to_the_raw_rows(seen_shop: Store) -> None:
    found = said(seen_shop, "agg", 1)
    ids = [i for i in range(40) if i % 4 == 1 and i * 1.5 > 6]
    assert [row[0] for row in found["features.f"][0]] == ids
    assert seen_shop.trace("agg", 1).not_traced == ()
    raw = [source for source in seen_shop.trace("agg", 1).sources if source.table == "main.t"]
    assert sorted(row["id"] for source in raw for row in source.as_it_was.rows()) == ids


def test_behind_many_rows_nothing_is_looked_up_but_it_is_said(store: Store) -> None:
    many = MOST_ROWS + 1
    store.load("t", pa.table({"id": list(range(many)), "g": [1] * many}), key="id")
    store.transform("f", "select id, g from t", key="id")
    store.transform("agg", "select g, count(*) as n from f group by g", key="g")
    found = store.trace("agg", 1)
    assert [(source.table, len(source.as_it_was)) for source in found.sources] == [("features.f", many)]
    assert found.not_traced == ("main.t",)


def test_a_definition_of_the_past_is_traced_by_itself(shop: Store) -> None:
    shop.query("big", "select * from t where x > 1000")
    assert said(shop, "f", 9)["main.t"][0] == [(9, 1, 13.5)]


def test_tables_read_in_expressions_only_are_named_as_not_traced(store: Store) -> None:
    store.load("t", pa.table({"id": [1, 2]}), key="id")
    store.load("u", pa.table({"n": [5, 6]}))
    store.transform("f", "select id, (select max(n) from u) as top from t", key="id")
    found = store.trace("f", 1)
    assert [source.table for source in found.sources] == ["main.t"]
    assert found.not_traced == ("main.u",)


def test_a_keyless_source(store: Store) -> None:
    store.load("t", pa.table({"k": [1, 1, 2], "v": [1.0, None, 3.0]}))
    store.transform("f", "select k, sum(v) as s from t group by k", key="k")
    assert said(store, "f", 1)["main.t"][1] == "unchanged"
    store.sql("insert into t values (9, 9)")
    assert said(store, "f", 1)["main.t"][1] == "unchanged"
    store.sql("delete from t where v is null")
    assert said(store, "f", 1)["main.t"][1] == "changed"
    store.sql("delete from t where k = 1")
    assert said(store, "f", 1)["main.t"][1] == "deleted"


def test_a_source_that_was_dropped(store: Store) -> None:
    store.load("t", pa.table({"id": [1], "v": [2]}), key="id")
    store.transform("f", "select id, v from t", key="id")
    store._lake.run(store._lake.cursor(), "drop table lake.main.t")
    assert said(store, "f", 1) == {"main.t": ([(1, 2)], "deleted", [])}


def test_keys_of_several_columns_and_other_types(store: Store) -> None:
    days = [date(2024, 1, 1), date(2024, 1, 2)]
    store.load(
        "t", pa.table({"day": days * 2, "k": ["a", "a", "b", "b"], "v": [1, 2, 3, 4]}), key=("day", "k")
    )
    store.transform("f", "select day, k, v * 2 as w from t", key=("day", "k"))
    wanted = {"main.t": ([(days[1], "a", 2)], "unchanged", [(days[1], "a", 2)])}
    for key in ((days[1], "a"), ["2024-01-02", "a"], {"K": "a", "day": days[1]}):
        assert said(store, "f", key) == wanted


def test_a_prediction_leads_to_the_row_it_was_made_for_and_further(store: Store, toy: str) -> None:
    store.load("t", pa.table({"id": [1, 2], "x": [1.0, 2.0]}), key="id")
    store.transform("f", "select id, x + 1 as x from t", key="id")
    store.bind("twice", on="f", model=toy, inputs=["x"])
    store.sql("update t set x = 50 where id = 2")
    for name in ("twice", "f.twice", "f__twice", "predictions.f__twice"):
        found = store.trace(name, 2)
        prediction = found.row.rows()[0]
        assert prediction["value"] == 6.0
        assert prediction["model_version"].startswith("py:toy_model:double")
        assert [source.table for source in found.sources] == ["features.f", "main.t"]
        feature, raw = found.sources
        assert feature.snapshot == prediction["source_snapshot"]
        assert feature.as_it_was.rows() == [{"id": 2, "x": 3.0}]
        assert (raw.since, raw.as_it_was.rows(), raw.now.rows()) == (
            "changed",
            [{"id": 2, "x": 2.0}],
            [{"id": 2, "x": 50.0}],
        )


def test_a_refreshed_feature_does_not_rewrite_what_was_predicted(store: Store, toy: str) -> None:
    store.load("t", pa.table({"id": [1], "x": [1.0]}), key="id")
    store.transform("f", "select id, x + 1 as x from t", key="id")
    store.bind("twice", on="f", model=toy, inputs=["x"], when="manual")
    if not store.trace("twice", 1).row.rows():
        store.refresh("twice")
    store.sql("update t set x = 50 where id = 1")
    store.refresh("f")
    feature, raw = store.trace("twice", 1).sources
    assert (feature.since, feature.as_it_was.rows(), feature.now.rows()) == (
        "changed",
        [{"id": 1, "x": 2.0}],
        [{"id": 1, "x": 51.0}],
    )
    assert raw.as_it_was.rows() == [{"id": 1, "x": 1.0}]


def test_the_view_of_predictions_shows_each_binding(store: Store, toy: str) -> None:
    store.load("t", pa.table({"id": [1], "x": [4.0]}), key="id")
    store.bind("twice", on="t", model=toy)
    found = store.trace("predictions.t", 1)
    assert found.row.rows()[0]["twice"] == 8.0
    assert [source.table for source in found.sources] == ["predictions.t__twice", "main.t"]


# -- mistakes --------------------------------------------------------------------------------------


def test_an_unknown_key_names_table_and_key(seen_shop: Store) -> None:
    with pytest.raises(NotFound, match=r"id = 999 in main\.t"):
        seen_shop.trace("t", 999)


@pytest.mark.parametrize("key", [(1, 2), (), {"g": 1}])
def test_a_key_of_other_columns_is_refused(seen_shop: Store, key: Any) -> None:
    with pytest.raises(InvalidData, match=r"\(id\)"):
        seen_shop.trace("f", key)


def test_a_key_of_another_type_is_refused(seen_shop: Store) -> None:
    with pytest.raises(InvalidData, match="id BIGINT"):
        seen_shop.trace("f", "abc")


def test_without_a_key_there_is_no_trace(shop: Store) -> None:
    shop.load("loose", pa.table({"a": [1]}))
    for name in ("loose", "big"):
        with pytest.raises(Unsupported) as error:
            shop.trace(name, 1)
        assert error.value.hint


def test_an_unknown_table(seen_shop: Store) -> None:
    with pytest.raises(NotFound, match="nope"):
        seen_shop.trace("nope", 1)
