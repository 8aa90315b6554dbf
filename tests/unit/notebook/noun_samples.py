"""One example of each noun, with the attributes the real ones have, for the display tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.answers.plan import PlanReport
from workbench.bind.definition import Binding
from workbench.derivation import Run
from workbench.export.artifact import Artifact
from workbench.lake.description import Description
from workbench.lake.result import Result
from workbench.lake.snapshots import Snapshot
from workbench.language import HelpText
from workbench.lineage.graph import ColumnPair, Edge, Lineage, Node
from workbench.lineage.trace import Source, Trace
from workbench.plain import Grid, Report
from workbench.transform.definition import Transform
from workbench.transform.query import Query

HOSTILE = '<script>alert("x")</script>'


def flights(rows: int = 40) -> pa.Table:
    """Return `rows` flights with numbers, times, nested values, long text and NULLs."""
    start = dt.datetime(2013, 1, 1, 5, 15)
    return pa.table(
        {
            "id": pa.array(range(1, rows + 1), pa.int64()),
            "scheduled": pa.array(
                [start + dt.timedelta(minutes=17 * i) for i in range(rows)], pa.timestamp("us")
            ),
            "carrier": [("UA", "AA", "B6", None)[i % 4] for i in range(rows)],
            "dep_delay": pa.array([None if i % 7 == 3 else i * 1.25 - 4 for i in range(rows)], pa.float64()),
            "distance": pa.array([1400 + 13 * i for i in range(rows)], pa.int32()),
            "cancelled": [i % 9 == 0 for i in range(rows)],
            "route": [{"from": "EWR", "to": "IAH", "legs": [1, i]} for i in range(rows)],
            "remark": ["Delayed by weather over the coast, then by a missing crew, then by the queue"] * rows,
            "embedding": [[0.125 * i, 0.5, -1.0] * 16 for i in range(rows)],
        }
    )


def result(table: pa.Table | None = None, **known: Any) -> Result:
    """Return a Result over `table`."""
    return Result(
        flights() if table is None else table,
        **{"snapshot": 14, "seconds": 0.123, "query": "from flights", **known},
    )


RUN = Run(
    "late_features",
    "transform",
    "incremental",
    "12 of 336,776 rows changed",
    {"main.flights": (12, 14)},
    15,
    12,
    12,
    0,
    0.21,
)
FAILED = Run(
    "late", "model", "full", "first run", {}, None, 0, 0, 0, 4.2, "failed", "A model failed: <nan> label"
)


@dataclass(frozen=True)
class Feature:
    name: str
    kind: str = "number"


@dataclass(frozen=True)
class Features:
    columns: tuple[Feature, ...]


@dataclass(frozen=True)
class Model:
    name: str
    version: int
    task: str
    algorithm: str
    label: str
    features: Features
    inputs: tuple[str, ...]
    snapshot: int
    rows: int
    split: Mapping[str, Any]
    metrics: Mapping[str, Any]
    seed: int
    seconds: float
    reason: str
    decision: str
    mlflow_run_id: str


_VALUES = (ColumnPair("id", "id", "value"),)
LINEAGE = Lineage(
    "late_features",
    tuple(
        Node(*each)
        for each in (
            ("flights", "table"),
            ("weather", "table"),
            ("planes", "table"),
            ("daytime", "query"),
            ("late_features", "transform"),
            ("weather_by_hour", "transform"),
            ("late", "model"),
            ("flights.late", "binding"),
            ("predictions.flights", "predictions"),
        )
    ),
    (
        Edge("flights", "daytime", _VALUES),
        Edge("daytime", "late_features", _VALUES),
        Edge("weather", "weather_by_hour", _VALUES),
        Edge("weather_by_hour", "late_features", _VALUES),
        Edge("planes", "late_features", (ColumnPair("tailnum", "*", "join"),)),
        Edge("late_features", "late", _VALUES),
        Edge("late", "flights.late", _VALUES),
        Edge("flights", "flights.late", _VALUES),
        Edge("flights", "predictions.flights", _VALUES),
        Edge("flights.late", "predictions.flights", _VALUES),
    ),
)

COLUMN_LINEAGE = replace(LINEAGE, name="late_features.id", column="id")

NOTHING = Result(pa.table({"tailnum": pa.array([], pa.string())}))
TRACE = Trace(
    "features.late_features",
    (7,),
    result(pa.table({"id": [7], "hour": [6], "late_by_carrier": [0.2371], "wind": [11.5]})),
    [
        Source(
            "main.flights",
            12,
            result(pa.table({"id": [7], "carrier": ["UA"], "dep_delay": [4.0]})),
            "changed",
            result(pa.table({"id": [7], "carrier": ["UA"], "dep_delay": [19.0]})),
        ),
        Source(
            "main.weather",
            12,
            result(pa.table({"hour": [6], "wind": [11.5]})),
            "unchanged",
            result(pa.table({"hour": [6], "wind": [11.5]})),
        ),
        Source(
            "main.planes", 12, result(pa.table({"tailnum": ["N14228"], "seats": [149]})), "deleted", NOTHING
        ),
    ],
    ("main.airports",),
)

DESCRIPTION = Description(
    "late_features",
    "transform",
    {
        "status": "active",
        "version": 3,
        "rows": 336776,
        "key": ("id",),
        "when": "changed >= 5%",
        "changed": "1,204 of 336,776 rows (0.36 %) since snapshot 12",
        "unit": "row by row",
        "query": "select id, hour(scheduled) as hour,\n       standardize(dep_delay) as delay\nfrom flights",
    },
    {
        "columns": result(
            pa.table(
                {
                    "column": ["id", "hour", "delay"],
                    "type": ["BIGINT", "BIGINT", "DOUBLE"],
                    "missing": [0.0, 0.0, 0.0245],
                    "from": ["flights.id", "flights.scheduled", "flights.dep_delay"],
                }
            )
        )
    },
)

MODEL = Model(
    "late",
    7,
    "binary",
    "xgboost",
    "late",
    Features((Feature("hour"), Feature("distance"), Feature("carrier", "category"), Feature("wind"))),
    ("features.late_features",),
    14,
    336_776,
    {"by": "hash", "columns": ["id"], "holdout": 0.2, "trained": 269_421, "held_out": 67_355},
    {
        "auc": {"value": 0.7421, "low": 0.7377, "high": 0.7466, "baseline": 0.5},
        "logloss": {"value": 0.4213, "low": 0.4184, "high": 0.4245, "baseline": 0.5211},
        "accuracy": {"value": 0.8123, "low": 0.8088, "high": 0.8151, "baseline": 0.785},
        "pr_auc": {"value": None, "low": None, "high": None, "baseline": None},
    },
    0,
    12.4,
    "deployed: auc 0.742 >= 0.731 of late@6, on the same 67,355 held-out rows",
    "champion",
    "5d1c0f",
)

DIFF = result(
    pa.table(
        {
            "change": ["inserted", "updated", "deleted"],
            "id": [336777, 7, 19],
            "dep_delay": [3.5, 19.0, None],
        }
    )
)
PLAN = PlanReport(
    "train",
    "trains late on 269,421 rows and asks the gate: auc >= champion",
    (("main.flights", 336776), ("main.weather", 26115)),
    ("predictions.flights__late",),
    'store.train("late", "select * from late_features", label="late", key=["id"])',
)
EVERYTHING: dict[str, object] = {
    "result": result(),
    "message": result(pa.table({}), message="3 rows inserted"),
    "run": RUN,
    "failed run": FAILED,
    "runs": [RUN, FAILED],
    "description": DESCRIPTION,
    "lineage": LINEAGE,
    "column lineage": COLUMN_LINEAGE,
    "trace": TRACE,
    "model": MODEL,
    "diff": DIFF,
    "plan": PLAN,
    "transform": Transform("late_features", "select id\nfrom flights", "select", ("id",), ("main.flights",)),
    "query": Query("daytime", "from flights where hour > 6", ("main.flights",)),
    "binding": Binding("late", "main.flights", "late", ("id",)),
    "artifact": Artifact(Path("out/flights.csv"), "csv", 336776, "0f" * 32, "flights", 14, 0.4),
    "snapshot": Snapshot(14, dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "ada", "load flights"),
    "help": HelpText("describe NAME"),
    "template list": Report((Grid.of_rows(["template", "about"], [("quickstart", "Quick start")]),)),
}
