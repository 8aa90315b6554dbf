"""Every kind of predictor keeps one contract."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from workbench import trust
from workbench.bind.predictors import Predictor, resolve
from workbench.errors import InvalidData, ModelError, NotFound, Unsupported
from workbench.lake import Lake
from workbench.train import registry
from workbench.train.approvals import unapproved
from workbench.train.definition import Training
from workbench.train.training import train

FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

def double(rows):
    return pc.multiply(rows["a"], 2.0)

def chunked(rows):
    return pa.chunked_array([double(rows)])

def scored(rows):
    value = pc.greater(rows["a"], 1)
    return pa.StructArray.from_arrays([value, rows["a"]], ["value", "score"])

def short(rows):
    return pa.array([1.0])

def listed(rows):
    return [1.0] * rows.num_rows

def other(rows):
    return pa.StructArray.from_arrays([rows["a"]], ["values"])

def broken(rows):
    if rows.num_rows:
        raise KeyError("nothing here")
    return pa.array([], pa.float64())

def untyped(rows):
    return pa.array([None] * rows.num_rows)

number = 7
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake.open(tmp_path_factory.mktemp("store"))
    with lake.commit("test") as tx:
        tx.cursor.execute(
            "CREATE TABLE lake.main.points AS SELECT i AS id, (i * 7919) % 100 / 10.0 AS a, "
            "['x', 'y', NULL][1 + i % 3] AS c, (i * 7919) % 100 > 50 AS high FROM range(1, 401) AS r(i)"
        )
    for name, words in {
        "high": {"model": "xgboost", "params": {"n_estimators": 10}},
        "plain": {"model": "logistic"},
        "shelved": {"model": "baseline", "deploy": "never"},
    }.items():
        train(lake, Training.define(name, "FROM points", label="high", key="id", **words))
    yield lake
    lake.close()


@pytest.fixture(scope="module", autouse=True)
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("code")
    (folder / "predictor_functions.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    del sys.modules["predictor_functions"]


@pytest.fixture(scope="module")
def rows(lake: Lake) -> pa.Table:
    return lake.cursor().execute("SELECT c, a, id FROM points ORDER BY id LIMIT 30").to_arrow_table()


SCHEMA = pa.schema([("a", pa.float64())])


def python(lake: Lake, name: str) -> Predictor:
    return resolve(lake, f"py:predictor_functions:{name}", SCHEMA)


@pytest.mark.parametrize(
    "ref", ["high", "high@1", "plain@champion", "shelved@1", "py:predictor_functions:scored"]
)
def test_the_contract(lake: Lake, rows: pa.Table, ref: str) -> None:
    predictor = resolve(lake, ref, SCHEMA)
    assert predictor.value_type == "BOOLEAN"
    assert set(predictor.inputs) <= set(rows.column_names)
    predicted = predictor.predict(rows)
    assert predicted.schema == pa.schema([("value", pa.bool_()), ("score", pa.float64())])
    assert predicted.num_rows == rows.num_rows
    assert predictor.predict(rows.slice(0, 0)).schema == predicted.schema
    [batch] = rows.combine_chunks().to_batches()
    assert predictor.predict(batch).equals(predicted)
    upper = rows.rename_columns([name.upper() for name in rows.column_names])
    assert predictor.predict(upper).equals(predicted)
    parts = [predictor.predict(rows.slice(start, 7)) for start in range(0, 30, 7)]
    assert pa.concat_tables(parts).combine_chunks().equals(predicted.combine_chunks())
    with pytest.raises(InvalidData, match=r"columns? '?a'?"):
        predictor.predict(rows.select(["id"]))


def test_a_trained_model_names_its_version(lake: Lake) -> None:
    assert resolve(lake, "high").ref == "high@1"
    assert resolve(lake, "high").inputs == ("a", "c")


def test_a_plain_name_needs_a_champion(lake: Lake) -> None:
    with pytest.raises(NotFound, match="No version of the model 'shelved' is deployed"):
        resolve(lake, "shelved")
    with pytest.raises(NotFound, match="Did you mean 'high'"):
        resolve(lake, "hihg")


@pytest.mark.parametrize(
    ("ref", "error", "said"),
    [
        ("onxn:model.onnx", NotFound, "Did you mean 'onnx:'"),
        ("onnx:", InvalidData, "names no model"),
        ("onnx:absent.onnx", NotFound, "no ONNX file 'absent.onnx'"),
        ("hf:org/name@main", InvalidData, "names no commit"),
        (f"hf:org/name@{'0' * 40}", NotFound, "hf download org/name --revision 000"),
        ("package:no-such-package", NotFound, "pip install no-such-package"),
        ("mlflow:runs:/0123456789abcdef/model", NotFound, "no run '0123456789abcdef'"),
    ],
)
def test_a_model_that_is_not_there_is_named(lake: Lake, ref: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        resolve(lake, ref, SCHEMA)
    assert said in str(caught.value)


def test_an_onnx_file_that_is_none_or_another(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    broken = resolve(lake, f"onnx:{path}", SCHEMA)
    with pytest.raises(ModelError, match="cannot be loaded"):
        _ = broken.inputs
    with pytest.raises(ModelError, match="is not the one that abcdef01 names"):
        resolve(lake, f"onnx:{path}@abcdef01", SCHEMA)
    with pytest.raises(NotFound, match=r"broken\.onnx"):
        resolve(lake, f"onnx:{tmp_path}/brokn.onnx", SCHEMA)


def test_without_the_library_it_says_how_to_get_it(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(b"model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Unsupported) as caught:
        _ = resolve(lake, f"onnx:{path}", SCHEMA).value_type
    assert "pip install 'mlstore[onnx]'" in str(caught.value)


@pytest.mark.parametrize("name", ["double", "chunked"])
def test_a_function_of_numbers(lake: Lake, rows: pa.Table, name: str) -> None:
    predictor = python(lake, name)
    assert predictor.value_type == "DOUBLE"
    predicted = predictor.predict(rows)
    assert predicted["value"].to_pylist() == [2 * value for value in rows["a"].to_pylist()]
    assert predicted["score"].null_count == 30


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("short", "returned 1 values for 30 rows"),
        ("listed", "returned a list for 30 rows"),
        ("other", "returned a struct of values"),
        ("broken", "failed on 30 rows: KeyError"),
    ],
)
def test_a_function_that_breaks_the_contract_is_named(
    lake: Lake, rows: pa.Table, name: str, said: str
) -> None:
    with pytest.raises(ModelError, match=f"py:predictor_functions:{name} {said}"):
        python(lake, name).predict(rows)


def test_a_function_must_give_a_type(lake: Lake) -> None:
    with pytest.raises(ModelError, match="type null"):
        _ = python(lake, "untyped").value_type


@pytest.mark.parametrize(
    ("ref", "error", "said"),
    [
        ("py:predictor_functions", InvalidData, "py:module:function"),
        ("py:no_such_module:f", NotFound, "no_such_module"),
        ("py:predictor_functions:dubble", NotFound, "Did you mean 'double'"),
        ("py:predictor_functions:number", NotFound, "number"),
    ],
)
def test_a_function_that_is_not_there(lake: Lake, ref: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        resolve(lake, ref)
    assert said in str(caught.value)


def test_changed_code_is_another_model(lake: Lake, tmp_path: Path) -> None:
    """In two processes, as a kernel would after a restart."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from workbench.bind.predictors import Function; "
        "print(Function(None, 'changing:f', None).ref)"
    )
    found = []
    for text in ("def f(rows): return HELPER\nHELPER = 1\n", "def f(rows): return HELPER\nHELPER = 2\n"):
        (tmp_path / "changing.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-B", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        found.append(done.stdout)
    assert found[0] != found[1]


def register(lake: Lake, name: str, output: str | None) -> None:
    """Register a model in the store's MLflow as somebody else would, without the store."""
    code = """
import sys, mlflow, pandas
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
uri, name, output, place = sys.argv[1:]
mlflow.set_tracking_uri(uri)
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input.iloc[:, 0] * 3
signature = None
if output:
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec(output)]))
mlflow.set_experiment(experiment_id=mlflow.create_experiment(name, artifact_location=place))
mlflow.pyfunc.log_model(name="model", python_model=Model(), signature=signature, pip_requirements=["mlflow"],
                        registered_model_name=name)
mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
"""
    place = (lake.folder / "artifacts" / name).as_uri()
    arguments = [f"sqlite:///{lake.folder}/mlflow.db", name, output or "", place]
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *arguments], check=True, capture_output=True)


