"""Completion: what is offered at a cursor, marked with |."""

# ruff: noqa: E501 (cases in tables stay on one line)

import pytest

from workbench.language import VERBS, complete

CATALOG = {
    "flights": {"id": "BIGINT", "dest": "VARCHAR", "dep delay": "DOUBLE"},
    "planes": {"tail": "VARCHAR", "year": "BIGINT"},
    "late_features": {"id": "BIGINT", "distance": "DOUBLE"},
    "main.flights": {"id": "BIGINT", "dest": "VARCHAR", "dep delay": "DOUBLE"},
    "main.planes": {"tail": "VARCHAR", "year": "BIGINT"},
    "features.late_features": {"id": "BIGINT", "distance": "DOUBLE"},
}
NAMES = {
    "table": ["flights", "planes"],
    "transform": ["late_features"],
    "query": [],
    "model": ["late"],
    "binding": ["flights.late"],
}


def offered(marked: str) -> list[str]:
    text, cursor = marked.replace("|", "", 1), marked.index("|")
    found = complete(text, cursor, CATALOG, NAMES)
    assert all(each.end == cursor for each in found)
    return [each.text for each in found]


def test_verbs_at_the_start() -> None:
    assert offered("%%mlstore |") == list(VERBS)
    assert offered("%mlstore re|") == ["refresh", "refit", "resume", "reproduce"]
    assert offered("%%mlstore RE|fresh x") == ["refresh", "refit", "resume", "reproduce"]
    assert offered("tra|") == ["transform", "train", "trace"]
    assert offered("%%ml|store") == []
    assert offered("%%mlstore|") == []


def test_clauses_that_are_left() -> None:
    assert offered("%%mlstore transform f ON flights |") == ["KEY", "WHEN", "REFIT WHEN", "USING", "AS"]
    assert offered("%%mlstore transform f ON flights KEY (id)\n  re|") == ["REFIT WHEN"]
    assert "WHEN" not in offered("%mlstore bind late ON flights(id) WHEN on write |")
    assert {"or", "COOLDOWN", "MODEL"} <= set(offered("%mlstore bind late ON flights(id) WHEN on write |"))
    assert offered("%mlstore refresh late_features |")[0] == "FULL"
    assert offered("%mlstore tables |") == []


def test_options() -> None:
    assert offered("%%mlstore train m --p|") == ["--plan"]
    assert "--as" in offered("%mlstore --|")
    assert "--plan" not in offered("%mlstore tables --plan --|")
    assert offered("%%mlstore -|\nselect 1")[0] == "--as"
    assert offered("%mlstore tables --as |") == []


def test_names_where_a_clause_wants_them() -> None:
    assert offered("%%mlstore transform f ON fl|") == ["flights"]
    assert offered("%%mlstore transform f ON features.|") == ["features.late_features"]
    assert offered("%mlstore bind c ON flights MODEL l|") == ["late"]
    assert offered("%mlstore deploy |") == ["late"]
    assert "late_features" in offered("%mlstore refit |")
    assert offered("%mlstore refresh a|") == ["all"]
    assert {"flights", "late", "late_features"} <= set(offered("%mlstore describe |"))
    assert "flights.id" in offered("%mlstore lineage flights.|")


def test_words_where_a_clause_has_a_choice() -> None:
    assert offered("%mlstore load flights FROM 'x' MODE |") == ["append", "merge", "replace"]
    assert offered("%mlstore export flights TO 'p' FORMAT j|") == ["jsonl"]
    assert offered("%mlstore bind c ON flights MODEL late WHEN o|") == ["on write"]
    assert "every" in offered("%mlstore bind c ON flights MODEL late WHEN on write or |")
    assert offered("%%mlstore train m DEPLOY |") == ["always", "never", "WHEN"]
    assert offered("%%mlstore train m SPLIT BY t|") == ["time"]
    assert offered("%mlstore load flights FROM '|") == []


