"""What holds for every kind of model that can be bound, on real models trained or made here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from model_kinds import Kind, make_all
from model_kinds import rows as make_rows

from workbench.bind.predictors import PREFIXES, Predictor, resolve
from workbench.bind.predictors.columns import duckdb_type
from workbench.errors import InvalidData
from workbench.lake import Lake

NAMES = [
    "xgboost",
    "scikit-learn",
    "onnx matrix",
    "onnx list",
    "onnx named",
    "onnx text",
    "onnx image",
    "onnx vector",
    "onnx one by one",
    "mlflow",
    "mlflow tensor",
    "python",
    "hf classifier",
    "hf zero-shot",
    "hf embedding",
    "package",
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake.open(tmp_path_factory.mktemp("kinds") / "store")
    yield lake
    lake.close()


@pytest.fixture(scope="module")
def kinds(lake: Lake) -> Iterator[dict[str, Kind]]:
    folder = lake.folder.parent / "models"
    folder.mkdir()
    yield make_all(lake, folder)
    sys.path.remove(str(folder))
    sys.modules.pop("conforming", None)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return make_rows()


def schema_of(kind: Kind, rows: pa.Table) -> pa.Schema:
    return rows.select(list(kind.bound or rows.column_names)).schema


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest, kinds: dict[str, Kind]) -> Kind:
    return kinds[request.param]


@pytest.fixture
def predictor(lake: Lake, kind: Kind, rows: pa.Table) -> Predictor:
    return resolve(lake, kind.ref, schema_of(kind, rows))


def same(left: pa.Table, right: pa.Table, *, exact: bool = True) -> bool:
    if exact:
        return bool(left.combine_chunks().equals(right.combine_chunks()))
    # What stands beside a text in a batch changes the last digits of a neural network's answer.
    if left.schema != right.schema or left.num_rows != right.num_rows:
        return False
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    return all(pytest.approx(flat(one), abs=1e-4) == flat(other) for one, other in pairs)


def flat(row: dict[str, object]) -> list[object]:
    value = row["value"]
    return [*(value if isinstance(value, list) else [value]), row["score"]]


def test_every_kind_has_its_case(kinds: dict[str, Kind]) -> None:
    assert list(kinds) == NAMES
    prefixes = {kind.ref.partition(":")[0] for kind in kinds.values() if ":" in kind.ref}
    assert prefixes == set(PREFIXES)


def test_it_says_what_it_needs_and_gives(predictor: Predictor, kind: Kind, rows: pa.Table) -> None:
    assert predictor.value_type == kind.value_type
    assert set(predictor.inputs) <= set(rows.column_names)
    assert predictor.inputs
    assert predictor.batch_rows > 0
    predicted = predictor.predict(rows)
    assert predicted.num_rows == rows.num_rows
    assert predicted.column_names == ["value", "score"]
    assert duckdb_type(predicted.schema.field("value").type, "it") == kind.value_type
    assert predicted.schema.field("score").type == pa.float64()
    assert predicted["value"].null_count == 0
    scores = predicted["score"].drop_null().to_pylist()
    assert kind.ref.startswith("py:") or all(0 <= score <= 1 for score in scores)


def test_no_rows_give_no_rows_of_the_same_type(predictor: Predictor, rows: pa.Table) -> None:
    assert predictor.predict(rows.slice(0, 0)).schema == predictor.predict(rows.slice(0, 2)).schema
    assert predictor.predict(rows.slice(0, 0)).num_rows == 0


def test_rows_do_not_depend_on_each_other(predictor: Predictor, kind: Kind, rows: pa.Table) -> None:
    whole = predictor.predict(rows)
    parts = [predictor.predict(rows.slice(start, 7)) for start in range(0, rows.num_rows, 7)]
    assert same(pa.concat_tables(parts), whole, exact=kind.exact)
    [batch] = rows.combine_chunks().to_batches()
    assert same(predictor.predict(batch), whole, exact=kind.exact)


def test_columns_go_by_name(predictor: Predictor, kind: Kind, rows: pa.Table) -> None:
    """In any order and case, with others between them."""
    whole = predictor.predict(rows)
    turned = rows.select(rows.column_names[::-1]).rename_columns(
        [each.upper() for each in rows.column_names[::-1]]
    )
    assert same(predictor.predict(turned), whole, exact=kind.exact)
    assert same(predictor.predict(rows.select(list(predictor.inputs))), whole, exact=kind.exact)


def test_a_missing_column_is_named(predictor: Predictor, rows: pa.Table) -> None:
    name = predictor.inputs[0]
    misspelt = [f"{each}x" if each == name else each for each in rows.column_names]
    with pytest.raises(InvalidData) as error:
        predictor.predict(rows.rename_columns(misspelt))
    assert name in error.value.message
    if len(name) > 1:
        assert f"{name}x" in error.value.hint


def test_nulls_come_through_beside_other_rows(predictor: Predictor, kind: Kind, rows: pa.Table) -> None:
    """A row of NULLs has an answer or NULL, and its neighbours keep theirs."""
    whole = predictor.predict(rows)
    with_null = rows
    for name in predictor.inputs:
        values = rows[name].to_pylist()
        place = rows.column_names.index(name)
        field = rows.schema.field(name)
        with_null = with_null.set_column(place, name, pa.array([None, *values[1:]], field.type))
    predicted = predictor.predict(with_null)
    assert predicted.num_rows == rows.num_rows
    assert same(predicted.select(["value", "score"]).slice(1), whole.slice(1), exact=kind.exact)
    if kind.bound == ("text",) or kind.bound == ("image",):
        assert predicted["value"][0].as_py() is None


def test_texts_where_numbers_are_needed_are_refused(predictor: Predictor, rows: pa.Table) -> None:
    if "a" not in predictor.inputs or predictor.ref.startswith("py:"):
        pytest.skip("it reads no number, or says nothing of types")
    wrong = rows.set_column(rows.column_names.index("a"), "a", pa.array(["many"] * rows.num_rows))
    with pytest.raises(InvalidData, match=r"\ba\b|many"):
        predictor.predict(wrong)


def test_whole_numbers_do_for_numbers(predictor: Predictor, rows: pa.Table) -> None:
    if "a" not in predictor.inputs:
        pytest.skip("it reads no number")
    whole = rows.set_column(rows.column_names.index("a"), "a", pa.array(range(rows.num_rows)))
    double = whole.set_column(whole.column_names.index("a"), "a", whole["a"].cast(pa.float64()))
    found = predictor.predict(whole)["value"].to_pylist()
    assert found == predictor.predict(double)["value"].to_pylist()


def test_another_process_answers_the_same(lake: Lake, kinds: dict[str, Kind], rows: pa.Table) -> None:
    """From the reference, the folder and the schema; and finding a model loads none of the libraries."""
    code = """
