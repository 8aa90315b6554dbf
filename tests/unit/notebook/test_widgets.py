"""What the widgets show and answer, with real stores and no browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from workbench.notebook import display
from workbench.notebook.widgets import choose
from workbench.notebook.widgets.base import VIEW, Widget, publish, script, style
from workbench.notebook.widgets.explorer import Explorer
from workbench.notebook.widgets.search import Stopper

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.store import Store

NAMES = ("binding", "builder", "diff", "explorer", "lineage", "model", "runs", "search")
VIEWED = {"order": [], "filters": {}, "where": ""}


@pytest.fixture
def trips(store: Store) -> Store:
    store.sql("CREATE TABLE trips AS SELECT i AS id, i % 5 AS zone, i / 4 AS km FROM range(1000) AS t(i)")
    store.sql("DELETE FROM trips WHERE id < 10")
    store.sql("UPDATE trips SET km = -1 WHERE id = 500")
    return store


def replies(widget: Widget, what: str, **given: Any) -> dict[str, Any]:
    """Ask as the browser does, and return what is sent back."""
    sent: list[dict[str, Any]] = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._reply({"id": "1", "ask": what, "given": given})
    answer = json.loads(json.dumps(sent[-1]))  # what it tells meanwhile comes before
    assert answer["id"] == "1"
    return sent[-1]


@pytest.mark.parametrize("name", NAMES)
def test_scripts_are_whole_modules_that_load_nothing(name: str, tmp_path: Path) -> None:
    text = script(name)
    assert text.count("export default") == 1
    assert "import(" not in text
    assert "\nimport " not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text + style()
    assert "url(" not in style()
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here to check the syntax with")
    (tmp_path / "widget.mjs").write_text(text)
    subprocess.run([node, "--check", tmp_path / "widget.mjs"], check=True)


def test_the_explorer_answers_pages(trips: Store) -> None:
    widget = Explorer(trips.explore("trips"))
    assert (widget.start["total"], len(widget.start["rows"])) == (990, 200)
    assert widget.start["columns"][0] == {
        "name": "id",
        "type": "bigint",
        "right": True,
        "compared": True,
        "filtered": True,
    }
    view = {"order": [["id", True]], "filters": {"zone": "3"}, "where": "km >= 0"}
    found = widget.ask("page", start=10, count=5, **view)
    rows = trips.sql("select id from trips where zone = 3 and km >= 0 order by id desc limit 5 offset 10")
    assert [row["cells"][0] for row in found["rows"]] == [str(row["id"]) for row in rows.rows()]
    assert found["total"] == 198


def test_the_explorer_goes_back_and_says_what_changed(trips: Store) -> None:
    widget = Explorer(trips.explore("trips"))
    past = widget.ask("past")
    assert [each["said"].rpartition(" · ")[2].split()[0] for each in past] == ["CREATE", "DELETE", "UPDATE"]
    first, second, third = (each["snapshot"] for each in past)
    assert widget.ask("page", snapshot=first, **VIEWED)["total"] == 1000
    made = widget.ask("page", snapshot=first, changes=True, **VIEWED)
    assert (made["total"], made["rows"][0]["tone"]) == (1000, "added")
    gone = widget.ask("page", snapshot=second, changes=True, **VIEWED)
    assert {row["tone"] for row in gone["rows"]} == {"removed"}
    changed = widget.ask("page", snapshot=third, changes=True, **VIEWED)
    assert {row["tone"] for row in changed["rows"]} == {"removed", "added"}  # There is no key to compare by.
    widget.ask("rest")
    assert widget.ask("page", **VIEWED)["total"] == 990


def test_changed_cells_of_a_keyed_table_are_marked(store: Store) -> None:
    store.load("zones", [{"id": 1, "a": 1, "b": 1}, {"id": 2, "a": 2, "b": 2}], key="id")
    store.sql("UPDATE zones SET b = 9 WHERE id = 2")
    explored = store.explore("zones")
    found = Explorer(explored).ask("page", snapshot=explored.snapshots()[-1], changes=True, **VIEWED)
    (row,) = found["rows"]
    names = [column["name"] for column in found["columns"]]
    assert row["tone"] == "changed"
    assert [names[place] for place in row["marked"]] == ["b_before", "b_after"]


def test_errors_are_answers(trips: Store) -> None:
    widget = Explorer(trips.explore("trips"))
    wrong = replies(widget, "page", **(VIEWED | {"where": "kmm > 1"}))
    assert "kmm" in wrong["error"]["message"]
    assert "km" in wrong["error"]["hint"]
    assert replies(widget, "nothing")["error"]["message"].startswith("AttributeError")
    for name in ("id", "zone", "km"):
        assert replies(widget, "profile", column=name, **VIEWED)["answer"]["rows"] == 990


def test_a_question_that_comes_again_is_answered_again_and_done_once(trips: Store) -> None:
    widget, sent, done = Explorer(trips.explore("trips")), [], []
    let = threading.Event()

    def answer(*, number: int) -> int:
        done.append(number)
        let.wait(60)
        return number

    widget.answer_slowly = answer
    widget.send = lambda content, buffers=None: sent.append(content)
    question = {"id": "x-1", "ask": "slowly", "given": {"number": 7}}
    for _ in range(3):
        widget._asked(None, question, None)
    assert sent == []
    let.set()
    widget._answers["x-1"].result(60)
    widget._asked(None, question, None)
    assert sent == [{"id": "x-1", "answer": 7}] * 2
    assert done == [7]


def test_a_widget_stands_behind_its_static_form(trips: Store) -> None:
    explored = trips.explore("trips")
    bundles: list[dict[str, Any]] = []
    ways: list[dict[str, Any]] = []

    class Shell:
        class display_pub:  # noqa: N801 (it is called so)
            @staticmethod
            def publish(data: dict[str, Any], **how: Any) -> None:
                bundles.append(data)
                ways.append(how)

    widget = Explorer(explored)
    publish(Shell, display.bundle(explored), widget)
    static, live = bundles
    assert "mls-static" in static["text/html"]
    assert "20 of 990 rows" in static["text/plain"]
    assert list(live) == [VIEW, "text/plain"]
    widget.restate({"text/html": "new", "text/plain": "new"})
    assert bundles[2]["text/html"].endswith("new")
    assert ways[2] == {**ways[0], "update": True}


def test_the_code_of_the_stop_button_ends_its_search_and_no_other() -> None:
    first, second = threading.Event(), threading.Event()
    one, other = Stopper(first), Stopper(second)
    exec(one.start["code"], {})
    assert (first.is_set(), second.is_set()) == (True, False)
    other.close()
    exec(other.start["code"], {})
    assert not second.is_set()
    one.close()


def test_a_difference_is_counted_and_served_by_kind(store: Store) -> None:
    store.load("zones", [{"id": i, "a": i} for i in range(300)], key="id")
    before = store.explore("zones").snapshot
    store.sql("UPDATE zones SET a = -1 WHERE id < 3")
    store.sql("DELETE FROM zones WHERE id >= 50")
    widget = choose.widget_for(store.diff("zones", before), "diff", store)
    assert widget is not None
    assert widget.start["counts"] == {"removed": 250, "changed": 3}
    assert widget.ask("page", kind="changed")["total"] == 3
    assert {row["tone"] for row in widget.ask("page", kind="removed", start=200)["rows"]} == {"removed"}
    assert len(widget.ask("page", start=200, count=100)["rows"]) == 53


def test_runs_are_told_newest_first(trained: Store) -> None:
    widget = choose.widget_for(trained.runs(), "runs")
    assert widget is not None
    assert widget.start["total"] == len(trained.runs())
    assert {run["kind"] for run in widget.start["runs"]} >= {"load", "transform", "model", "binding"}
    assert json.loads(json.dumps(widget.start)) == widget.start


def test_the_graph_knows_its_boxes_and_their_descriptions(trained: Store) -> None:
    widget = choose.widget_for(trained.lineage("slow_prediction"), "lineage", trained)
    assert widget is not None
    names = {node["name"] for node in widget.start["nodes"]}
    assert {"trips", "trip_features", "slow"} <= names
    assert all(f'data-node="{name}"' in widget.start["svg"] for name in names)
    for name in names:
        assert replies(widget, "describe", name=name).get("answer"), name


def test_a_model_is_deployed_and_rolled_back(trained: Store) -> None:
    query = "SELECT * FROM trip_features WHERE id < 300"
    trained.train("slow", query, label="slow", key="id", model="logistic", deploy="never")
    widget = choose.widget_for(trained.describe("slow@1"), "describe", trained)
    assert widget is not None
    state = json.loads(json.dumps(widget.start))
    assert [(each["version"], each["champion"]) for each in state["versions"]] == [(2, False), (1, True)]
    assert state["status"] == "champion"
    assert {"metric", "value", "low", "high", "baseline"} <= set(state["metrics"][0])
    assert state["importance"]
    assert len(state["decisions"]) == 2
    deployed = replies(widget, "deploy", version=2)["answer"]
    assert [each["champion"] for each in deployed["versions"]] == [True, False]
    assert deployed["status"] == "not deployed"
    assert [each["champion"] for each in replies(widget, "rollback")["answer"]["versions"]] == [False, True]
    assert "9" in replies(widget, "deploy", version=9)["error"]["message"]


def test_a_binding_is_counted_and_refreshed(trained: Store) -> None:
    trained.pause("slow_prediction")
    trained.sql(
        "INSERT INTO trips SELECT id + 1000, distance, passengers, zone, started, slow FROM trips LIMIT 50"
    )
    widget = choose.widget_for(trained.describe("slow_prediction"), "describe", trained)
    assert widget is not None
    state = json.loads(json.dumps(widget.start))
    assert (state["total"], state["missing"], state["statuses"]) == (450, 50, [["ok", 400]])
    assert state["versions"] == [["slow@1", 400]]
    trained.resume("slow_prediction")
    state = replies(widget, "refresh")["answer"]
    assert (state["missing"], state["statuses"]) == (0, [["ok", 450]])
    assert state["behind"].startswith("no")
    assert state["runs"][0]["rows"] == 50


CHOSEN = {
    "name": "made",
    "key": ["id"],
    "features": [
        {"column": "km", "steps": [{"step": "impute", "given": {}}, {"step": "min_max"}], "name": ""}
    ],
    "when": {"kind": "on write", "value": ""},
    "refit_when": None,
}


def test_the_builder_makes_a_statement_and_its_rows(trips: Store) -> None:
    builder = trips.build("trips")
    widget = choose.widget_for(builder, "build", trips)
    assert widget is not None
    state = json.loads(json.dumps(widget.start))
    assert (state["total"], state["keyed"]) == (990, False)
    assert state["columns"][2] == {"name": "km", "type": "double", "kind": "number"}
    shown: list[Any] = []
    widget.restate = shown.append
    draft = replies(widget, "draft", choices=CHOSEN)["answer"]
    assert draft["problems"] == []
    assert draft["cell"].startswith("%%mlstore transform made ON trips KEY (id) WHEN on write AS\nselect")
    assert "".join(text for _, text in draft["pieces"]) == draft["cell"]
    assert [text for kind, text in draft["pieces"] if kind == "call"] == ["min_max", "impute"]
    preview = replies(widget, "preview", choices=CHOSEN)["answer"]
    assert [each["name"] for each in preview["columns"]] == ["id", "km"]
    assert len(preview["rows"]) == 20
    assert draft["cell"].splitlines()[0] in shown[0]["text/plain"]
    assert replies(widget, "profile", column="km")["answer"]["rows"] == 990
    head = trips.head()
    made = replies(widget, "create", choices=CHOSEN)["answer"]
    assert made == f"made is at version 1, in snapshot {head + 1}."
    assert trips.execute(draft["cell"]).version == 1
    assert builder.choices.name == "made"


def test_the_builder_says_where_something_is_wrong(trips: Store) -> None:
    widget = choose.widget_for(trips.build("trips"))
    assert widget is not None
    draft = replies(widget, "draft", choices={**CHOSEN, "name": "trips", "key": []})["answer"]
    assert [each["place"] for each in draft["problems"]] == ["key", "name"]
    assert draft["cell"] == ""
    trips.sql("CREATE TABLE words AS SELECT 1 AS id, 'a' AS word")
    widget = choose.widget_for(trips.build("words"))
    assert widget is not None
    text = {"column": "word", "steps": [{"step": "target_encode", "given": {"target": "word"}}]}
    wrong = replies(widget, "preview", choices={**CHOSEN, "features": [text]})
    assert "target_encode(word, word" in wrong["error"]["message"]


def test_a_terminal_gets_no_widget(trips: Store) -> None:
    assert not choose.live(object())
    assert choose.widget_for(trips.sql("select 1")) is None
