"""A lake to train in; the seconds that MLflow takes to make its database are spent once."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.lake import Lake
from workbench.train import mlflow_client

FLIGHTS = """
CREATE OR REPLACE TABLE lake.main.flights AS
SELECT i AS id,
       (i * 7919) % 1000 / 1000.0 AS speed,
       CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 104729) % 500 END AS distance,
       ['AA', 'UA', 'DL', NULL][1 + i % 4] AS carrier,
       TIMESTAMP '2020-01-01' + (i % 400) * INTERVAL 1 DAY AS day,
       i % 5 = 0 AS weekend,
       ((i * 7919) % 1000 + (i % 4) * 200 + hash(i) % 300) > 900 AS late,
       (i * 7919) % 1000 / 10.0 + (i % 4) * 20 + hash(i) % 10 AS delay,
       ['low', 'mid', 'high'][1 + ((i * 7919) % 1000 // 334)] AS level
FROM range(1, {rows} + 1) AS r(i)
"""


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_client.quiet(folder):
        mlflow_client.open_client(folder)
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def make_lake(
    mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Lake]]:
    opened = []

    def make(rows: int = 1200) -> Lake:
        folder = tmp_path_factory.mktemp("store")
        lake = Lake.open(folder)
        shutil.copy(mlflow_database, folder / "mlflow.db")
        opened.append(lake)
        fill(lake, FLIGHTS.format(rows=rows))
        return lake

    yield make
    for lake in opened:
        lake.close()


def fill(lake: Lake, sql: str, *written: str) -> None:
    with lake.commit("test") as tx:
        tx.cursor.execute(sql)
        assert tx.written is not None
        tx.written.update(written)


@pytest.fixture(scope="module")
def lake(make_lake: Callable[..., Lake]) -> Lake:
    """One lake for a module: every test uses its own model name."""
    return make_lake()
