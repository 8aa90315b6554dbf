"""The graph of lineage, built from the records of a real store."""

from __future__ import annotations

from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from workbench.errors import NotFound
from workbench.lineage import ColumnPair, Edge, Lineage, Node
from workbench.store import Store


def pairs(lineage: Lineage, source: str, target: str) -> set[tuple[str, str, str]]:
    (edge,) = [edge for edge in lineage.edges if (edge.source, edge.target) == (source, target)]
    return {(pair.source, pair.target, pair.kind) for pair in edge.columns}


def test_up_and_down_from_the_middle(seen_shop: Store) -> None:
    lineage = seen_shop.lineage("f")
    assert set(lineage.upstream) == {"big", "u", "t"}
    assert lineage.upstream[-1] == "t"
    assert lineage.downstream == ("agg",)
    assert {node.name: node.kind for node in lineage.nodes} == {
        "t": "table", "u": "table", "big": "query", "f": "transform", "agg": "transform",
    }  # fmt: skip
    assert pairs(lineage, "big", "f") == {
        ("id", "id", "value"), ("g", "g", "value"), ("x", "z", "value"), ("g", "*", "join"),
    }  # fmt: skip
    assert pairs(lineage, "f", "agg") == {
        ("g", "g", "value"), ("z", "s", "value"), ("*", "n", "value"), ("g", "*", "group"),
    }  # fmt: skip
    assert ("x", "*", "filter") in pairs(lineage, "t", "big")


def test_sources_come_before_what_is_made_from_them(seen_shop: Store) -> None:
    lineage = seen_shop.lineage("t")
    place = {node.name: index for index, node in enumerate(lineage.nodes)}
    assert all(place[edge.source] < place[edge.target] for edge in lineage.edges)
    assert lineage.upstream == ()
    assert set(lineage.downstream) == {"big", "f", "agg"}


@pytest.mark.parametrize("name", ["features.f", "F", "f@1"])
def test_a_name_can_be_written_in_several_ways(seen_shop: Store, name: str) -> None:
    assert seen_shop.lineage(name).root == "f"


def test_one_column_keeps_only_what_concerns_it(seen_shop: Store) -> None:
    lineage = seen_shop.lineage("f", "Name")
    assert lineage.name == "f.name"
    assert lineage.root == "f"
    assert pairs(lineage, "u", "f") == {
        ("name", "name", "value"),
        ("g", "*", "join"),
        ("g", "g", "value"),
    } - {("g", "g", "value")}
    # The column goes nowhere but into the count of rows; which rows there are is the join's doing.
    assert lineage.downstream == ("agg",)
    assert pairs(lineage, "f", "agg") == {("*", "n", "value")}
    assert pairs(lineage, "big", "f") == {("g", "*", "join")}


def test_a_new_version_replaces_the_old_lineage(shop: Store) -> None:
    shop.transform("agg", "select name as g, count(*) as n from u group by name", key="g")
    assert set(shop.lineage("agg").upstream) == {"u"}
    assert shop.lineage("f").downstream == ()


def test_what_was_dropped_is_gone(shop: Store) -> None:
    shop.drop("agg")
    assert shop.lineage("f").downstream == ()


def test_a_binding_joins_a_table_and_a_model(shop: Store, toy: str) -> None:
    shop.bind("twice", on="f", model=toy, inputs=["z"])
    lineage = shop.lineage("t")
    assert "f__twice" in lineage.downstream
    binding = shop.lineage("f.twice")
    assert binding.root == shop.lineage("f", "twice").root == shop.lineage("twice").root == "f__twice"
    kinds = {node.kind for node in binding.nodes}
    assert {"model", "binding", "transform", "table"} <= kinds
    assert ("z", "value", "value") in pairs(binding, "f", "f__twice")


def test_the_view_of_predictions_leads_back_to_binding_and_table(shop: Store, toy: str) -> None:
    shop.bind("twice", on="f", model=toy, inputs=["z"])
    shop.transform("after", "select id, twice + 1 as w from predictions.f", key="id")
    lineage = shop.lineage("after", "w")
    assert {"predictions.f", "f__twice", "f", "big", "t"} <= set(lineage.upstream)
    assert pairs(lineage, "f__twice", "predictions.f") == {("value", "twice", "value")}


def test_the_view_of_predictions_is_asked_itself(shop: Store, toy: str) -> None:
    shop.bind("twice", on="f", model=toy, inputs=["z"])
    assert {"f__twice", "f", "t"} <= set(shop.lineage("predictions.f").upstream)
    value = shop.lineage("predictions.f", "twice")
    assert "f__twice" in value.upstream
    assert pairs(value, "f__twice", "predictions.f") == {("value", "twice", "value")}
    assert shop.lineage("predictions.f.twice").edges == value.edges


@pytest.mark.parametrize(("name", "column"), [("nope", None), ("t", "nope")])
def test_unknown_names_and_columns(seen_shop: Store, name: str, column: str | None) -> None:
    with pytest.raises(NotFound, match="nope"):
        seen_shop.lineage(name, column)


