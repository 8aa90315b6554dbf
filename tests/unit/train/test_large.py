"""A data set larger than memory: trained in a process that may not take what its matrix would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import workbench

ROWS = 1_000_000
COLUMNS = 120

CHILD = """
import json, re, resource, sys
from pathlib import Path
import mlflow.pyfunc, optuna, sklearn.ensemble, xgboost  # what libraries take is not what is measured
import workbench
from workbench.errors import InvalidData
from workbench.lake import Lake

folder, model, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = workbench.connect(folder)
store._lake.cursor().execute("SET memory_limit = '120MB'; SET threads = 2")

def taken():
    return int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

resource.setrlimit(resource.RLIMIT_DATA, (taken() + left, resource.RLIM_INFINITY))
words = {"label": "y", "key": "id", "model": model, "holdout": 0.05}
if model == "xgboost":
    words["params"] = {"n_estimators": 4, "max_depth": 3, "max_bin": 16}
try:
    made = store.train("m", "SELECT * FROM wide", **words)
    print(json.dumps({"auc": made.metrics["auc"]["value"], "rows": made.split["trained"]}))
except InvalidData as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "store"
    columns = ", ".join(
        f"(hash(i * {COLUMNS} + {place}) % 9)::TINYINT AS x{place}" for place in range(COLUMNS)
    )
    with workbench.connect(folder) as store:
        store.sql(
            f"CREATE TABLE wide AS SELECT i AS id, {columns}, "
            f"(hash(i * {COLUMNS}) % 9 > 3) <> (hash(-i) % 10 = 0) AS y "
            f"FROM range({ROWS}) AS r(i)"
        )
    return folder


def trained(folder: Path, model: str, left: int) -> dict[str, object]:
    """Train in a process that may take so many bytes more than it does before."""
    command = [sys.executable, "-c", CHILD, str(folder), model, str(left)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")
def test_rows_that_do_not_fit_into_memory_are_learned_from(folder: Path) -> None:
    """The matrix would take 435 MiB; what the store takes beside the libraries is less than that."""
    left = 430 * 2**20
    assert left < 0.95 * ROWS * COLUMNS * 4
    found = trained(folder, "xgboost", left)
    assert found["rows"] > 0.94 * ROWS
    assert 0.85 < found["auc"] < 0.95  # y follows from x0, but for a tenth of the rows
    refused = trained(folder, "hist_gradient_boosting", left)
    assert "MODEL xgboost trains from disk" in str(refused["error"])
