"""Models of the store's MLflow that others register, move, delete, or never register at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from tests.unit.bind.bound import column
from workbench.cli import main
from workbench.errors import NotFound, Unsupported, WorkbenchError
from workbench.store import Store

LOG = """
import sys, mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
uri, place = sys.argv[1:]
mlflow.set_tracking_uri(uri)
class Model(mlflow.pyfunc.PythonModel):
    def __init__(self, factor):
        self.factor = factor
    def predict(self, context, model_input):
        return model_input.iloc[:, 0] * self.factor
signature = ModelSignature(Schema([ColSpec("double", "v")]), Schema([ColSpec("double")]))
mlflow.set_experiment(experiment_id=mlflow.create_experiment("others", artifact_location=place))
for factor, name in ((2.0, "times"), (3.0, "times"), (5.0, None)):
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model(name="model", python_model=Model(factor), signature=signature,
                                pip_requirements=["mlflow"], registered_model_name=name)
mlflow.MlflowClient().set_registered_model_alias("times", "champion", "1")
print(run.info.run_id)
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Path, str]:
    """A store whose MLflow has two versions of a model, and one that is not registered: its run."""
    folder = Path(shutil.copytree(empty_store, tmp_path_factory.mktemp("logged") / "store"))
    with workbench.connect(folder) as store:
        store.load("t", [{"id": n, "v": n} for n in range(5)], key="id")
    arguments = [f"sqlite:///{folder}/mlflow.db", (folder / "artifacts" / "others").as_uri()]
    command = [sys.executable, "-W", "ignore", "-c", LOG, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return folder, done.stdout.split()[-1]


@pytest.fixture
def others(logged: tuple[Path, str], tmp_path: Path) -> Iterator[Store]:
    """The store on a machine that trusts its models."""
    shutil.copytree(logged[0], tmp_path / "store")
    with workbench.connect(tmp_path / "store") as opened:
        opened.approve(each.name for each in opened.unapproved())
        yield opened


def registry(store: Store, code: str) -> None:
    """Change the registry as somebody else would."""
    head = f"import mlflow; client = mlflow.MlflowClient(tracking_uri='sqlite:///{store.folder}/mlflow.db'); "
    subprocess.run([sys.executable, "-W", "ignore", "-c", head + code], check=True, capture_output=True)


@pytest.mark.parametrize("isolate", ["none", "process"])
def test_a_champion_that_moved_is_followed(others: Store, isolate: str) -> None:
    others.bind("p", on="t", model="mlflow:times@champion", isolate=isolate)
    assert column(others, "p") == [0, 2, 4, 6, 8]
    registry(others, "client.set_registered_model_alias('times', 'champion', '2')")
    assert others.stale("p").rows()[0]["why"] == "the model moved from mlflow:times@1 to mlflow:times@2"
    others.refresh("p")
    assert column(others, "p") == [0, 3, 6, 9, 12]


@pytest.mark.parametrize(
    ("ref", "code", "said", "isolate"),
    [
        ("times@champion", "client.delete_model_version('times', '1')", "no version 'champion' in ", "none"),
        ("times@1", "client.delete_model_version('times', '1')", "no version '1' in times", "none"),
        ("times@1", "client.delete_registered_model('times')", "no MLflow model 'times'", "process"),
        ("times@1", "", "The files of the model mlflow:times@1 are gone", "none"),
    ],
)
def test_a_model_that_is_deleted(others: Store, ref: str, code: str, said: str, isolate: str) -> None:
    """What was predicted stays to be read; all else says which model is gone, under which binding."""
    others.bind("p", on="t", model=f"mlflow:{ref}", isolate=isolate)
    if code:
        registry(others, code)
    else:
        shutil.rmtree(others.folder / "artifacts" / "others")
    others.sql("INSERT INTO t VALUES (9, 9)")
    with pytest.raises(WorkbenchError, match=said) as raised:
        others.refresh("p")
    assert f"'p' on t cannot ask its model mlflow:{ref}" in raised.value.message
    assert "drop p" in raised.value.hint
    assert column(others, "p") == [0, 2, 4, 6, 8, None]
    assert column(others, "p_status")[5] == "pending"
    [row] = others.stale("p").rows()
    assert row["why"].startswith("broken: 'p' on t cannot ask its model")
    assert said in others.describe("p").facts["to be refreshed"]
    [failed, *_] = others.runs("p").rows()
    assert failed["status"] == "failed"
    assert others.unapproved() == []
    others.drop("p")
    assert others.tables().to_arrow()["name"].to_pylist() == ["t"]


def test_a_model_that_is_not_registered_is_listed_and_approved(
    logged: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path / "new machine"))
    folder, run = Path(shutil.copytree(logged[0], tmp_path / "copy")), logged[1]
    name = f"mlflow:runs:/{run}/model"
    with workbench.connect(folder) as store, pytest.raises(Unsupported, match="was not approved"):
        store.bind("p", on="t", model=name)
    assert main(["--store", str(folder), "trust", name, "--yes"]) == 0
    assert f"Approved: {name}" in capsys.readouterr().out
    with workbench.connect(folder) as store:
        store.bind("p", on="t", model=name)
        assert column(store, "p") == [0, 5, 10, 15, 20]
        assert [(each.name, each.version) for each in store.unapproved()] == [
            ("mlflow:times", "1"),
            ("mlflow:times", "2"),
        ]
        with pytest.raises(NotFound, match="no model 'modle' in the run"):
            store.bind("q", on="t", model=f"mlflow:runs:/{run}/modle")
