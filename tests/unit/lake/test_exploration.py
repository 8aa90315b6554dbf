"""Pages, filters and profiles of a table against the same asked of plain SQL."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from workbench.errors import NotFound, StatementError, Unsupported, WorkbenchError
from workbench.lake import exploration
from workbench.lake.exploration import View
from workbench.store import Store

ROWS = 3_000
TRIPS = f"""
CREATE TABLE trips AS
SELECT i AS id, (i * 7919) % 97 AS zone, CASE WHEN i % 10 > 0 THEN (i * 31) % 1000 / 8.0 END AS fare,
       ['north', 'south', 'it''s'][1 + i % 3] AS area, i % 2 = 0 AS even,
       TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS started, [i, i + 1] AS pair
FROM range({ROWS}) AS t(i)"""

VIEWS = [
    View(),
    View(order=(("fare", False),)),
    View(order=(("fare", True), ("area", False))),
    View(filters={"zone": "10..60"}),
    View(filters={"area": "UTH", "fare": ">= 20"}, order=(("zone", True),)),
    View(where="fare IS NULL OR even -- a comment", order=(("started", True),)),
    View(filters={"fare": "null"}),
]


@pytest.fixture(params=["direct", "sorted copy", "places"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take each of the ways in which pages are read, at a size that tests can afford."""
    kept, shallow = {"direct": (0, 10**9), "sorted copy": (10**9, 0), "places": (0, 0)}[request.param]
    monkeypatch.setattr(exploration, "_KEPT", kept)
    monkeypatch.setattr(exploration, "_SHALLOW", shallow)
    return str(request.param)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Store]:
    """A store with a table in several files, with deletes and updates; only read."""
    folder = tmp_path_factory.mktemp("explored") / "store"
    shutil.copytree(empty_store, folder)
    with workbench.connect(folder) as store:
        store.sql(TRIPS)
        store.sql("INSERT INTO trips SELECT id + 10000, zone, fare, area, even, started, pair FROM trips")
        store.sql("DELETE FROM trips WHERE id % 11 = 0")
        store.sql("UPDATE trips SET fare = fare + 1 WHERE zone = 5")
        yield store


@pytest.fixture
def trips(tmp_path: Path, shared: Store) -> Iterator[Store]:
    """The same in a folder of its own, to be written."""
    shutil.copytree(shared.folder, tmp_path / "trips")
    with workbench.connect(tmp_path / "trips") as store:
        yield store


def expected(store: Store, view: View) -> list[dict[str, object]]:
    tests = {
        "zone": "zone BETWEEN 10 AND 60",
        "area": "area ILIKE '%uth%'",
        "fare": "fare >= 20" if view.filters.get("fare") == ">= 20" else "fare IS NULL",
    }
    where = " AND ".join(
        [tests[name] for name in view.filters] + ([f"({view.where}\n)"] if view.where else [])
    )
    order = "".join(f"{name} {'DESC' if down else 'ASC'} NULLS LAST, " for name, down in view.order)
    by = f"ORDER BY {order} rowid" if order else ""
    return store.sql(f"SELECT * FROM trips WHERE {where or 'true'} {by}").rows()


