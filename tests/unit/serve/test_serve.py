"""The service, over real HTTP: a real server, a real client, a real store."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

import workbench
from workbench.bind import lookup
from workbench.errors import InvalidData, Unsupported
from workbench.serve import command
from workbench.serve.app import create_app
from workbench.serve.desk import Desk
from workbench.serve.request_log import RequestLog
from workbench.store import Store

TOKEN = "a token for tests"


class Served:
    """A store that is served, and a client that has the token."""

    def __init__(self, folder: Path) -> None:
        self.store = workbench.connect(folder)
        self.desk = Desk(self.store, log=RequestLog(self.store.record_requests, every=0.2))
        self.desk.open()
        self.listening = command.listen("127.0.0.1", 0)
        config = uvicorn.Config(create_app(self.desk, TOKEN), log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=60)
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.01)

    def ask(self, name: str, body: object, status: int = 200) -> dict[str, object]:
        answer = self.client.post(f"/predict/{name}", json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, object] = answer.json()
        return found

    def close(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join()
        self.listening.close()
        self.desk.close()
        self.store.close()


@pytest.fixture(scope="module")
def served(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The trained store, copied and served."""
    folder = Path(shutil.copytree(trained_folder, tmp_path_factory.mktemp("served") / "store"))
    made = Served(folder)
    yield made
    made.close()


def values(answer: dict[str, object]) -> list[object]:
    predictions = answer["predictions"]
    assert isinstance(predictions, list)
    return [each["value"] for each in predictions]


def test_keys_are_looked_up_and_agree_with_what_is_bound(served: Served) -> None:
    keys = [7, 3, 399, 3]
    answer = served.ask("slow_prediction", {"keys": keys})
    bound = served.store.sql(
        "SELECT id, slow_prediction, slow_prediction_score AS score FROM predictions.trip_features"
    ).rows()
    by_key = {row["id"]: row for row in bound}
    assert answer["model"] == "slow@1" and answer["errors"] == 0
    assert values(answer) == [by_key[key]["slow_prediction"] for key in keys]
    assert [each["score"] for each in answer["predictions"]] == [by_key[key]["score"] for key in keys]  # type: ignore[attr-defined]
    assert served.ask("slow_prediction", {"keys": [{"id": 7}]}) == served.ask(
        "slow_prediction", {"keys": [7]}
    )


def test_rows_are_predicted_as_they_are_given(served: Served) -> None:
    endpoint = served.desk.find("slow_prediction")
    rows = served.store.sql(
        f"SELECT {', '.join(endpoint.inputs.names)} FROM trip_features ORDER BY id LIMIT 5"
    ).rows()
    given = [{name.upper(): value for name, value in row.items()} for row in rows]
    assert values(served.ask("slow_prediction", {"rows": given})) == values(
        served.ask("slow_prediction", {"keys": [0, 1, 2, 3, 4]})
    )


def test_an_answer_is_not_held_back_by_the_network(served: Served) -> None:
    """The two halves of an answer go out at once: 40 ms is what the second would wait for the first."""
    [row] = served.store.sql("SELECT * EXCLUDE (id, slow) FROM trip_features WHERE id = 1").rows()
    row = {name: row[name] for name in served.desk.find("slow_prediction").inputs.names}

    def seconds() -> float:
        started = time.perf_counter()
        served.ask("slow_prediction", {"rows": [row]})
        return time.perf_counter() - started

    for _ in range(30):  # a client acknowledges the first packets of a connection at once
        seconds()
    # What else runs may hold back many, but none is quicker than what each would wait for.
    assert until(lambda: seconds() < 0.03)


def test_rows_that_cannot_be_used_are_named_and_the_others_answered(served: Served) -> None:
    good = served.store.sql("SELECT * EXCLUDE (id, slow) FROM trip_features WHERE id = 1").rows()[0]
    good = {name: good[name] for name in served.desk.find("slow_prediction").inputs.names}
    answer = served.ask(
        "slow_prediction",
        {
            "rows": [
                good,
                {**good, "distance": "far"},
                {name: value for name, value in good.items() if name != "distance"},
                {**good, "distanc": 1.0},
                {**good, "distance": None},
                {**good, "distance": True},
                "no row",
            ]
        },
    )
    errors = [each["error"] for each in answer["predictions"]]  # type: ignore[attr-defined]
    assert [error is None for error in errors] == [True, False, False, False, True, False, False]
    assert "distance is 'far'" in errors[1]["message"]
    assert "lacks distance" in errors[2]["message"]
    assert errors[3]["code"] == "not_found" and "Did you mean 'distance'" in errors[3]["message"]
    assert answer["errors"] == 5


