"""Measure training XGBoost from a table of the store against a frame by hand: part of `make bench`."""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from page import judged, machine, replace_part, row
from timing import printed

import workbench

ROWS = 5_000_000
TESTED = 50_000
TREES = 20
REPEATS = 3
TITLE = "## Training"

NUMBERS = [f"x{place}" for place in range(20)]
MADE = f"""
CREATE TABLE rows AS
SELECT i AS id, {
    ", ".join(
        f"(hash(i * 20 + {place}) % 1000003) / 1000003.0 AS {name}" for place, name in enumerate(NUMBERS)
    )
},
       hash(i * 20) % 1000003 + hash(i * 20 + 1) % 1000003 + hash(i * 20 + 7) % 300000 > 1100000 AS y,
       i >= {{rows}} AS part
FROM range({{rows}} + {TESTED}) AS r(i)
"""
QUERY = "SELECT * FROM rows"
WORDS: dict[str, Any] = {"label": "y", "key": "id", "model": "xgboost", "split": "column(part)"}
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def digest(booster: Any) -> str:
    """Hash the trees; the names of the features are those of the columns on both sides."""
    return hashlib.sha256("".join(booster.get_dump(with_stats=True)).encode()).hexdigest()


def by_hand(folder: Path, order: str = "") -> str:
    """Fetch a frame, make a DMatrix of it, and train."""
    import xgboost
    from run import plain_duckdb

    connection = plain_duckdb(folder)
    query = f"SELECT {', '.join(NUMBERS)}, y FROM rows AS t WHERE NOT part{order}"
    frame = connection.sql(query).df()
    matrix = xgboost.DMatrix(frame[NUMBERS], frame["y"])
    params = {"tree_method": "hist", "objective": "binary:logistic", "nthread": CORES}
    return digest(xgboost.train(params, matrix, TREES))


def in_order(folder: Path) -> str:
    """Do the same with the rows in the order that the store has them in, which is not timed."""
    return by_hand(folder, " ORDER BY hash(t)")


def ours(folder: Path) -> str:
    """Do what a training does until it has a model: check, digest, divide, sort and encode the rows, fit."""
    from workbench.lake import Lake
    from workbench.train import algorithms, estimators, reading
    from workbench.train.boosting import Examples
    from workbench.train.definition import Training
    from workbench.train.label import read_label
    from workbench.train.spool import Numbers

    lake = Lake.open(folder)
    training = Training.define("m", QUERY, params={"n_estimators": TREES}, **WORDS)
    with lake.pinned() as (cursor, _):
        source = reading.stage(lake, cursor, training, training.rule())
        rows = reading.read(lake, cursor, source, training.rule())
    label = read_label(source.label, rows.label)
    examples = Examples(Numbers(rows.training), label.numbers[: rows.training.num_rows])
    choice = algorithms.Choice("xgboost", training.params)
    estimator = estimators.build(choice, label.task, rows.spec, prepare="auto", seed=0, rows=len(examples))
    estimators.fit(estimator, examples)
    estimators.name_features(estimator, rows.spec.names)
    return digest(estimator.get_booster())


def whole(folder: Path) -> str:
    """Train through the store: with evaluation, report, MLflow and the commit."""
    with workbench.connect(folder) as store:
        store.train("m", QUERY, params={"n_estimators": TREES}, **WORDS)
    return ""


SIDES: dict[str, Callable[[Path], str]] = {
    "hand": by_hand,
    "ours": ours,
    "in order": in_order,
    "whole": whole,
}


def one(side: str, folder: Path) -> None:
    """Run one side in this process; print its seconds, those of its threads, its peak memory, its trees."""
    start = time.perf_counter()
    trees = SIDES[side](folder)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, trees)


def measured(side: str, folder: Path) -> tuple[float, float, float, str]:
    said = printed(sys.executable, __file__, "--one", side, "--store", str(folder))
    seconds, processor, peak, trees = (*said.split(), "")[:4]
    print(f"{side}: {said.strip()[:60]}", flush=True)
    return float(seconds), float(processor), float(peak), trees


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", help="the page to which this part is added")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to learn from")
    options = parser.parse_args()
    if options.one:
        one(options.one, options.store)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        with workbench.connect(folder) as store:
            store.sql(MADE.format(rows=options.rows))
        found: dict[str, list[tuple[float, float, float, str]]] = {"hand": [], "ours": []}
        for _ in range(REPEATS):
            for side, runs in found.items():
                runs.append(measured(side, folder))
        ordered, stored = measured("in order", folder), measured("whole", folder)
    trees = {run[3] for run in found["ours"]}
    text = report(options.rows, found, stored, same=trees == {ordered[3]})
    print(text)
    if options.page:
        replace_part(options.page, TITLE, text)


def report(
    rows: int,
    found: dict[str, list[tuple[float, float, float, str]]],
    stored: tuple[float, float, float, str],
    *,
    same: bool,
) -> str:
    hand, mine = ([statistics.median(each) for each in zip(*runs, strict=True)] for runs in (
        [run[:3] for run in found[side]] for side in ("hand", "ours")
    ))  # fmt: skip
    lines = []
    reaches = (("seconds", 1.0), ("seconds of all cores", 1.0), ("peak memory, MiB", 0.4))
    for place, (what, reach) in enumerate(reaches):
        ratio = mine[place] / hand[place]
        lines.append(row(what, f"{mine[place]:,.1f}", f"{hand[place]:,.1f}", *judged(ratio, reach)))
    table = "\n".join(lines)
    identical = "the very same" if same else "**not the same**"
    return f"""{TITLE}

XGBoost with {TREES} trees from {rows:,} rows of {len(NUMBERS)} numbers in a table of the store: by `.df()`
and a `DMatrix`, and as a training does it, which checks, digests, divides, sorts and encodes the rows before.
Each side ran in processes of its own, in turn (medians of {REPEATS}):

| | Ours | By hand | Ratio | Reach | Reached |
| --- | ---: | ---: | ---: | ---: | --- |
{table}

By hand from the rows in the same order, the library makes {identical} trees. The whole of `store.train`, with
evaluation on {TESTED:,} rows held out, report, MLflow and the commit, takes {stored[0]:,.1f} s
({stored[1]:,.1f} s of all cores) and {stored[2]:,.0f} MiB.

{machine("duckdb", "xgboost-cpu", cores=CORES)}.
"""


if __name__ == "__main__":
    main()
