"""Loading: formats, modes, keys, and input that must not get in."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.ingest import Load, load
from workbench.lake import Lake

ROWS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bo"}]


def rows(lake: Lake, table: str = "t") -> list[dict[str, Any]]:
    found: pa.Table = lake.run(lake.cursor(), f"SELECT * FROM {table} ORDER BY ALL").to_arrow_table()
    return found.to_pylist()


def write_files(folder: Path) -> dict[str, Path]:
    table = pa.Table.from_pylist(ROWS)
    text = "id,name\n1,Ada\n2,Bo\n"
    paths = {name: folder / f"people.{name}" for name in ("csv", "tsv", "jsonl", "json", "parquet", "arrow")}
    paths["csv"].write_text(text)
    paths["tsv"].write_text(text.replace(",", "\t"))
    paths["jsonl"].write_text('{"id": 1, "name": "Ada"}\n{"id": 2, "name": "Bo"}\n')
    paths["json"].write_text('[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bo"}]')
    pyarrow.parquet.write_table(table, paths["parquet"])
    pyarrow.feather.write_feather(table, paths["arrow"])
    paths["gz"] = folder / "people.csv.gz"
    paths["gz"].write_bytes(gzip.compress(text.encode()))
    paths["zip"] = folder / "people.csv.zip"
    with zipfile.ZipFile(paths["zip"], "w") as archive:
        archive.writestr("people.csv", text)
    return paths


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "arrow", "gz", "zip"])
def test_files_of_every_format(lake: Lake, tmp_path: Path, kind: str) -> None:
    run = load(lake, Load("t", write_files(tmp_path)[kind], ("id",)))
    assert (run.rows_read, run.rows_written, run.mode) == (2, 2, "full")
    assert rows(lake) == ROWS
    assert lake.tables.resolve("t").key == ("id",)
    assert run.snapshot == lake.head()


@pytest.mark.parametrize(
    "source",
    [
        pa.Table.from_pylist(ROWS),
        pa.Table.from_pylist(ROWS).to_batches()[0],
        pd.DataFrame(ROWS),
        pl.DataFrame(ROWS),
        ibis.memtable(ROWS),
        ROWS,
        pa.Table.from_pylist(ROWS).to_reader(),
    ],
    ids=lambda source: type(source).__module__,
)
def test_rows_in_memory(lake: Lake, source: object) -> None:
    load(lake, Load("t", source))
    assert rows(lake) == ROWS


def test_a_pattern_reads_all_its_files(lake: Lake, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part{number}.csv").write_text(f"id\n{number}\n")
    assert load(lake, Load("t", str(tmp_path / "part*.csv"))).rows_read == 3


def test_the_same_file_is_loaded_once(lake: Lake, tmp_path: Path) -> None:
    path = write_files(tmp_path)["csv"]
    first = load(lake, Load("t", path, ("id",)))
    again = load(lake, Load("t", path, ("id",)))
    assert again.mode == "noop" and again.snapshot == first.snapshot == lake.head()
    path.write_text("id,name\n3,Cy\n")
    assert load(lake, Load("t", path)).rows_written == 1
    assert len(rows(lake)) == 3


def test_merge_updates_adds_and_keeps_columns_it_does_not_have(lake: Lake) -> None:
    load(lake, Load("t", [{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "y", "b": 2}], ("id",)))
    run = load(lake, Load("t", [{"id": 2, "a": "z"}, {"id": 3, "a": "w"}], mode="merge"))
    assert run.rows_written == 2
    assert rows(lake) == [
        {"id": 1, "a": "x", "b": 1},
        {"id": 2, "a": "z", "b": 2},
        {"id": 3, "a": "w", "b": None},
    ]


def test_replace_writes_only_what_differs(lake: Lake) -> None:
    load(lake, Load("t", [{"id": number, "v": number} for number in range(5)], ("id",)))
    run = load(lake, Load("t", [{"id": 1, "v": 1}, {"id": 2, "v": 9}, {"id": 7, "v": 7}], mode="replace"))
    assert (run.rows_written, run.rows_deleted) == (2, 3)
    assert rows(lake) == [{"id": 1, "v": 1}, {"id": 2, "v": 9}, {"id": 7, "v": 7}]


def test_replace_without_a_key(lake: Lake) -> None:
    load(lake, Load("t", ROWS))
    load(lake, Load("t", [{"id": 9, "name": "Z"}], mode="replace"))
    assert rows(lake) == [{"id": 9, "name": "Z"}]


def test_an_automatic_key_is_filled(lake: Lake) -> None:
    load(lake, Load("t", ROWS, "auto"))
    load(lake, Load("t", ROWS))
    assert [row["_id"] for row in rows(lake)] == [1, 2, 3, 4]


def test_what_stands_for_a_missing_value(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,v\n1,NA\n2,3\n")
    load(lake, Load("t", tmp_path / "a.csv", options={"nullstr": "NA"}))
    assert rows(lake) == [{"id": 1, "v": None}, {"id": 2, "v": 3}]


def test_types_the_lake_cannot_keep_are_stored_as_ones_it_can(lake: Lake) -> None:
    lake.cursor().execute("CREATE TYPE memory.mood AS ENUM ('good', 'bad')")
    table = (
        lake.cursor()
        .execute(
            "SELECT 1 AS id, 170141183460469231731::HUGEINT AS big, 'bad'::memory.mood AS mood, "
            "[1.5, 2.5]::FLOAT[2] AS pair, [[1, 2]]::INT[2][1] AS nested, NULL AS nothing"
        )
        .to_arrow_table()
    )
    load(lake, Load("t", table))
    types = lake.tables.resolve("t").columns
    assert types["mood"] == "VARCHAR" and types["pair"] == "FLOAT[]" and types["nested"] == "INTEGER[][]"
    assert rows(lake)[0]["pair"] == [1.5, 2.5]


BAD = {
    "repeated": ([{"id": 1}, {"id": 1}], ("id",), InvalidData, r"not unique: id = 1 \(2 rows\)"),
    "null": ([{"id": 1}, {"id": None}], ("id",), InvalidData, "NULL in 1 row"),
    "no such key": ([{"id": 1}], ("ids",), NotFound, "no column 'ids'"),
    "no rows at all": (object(), None, InvalidData, "does not hold rows"),
    "no such file": ("nowhere.csv", None, NotFound, r"nowhere\.csv"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_changes_nothing(lake: Lake, case: str) -> None:
    source, key, error, said = BAD[case]
    head = lake.head()
    with pytest.raises(error, match=said):
        load(lake, Load("t", source, key))
    assert lake.head() == head
    assert lake.tables.find("t") is None


def test_a_broken_row_is_named_with_its_line(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_text("a,b\n" + "1,2\n" * 5000 + "1,2,3,4\n")
    head = lake.head()
    with pytest.raises(InvalidData, match=r"line 5002: .*: 1,2,3,4") as caught:
        load(lake, Load("t", path))
    assert "ignore_errors" in caught.value.hint
    assert lake.head() == head
    run = load(lake, Load("t", path, options={"ignore_errors": True}))
    assert run.rows_written == 5000


@pytest.mark.parametrize(
    ("name", "content"), [("a.parquet", b"PAR1 no"), ("a.zip", b"PK no"), ("a.arrow", b"no")]
)
def test_a_corrupt_file_is_named(lake: Lake, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=name):
        load(lake, Load("t", tmp_path / name))


def test_a_repeated_key_against_rows_already_there(lake: Lake) -> None:
    load(lake, Load("t", ROWS, ("id",)))
    with pytest.raises(InvalidData, match="id = 2"):
        load(lake, Load("t", [{"id": 2, "name": "again"}, {"id": 3, "name": "new"}]))
    assert rows(lake) == ROWS


def test_an_unknown_column_is_answered_with_the_nearest(lake: Lake) -> None:
    load(lake, Load("t", ROWS, ("id",)))
    with pytest.raises(InvalidData, match="nmae") as caught:
        load(lake, Load("t", [{"id": 3, "nmae": "x"}]))
    assert "name" in caught.value.hint


def test_a_value_of_the_wrong_type(lake: Lake) -> None:
    load(lake, Load("t", ROWS, ("id",)))
    with pytest.raises(InvalidData, match="many"):
        load(lake, Load("t", [{"id": "many", "name": "x"}]))
    assert rows(lake) == ROWS


def test_another_key_than_the_table_has(lake: Lake) -> None:
    load(lake, Load("t", ROWS, ("id",)))
    with pytest.raises(InvalidData, match="has the key"):
        load(lake, Load("t", ROWS, ("name",)))


def test_a_key_may_have_any_name(lake: Lake) -> None:
    for name in ("n", "count", "Order Id", "select", "rowid_", "value"):
        table = "t_" + name.replace(" ", "_").lower()
        load(lake, Load(table, [{name: 3}, {name: 4}], (name,)))
        load(lake, Load(table, [{name: 4}, {name: 5}], mode="merge"))
        assert [row[name] for row in rows(lake, table)] == [3, 4, 5]


def test_merge_asks_for_a_key(lake: Lake) -> None:
    load(lake, Load("t", ROWS))
    with pytest.raises(Unsupported, match="no key"):
        load(lake, Load("t", ROWS, mode="merge"))


def test_an_empty_file_with_a_header_makes_an_empty_table(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n")
    assert load(lake, Load("t", tmp_path / "a.csv", ("id",))).rows_written == 0
    assert rows(lake) == []