def test_a_key_that_is_not_there(served: Served) -> None:
    answer = served.ask("slow_prediction", {"keys": [1, 5000, "one", None]})
    errors = [each["error"] for each in answer["predictions"]]  # type: ignore[attr-defined]
    assert errors[0] is None
    assert errors[1]["code"] == "not_found"
    assert errors[1]["message"] == "There is no row with id = 5000 in trip_features."
    assert "'one'" in errors[2]["message"]
    assert errors[3] is not None


def test_what_is_changed_in_the_store_is_seen(served: Served) -> None:
    before = served.ask("slow_prediction", {"keys": [11]})
    served.store.sql("UPDATE trips SET distance = 10.1 - distance WHERE id = 11")
    assert served.ask("slow_prediction", {"keys": [11]}) != before


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 422, "not JSON"),
        (b'{"rows": [{"distance": NaN}]}', 422, "NaN is not JSON"),
        (b"[]", 422, "either keys or rows"),
        (b'{"keys": [1], "rows": []}', 422, "either keys or rows"),
        (b'{"keys": 1}', 422, "keys are no list"),
        (json.dumps({"keys": [1] * 10_001}).encode(), 422, "10,000 rows at most"),
        (b'{"keys": ["' + b"x" * (17 * 2**20) + b'"]}', 413, "bytes at most"),
    ],
)
def test_bad_requests(served: Served, body: bytes, status: int, said: str) -> None:
    answer = served.client.post("/predict/slow_prediction", content=body)
    assert answer.status_code == status
    assert said in answer.json()["message"]


def test_no_rows_are_no_error(served: Served) -> None:
    assert served.ask("slow_prediction", {"rows": []})["predictions"] == []
    assert served.ask("slow_prediction", {"keys": []})["predictions"] == []


def test_a_binding_that_there_is_not(served: Served) -> None:
    assert "slow_prediction" in served.ask("slow_predicton", {"keys": [1]}, 404)["message"]  # type: ignore[operator]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "a token for tests", "Bearer", "Bearer é"])
