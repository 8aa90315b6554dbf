"""The part of binding.py that runs in an environment with Pixeltable; it prints seconds as JSON.

It is imported, for Pixeltable takes no functions from a script that is run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

folder, rows, changed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
os.environ["PIXELTABLE_HOME"] = str(folder / "home")
os.environ["PIXELTABLE_VERBOSITY"] = "0"

import numpy as np  # noqa: E402 (Pixeltable reads the environment when it is imported)
import pixeltable as pxt  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import xgboost  # noqa: E402
from pixeltable.func import Batch  # noqa: E402
from timing import timed  # noqa: E402

COLUMNS = [f"f{number}" for number in range(10)]
booster = xgboost.Booster(model_file=str(folder / "model.json"))


Numbers = Batch[float]


@pxt.udf(batch_size=2048)
def predict(
    f0: Numbers, f1: Numbers, f2: Numbers, f3: Numbers, f4: Numbers,
    f5: Numbers, f6: Numbers, f7: Numbers, f8: Numbers, f9: Numbers,
) -> Numbers:  # fmt: skip
    matrix = np.array([f0, f1, f2, f3, f4, f5, f6, f7, f8, f9], np.float32).T
    return [float(value) for value in booster.inplace_predict(matrix)]


def main() -> None:
    pxt.init()
    schema = {"id": pxt.Required[pxt.Int], **dict.fromkeys(COLUMNS, pxt.Float)}
    table = pxt.create_table("t", schema, primary_key="id")
    frame = pq.read_table(folder / "rows.parquet").to_pandas()
    found = {"load": timed(lambda: table.insert(frame))}
    arguments = [getattr(table, name) for name in COLUMNS]
    found["add"] = timed(lambda: table.add_computed_column(p=predict(*arguments)))
    new = frame.head(changed).assign(id=frame["id"].head(changed) + rows)
    found["insert"] = timed(lambda: table.insert(new))
    some = (table.id >= 2 * changed) & (table.id < 3 * changed)
    found["update"] = timed(lambda: table.update({"f0": table.f0 + 1}, where=some))
    found["delete"] = timed(lambda: table.delete(where=some))
    print(json.dumps(found))


def stop() -> None:
    """Stop the PostgreSQL that Pixeltable started: it outlives the process that asked for it."""
    from pixeltable.env import Env

    server = getattr(Env.get(), "_db_server", None)
    if server is not None:
        server.cleanup_mode = "stop"
        server.cleanup()


def run() -> None:
    """Measure, and leave no server behind."""
    try:
        main()
    finally:
        stop()
