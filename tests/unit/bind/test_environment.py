"""Models with packages of their own: in a virtual environment, and in a container."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.bind.model_kinds import register_own
from workbench.bind.isolation import container, open_predictor, stop_workers
from workbench.bind.isolation.environment import environment, requirements
from workbench.errors import ModelError, Unsupported
from workbench.lake import Lake
from workbench.store import Store
from workbench.train import registry
from workbench.train.packaged_models import Packaged

OTHER = "2.0.0"
"""A version of iniconfig that is not the one installed here."""

LOADER = """
import importlib.metadata, os, sys

class Model:
    def predict(self, frame):
        if (frame["a"] == 3).any():
            os._exit(5)
        return [f"{importlib.metadata.version('iniconfig')} {value:g}" for value in frame["a"]]

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture
def rows() -> pa.RecordBatch:
    """Two rows with a column that the model takes, in another case, and one that it does not."""
    return pa.RecordBatch.from_pydict({"A": [1.0, 2.5], "more": ["x", "y"]})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for environments that goes with the test."""
    monkeypatch.setenv("MLSTORE_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    stop_workers()


def has_index() -> bool:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "-q",
        "-d",
        os.devnull,
        f"iniconfig=={OTHER}",
    ]
    return b"No matching distribution" not in subprocess.run(command, capture_output=True, check=False).stderr


@pytest.mark.slow
def test_a_model_runs_with_the_packages_it_names(lake: Lake, tmp_path: Path, rows: pa.RecordBatch) -> None:
    """It installs pyarrow and pandas, which takes half a minute."""
    if not has_index():
        pytest.skip("no package index can be reached")
    assert metadata.version("iniconfig") != OTHER
    register_own(lake, tmp_path, "own", LOADER, f"iniconfig=={OTHER}")
    model = open_predictor(lake, "mlflow:own@1", isolate="env")
    assert (model.ref, model.inputs, model.value_type) == ("mlflow:own@1", ("a",), "VARCHAR")
    answer = model.predict(rows)
    assert answer.to_pylist() == [
        {"value": "2.0.0 1", "score": None},
        {"value": "2.0.0 2.5", "score": None},
    ]
    with pytest.raises(ModelError, match="status 5"):
        model.predict(pa.RecordBatch.from_pydict({"a": [3.0]}))
    assert model.predict(rows) == answer
    # The second time nothing is installed.
    pip = next((tmp_path / "cache").rglob("site-packages/pip"), None)
    if pip is not None:
        shutil.rmtree(pip)
    stop_workers()
    assert open_predictor(lake, "mlflow:own@1", isolate="env").predict(rows) == answer


@pytest.mark.slow
def test_what_cannot_be_installed_leaves_nothing(lake: Lake, tmp_path: Path, own_cache: Path) -> None:
    register_own(lake, tmp_path, "own", LOADER, "./no-such-folder-anywhere")
    with pytest.raises(ModelError, match="no-such-folder-anywhere"):
        open_predictor(lake, "mlflow:own@1", isolate="env")
    assert not [each for each in (own_cache / "environments").iterdir() if each.is_dir()]


def test_what_is_installed_for_a_model_trained_here(trained: Store) -> None:
    lake = trained._lake
    needed = requirements(registry.packaged(lake, registry.get(lake, "slow")))
    names = [each.partition("==")[0] for each in needed]
    assert "mlflow" not in names, "its loader needs none, and it has 180 packages"
    assert {"pyarrow", "pandas", "duckdb"} <= set(names)
    xgboost = "xgboost-cpu" if "xgboost-cpu" in names else "xgboost"
    assert f"{xgboost}=={metadata.version(xgboost)}" in needed


def test_a_model_without_requirements(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no requirements\.txt"):
        environment(Packaged(tmp_path, "own_loader", None, None, {}, None), "own")


def test_packages_of_a_store_from_elsewhere_are_not_installed(
    trained: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path / "another machine"))
    with pytest.raises(Unsupported, match="slow@1 names packages to install, and was not approved"):
        open_predictor(trained._lake, "slow", isolate="env")


def test_a_function_names_no_packages(lake: Lake) -> None:
    with pytest.raises(Unsupported, match="does not say which packages"):
        open_predictor(lake, "py:os:getcwd", isolate="env")


def test_without_an_engine_it_says_what_to_do(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_own(lake, tmp_path, "own", LOADER)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="Neither is installed") as raised:
        open_predictor(lake, "mlflow:own@1", isolate="container")
    assert "ISOLATE env" in raised.value.hint


STOPPED = """#!/bin/sh
echo "Cannot connect to the daemon." >&2
exit 1
"""

ENGINE = """#!{python}
# Stands in for Docker where none runs: notes how it is called, and runs what a container would.
import os, shutil, sys
words = sys.argv[1:]
with open({notes!r}, "a+") as notes:
    notes.seek(0)
    built = "build" in notes.read()
    notes.write(" ".join(words) + chr(10))
    if words[0] == "build":
        for name in ("Dockerfile", "requirements.txt"):
            notes.write(open(os.path.join(words[-1], name)).read() + chr(10))
        shutil.copy(os.path.join(words[-1], "worker.py"), {worker!r})