@pytest.mark.parametrize("path", ["/predict/slow_prediction", "/metrics", "/nothing"])
def test_without_the_token_nothing_is_said(served: Served, header: str | None, path: str) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = httpx.post(served.url + path, json={"keys": [1]}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_token(served: Served) -> None:
    health = httpx.get(served.url + "/health").json()
    assert health["status"] == "ok"
    assert health["bindings"]["slow_prediction"].startswith("slow@")


def test_openapi_describes_each_binding(served: Served) -> None:
    found = served.client.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    post = found["paths"]["/predict/slow_prediction"]["post"]
    assert post["security"] == [{"token": []}]
    row = found["components"]["schemas"]["slow_prediction_row"]
    inputs = served.desk.find("slow_prediction").inputs.names
    assert row["required"] == inputs
    assert row["properties"]["distance"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    value = found["components"]["schemas"]["slow_prediction_prediction"]["properties"]["value"]
    assert value == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    links = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert links <= found["components"]["schemas"].keys()


def test_metrics_count_what_was_asked(served: Served) -> None:
    def counted() -> dict[str, float]:
        found = served.client.get("/metrics").json()["bindings"]["trip_features__slow_prediction"]
        assert 0 < found["p50_ms"] <= found["p99_ms"]
        return found

    served.ask("slow_prediction", {"keys": [1]})
    before = counted()
    served.ask("slow_prediction", {"keys": [1, 2, 5000]})
    after = counted()
    assert (after["requests"] - before["requests"], after["rows"] - before["rows"]) == (1, 3)
    assert after["errors"] - before["errors"] == 1


def test_requests_are_logged(served: Served) -> None:
    served.ask("slow_prediction", {"keys": [21, 6000]})
    query = (
        "SELECT binding, model, asked, value, error, milliseconds, asked_at FROM mlstore.requests "
        "WHERE asked IN ('{\"key\": 21}', '{\"key\": 6000}') ORDER BY asked"
    )
    assert until(lambda: len(served.store.sql(query)) == 2)
    rows = served.store.sql(query).rows()
    assert [row["binding"] for row in rows] == ["trip_features__slow_prediction"] * 2
    assert rows[0]["value"] in {"True", "False"} and rows[0]["error"] is None
    assert rows[1]["value"] is None and "id = 6000" in rows[1]["error"]
    assert isinstance(rows[0]["asked_at"], datetime) and rows[0]["milliseconds"] > 0


def test_requests_at_once(served: Served) -> None:
    single = {key: values(served.ask("slow_prediction", {"keys": [key]}))[0] for key in range(8)}
    found: dict[int, list[object]] = {key: [] for key in single}

    def ask(key: int) -> None:
        for _ in range(5):
            found[key].extend(values(served.ask("slow_prediction", {"keys": [key]})))

    threads = [threading.Thread(target=ask, args=(key,)) for key in single]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {key: [value] * 5 for key, value in single.items()}


def test_a_new_champion_and_a_new_binding_are_picked_up(served: Served) -> None:
    served.store.train(
        "slow", "FROM trip_features", label="slow", key="id", model="xgboost", params={"n_estimators": 5}
    )
    served.store.bind("again", on="trip_features", model="slow@1")

    def model(binding: str) -> object:
        answer = served.client.post(f"/predict/{binding}", json={"keys": [1]})
        return answer.json()["model"] if answer.status_code == 200 else answer.status_code

    assert until(lambda: model("slow_prediction") == "slow@2")
    assert until(lambda: model("again") == "slow@1")
    served.store.drop("again")
    assert until(lambda: model("again") == 404)


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_model_that_fails_fails_its_rows(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picky_model.py").write_text(
        "import pyarrow.compute as pc\ndef f(rows):\n    if 3 in rows['v'].to_pylist():\n"
        "        raise ValueError('three')\n    return pc.multiply(rows['v'], 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    store.load("t", [{"id": number, "v": number} for number in range(6)], key="id")
    store.bind("twice", on="t", model="py:picky_model:f", inputs=["v"])
    desk = Desk(store)
    desk.look()
    assert desk.ask("twice", {"keys": []}).answers == []
    answers = desk.ask("twice", {"keys": [5, 3, 1]}).answers
    assert [each.value for each in answers] == [10, None, 2]
    assert "three" in str(answers[1].error)


def test_a_model_of_predictions_gets_what_is_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chained_model.py").write_text("def f(rows):\n    return rows.column(rows.num_columns - 1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    store.load("t", [{"id": number, "v": 10 * number} for number in range(4)], key="id")
    store.bind("first", on="t", model="py:chained_model:f", inputs=["v"])
    store.bind("second", on="predictions.t", model="py:chained_model:f", inputs=["id", "first"])
    desk = Desk(store)
    desk.look()
    assert [each.value for each in desk.ask("second", {"keys": [3, 1]}).answers] == [30, 10]
    assert [each.value for each in desk.ask("second", {"rows": [{"id": 1, "first": 7}]}).answers] == [7]


def test_keys_of_several_columns_and_of_days(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain_model.py").write_text("def f(rows):\n    return rows['v']\n")
    monkeypatch.syspath_prepend(tmp_path)
    rows = store.sql("SELECT DATE '2026-01-01' + i::INT AS day, 'x' || i AS shop, i AS v FROM range(5) t(i)")
    store.load("sales", rows, key=["day", "shop"])
    store.bind("p", on="sales", model="py:plain_model:f", inputs=["v"])
    desk = Desk(store)
    desk.look()
    keys = [{"shop": "x2", "day": "2026-01-03"}, {"shop": "x2", "day": "2026-01-04"}, 5]
    answers = desk.ask("p", {"keys": keys}).answers
    assert [each.value for each in answers] == [2, None, None]
    assert "2026, 1, 4" in str(answers[1].error) or "2026-01-04" in str(answers[1].error)


def test_a_model_that_is_gone_is_a_problem_and_not_the_end(trained: Store) -> None:
    desk = Desk(trained)
    shutil.rmtree(trained.folder / "artifacts")
    desk.look()
    assert desk.health()["status"] == "degraded"
    with pytest.raises(workbench.WorkbenchError, match="cannot be asked"):
        desk.ask("slow_prediction", {"keys": [1]})


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_what_is_missing_is_named_with_how_to_get_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unsupported) as raised:
        command.serve(store, command.arguments(["--port", "0"]))
    assert "pip install 'mlstore[serve]'" in raised.value.hint


def test_an_address_that_is_taken(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = command.arguments(["--port", str(taken.getsockname()[1])])
        with pytest.raises(InvalidData, match="Cannot listen"):
            command.serve(store, options)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(
    trained_folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    folder = shutil.copytree(trained_folder, tmp_path / "store")
    words = ["--store", str(folder), "serve", "--port", "0", "--log"]
    environment = {**os.environ, "MLSTORE_TOKEN": ""}
    command = [sys.executable, "-m", "workbench.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            while not lines[-1].startswith("Token: "):
                lines.append(process.stdout.readline())
                assert lines[-1], lines
            found = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
            assert found is not None
            token = lines[-1].removeprefix("Token: ").strip()
            answer = httpx.post(
                f"{found[0]}/predict/slow_prediction",
                json={"keys": [1]},
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
            assert answer.json()["model"] == "slow@1"
            process.send_signal(how)
            rest = process.communicate(timeout=120)[0]
        finally:
            process.kill()
    assert process.returncode == 0
    assert re.search(r"slow_prediction: 1 requests, 1 rows, 0 errors, p50 [\d.]+ ms, p99 [\d.]+ ms", rest)
    assert "Logged 1 rows" in rest
    with workbench.connect(folder) as store:
        assert len(store.sql("FROM mlstore.requests")) == 1


@pytest.fixture
def doubled(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a function that is bound to a table with a key of two columns."""
    (tmp_path / "doubling_model.py").write_text(
        "import pyarrow.compute as pc\ndef f(rows):\n    return pc.multiply(rows['v'], 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = store.sql("SELECT i AS a, 'x' || i AS b, i AS v FROM range(20000) t(i)")
    store.load("pairs", rows, key=["a", "b"])
    store.bind("twice", on="pairs", model="py:doubling_model:f", inputs=["v"], when="manual", mode="async")
    return store


def test_the_most_keys_that_may_be_asked_about_take_no_longer_than_as_many_rows(doubled: Store) -> None:
    """A condition for each key would take minutes of the processor's time where the key has two columns."""
    endpoint = doubled.endpoint("pairs__twice", "none")
    keys = [{"a": 2 * number, "b": f"x{2 * number}"} for number in range(9_998)]
    keys += [{"a": 1, "b": "x2"}, {"a": 1, "b": None}]
    started = time.process_time()
    answers = endpoint.ask_keys(keys)
    assert time.process_time() - started < 5
    assert [each.value for each in answers] == [4 * number for number in range(9_998)] + [None, None]
    assert "a = 1, b = 'x2'" in str(answers[-2].error) and "b = None" in str(answers[-1].error)


def test_what_is_asked_at_once_is_looked_up_at_once(doubled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    read = lookup.Lookup._read

    def slow(self: lookup.Lookup, keys: Sequence[lookup.Key]) -> lookup.Found:
        looked_up.append(len(keys))
        assert until(lambda: len(self._waiting) == 6 or len(looked_up) > 1)
        return read(self, keys)

    monkeypatch.setattr(lookup.Lookup, "_read", slow)
    endpoint = doubled.endpoint("pairs__twice", "none")
    found: dict[int, object] = {}

    def ask(number: int) -> None:
        found[number] = endpoint.ask_keys([{"a": number, "b": f"x{number}"}])[0].value

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: 2 * number for number in range(7)}
    assert looked_up == [1, 6]


def test_a_lookup_that_fails_leaves_the_others_theirs(
    doubled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(*_: object) -> None:
        monkeypatch.undo()
        assert until(lambda: len(asked._waiting) == 1)
        raise workbench.WorkbenchError("just now")

    endpoint = doubled.endpoint("pairs__twice", "none")
    asked = endpoint._lookup
    monkeypatch.setattr(lookup.Lookup, "_read", fail_once)
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(endpoint.ask_keys([{"a": 3, "b": "x3"}])[0].value)
        except workbench.WorkbenchError as error:
            found.append(error.message)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["6", "just now"]


def test_what_comes_while_the_log_is_written_waits_for_the_next_time() -> None:
    """Else a service under load would commit without end, each time a few rows."""
    written: list[int] = []

    def write(rows: Sequence[object]) -> None:
        written.append(len(rows))
        log.add([("later",)])

    log = RequestLog(write, every=0.3)
    started = time.monotonic()
    log.add([("first",), ("second",)])
    assert until(lambda: len(written) > 1)
    elapsed = time.monotonic() - started
    assert written[:2] == [2, 1] and elapsed >= 0.6
    log.close()
    assert (log.written, log.dropped) == (sum(written), 0)


def test_the_log_keeps_what_could_not_be_written_and_its_order() -> None:
    written: list[object] = []
    fails = [True]

    def write(rows: Sequence[object]) -> None:
        if fails:
            fails.pop()
            log.add([("second",)])
            raise PermissionError("the folder is gone")
        written.extend(rows)

    log = RequestLog(write, every=0.1)
    log.add([("first",)])
    assert until(lambda: len(written) == 2)
    log.close()
    assert written == [("first",), ("second",)] and log.error == ""


def test_models_are_made_ready_again_only_when_they_or_their_columns_changed(trained: Store) -> None:
    made = []
    desk = Desk(trained)
    endpoint = trained.endpoint
    trained.endpoint = lambda *words: made.append(words[0]) or endpoint(*words)  # type: ignore[method-assign, func-returns-value, assignment]
    desk.look()
    assert made == ["trip_features__slow_prediction"]
    trained.record_requests([("1", "b", "m", "{}", None, None, None, 1.0, datetime.now())])
    trained.sql("UPDATE trips SET distance = 2 WHERE id = 1")
    desk.look()
    assert len(made) == 1 and desk.health()["snapshot"] == trained.head()
    trained.sql("ALTER TABLE trips ADD COLUMN note VARCHAR")
    desk.look()
    assert len(made) == 2


def test_vectors_with_nan_bytes_and_failures_are_answered_in_json(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_models.py").write_text(
        "import pyarrow as pa\n"
        "def vector(rows):\n"
        "    return pa.array([[1.5, float('nan'), float('inf')]] * rows.num_rows, pa.list_(pa.float64()))\n"
        "def blob(rows):\n    return pa.array([b'\\xff\\x00'] * rows.num_rows, pa.binary())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    store.load("t", [{"id": 1, "v": 1.0}], key="id")
    for name in ("vector", "blob"):
        store.bind(name, on="t", model=f"py:odd_models:{name}", inputs=["v"], isolate="none")
    desk = Desk(store)
    desk.look()
    client = TestClient(create_app(desk, TOKEN), raise_server_exceptions=False)
    client.headers["Authorization"] = f"bearer {TOKEN}"
    asked = {name: client.post(f"/predict/{name}", json={"keys": [1]}).json() for name in ("vector", "blob")}
    assert asked["vector"]["predictions"][0]["value"] == [1.5, None, None]
    assert asked["blob"]["predictions"][0]["value"] == "/wA="
    monkeypatch.setattr(Desk, "ask", lambda *_: 1 / 0)
    failed = client.post("/predict/vector", json={"keys": [1]})
    assert failed.status_code == 500 and failed.json()["code"] == "error"
    assert client.get("/nothing").json() == {"code": "not_found", "message": "Not Found"}


def test_what_a_client_sent_is_not_sent_back_whole(served: Served) -> None:
    good = served.store.sql("SELECT * EXCLUDE (id, slow) FROM trip_features WHERE id = 1").rows()[0]
    good = {name: good[name] for name in served.desk.find("slow_prediction").inputs.names}
    long = "x" * 100_000
    rows = [{**good, "distance": long}, {**good, long: 1}, [long] * 10, {**good, "DISTANCE": 2.0}]
    answer = served.ask("slow_prediction", {"rows": rows})
    messages = [each["error"]["message"] for each in answer["predictions"]]  # type: ignore[attr-defined]
    assert max(map(len, messages)) < 1000
    assert "not DOUBLE" in messages[0]
    assert messages[3] == "It has the column 'distance' twice, in upper and in lower case."


def test_a_client_that_goes_away_leaves_no_traceback(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    with socket.create_connection(("127.0.0.1", served.listening.getsockname()[1])) as client:
        head = "POST /predict/slow_prediction HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        client.sendall(f"{head}Authorization: Bearer {TOKEN}\r\n\r\n{{".encode())
        time.sleep(0.3)
    for _ in range(5):
        served.ask("slow_prediction", {"keys": [1]})
    time.sleep(0.3)
    assert "Exception" not in caplog.text


def test_what_comes_during_the_last_commit_is_written_too() -> None:
    written: list[object] = []
    begun, go_on = threading.Event(), threading.Event()

    def write(rows: Sequence[tuple[object, ...]]) -> None:
        begun.set()
        assert go_on.wait(10)
        written.extend(rows)

    log = RequestLog(write, every=0.01)
    log.add([(1,)])
    assert begun.wait(10)
    log.add([(2,)])
    closing = threading.Thread(target=log.close)
    closing.start()
    while not log._closing:
        time.sleep(0.001)
    go_on.set()
    closing.join(10)
    assert written == [(1,), (2,)] and log.written == 2