def test_columns_where_a_clause_wants_them() -> None:
    assert offered("%%mlstore transform f ON flights KEY (|") == ["id", "dest", '"dep delay"']
    assert offered("%mlstore bind c ON flights(id, d|) MODEL late") == ["dest", '"dep delay"']
    assert offered("%mlstore load flights FROM 'x' KEY |") == ["auto", "id", "dest", '"dep delay"']
    assert offered("%%mlstore train m LABEL | AS\nselect * from planes") == ["tail", "year"]
    assert offered("%%mlstore train m SPLIT BY time(|) AS\nselect * from main.planes p") == ["tail", "year"]
    assert offered("%mlstore export flights TO 'p' FORMAT libsvm LABEL |") == ["id", "dest", '"dep delay"']
    assert offered("%mlstore export (from planes) TO 'p' FORMAT libsvm LABEL |") == ["tail", "year"]


BODY = "%%mlstore\nselect {} from flights f join main.planes as p using (id) where true"


def test_sql_columns_of_an_alias() -> None:
    assert offered(BODY.format("f.|")) == ["id", "dest", '"dep delay"']
    assert offered(BODY.format("P.y|")) == ["year"]
    assert offered(BODY.format('f."dep|')) == ['"dep delay"']
    assert offered(BODY.format("x.|")) == []
    assert offered(BODY.format("f.id, main.flights.|")) == ["id", "dest", '"dep delay"']


def test_sql_columns_of_the_relations_named() -> None:
    found = offered(BODY.format("d|"))
    assert found[:2] == ["dest", '"dep delay"']
    assert {"date_parts", "distinct", "desc"} <= set(found)
    assert "distance" not in found
    assert offered(BODY.format("y|"))[0] == "year"
    assert offered(BODY.format("SEL|")) == ["SELECT"]


def test_sql_relations() -> None:
    found = offered("%%mlstore\nselect * from |")
    assert found[:3] == ["flights", "planes", "late_features"]
    assert "main.flights" in found
    assert "features" in found
    assert "select" not in found
    assert offered("%%mlstore\nwith recent as (select 1) from re|") == ["recent"]
    assert offered("%%mlstore\nselect * from flights, pl|") == ["planes"]
    assert offered("%%mlstore\nselect * from features.|") == ["late_features"]
    assert offered("%%mlstore\ninsert into pl|") == ["planes"]


def test_functions_are_those_that_exist() -> None:
    from workbench.language.functions import store_functions
    from workbench.transform.steps import STEPS

    assert {name for name, _, _ in store_functions()} == {"predict", "predict_proba", "held_out", *STEPS}
    assert offered("%%mlstore transform f ON flights KEY (id) AS\nselect stand|") == ["standardize"]
    found = complete("select predict_|", 15, {}, {})
    assert found[0].kind == "function"
    assert found[0].detail.startswith("predict_proba(")


@pytest.mark.parametrize(
    "text",
    [
        "%%mlstore\nselect 'fl|", "%%mlstore\nselect 1 -- fl|", "%%mlstore\nselect $$ fl|", "%%mlstore\n/* fl|",
        "%%mlstore transform f KEY (id) USING python AS\nfl|", "%%mlstore\n--fl|",
    ],
)  # fmt: skip
def test_nothing_in_strings_comments_and_python(text: str) -> None:
    assert offered(text) == []


def test_sql_in_other_places() -> None:
    assert "flights" in offered("%mlstore select * from fl|")
    assert offered("select * from fl|") == ["flights"]
    assert offered("%mlstore export (select * from fl|) TO 'p'") == ["flights"]
    assert offered("%mlstore export (select * from fl|") == ["flights"]
    assert offered("%%mlstore query q as select * from fl|") == ["flights"]
    assert offered("%%mlstore --as x --plan\nselect * from fl|") == ["flights"]
    assert offered("DROP TABLE fl|") == ["flights"]
