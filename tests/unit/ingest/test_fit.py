"""Loading into a table that exists: nothing is rounded, cut off, or taken for something else."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbench.errors import Conflict, InvalidData, Unsupported
from workbench.ingest import Load, append, load, merge
from workbench.lake import Lake, write
from workbench.lake.statements import run_sql


def rows(lake: Lake) -> list[dict[str, Any]]:
    found: pa.Table = lake.run(lake.cursor(), "SELECT * FROM t ORDER BY ALL").to_arrow_table()
    return found.to_pylist()


def test_merge_by_an_automatic_key_keeps_the_other_rows(lake: Lake) -> None:
    load(lake, Load("t", [{"v": "a"}, {"v": "b"}, {"v": "c"}], "auto"))
    run = merge(lake, "t", [{"_id": 2, "v": "z"}, {"_id": 9, "v": "new"}])
    assert (run.rows_written, run.rows_deleted) == (2, 0)
    assert [(row["_id"], row["v"]) for row in rows(lake)] == [(1, "a"), (2, "z"), (3, "c"), (9, "new")]
    head = lake.head()
    with pytest.raises(Unsupported, match="no '_id' to merge by") as caught:
        merge(lake, "t", [{"v": "a"}])
    assert "Append" in caught.value.hint
    assert lake.head() == head
    assert load(lake, Load("t", [{"v": "only"}], mode="replace")).rows_deleted == 4
    assert [row["v"] for row in rows(lake)] == ["only"]


def test_dicts_need_not_have_the_same_keys(lake: Lake) -> None:
    load(lake, Load("t", [{"id": 1}, {"id": 2, "b": "x"}, {"a": 1.5, "id": 3}]))
    assert list(lake.tables.resolve("t").columns) == ["id", "b", "a"]
    assert rows(lake)[1:] == [{"id": 2, "b": "x", "a": None}, {"id": 3, "b": None, "a": 1.5}]


@pytest.mark.parametrize("bad", [[{"v": 1}, {"v": "one"}], [{1: 2}], [{}, {}]])
def test_dicts_that_make_no_table(lake: Lake, bad: list[dict[Any, Any]]) -> None:
    with pytest.raises(InvalidData):
        load(lake, Load("t", bad))
    assert lake.tables.find("t") is None


def test_no_rows_at_all(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="no columns"):
        load(lake, Load("t", []))
    load(lake, Load("t", [{"id": 1}], ("id",)))
    head = lake.head()
    assert append(lake, "t", []).rows_written == merge(lake, "t", []).rows_written == 0
    assert lake.head() == head
    assert load(lake, Load("t", [], mode="replace")).rows_deleted == 1
    assert rows(lake) == []


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_stream_is_read_once_however_often_the_commit_is_tried(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    load(lake, Load("t", [{"id": 1, "v": "a"}], ("id",)))
    name = "insert_all" if mode == "append" else "apply"
    real, calls = getattr(write, name), []

    def conflict_once(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        calls.append(name)
        if len(calls) == 1:
            raise Conflict("Another writer was faster.")
        return found

    monkeypatch.setattr(write, name, conflict_once)
    stream = pa.table({"id": [2, 3], "v": ["b", "c"]}).to_reader()
    run = load(lake, Load("t", stream, mode=mode))
    assert len(calls) == 2
    assert (run.rows_read, run.rows_written) == (2, 2)
    assert [row["id"] for row in rows(lake)] == [1, 2, 3]


NARROW = {
    "rounded": ("x", 1.7, r"1\.7 does not fit the column 'x' of 't', which is BIGINT \(1 row "),
    "too large": ("x", 1e300, "does not fit the column 'x'"),
    "too large for a decimal": ("d", 1e9, "does not fit the column 'd'"),
    "a decimal": ("d", Decimal("1.255"), r"1\.255 does not fit"),
    "a time of day": ("day", datetime(2024, 1, 1, 10, 0), "2024-01-01 10:00:00 does not fit"),
}


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_values_are_not_rounded(lake: Lake, mode: str) -> None:
    start = run_sql(
        lake, "SELECT 0 AS id, 0::BIGINT AS x, 0::DECIMAL(5, 2) AS d, DATE '2024-01-01' AS day, 0.5 AS f"
    )
    load(lake, Load("t", start.to_arrow(), ("id",)))
    head, before = lake.head(), rows(lake)
    for column, value, said in NARROW.values():
        with pytest.raises(InvalidData, match=said):
            load(lake, Load("t", [{"id": 1, column: value}], mode=mode))
    assert (lake.head(), rows(lake)) == (head, before)


def test_values_that_fit_exactly_may_have_another_type(lake: Lake) -> None:
    run_sql(lake, "CREATE TABLE t (id BIGINT, x INTEGER, d DECIMAL(5, 2), day DATE, f DOUBLE)")
    append(lake, "t", [{"id": 1.0, "x": 3.0, "d": 0.1, "day": datetime(2024, 1, 1), "f": 2}, {"id": 2}])
    assert rows(lake) == [
        {"id": 1, "x": 3, "d": Decimal("0.10"), "day": date(2024, 1, 1), "f": 2.0},
        {"id": 2, "x": None, "d": None, "day": None, "f": None},
    ]


def test_a_path_may_have_the_signs_of_a_pattern(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "f[1].csv").write_text("id\n10\n")
    (tmp_path / "f1.csv").write_text("id\n1\n")
    load(lake, Load("t", str(tmp_path / "f[1].csv")))
    assert rows(lake) == [{"id": 10}]
    load(lake, Load("t", str(tmp_path / "f[1-9].csv"), mode="replace"))
    assert rows(lake) == [{"id": 1}]
    load(lake, Load("t", str(tmp_path / "f*.csv"), mode="replace"))
    assert rows(lake) == [{"id": 1}, {"id": 10}]


def test_archives_that_hold_files_of_one_name(lake: Lake, tmp_path: Path) -> None:
    for number in (1, 2):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr("d.csv", f"id\n{number}\n")
    load(lake, Load("t", str(tmp_path / "*.zip")))
    assert rows(lake) == [{"id": 1}, {"id": 2}]


def test_a_name_that_is_defined_already(lake: Lake) -> None:
    with lake.commit("define") as tx:
        lake.records.define(tx, "model", "m", 1, "f", {})
    with pytest.raises(InvalidData, match="'M' is the name of a model already"):
        load(lake, Load("M", [{"id": 1}]))
    with lake.commit("drop") as tx:
        lake.records.set_status(tx, "m", "dropped")
    assert load(lake, Load("m", [{"id": 1}])).rows_written == 1


@pytest.mark.parametrize("column", ["rowid", "Snapshot_ID"])
def test_columns_that_every_table_has_of_its_own(lake: Lake, column: str) -> None:
    with pytest.raises(InvalidData, match=column) as caught:
        load(lake, Load("t", [{"id": 1, column: 2}]))
    assert "Rename" in caught.value.hint
    assert lake.tables.find("t") is None
