"""The bindings that are served, and their models as they stand now; knows nothing of HTTP."""

from __future__ import annotations

import json
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, NotFound, WorkbenchError
from workbench.serve.latency import Latency
from workbench.serve.request_log import RequestLog

if TYPE_CHECKING:
    from workbench.bind.endpoint import Answer, Endpoint
    from workbench.store import Store

LOOK_EVERY = 0.5
"""Seconds between two looks for a new champion."""

AGAIN = 5.0
"""Seconds after which it looks also where there is no new snapshot: for models that are kept elsewhere,
and for those that could not be made ready."""

LONGEST = 10_000
"""Rows that one request may ask about."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request: the model with its version, and one answer a row."""

    model: str
    answers: Sequence[Answer]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        predictions = [_plain(each) for each in self.answers]
        return {
            "model": self.model,
            "errors": sum(each.error is not None for each in self.answers),
            "predictions": predictions,
        }


def _plain(answer: Answer) -> dict[str, Any]:
    error = answer.error
    return {
        "value": _json_value(answer.value),
        "score": _json_value(answer.score),
        "error": None if error is None else {"code": error.code, "message": str(error)},
    }


def _json_value(value: Any) -> Any:
    """JSON has no word for NaN, infinity, times, and bytes, which are sent as base64."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, list):
        return [_json_value(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _json_value(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


@dataclass(slots=True)
class Desk:
    """Answers requests to the bindings of a store.

    A thread looks for new snapshots: a new champion, a new binding, or one that was dropped is known
    within half a second, and no request waits for it.
    """

    store: Store
    isolate: str | None = None
    log: RequestLog | None = None
    latencies: dict[str, Latency] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)
    _made_of: dict[str, object] = field(default_factory=dict)
    _head: int = -1
    _again: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self) -> None:
        """Get all models ready, and begin to look for new ones."""
        self.look()
        self._thread = threading.Thread(target=self._run, name="mlstore-serve", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the looking, and write what is to be logged."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.log is not None:
            self.log.close()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            try:
                self.look()
            except (WorkbenchError, OSError) as error:
                self.problems = {**self.problems, "": str(error)}

    def look(self) -> None:
        """Get the models of all bindings ready that are new or changed; old ones answer meanwhile."""
        head, now = self.store.head(), time.monotonic()
        if head == self._head and now < self._again:
            return
        made_of = self.store.served()
        found: dict[str, Endpoint] = {}
        problems: dict[str, str] = {}
        for name, parts in made_of.items():
            self.latencies.setdefault(name, Latency())
            known = self._endpoints.get(name)
            if known is not None and name not in self.problems and parts == self._made_of[name]:
                found[name] = known
                continue
            try:
                found[name] = self.store.endpoint(name, self.isolate)
            except WorkbenchError as error:
                problems[name] = str(error)
                if known is not None:
                    found[name] = known
        self._endpoints, self._made_of, self.problems, self._head = found, made_of, problems, head
        self._again = now + AGAIN

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The bindings under the names by which they are served: the column, where that says which."""
        columns = [each.binding.column for each in self._endpoints.values()]
        return {
            each.binding.column if columns.count(each.binding.column) == 1 else name: each
            for name, each in self._endpoints.items()
        }

    def find(self, name: str) -> Endpoint:
        """Return the endpoint of a binding, by column or by `table__column`.

        Raises
        ------
        NotFound
            If there is no such binding.
        WorkbenchError
            If its model could not be made ready.
        """
        served = self.endpoints
        found = served.get(name) or self._endpoints.get(name)
        if found is not None:
            return found
        for binding, problem in self.problems.items():
            if name in {binding, binding.rpartition("__")[2]}:
                raise WorkbenchError(f"{name} cannot be asked: {problem}")
        raise NotFound.named("binding", name, served)

    def ask(self, name: str, body: object) -> Answered:
        """Answer a request.

        Raises
        ------
        NotFound
            If there is no such binding.
        InvalidData
            If the request is no list of keys or rows.
        """
        started = time.perf_counter()
        endpoint = self.find(name)
        kind, asked = _read(body)
        answers = endpoint.ask_keys(asked) if kind == "keys" else endpoint.ask_rows(asked)
        answered = Answered(endpoint.ref, answers)
        seconds = time.perf_counter() - started
        failed = sum(each.error is not None for each in answers)
        self.latencies[endpoint.binding.name].add(seconds, rows=len(answers), errors=failed)
        if self.log is not None:
            self._log(endpoint, kind, asked, answered, seconds)
        return answered

    def health(self) -> dict[str, Any]:
        """Say which model each binding has, and what is wrong."""
        return {
            "status": "degraded" if self.problems else "ok",
            "snapshot": self._head,
            "bindings": {name: each.ref for name, each in self.endpoints.items()},
            "problems": dict(self.problems),
        }

    def metrics(self) -> dict[str, Any]:
        """Return counts and percentiles by binding, and how the log stands."""
        log = self.log
        logged = None if log is None else {"written": log.written, "dropped": log.dropped, "error": log.error}
        return {"bindings": {name: each.summary() for name, each in self.latencies.items()}, "log": logged}

    def _log(
        self, endpoint: Endpoint, kind: str, asked: Sequence[object], answered: Answered, seconds: float
    ) -> None:
        assert self.log is not None
        request, now = uuid.uuid4().hex, datetime.now(UTC)
        # The text is made here: for all rows at once, when they are written, it would hold up requests.
        word = kind.removesuffix("s")
        self.log.add(
            [
                (
                    request,
                    endpoint.binding.name,
                    answered.model,
                    json.dumps({word: row}),
                    None if answer.value is None else str(answer.value),
                    answer.score,
                    None if answer.error is None else str(answer.error),
                    seconds * 1000,
                    now,
                )
                for row, answer in zip(asked, answered.answers, strict=True)
            ]
        )


def _read(body: object) -> tuple[str, list[object]]:
    """Return whether a request has keys or rows, and these."""
    hint = 'Send {"keys": [1, 2]} or {"rows": [{"column": 1}]}.'
    if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"keys", "rows"}:
        raise InvalidData("A request is an object with either keys or rows.", hint=hint)
    ((kind, asked),) = body.items()
    if not isinstance(asked, list):
        raise InvalidData(f"The {kind} are no list.", hint=hint)
    if len(asked) > LONGEST:
        raise InvalidData(
            f"A request asks about {LONGEST:,} rows at most, not {len(asked):,}.", hint="Send several."
        )
    return kind, asked


def parse(text: bytes) -> object:
    """Read JSON.

    Raises
    ------
    InvalidData
        If it is none; NaN and Infinity are none.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"The request is not JSON: {error}.") from error