def test_a_model_of_mlflow_without_workbench(lake: Lake) -> None:
    register(lake, "thrice", "double")
    with pytest.raises(Unsupported, match="thrice@1 can hold any code, and was not approved"):
        resolve(lake, "mlflow:thrice@champion")
    for each in unapproved(lake):
        trust.approve(each.fingerprint)
    predictor = resolve(lake, "mlflow:thrice@champion")
    assert (predictor.ref, predictor.inputs, predictor.value_type) == ("mlflow:thrice@1", ("a",), "DOUBLE")
    given = pa.table({"A": pa.array([1, 2], pa.int64()), "id": ["x", "y"]})
    assert predictor.predict(given).to_pylist() == [
        {"value": 3.0, "score": None},
        {"value": 6.0, "score": None},
    ]
    assert resolve(lake, "mlflow:thrice@1").predict(given.slice(0, 0)).num_rows == 0
    with pytest.raises(NotFound, match="'trice'"):
        resolve(lake, "mlflow:trice@1")
    with pytest.raises(NotFound, match="champion"):
        resolve(lake, "mlflow:thrice@chmpion")
    with pytest.raises(InvalidData, match="'a' holds VARCHAR where mlflow:thrice@1 takes DOUBLE, and 1 of 1"):
        predictor.predict(pa.table({"a": ["text"]}))


def test_models_of_the_store_are_in_its_mlflow_too(lake: Lake) -> None:
    predictor = resolve(lake, "mlflow:high")
    assert predictor.inputs == registry.get(lake, "high").features.names
    predicted = predictor.predict(pa.table({"a": [0.1, 9.9], "c": [0.0, 1.0]}))
    assert predicted["value"].to_pylist() == [0, 1]