@pytest.mark.parametrize("view", VIEWS, ids=range(len(VIEWS)))
def test_pages_are_those_of_the_query(shared: Store, view: View, way: str) -> None:
    explored, rows = shared.explore("trips"), expected(shared, view)
    assert explored.count(view) == len(rows) > 200
    starts = [0, 7, len(rows) // 2, len(rows) - 5, len(rows) + 5]
    random.Random(way).shuffle(starts)
    for start in starts:
        assert explored.page(start, 50, view).to_pylist() == rows[start : start + 50]


@pytest.mark.parametrize("view", VIEWS[:6], ids=range(6))
def test_pages_of_rows_in_memory(shared: Store, view: View) -> None:
    explored = shared.explore("(select * from trips)")
    whole = explored.page(0, 10**6, view).to_pylist()
    columns = [name for name, _ in view.order]
    assert [[row[c] for c in columns] for row in whole] == [
        [row[c] for c in columns] for row in expected(shared, view)
    ]
    assert explored.page(100, 20, view).to_pylist() == whole[100:120]
    assert explored.snapshots() == []


def test_it_stays_at_its_snapshot(trips: Store) -> None:
    explored = trips.explore("trips")
    before = explored.page(0, 30, VIEWS[1]).to_pylist()
    trips.sql("DELETE FROM trips WHERE id < 2000")
    assert explored.page(0, 30, VIEWS[1]).to_pylist() == before
    explored.close()
    assert explored.page(0, 30, VIEWS[1]).to_pylist() == before
    now = trips.explore("trips")
    assert now.count() == trips.sql("select count(*) as n from trips").rows()[0]["n"] < explored.count()
    assert trips.explore(f"trips@{explored.snapshot}").count() == explored.count()
    assert trips.explore("trips", at=explored.snapshot).count() == explored.count()
    assert now.snapshots()[-1] == now.snapshot


def test_a_dropped_table_a_query_and_predictions(trained: Store) -> None:
    trained.query("near", "select * from trips where distance < 3")
    assert trained.explore("near").count() == len(trained.sql("from near"))
    view = trained.explore("predictions.trip_features", at=trained.sql("select 1").snapshot)
    assert "slow_prediction_score" in view.columns
    trained.sql("CREATE TABLE gone AS SELECT 1 AS a")
    snapshot = trained.explore("gone").snapshot
    trained.drop("gone")
    assert trained.explore(f"gone@{snapshot}").page().to_pylist() == [{"a": 1}]
    with pytest.raises(NotFound):
        trained.explore("gone")


@pytest.mark.parametrize(
    ("view", "error"),
    [
        (View(where="fare >"), StatementError),
        (View(where="true); drop table trips; select (1"), WorkbenchError),
        (View(where="nothere = 1"), NotFound),
        (View(filters={"fare": "abc"}), WorkbenchError),
        (View(filters={"nothere": "1"}), NotFound),
        (View(order=(("nothere", False),)), NotFound),
    ],
)
def test_what_cannot_be_is_said(shared: Store, view: View, error: type[Exception]) -> None:
    explored = shared.explore("trips")
    with pytest.raises(error):
        explored.page(0, 10, view)
    assert explored.page(0, 10).num_rows == 10
    assert shared.explore("trips").count() > 0


def test_a_statement_that_writes_is_no_query(shared: Store) -> None:
    with pytest.raises((Unsupported, StatementError)):
        shared.explore("trips").count(View(where="(delete from trips)"))


def test_profiles_are_those_of_sql(trips: Store) -> None:
    trips.sql("INSERT INTO trips (id, fare) VALUES (99999, 'inf'::double), (99998, 'nan'::double)")
    found = {each.column: each for each in trips.explore("trips").profile()}
    total = trips.explore("trips").count()
    for name, each in found.items():
        row = trips.sql(f"select count({name}) as n, count(distinct {name}) as d from trips").rows()[0]
        assert (each.rows, each.rows - each.nulls) == (total, row["n"])
        assert each.distinct == pytest.approx(row["d"], rel=0.5)
    ends = trips.sql("select min(fare) as low, max(fare) as high from trips where isfinite(fare)").rows()[0]
    low, width = ends["low"], (ends["high"] - ends["low"]) / 20
    counts = trips.sql(
        f"select least(floor((fare - {low}) / {width})::int, 19) as bin, count(*) as n from trips "
        "where isfinite(fare) group by 1 order by 1"
    ).rows()
    assert found["fare"].bins == tuple(row["n"] for row in counts)
    top = trips.sql(
        "select area, count(*) as n from trips where area is not null group by 1 order by 2 desc, 1"
    )
    assert found["area"].top == tuple((row["area"], row["n"]) for row in top.rows())
    assert sum(found["started"].bins) == total - 2
    assert (found["pair"].kind, found["pair"].bins, found["pair"].top) == ("other", (), ())


@pytest.mark.parametrize("values", ["(1), (1)", "(1), (3), (7)", "(NULL)"])
def test_profiles_of_few_values(store: Store, values: str) -> None:
    store.sql(f"CREATE TABLE few AS SELECT * FROM (VALUES {values}) AS t(a)")
    (profile,) = store.explore("few").profile()
    assert profile.bins == {"(1), (1)": (2,), "(1), (3), (7)": (1, 0, 1, 0, 0, 0, 1), "(NULL)": ()}[values]


def test_no_rows_and_no_such_column(store: Store) -> None:
    store.sql("CREATE TABLE none (a INTEGER, place VARCHAR)")
    explored = store.explore("none")
    assert explored.page(0, 5, View(order=(("a", True),))).num_rows == 0
    assert [each.rows for each in explored.profile()] == [0, 0]
    with pytest.raises(NotFound):
        explored.profile(["b"])
