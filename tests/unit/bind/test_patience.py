"""Calls that failed for a passing reason are made again, later and later; no more calls than the rate."""

from __future__ import annotations

import urllib.error
from email.message import Message

import pyarrow as pa
import pytest

from workbench.bind.patience import Patient, calls_per_second, is_passing
from workbench.errors import InvalidData, ModelError

ROW = pa.record_batch({"v": [1]})


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Remote:
    """A model that fails in a given way a number of times."""

    ref, inputs, value_type = "r@1", ("v",), "BIGINT"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        self.calls += 1
        if self.failures:
            raise ModelError("failed") from self.failures.pop(0)
        return pa.table({"value": batch.column("v"), "score": pa.nulls(batch.num_rows, pa.float64())})


def patient(model: Remote, clock: Clock, retry: int = 0, rate: str | None = None) -> Patient:
    return Patient(model, retry, rate, clock=clock, sleep=clock.sleep)


def test_it_waits_twice_as_long_each_time() -> None:
    clock, model = Clock(), Remote(TimeoutError(), ConnectionError(), TimeoutError())
    assert patient(model, clock, retry=3).predict(ROW).num_rows == 1
    assert clock.slept == [0.5, 1.0, 2.0]
    assert model.calls == 4


def test_it_gives_up_in_the_end() -> None:
    clock, model = Clock(), Remote(*[TimeoutError()] * 9)
    with pytest.raises(ModelError):
        patient(model, clock, retry=2).predict(ROW)
    assert model.calls == 3


def test_a_failure_of_the_rows_is_not_repeated() -> None:
    clock, model = Clock(), Remote(ValueError())
    with pytest.raises(ModelError):
        patient(model, clock, retry=5).predict(ROW)
    assert (model.calls, clock.slept) == (1, [])


def test_it_keeps_the_rate() -> None:
    clock, model = Clock(), Remote()
    asked = patient(model, clock, rate="2/s")
    for _ in range(5):
        asked.predict(ROW)
    assert clock.now == pytest.approx(2.0)
    clock.now += 10
    asked.predict(ROW)
    assert clock.now == pytest.approx(12.0)


def test_no_rows_cost_no_call_of_the_rate() -> None:
    clock = Clock()
    asked = patient(Remote(), clock, rate="1/h")
    for _ in range(3):
        asked.predict(ROW.slice(0, 0))
    assert clock.slept == []


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionResetError(), True),
        (urllib.error.HTTPError("u", 503, "busy", Message(), None), True),
        (urllib.error.HTTPError("u", 404, "gone", Message(), None), False),
        (type("RateLimitError", (Exception,), {})(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
    ],
)
def test_what_may_pass(error: Exception, passing: bool) -> None:
    assert is_passing(error) is passing


@pytest.mark.parametrize("rate", ["fast", "0/s", "5", "5/fortnight", "-1/s"])
def test_what_is_no_rate(rate: str) -> None:
    with pytest.raises(InvalidData, match="no rate"):
        calls_per_second(rate)
