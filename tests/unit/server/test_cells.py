"""What the server says of the text of a cell, asked of a real server."""

from __future__ import annotations

import time
import urllib.error
from typing import Any

import pytest

from workbench.plain.running import tell_open


def _ask(server: Any, question: str, cell: str, **more: object) -> Any:
    answer = server.request(f"cells/{question}", {"cell": cell, **more})
    assert answer["problem"] is None, answer["problem"]
    return answer["data"]


def _complete(server: Any, marked: str, **more: object) -> dict[str, Any]:
    cell, cursor = marked.replace("|", ""), marked.index("|")
    return {each["text"]: each for each in _ask(server, "complete", cell, cursor=cursor, **more)}


def _wait(server: Any, marked: str, wanted: set[str], **more: object) -> dict[str, Any]:
    """Complete until all of `wanted` is offered: a store that is busy is left out for the moment."""
    deadline = time.monotonic() + 60
    while not wanted <= set(found := _complete(server, marked, **more)):
        assert time.monotonic() < deadline, list(found)
        time.sleep(0.2)
    return found


def test_mistakes_have_places(server: Any) -> None:
    (found,) = _ask(server, "check", "%%mlstore\nselect 🚆 frm t where")
    assert found["message"].startswith("syntax error")
    (found,) = _ask(server, "check", "%%mlstore\nselect a from t", error="There is no table 't'.")
    assert (found["start"], found["end"], found["line"], found["column"]) == (24, 25, 2, 15)
    assert _ask(server, "check", "print(1)") == []


def test_completion_reads_the_store_beside_the_notebook(server: Any, trips: Any) -> None:
    wanted = {"trips", "trip_features"}
    found = _wait(server, "x = 1\n%mlstore describe trip|", wanted, path="taxi/some.ipynb")
    assert found["trips"]["start"] == len("x = 1\n%mlstore describe ")
    found = _complete(server, "%%mlstore\nselect f| from trips", path="taxi/some.ipynb")
    assert found["fare"]["detail"] == "DOUBLE"
    assert {"tips@champion", "tips@1"} <= set(
        _complete(server, "%mlstore deploy ti|", path="taxi/some.ipynb")
    )
    assert "trips" not in _complete(server, "%mlstore describe trip|", path="elsewhere.ipynb")
    trips.sql("create table trips_of_today as select 1 as today")
    _wait(server, "%mlstore describe trip|", {"trips_of_today"}, path="taxi/some.ipynb")


def test_completion_reads_the_stores_that_the_kernel_has_open(server: Any, trips: Any) -> None:
    tell_open(server.runtime / "kernel-k7.json", [trips.folder])
    _wait(server, "%mlstore describe tri|", {"trips"}, kernel="k7", path="elsewhere.ipynb")


def test_words_are_explained(server: Any, trips: Any) -> None:
    cell = "%%mlstore\nselect fare from trips"
    _wait(server, "%mlstore describe trip|", {"trips"}, path="taxi/some.ipynb")
    said = _ask(server, "about", cell, offset=18, path="taxi/some.ipynb")
    assert said["title"] == "fare: DOUBLE"
    assert _ask(server, "about", "print(1)", offset=2) is None


def test_sql_is_laid_out_or_refused(server: Any) -> None:
    made = _ask(server, "format", "%%mlstore\nselect   1,2")
    assert made == "%%mlstore\nselect 1, 2"
    problem = server.request("cells/format", {"cell": "%%mlstore\nselect a frm t where"})["problem"]
    assert problem["code"] == "statement"


@pytest.mark.parametrize(
    "body", [{}, {"cell": 1}, {"cell": "x", "cursor": 5}, {"cell": "x", "cursor": "0"}, {"cell": "x"}]
)
def test_a_request_that_makes_no_sense_is_refused(server: Any, body: dict[str, object]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.request("cells/complete", body)
    assert refused.value.code == 400


def test_nothing_is_answered_without_the_token(server: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.request("cells/check", {"cell": ""}, token="wrong")
    assert refused.value.code == 403
