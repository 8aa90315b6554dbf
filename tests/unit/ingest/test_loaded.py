"""A file is loaded once, unless the table does not have its rows any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.ingest import Load, load
from workbench.lake import Lake
from workbench.lake.statements import run_sql
from workbench.lake.undo import undo_table


def ids(lake: Lake) -> list[int]:
    return [row[0] for row in lake.run(lake.cursor(), "SELECT id FROM t ORDER BY id").fetchall()]


def file(folder: Path, name: str, *numbers: int) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("id\n" + "".join(f"{number}\n" for number in numbers))
    return path


def undo_load(lake: Lake, path: Path) -> None:
    before = lake.head()
    load(lake, Load("t", path))
    undo_table(lake, "t", before)


def replace_it(lake: Lake, path: Path) -> None:
    load(lake, Load("t", path))
    load(lake, Load("t", [{"id": 0}], mode="replace"))


def make_anew(lake: Lake, path: Path) -> None:
    load(lake, Load("t", path))
    run_sql(lake, "DROP TABLE t")
    run_sql(lake, "CREATE TABLE t (id BIGINT)")
    run_sql(lake, "INSERT INTO t VALUES (0)")


@pytest.mark.parametrize("key", [None, ("id",)], ids=["keyless", "keyed"])
@pytest.mark.parametrize("lose", [undo_load, replace_it, make_anew])
def test_rows_that_the_table_lost_are_read_again(
    lake: Lake, tmp_path: Path, lose: Callable[[Lake, Path], None], key: Any
) -> None:
    path = file(tmp_path, "f.csv", 1, 2)
    load(lake, Load("t", [{"id": 0}], key))
    lose(lake, path)
    assert ids(lake) == [0]
    assert load(lake, Load("t", path)).rows_written == 2
    assert load(lake, Load("t", path)).mode == "noop"
    assert ids(lake) == [0, 1, 2]


def test_rows_that_an_undo_brought_back_are_not_read_again(lake: Lake, tmp_path: Path) -> None:
    path = file(tmp_path, "f.csv", 1)
    first = load(lake, Load("t", path))
    assert first.snapshot is not None
    load(lake, Load("t", [{"id": 9}], mode="replace"))
    undo_table(lake, "t", first.snapshot)
    assert load(lake, Load("t", path)).mode == "noop"
    assert ids(lake) == [1]


def test_rows_changed_by_sql_are_left_so(lake: Lake, tmp_path: Path) -> None:
    path = file(tmp_path, "f.csv", 1, 2, 3)
    load(lake, Load("t", path))
    run_sql(lake, "DELETE FROM t WHERE id = 1")
    run_sql(lake, "UPDATE t SET id = 7 WHERE id = 2")
    run_sql(lake, "INSERT INTO t VALUES (8)")
    assert load(lake, Load("t", path)).mode == "noop"
    assert load(lake, Load("T", path)).mode == "noop"
    assert ids(lake) == [3, 7, 8]


def test_a_file_read_in_another_way_is_another_load(lake: Lake, tmp_path: Path) -> None:
    path = file(tmp_path, "f.csv", 1, 2)
    load(lake, Load("t", path, options={"skip": 0}))
    assert load(lake, Load("t", path, options={"skip": 0})).mode == "noop"
    assert load(lake, Load("t", path, format="csv", options={"skip": 0})).mode == "noop"
    assert load(lake, Load("t", path, options={"nullstr": "2"})).rows_written == 2
    lines = tmp_path / "g.txt"
    lines.write_text('{"id": 5}\n')
    load(lake, Load("t", lines, format="json"))
    assert load(lake, Load("t", lines, format="json")).mode == "noop"


def test_files_of_one_name_in_many_folders(lake: Lake, tmp_path: Path) -> None:
    file(tmp_path, "a/d.csv", 1)
    file(tmp_path, "b/d.csv", 2)
    run = load(lake, Load("t", str(tmp_path / "?" / "d.csv")))
    assert list(run.details["files"]) == ["a/d.csv", "b/d.csv"]
    assert load(lake, Load("t", str(tmp_path / "?" / "d.csv"))).mode == "noop"
    assert load(lake, Load("t", tmp_path / "b" / "d.csv")).mode == "full"
    assert ids(lake) == [1, 2, 2]
    file(tmp_path, "a/d.csv", 3)
    assert load(lake, Load("t", str(tmp_path / "?" / "d.csv"))).mode == "full"
    file(tmp_path, "c/d.csv", 2)
    assert load(lake, Load("t", tmp_path / "c" / "d.csv")).mode == "full"
