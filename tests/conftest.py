"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

import workbench
from workbench.lake import Lake
from workbench.store import Store

ROOT = Path(__file__).resolve().parents[1]

# Before MLflow is imported: no test asks the network for anything.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Tests look into the modules of the functions they bind; those of the isolation say where they run.
os.environ["MLSTORE_ISOLATE"] = "none"
# What tests approve to run is not approved for whoever runs them.
os.environ["MLSTORE_CONFIG"] = tempfile.mkdtemp(prefix="mlstore-config-")

# The same examples each time, so that nobody's change is refused for what another's example found; others
# are tried with `--hypothesis-profile=default`. How long one takes tells of what else runs.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new store, to be copied: making one takes longer than copying it."""
    folder = tmp_path_factory.mktemp("template") / "store"
    Lake.open(folder).close()
    return folder


@pytest.fixture
def lake(tmp_path: Path, empty_store: Path) -> Iterator[Lake]:
    """A new, empty lake."""
    shutil.copytree(empty_store, tmp_path / "store")
    opened = Lake.open(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """A new, empty store."""
    shutil.copytree(empty_store, tmp_path / "store")
    with workbench.connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executed quickstart: that of `make demo` while it is newer than all code, else a fresh one."""
    made = ROOT / "build" / "demo" / "quickstart.ipynb"
    page = made.with_suffix(".html")  # It is written only when every cell has run.
    code = [ROOT / "notebooks" / "quickstart.ipynb", *(ROOT / "workbench").rglob("*.py")]
    if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in code):
        return made
    # The workers of a parallel run share one: whoever comes first makes it.
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "demo"
    with FileLock(f"{folder}.lock"):
        if not (folder / "quickstart.html").exists():
            subprocess.run([sys.executable, str(ROOT / "scripts" / "demo.py"), str(folder)], check=True)
    return folder / "quickstart.ipynb"


TRIPS = 400

FEATURES = """
SELECT t.id, t.slow, standardize(t.distance) AS distance, impute(t.passengers, 'median') AS passengers,
       one_hot(t.zone) AS zone, cyclical(t.started, 'hour') AS hour
FROM trips AS t
"""


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The folder of a store with a table, a transform, a model and a binding, to be copied."""
    folder = tmp_path_factory.mktemp("trained") / "store"
    shutil.copytree(empty_store, folder)
    with workbench.connect(folder) as store:
        rows = store.sql(f"""
            SELECT i AS id, (i * 37) % 101 / 10 AS distance, CASE WHEN i % 7 > 0 THEN i % 4 END AS passengers,
                   ['north', 'south', 'east'][i % 3 + 1] AS zone,
                   TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS started, (i * 37) % 101 > 50 AS slow
            FROM range({TRIPS}) AS t(i)""")
        store.load("trips", rows, key="id")
        store.transform("trip_features", FEATURES, on="trips", key="id", when="on write")
        store.train(
            "slow",
            "SELECT * FROM trip_features",
            label="slow",
            key="id",
            model="xgboost",
            params={"n_estimators": 20},
        )
        store.bind("slow_prediction", on="trip_features", model="slow")
    return folder


@pytest.fixture
def trained(tmp_path: Path, trained_folder: Path) -> Iterator[Store]:
    """A store with a table `trips`, a transform on it, a model of it, and a binding."""
    shutil.copytree(trained_folder, tmp_path / "trained")
    with workbench.connect(tmp_path / "trained") as opened:
        yield opened