def test_a_table_alone(shop: Store) -> None:
    shop.load("alone", pa.table({"a": [1]}))
    lineage = shop.lineage("alone")
    assert (lineage.upstream, lineage.downstream, lineage.edges) == ((), (), ())
    assert lineage.nodes == (Node("alone", "table", ("a",)),)


# -- other forms -----------------------------------------------------------------------------------


def test_mermaid_escapes_and_tells_arrows_apart() -> None:
    nodes = (Node('a"<b>', "table"), Node("q", "query"), Node("m", "model"), Node("odd", "artifact"))
    edges = (
        Edge('a"<b>', "q", (ColumnPair("x", "*", "filter"),)),
        Edge("q", "m", (ColumnPair("x", "*", "filter"), ColumnPair("x", "y", "value"))),
        Edge("m", "odd"),
    )
    assert Lineage("q", nodes, edges).to_mermaid().splitlines() == [
        "flowchart LR",
        '    n0[("a#quot;&lt;b><br/>table")]',
        '    n1["q<br/>query"]',
        '    n2{{"m<br/>model"}}',
        '    n3["odd<br/>artifact"]',
        "    n0 -.-> n1",
        "    n1 --> n2",
        "    n2 --> n3",
    ]


def test_cycles_don_t_hang() -> None:
    edges = (Edge("a", "b"), Edge("b", "a"))
    assert Lineage("a", (Node("a", "table"), Node("b", "table")), edges).upstream == ("b",)


# What OpenLineage 2-0-2 and its facets require, in our own words.
FACET = {
    "type": "object",
    "required": ["_producer", "_schemaURL"],
    "properties": {
        "_producer": {"type": "string", "format": "uri"},
        "_schemaURL": {"type": "string", "pattern": r"^https://openlineage\.io/spec/facets/\d+-\d+-\d+/(\w+)\.json#/\$defs/\1$"},
    },
}  # fmt: skip
INPUT_FIELD = {
    "type": "object",
    "required": ["namespace", "name", "field"],
    "properties": {
        "transformations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": ["DIRECT", "INDIRECT"]}},
            },
        }
    },
}
COLUMN_LINEAGE = {
    "allOf": [FACET],
    "required": ["fields"],
    "properties": {
        "fields": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["inputFields"],
                "properties": {"inputFields": {"type": "array", "items": INPUT_FIELD}},
            },
        },
        "dataset": {"type": "array", "items": INPUT_FIELD},
    },
}
SCHEMA_FACET = {
    "allOf": [FACET],
    "properties": {"fields": {"type": "array", "items": {"type": "object", "required": ["name"]}}},
}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "facets": {
            "type": "object",
            "additionalProperties": FACET,
            "properties": {"schema": SCHEMA_FACET, "columnLineage": COLUMN_LINEAGE},
        }
    },
}
JOB = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "facets": {
            "type": "object",
            "additionalProperties": FACET,
            "properties": {
                "sql": {"allOf": [FACET], "required": ["query"]},
                "jobType": {"allOf": [FACET], "required": ["processingType", "integration"]},
            },
        }
    },
}
BASE = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL"],
    "properties": {
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"type": "string", "format": "uri"},
    },
}
EVENTS: dict[str, dict[str, Any]] = {
    "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent": {
        "allOf": [BASE],
        "required": ["job"],
        "not": {"required": ["run"]},
        "properties": {
            "job": JOB,
            "inputs": {"type": "array", "items": DATASET},
            "outputs": {"type": "array", "items": DATASET},
        },
    },
    "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent": {
        "allOf": [BASE],
        "required": ["dataset"],
        "not": {"anyOf": [{"required": ["job"]}, {"required": ["run"]}]},
        "properties": {"dataset": DATASET},
    },
}


def test_openlineage_events_are_valid(shop: Store, toy: str) -> None:
    shop.bind("twice", on="f", model=toy, inputs=["z"])
    events = shop.lineage("f").to_openlineage()
    for event in events:
        checker = jsonschema.FormatChecker()
        jsonschema.Draft202012Validator(EVENTS[event["schemaURL"]], format_checker=checker).validate(event)
    names = [
        event["outputs"][0]["name"] if "outputs" in event else event["dataset"]["name"] for event in events
    ]
    assert set(names) >= {"t", "u", "big", "f", "agg", "f__twice"}
    assert names.index("t") < names.index("big") < names.index("f") < names.index("agg")


def test_openlineage_tells_values_from_what_decides_on_rows(seen_shop: Store) -> None:
    (event,) = [
        event
        for event in seen_shop.lineage("agg").to_openlineage("shop")
        if event.get("job", {}).get("name") == "transform.agg"
    ]
    facet = event["outputs"][0]["facets"]["columnLineage"]
    assert facet["fields"]["s"]["inputFields"] == [
        {
            "namespace": "shop",
            "name": "f",
            "field": "z",
            "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION"}],
        }
    ]
    assert facet["dataset"] == [
        {
            "namespace": "shop",
            "name": "f",
            "field": "g",
            "transformations": [{"type": "INDIRECT", "subtype": "GROUP_BY"}],
        }
    ]
    assert event["job"]["facets"]["sql"]["query"].startswith("select g, sum(z)")
