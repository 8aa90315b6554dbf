"""A row on which a model fails is found with few calls, and one that fails on all is soon left alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.bind.fill import Asker
from workbench.errors import ModelError

ROWS = 100_000


class Model:
    """A model that fails on some rows, and counts what it is asked."""

    ref, inputs, value_type = "m@1", ("v",), "BIGINT"

    def __init__(
        self, bad: set[int], error: Callable[[int], Exception] = lambda _: ValueError("bad")
    ) -> None:
        self.bad = bad
        self.error = error
        self.calls: list[int] = []

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        self.calls.append(batch.num_rows)
        found = self.bad.intersection(batch.column("v").to_pylist())
        if found:
            raise ModelError("failed") from self.error(min(found))
        return pa.table({"value": batch.column("v"), "score": pa.nulls(batch.num_rows, pa.float64())})


def answer(model: Model, rows: int = ROWS, *, strict: bool = False, batches: int = 1) -> pa.Table:
    asker = Asker(model, pa.int64(), strict=strict)
    size = rows // batches
    parts = [
        pa.record_batch({"v": pa.array(range(start, start + size))})
        for start in range(0, size * batches, size)
    ]
    answered = [asker.answer(part) for part in parts]
    assert [part.num_rows for part in parts] == [table.num_rows for table in answered]
    return pa.concat_tables(answered)


@pytest.mark.parametrize("bad", [0, 1, 49_999, 50_000, 77_777, 99_999])
def test_one_bad_row_costs_few_calls(bad: int) -> None:
    model = Model({bad})
    table = answer(model)
    assert len(model.calls) <= math.ceil(math.log2(ROWS)) + 3
    wrong = table.filter(pc.is_valid(table["error"]))
    assert wrong.to_pylist() == [{"value": None, "score": None, "error": "ValueError: bad"}]
    assert table["value"].to_pylist() == [None if each == bad else each for each in range(ROWS)]


def test_some_bad_rows_are_all_found() -> None:
    bad = {3, 4, 5, 100, 8_191, 8_192, 9_999}
    model = Model(bad)
    table = answer(model, 10_000)
    assert table["value"].to_pylist() == [None if each in bad else each for each in range(10_000)]
    assert sum(model.calls) < 20 * 10_000


def test_the_first_rows_being_bad_does_not_condemn_the_others() -> None:
    bad = set(range(40))
    table = answer(Model(bad), 5_000)
    assert table["error"].to_pylist() == ["ValueError: bad"] * 40 + [None] * 4_960


def test_a_model_that_fails_on_everything_is_soon_left_alone() -> None:
    model = Model(set(range(ROWS)), lambda row: ValueError(f"row {row} is no good: 'x{row}'"))
    table = answer(model)
    assert table["error"].null_count == 0
    assert len(model.calls) < 80
    model.calls.clear()
    table = answer(model, batches=10)
    assert table["error"].null_count == 0
    assert len(model.calls) < 80 + 9 * 20


def test_failures_that_differ_are_all_looked_at() -> None:
    words = ["one", "two", "three", "four", "five"]
    table = answer(Model(set(range(100)), lambda row: ValueError(words[row % 5])), 100)
    assert table["error"].to_pylist() == [f"ValueError: {words[row % 5]}" for row in range(100)]


def test_a_passing_failure_is_not_halved() -> None:
    model = Model({7}, lambda _: ConnectionError("lost"))
    table = answer(model, 1_000)
    assert len(model.calls) == 1
    assert set(table["error"].to_pylist()) == {"ConnectionError: lost"}


def test_strict_ends_at_the_first_failure() -> None:
    model = Model({7})
    with pytest.raises(ModelError):
        answer(model, 1_000, strict=True)
    assert len(model.calls) == 1
