"""Which of the rows that changed are predicted, and which predictions go: of keys of all types."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.unit.bind.bound import bind, column
from workbench.bind import work
from workbench.store import Store

KEYS = {
    "BIGINT": "i",
    "HUGEINT": "i::HUGEINT * 1000000000000000000000",
    "DECIMAL(20,3)": "i / 4",
    "VARCHAR": "'it''s ' || i",
    "UUID": "('00000000-0000-0000-0000-0000000000' || (10 + i))::UUID",
    "BLOB": "('\\x00' || i)::BLOB",
    "DATE": "DATE '2026-01-01' + i::INTEGER",
    "TIMESTAMP": "TIMESTAMP '2026-01-01' + to_microseconds(i)",
    "TIMESTAMPTZ": "TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(i)",
    "TIME": "TIME '10:00' + to_seconds(i)",
    "BOOLEAN": "i % 2 = 0",
}


@pytest.fixture(params=[work._FEW_ROWS, 0], ids=["read once", "read again"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_FEW_ROWS", request.param)


def fill(store: Store, key: str, value: str) -> None:
    rows = 2 if key == "BOOLEAN" else 12
    store.sql(
        f"CREATE TABLE t AS SELECT ({value})::{key} AS id, i AS n, i * 10 AS v, i AS note "
        f"FROM range({rows}) AS r(i); ALTER TABLE t ADD PRIMARY KEY (id)"
    )


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(("key", "value"), KEYS.items(), ids=KEYS)
def test_rows_of_any_key_are_followed(store: Store, models: ModuleType, key: str, value: str) -> None:
    fill(store, key, value)
    bind(store)
    models.CALLS.clear()
    store.sql("UPDATE t SET v = v + 1 WHERE n < 1; UPDATE t SET note = note + 1")
    assert sum(models.CALLS) == 1  # the others were written too, but not what the model is given
    store.sql("DELETE FROM t WHERE n = 1")
    there = store.sql("SELECT v * 2 AS p FROM t ORDER BY id").to_arrow()["p"].to_pylist()
    assert column(store, "value", view="t__p") == column(store, "p") == there
    assert set(column(store, "status", view="t__p")) == {"ok"}
    assert store.stale("p").rows() == []


@pytest.mark.usefixtures("_way")
def test_rows_that_take_the_keys_of_others_keep_their_predictions(store: Store, models: ModuleType) -> None:
    fill(store, "BIGINT", "i")
    bind(store)
    store.sql(
        "DELETE FROM t WHERE id = 3; UPDATE t SET id = 3 WHERE id = 4; UPDATE t SET id = 40 WHERE id = 5"
    )
    assert column(store, "id", view="t__p") == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 40]
    assert column(store, "value", view="t__p") == [0, 20, 40, 80, 120, 140, 160, 180, 200, 220, 100]
