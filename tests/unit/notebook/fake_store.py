"""A store that is no more than an in-memory DuckDB, for tests of the doors."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from workbench.answers import PlanReport
from workbench.derivation import Run
from workbench.engines.failures import reraise
from workbench.lake.result import Result
from workbench.progress import step


class Store:
    """As much of a Store as the doors use."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.closed = False
        self.folder = Path("mlstore").resolve()
        self.commits: list[str] = []
        self.during: Callable[[], None] = lambda: None

    def sql(self, query: str, params: dict[str, Any] | None = None) -> Result:
        """Run a query."""
        try:
            table = self.connection.execute(query, params).to_arrow_table()
        except (duckdb.Error, RuntimeError) as error:
            reraise(error)
        return Result(table, 3, 0.1, query)

    def refresh(self, name: str | None = None, full: bool = False) -> list[Run]:
        """Work for as long as the test says."""
        with step("Refreshing late"):
            self.during()
        return [Run(name or "late", "transform", seconds=time.monotonic() % 1)]

    def plan(self, verb: str, **arguments: Any) -> PlanReport:
        """Answer `--plan`."""
        return PlanReport(verb, "does nothing: nothing changed")

    def history(self, name: str | None = None) -> Result:
        """List the commits, the newest first."""
        long_ago, now = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime.now(dt.UTC)
        rows = [{"snapshot": 4 + i, "time": now, "message": text} for i, text in enumerate(self.commits)]
        first = {"snapshot": 3, "time": long_ago, "message": "long ago"}
        return Result(pa.Table.from_pylist([*reversed(rows), first]))

    def catalog(self) -> dict[str, dict[str, str]]:
        """Name tables and columns."""
        return {"flights": {"id": "BIGINT", "carrier": "VARCHAR"}}

    def names(self) -> dict[str, list[str]]:
        """Name what there is."""
        return {"table": ["flights"], "model": ["late"]}

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


# The doors know a Store by its class's name and package.
Store.__module__ = "workbench.store"
