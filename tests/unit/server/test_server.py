"""What the extension of the Jupyter server answers, asked of a real server."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
import urllib.error
from typing import Any

import pytest
import wire_types

import workbench
from workbench.lake.folder import CATALOG
from workbench.language import execute, parse_cell
from workbench.plain.running import announced, tell_open
from workbench.progress import Event


@pytest.fixture
def taxi(server: Any, trips: Any) -> str:
    return str(server.wait("taxi/mlstore", bool)["id"])


@pytest.fixture
def other(server: Any, empty_store: Any) -> Any:
    """An empty store in the folder `other`, to be harmed."""
    folder = server.root / "other"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(empty_store, folder)
    server.wait("other", lambda state: state and state["problem"] is None)
    return folder


def _items(server: Any, store: str) -> dict[str, Any]:
    return {each["name"]: each for each in server.ask("tree", store=store)["items"]}


def test_the_types_of_typescript_are_up_to_date() -> None:
    told = wire_types.TARGET.read_text(encoding="utf-8")
    assert told == wire_types.typescript(), "run: python scripts/wire_types.py"


def test_nothing_is_answered_without_the_token(server: Any) -> None:
    for path in ("stores", "templates", "tree", "sample", "runs"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.request(path, token="wrong", store="x")
        assert refused.value.code == 403


def test_an_unknown_store_is_a_problem(server: Any) -> None:
    assert server.problem("tree", store="../../etc")["code"] == "not_found"


def test_the_tree_names_everything(server: Any, taxi: str) -> None:
    items = _items(server, taxi)
    assert {name: each["kind"] for name, each in items.items()} == {
        "trips": "table",
        "cheap": "query",
        "trip_features": "transform",
        "trips.doubled": "binding",
        "tips": "model",
    }
    assert items["trips"]["rows"] == 280
    assert items["cheap"]["rows"] is None
    assert items["trip_features"]["rows"] == items["trips.doubled"]["rows"] == 280
    key = items["trips"]["columns"][0]
    assert key == {"name": "id", "type": "BIGINT", "key": True, "number": True}
    assert [each["kind"] for each in items["tips"]["badges"]] == ["champion"]


def test_what_others_commit_shows_at_once(server: Any, trips: Any, taxi: str) -> None:
    before = server.wait("taxi/mlstore", lambda state: state["head"] is not None)["head"]
    trips.append("trips", [{"id": 1000, "zone": "west", "fare": 1.0, "tip": 0}])
    server.wait("taxi/mlstore", lambda state: state["head"] is not None and state["head"] > before)
    items = _items(server, taxi)
    assert items["trips"]["rows"] == 281
    for name in ("trip_features", "trips.doubled"):
        assert [each["kind"] for each in items[name]["badges"]] == ["stale"]
        assert items[name]["badges"][0]["why"] == "trips changed"
    trips.refresh("trip_features")
    trips.pause("trips.doubled")
    items = _items(server, taxi)
    assert items["trip_features"]["badges"] == []
    assert [each["kind"] for each in items["trips.doubled"]["badges"]] == ["paused"]
    assert [each["kind"] for each in items["tips"]["badges"]] == ["champion", "stale"]
    trips.delete("trips", "id = 1000")
    trips.refresh("trip_features")
    trips.resume("trips.doubled")
    trips.refresh("trips.doubled")


def test_a_failed_refresh_shows_its_error(server: Any, trips: Any, taxi: str) -> None:
    trips.transform("ratio", "select id, 10 // (1000 - id) as r from trips", key="id")
    trips.sql("create or replace table limits as select 'x' as word")
    trips.transform("strict", "select 1 as id, word::integer as n from limits where word <> 'x'", key="id")
    trips.sql("update limits set word = 'y'")
    with pytest.raises(workbench.WorkbenchError):
        trips.refresh("strict")
    badges = _items(server, taxi)["strict"]["badges"]
    assert badges[0]["kind"] == "failed"
    assert "Could not convert string" in badges[0]["why"]
    runs = server.ask("runs", store=taxi)["runs"]
    assert runs[0]["failed"]
    assert "Could not convert string" in runs[0]["error"]
    for name in ("strict", "ratio", "limits"):
        trips.drop(name)


@pytest.mark.parametrize(
    ("name", "kind", "statement"),
    [
        ("cheap", "query", "%%mlstore query cheap AS\nselect id, fare from trips where fare < 100"),
        ("trip_features", "transform", "%%mlstore transform trip_features ON trips KEY (id) AS\nselect id"),
        ("trips.doubled", "binding", "%mlstore bind doubled ON trips(fare) MODEL 'py:taxi_doubler:double'"),
        ("tips", "model", "%%mlstore train tips LABEL tip KEY (id) MODEL linear"),
        ("trips", "table", ""),
    ],
)
def test_a_thing_is_told_with_the_cell_that_makes_it(
    server: Any, trips: Any, taxi: str, name: str, kind: str, statement: str
) -> None:
    told = server.ask("detail", store=taxi, name=name, kind=kind)
    assert told["item"]["name"] == name
    assert told["statement"].startswith(statement)
    if statement:
        line, _, body = told["statement"].partition("\n")
        magic, _, rest = line.partition(" ")
        said = parse_cell(rest, body if magic == "%%mlstore" else None)
        if kind in ("query", "transform"):
            head = trips.history().snapshot
            execute(trips, said)
            assert trips.history().snapshot == head, "the same definition changes nothing"


def test_facts(server: Any, taxi: str) -> None:
    facts = server.ask("detail", store=taxi, name="trips", kind="table")["facts"]
    told = {each["label"]: each["value"] for each in facts}
    assert told["Rows"] == "280"
    assert told["Key"] == "id"
    assert "trip_features" in told["Read by"]


def test_rows_come_page_by_page(server: Any, taxi: str) -> None:
    first = server.ask("sample", store=taxi, name="trips", kind="table", offset=0, limit=100)
    last = server.ask("sample", store=taxi, name="trips", kind="table", offset=200, limit=100)
    assert (len(first["rows"]), first["more"]) == (100, True)
    assert (len(last["rows"]), last["more"]) == (80, False)
    assert len(first["rows"][0]) == len(first["columns"]) == 4
    bound = server.ask("sample", store=taxi, name="trips.doubled", kind="binding", limit=3)
    assert "doubled" in [each["name"] for each in bound["columns"]]
    assert server.problem("sample", store=taxi, name="tips", kind="model")["code"] == "unsupported"


def test_columns_are_profiled(server: Any, taxi: str) -> None:
    told = server.ask("profile", store=taxi, name="trips", kind="table")
    columns = {each["name"]: each for each in told["columns"]}
    assert (told["rows"], told["more"]) == (280, False)
    assert sum(columns["fare"]["bins"]) == 280
    assert {each["value"]: each["rows"] for each in columns["zone"]["top"]} == {"north": 140, "south": 140}
    assert columns["tip"]["distinct"] == 7


def test_the_past_and_the_lineage(server: Any, taxi: str) -> None:
    changes = server.ask("history", store=taxi, name="trips", kind="table")["changes"]
    assert changes[-1]["inserts"] == 300
    assert "deletes" in changes[-2]
    graph = server.ask("lineage", store=taxi, name="trip_features", kind="transform")
    levels = {each["name"]: each["level"] for each in graph["nodes"]}
    assert levels["trips"] < levels["trip_features"] < levels["tips"]
    assert graph["root"] == "trip_features"
    bound = server.ask("lineage", store=taxi, name="trips.doubled", kind="binding")
    assert {"trips", "trips__doubled"} <= {each["name"] for each in bound["nodes"]}


def test_each_kind_has_cells_for_its_verbs(server: Any, taxi: str) -> None:
    for name, item in _items(server, taxi).items():
        verbs = [
            each["verb"] for each in server.ask("drafts", store=taxi, name=name, kind=item["kind"])["drafts"]
        ]
        assert {"sql", "describe", "history", "lineage", "drop"} <= set(verbs)


def test_the_code_of_a_model_is_never_imported_here(server: Any, taxi: str) -> None:
    seen = (server.root / "imported.txt").read_text()
    _items(server, taxi)
    for question in ("detail", "history", "lineage", "sample", "profile"):
        server.request(question, store=taxi, name="trips.doubled", kind="binding")
    assert (server.root / "imported.txt").read_text() == seen


def test_a_running_statement_shows_with_its_kernel(server: Any, taxi: str, trips: Any) -> None:
    with announced(trips.folder, "train late LABEL late", "kernel-7") as sink:
        sink(Event("Training late", 30, 100))
        state = server.wait("taxi/mlstore", lambda each: each["running"] and each["running"][0]["step"])
        told = state["running"][0]
        assert (told["statement"], told["kernel"], told["fraction"]) == (
            "train late LABEL late",
            "kernel-7",
            0.3,
        )
    server.wait("taxi/mlstore", lambda state: state["problem"] is None and state["running"] == [])


def test_a_store_that_a_kernel_has_open_shows_wherever_it_is(server: Any, tmp_path: Any) -> None:
    with workbench.connect(tmp_path / "elsewhere"):
        tell_open(server.runtime / "kernel-9.json", [tmp_path / "elsewhere"])
        state = server.wait(str(tmp_path / "elsewhere"), lambda each: each and each["problem"] is None)
        assert state["kernels"] == ["9"]
        assert server.ask("stores")["stores"][0]["id"] == state["id"], "what is open comes first"
        assert server.ask("tree", store=state["id"])["items"] == []
    (server.runtime / "mlstore-9.json").unlink()


def test_a_store_that_is_gone(server: Any, other: Any) -> None:
    store = server.state("other")["id"]
    assert server.ask("tree", store=store)["items"] == []
    shutil.rmtree(other)
    assert server.problem("tree", store=store)["code"] == "not_found"
    server.wait("other", lambda state: state["problem"]["code"] == "not_found")
    assert not other.exists()


def test_another_store_in_the_same_place(server: Any, other: Any, empty_store: Any) -> None:
    store = server.state("other")["id"]
    assert server.ask("tree", store=store)["items"] == []
    shutil.rmtree(other)
    with workbench.connect(other) as made:
        made.load("fresh", [{"a": 1}])
        assert list(_items(server, store)) == ["fresh"]


def test_a_store_that_is_damaged(server: Any, other: Any) -> None:
    store = server.state("other")["id"]
    (other / CATALOG).write_bytes(b"nonsense" * 4096)
    assert server.problem("tree", store=store)["code"] == "store_corrupt"
    server.wait("other", lambda state: state["problem"]["code"] == "store_corrupt")


def test_a_store_of_a_newer_version(server: Any, other: Any) -> None:
    store = server.state("other")["id"]
    with workbench.connect(other) as made:
        made._lake.cursor().execute("insert into lake.mlstore.store values (99, 'later', now())")
    shutil.copytree(other, other.with_name("other2"))
    second = server.wait("other2", bool)
    assert server.problem("tree", store=second["id"])["code"] == "store_version"
    shutil.rmtree(other.with_name("other2"))
    assert store


def test_a_locked_store_answers_soon_and_the_others_go_on(server: Any, other: Any, taxi: str) -> None:
    store = server.state("other")["id"]
    lock = sqlite3.connect(other / CATALOG, isolation_level=None)
    lock.execute("PRAGMA locking_mode = EXCLUSIVE")
    lock.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    seen: list[object] = []

    def ask_the_other() -> None:
        seen.append(server.ask("tree", store=taxi))

    beside = threading.Thread(target=ask_the_other)
    beside.start()
    problem = server.problem("tree", store=store)
    beside.join()
    assert seen
    assert (problem["code"], problem["retryable"]) == ("conflict", True)
    assert time.monotonic() - begun < 60
    assert server.state("other")["problem"]["code"] == "conflict"
    lock.close()
    server.wait("other", lambda state: state["problem"] is None)
    assert server.ask("tree", store=store)["items"] == []


def test_a_query_without_an_end_is_stopped(server: Any, trips: Any, taxi: str) -> None:
    trips.query(
        "endless", "select count(*) as n from range(10000000) a, range(10000000) b where a.range <> b.range"
    )
    begun = time.monotonic()
    problem = server.problem("sample", store=taxi, name="endless", kind="query")
    assert problem["code"] == "conflict"
    assert time.monotonic() - begun < 60
    assert "trips" in _items(server, taxi)
    trips.drop("endless")


def test_templates_become_notebooks(server: Any) -> None:
    told = {each["name"]: each for each in server.ask("templates")["templates"]}
    assert told["quickstart"]["title"].startswith("Quickstart")
    made = server.request("templates", {"template": "quickstart", "folder": "", "parameters": {}})["data"]
    again = server.request("templates", {"template": "quickstart", "folder": "", "parameters": {}})["data"]
    assert made["path"] != again["path"]
    assert json.loads((server.root / made["path"]).read_text())["cells"]


def test_a_template_that_cannot_be_made_says_why(server: Any) -> None:
    for body, code in [
        ({"template": "quikstart"}, "not_found"),
        ({"template": "quickstart", "folder": "nowhere"}, "invalid_data"),
        ({"template": "quickstart", "parameters": {"x": 1}}, "not_found"),
    ]:
        assert server.request("templates", body)["problem"]["code"] == code