if words[:2] == ["image", "inspect"]:
    sys.exit(not built)
if words[0] == "run":
    for word in words:
        if word.endswith(":ro") and not os.path.exists(word.split(":")[1]):
            os.symlink(*word.split(":")[:2])
    os.execv(sys.executable, [sys.executable, {worker!r}])
"""


def put(folder: Path, text: str) -> Path:
    """Put a program called docker into a folder."""
    folder.mkdir()
    file = folder / "docker"
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


def test_an_engine_that_does_not_run_is_not_used(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(put(tmp_path / "bin", STOPPED)), prepend=None)
    with pytest.raises(Unsupported, match="docker is installed, and says: Cannot connect to the daemon"):
        container.engine()


def test_what_a_container_is_started_with(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: pa.RecordBatch
) -> None:
    """The commands, the worker and the pipe are real; the engine is a stand-in that isolates nothing."""
    notes = tmp_path / "notes"
    text = ENGINE.format(python=sys.executable, notes=str(notes), worker=str(tmp_path / "worker.py"))
    monkeypatch.setenv("PATH", str(put(tmp_path / "bin", text)), prepend=os.pathsep)
    monkeypatch.setattr(container, "MODEL", str(tmp_path / "mounted"))
    monkeypatch.setenv("MLSTORE_ISOLATE_MEMORY", "2 GB")
    monkeypatch.delenv("MLSTORE_CONTAINER_BASE", raising=False)
    register_own(lake, tmp_path, "own", LOADER, "iniconfig")
    model = open_predictor(lake, "mlflow:own@1", isolate="container")
    here = metadata.version("iniconfig")
    assert model.predict(rows)["value"].to_pylist() == [f"{here} 1", f"{here} 2.5"]
    with pytest.raises(ModelError, match="status 5"):
        model.predict(pa.RecordBatch.from_pydict({"a": [3.0]}))
    assert model.predict(rows).num_rows == 2
    stop_workers()
    said = notes.read_text()
    assert said.count("build --tag mlstore-model:") == 1
    assert "FROM docker.io/library/python:3" in said
    assert "\niniconfig\n" in said and "\npyarrow==" in said
    started = [line for line in said.splitlines() if line.startswith("run ")]
    assert len(started) == 2, "once more after it died"
    assert "--network none --memory 2000000000 --memory-swap 2000000000 " in started[0]
    assert all(word in started[0] for word in ("--read-only", "--cap-drop ALL", "--pids-limit"))
    names = [line.partition("--name ")[2].split()[0] for line in started]
    assert f"rm --force {names[1]}" in said and names[0] != names[1]