import json, sys, pyarrow.parquet as pq
from workbench.lake import Lake
from workbench.bind.predictors import resolve
lake, rows = Lake.open(sys.argv[1]), pq.read_table(sys.argv[2])
sys.path.insert(0, sys.argv[3])
found = {}
for name, (ref, bound) in json.loads(sys.argv[4]).items():
    found[name] = resolve(lake, ref, rows.select(bound or rows.column_names).schema)
    ref = found[name].ref
heavy = {"torch", "onnxruntime", "sentence_transformers", "transformers", "sklearn"} & set(sys.modules)
answers = {name: [each.ref, each.predict(rows)["value"].to_pylist()] for name, each in found.items()}
print(json.dumps([sorted(heavy), answers]))
"""
    asked = {name: (kinds[name].ref, kinds[name].bound) for name in NAMES if kinds[name].exact}
    models = lake.folder.parent / "models"
    arguments = [lake.folder, models / "rows.parquet", models, json.dumps(asked)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heavy, answers = json.loads(done.stdout.splitlines()[-1])
    assert set(heavy) <= {"sklearn"}  # XGBoost's and MLflow's metadata import it
    for name, (ref, values) in answers.items():
        here = resolve(lake, kinds[name].ref, schema_of(kinds[name], rows))
        assert ref == here.ref
        assert values == here.predict(rows)["value"].to_pylist()


def test_a_value_names_the_files_it_was_made_by(lake: Lake, kinds: dict[str, Kind], rows: pa.Table) -> None:
    for name in ("onnx matrix", "hf embedding", "mlflow"):
        kind = kinds[name]
        before = resolve(lake, kind.ref, schema_of(kind, rows)).ref
        assert "@" in before
        target = Path(kind.ref.partition(":")[2])
        changed = target if target.is_file() else target / "added.txt"
        kept = changed.read_bytes() if changed.exists() else None
        changed.write_bytes((kept or b"") + b"\n")
        try:
            assert resolve(lake, kind.ref, schema_of(kind, rows)).ref != before
        finally:
            changed.write_bytes(kept) if kept is not None else changed.unlink()
        assert resolve(lake, kind.ref, schema_of(kind, rows)).ref == before
