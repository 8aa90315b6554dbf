"""The label decides the task, and comes back in its own type."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from workbench.errors import InvalidData, Unsupported
from workbench.train.label import Label, decode, read_label, value_type


def label(sql: str, wanted: str | None = None) -> Label:
    return read_label("y", duckdb.sql(f"SELECT unnest({sql}) AS y").to_arrow_table()["y"], wanted)


@pytest.mark.parametrize(
    ("sql", "task", "classes", "kind"),
    [
        ("[true, false]", "binary", (False, True), "BOOLEAN"),
        ("['no', 'yes']", "binary", ("no", "yes"), "VARCHAR"),
        ("['b', 'c', 'a']", "multiclass", ("a", "b", "c"), "VARCHAR"),
        ("['b', 'a']::ENUM('b', 'a')[]", "binary", ("a", "b"), "VARCHAR"),
        ("[1, 0]", "binary", (0, 1), "BIGINT"),
        ("[3, 7, 5]", "multiclass", (3, 5, 7), "BIGINT"),
        ("range(21)", "regression", (), "DOUBLE"),
        ("[0.0::DOUBLE, 1.0]", "regression", (), "DOUBLE"),
        ("[1.5, 2.5]::DECIMAL(5, 1)[]", "regression", (), "DOUBLE"),
    ],
)
def test_the_type_decides_the_task(sql: str, task: str, classes: tuple[object, ...], kind: str) -> None:
    found = label(sql)
    assert (found.task, found.classes, value_type(found.classes)) == (task, classes, kind)


@pytest.mark.parametrize("sql", ["[true, false, true]", "['b', 'c', 'a']", "[7, 3]", "[2.5::DOUBLE, 1.0]"])
def test_classes_decode_to_the_values_they_came_from(sql: str) -> None:
    values = duckdb.sql(f"SELECT unnest({sql}) AS y").to_arrow_table()["y"].combine_chunks()
    found = label(sql, "classes")
    back = decode(found.numbers, found.classes)
    assert back.equals(values.cast(back.type))
    assert type(back[0].as_py()) is type(values[0].as_py())


def test_what_is_wanted_overrides_the_type_of_numbers() -> None:
    assert label("[0, 1]", "regression").task == "regression"
    assert label("range(30)", "classes").task == "multiclass"
    assert label("[0.0::DOUBLE, 1.0]", "classes").classes == (0.0, 1.0)
    with pytest.raises(Unsupported, match="no regression"):
        label("['a', 'b']", "regression")


def test_a_guess_about_whole_numbers_is_said() -> None:
    assert "y::DOUBLE" in label("[1, 2, 3]").note
    assert label("[1, 0]").note == ""


@pytest.mark.parametrize("sql", ["[1, 1]", "['a', 'a']", "[true]", "[1.5::DOUBLE, 1.5]"])
def test_one_value_cannot_be_learned(sql: str) -> None:
    with pytest.raises(InvalidData, match="nothing to learn"):
        label(sql)


def test_other_labels_that_cannot_be_learned() -> None:
    with pytest.raises(InvalidData, match="not finite"):
        label("['inf'::DOUBLE, 1.0]")
    with pytest.raises(InvalidData, match="1001 different values"):
        label("(SELECT list('c' || i) FROM range(1001) AS r(i))")
    with pytest.raises(Unsupported, match="cannot be predicted"):
        label("[DATE '2020-01-01', DATE '2020-01-02']")


def test_decoding_nothing_keeps_the_type() -> None:
    assert decode(np.array([], np.int64), ("a", "b")).type == pa.string()
