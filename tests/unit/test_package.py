"""The package as others get it: a wheel in a clean environment, and a store read without us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import extension

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("mlflow", "sklearn", "xgboost", "altair", "ibis", "pandas")

LOAD_EXTENSION = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "workbench")
assert "mlstore" in shell.magics_manager.magics["cell"], "no %%mlstore"
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""

STORE = """
import sys
import workbench

with workbench.connect(sys.argv[1]) as store:
    trips = store.sql("select i as id, i % 7 as hour, (i * 37) % 101 / 10 as km from range(400) as t(i)")
    store.load("trips", trips, key="id")
    features = "select id, standardize(km) as km, hour from trips"
    store.transform("trip_features", features, on="trips", key="id", when="on write")
    store.train("long", "select id, km, hour, km > 0 as long from trip_features", label="long", key="id",
                model="xgboost", params={"n_estimators": 5})
    store.bind("long_prediction", on="trip_features", model="long")
    store.sql("delete from trips where id = 7")
"""

# What the page "Your data without us" shows, as a program: DuckDB, DuckLake and MLflow, and nothing of ours.
WITHOUT_US = """
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb

store = Path(sys.argv[1])
con = duckdb.connect()
for name in ("ducklake", "sqlite_scanner"):
    folder = Path(find_spec(f"duckdb_extension_{name}").submodule_search_locations[0])
    con.execute(f"LOAD '{next(folder.rglob(name + '.duckdb_extension'))}'")
options = f"DATA_PATH '{store}/data', OVERRIDE_DATA_PATH true"
con.execute(f"ATTACH 'ducklake:sqlite:{store}/catalog.sqlite' AS lake ({options})")
con.execute("USE lake")
assert con.execute("select count(*) from main.trips").fetchone() == (399,)
assert con.execute("select count(*) from features.trip_features").fetchone() == (399,)
features = con.execute("select id, km, hour from features.trip_features order by id").arrow().read_all()
stored = con.execute("select long_prediction from predictions.trip_features order by id").fetchall()
assert len(stored) == 399

import mlflow

if sys.argv[2] == "registry":
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/long@champion")
else:
    path, = con.execute("select model_uri from mlstore.models where name = 'long'").fetchone()
    model = mlflow.pyfunc.load_model(str(store / path))
assert len(model.predict(features.to_pandas())) == 399
assert "workbench" not in sys.modules
print("read without us")
"""


def run(code: str, *arguments: str, python: str = sys.executable, cwd: Path | None = None) -> str:
    """Run a program in a process of its own; return what it printed."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_load_ext_imports_nothing_heavy(tmp_path: Path) -> None:
    assert run(LOAD_EXTENSION, *HEAVY, cwd=tmp_path) == ""


def test_import_makes_no_store(tmp_path: Path) -> None:
    run(LOAD_EXTENSION, cwd=tmp_path)
    assert not (tmp_path / "mlstore").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "store"
    run(STORE, str(folder))
    return folder


@pytest.mark.slow
def test_a_store_is_readable_without_us(finished: Path) -> None:
    assert run(WITHOUT_US, str(finished), "registry") == "read without us"


@pytest.mark.slow
def test_a_moved_store_is_readable_without_us(finished: Path, tmp_path: Path) -> None:
    """MLflow's database holds absolute addresses; the store's own record says where the model lies in it."""
    copied = tmp_path / "elsewhere"
    shutil.copytree(finished, copied)
    hidden = finished.rename(finished.with_name("hidden"))
    try:
        assert run(WITHOUT_US, str(copied), "path") == "read without us"
    finally:
        hidden.rename(finished)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    subprocess.run([*command, str(ROOT)], check=True, env=os.environ | {"MLSTORE_EXTENSION": ""})
    return next(folder.glob("mlstore-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Install the wheel alone in a new environment that borrows this one's libraries; return its programs.

    A line in a .pth file puts our site-packages on the path, but does not read the .pth files in there: the
    libraries are found and the editable install of this checkout is not.
    """
    venv = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    python = str(programs / "python")
    site = run("import sysconfig; print(sysconfig.get_path('purelib'))", python=python)
    command = [
        sys.executable,
        "-m",
        "pip",
        f"--python={python}",
        "install",
        "--quiet",
        "--no-deps",
        str(wheel),
    ]
    subprocess.run(command, check=True)
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return lambda name: programs / name


@pytest.mark.slow
def test_the_wheel_gives_the_extension(installed: Callable[[str], Path], tmp_path: Path) -> None:
    where = run("import workbench; print(workbench.__file__)", python=str(installed("python")), cwd=tmp_path)
    assert not Path(where).is_relative_to(ROOT)
    assert run(LOAD_EXTENSION, *HEAVY, python=str(installed("python")), cwd=tmp_path) == ""


@pytest.mark.slow
def test_the_wheel_gives_the_command(installed: Callable[[str], Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [installed("mlstore"), "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["mlstore", "0.1.0"]


@pytest.mark.slow
def test_the_wheel_has_the_templates_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "workbench/templates/quickstart.ipynb" in names
    roots = {name.split("/")[0] for name in names if "dist-info" not in name}
    assert roots == {"workbench", "mlstore-0.1.0.data"}


@pytest.mark.slow
def test_the_wheel_has_the_extension_built_and_the_server_told(wheel: Path) -> None:
    if extension.obstacle():
        pytest.skip(f"the JupyterLab extension cannot be built here: {extension.obstacle()}")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        data = "mlstore-0.1.0.data/data"
        lab = f"{data}/share/jupyter/labextensions/mlstore"
        told = json.loads(packed.read(f"{data}/etc/jupyter/jupyter_server_config.d/mlstore.json"))
        entry = json.loads(packed.read(f"{lab}/package.json"))["jupyterlab"]["_build"]["load"]
    assert told == {"ServerApp": {"jpserver_extensions": {"workbench": True}}}
    assert f"{lab}/install.json" in names
    assert f"{lab}/{entry}" in names


@pytest.mark.slow
def test_without_node_the_package_is_built_without_the_extension(tmp_path: Path) -> None:
    """A checkout where Node.js is not installed still installs, and says what is missing."""
    checkout = tmp_path / "checkout"
    kept = shutil.ignore_patterns("build", "node_modules", "lib", ".git", ".venv", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, checkout, ignore=kept)
    environment = os.environ | {"PATH": str(tmp_path / "nothing"), "PYTHONPATH": ""}
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*pip, str(checkout)],
        env=environment | {"MLSTORE_EXTENSION": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Without the JupyterLab extension: Node.js is not installed." in done.stdout + done.stderr
    names = zipfile.ZipFile(next(tmp_path.glob("mlstore-*.whl"))).namelist()
    assert not [name for name in names if "labextensions" in name]
    asked = subprocess.run(
        [sys.executable, "scripts/extension.py"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == extension.NOT_BUILT
    assert "Node.js is not installed" in asked.stderr


@pytest.mark.slow
def test_the_templates_are_installed(installed: Callable[[str], Path], tmp_path: Path) -> None:
    code = "from importlib.resources import files; print(*(files('workbench') / 'templates').iterdir())"
    assert "quickstart.ipynb" in run(code, python=str(installed("python")), cwd=tmp_path)
