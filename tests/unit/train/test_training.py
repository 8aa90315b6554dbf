"""Training end to end: against the libraries called directly, repeatable, without leaks."""

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from workbench.errors import Conflict, InvalidData, ModelError, NotFound, Unsupported, WorkbenchError
from workbench.lake import Lake
from workbench.progress import watch
from workbench.train import mlflow_client, registry, tracking
from workbench.train.definition import Training
from workbench.train.encoding import encode
from workbench.train.entry import Entry
from workbench.train.model import Model
from workbench.train.training import train

QUERY = "SELECT id, speed, distance, carrier, day, weekend, late FROM flights"
_names = (f"m{number}" for number in itertools.count())


def fill(lake: Lake, sql: str, *written: str) -> None:
    with lake.commit("test") as tx:
        tx.cursor.execute(sql)
        assert tx.written is not None
        tx.written.update(written)


def fit(lake: Lake, name: str | None = None, query: str = QUERY, **words: object) -> Model:
    given = {"label": "late", "key": "id", "model": "xgboost", "params": {}, **words}
    if given["model"] == "xgboost":
        given["params"] = {"n_estimators": 20, **given["params"]}
    return train(lake, Training.define(name or next(_names), query, **given))


def sides(lake: Lake, model: Model, query: str = QUERY) -> tuple[pa.Table, pa.Table]:
    """Return the training and the held-out rows of a model split by key, in any order."""
    part = round(model.split["holdout"] * 1_000_000)
    key = "md5_number_lower(strlen(id::VARCHAR) || ':' || id::VARCHAR) % 1000000"
    order = "ORDER BY hash(t)"
    return tuple(
        lake.cursor()
        .execute(f"SELECT * FROM ({query}) AS t WHERE {key} {sign} {part} {order}")
        .to_arrow_table()
        for sign in (">=", "<")
    )


def records(lake: Lake) -> dict[str, int]:
    return {
        table: len(lake.records.rows(table))
        for table in ("models", "deployments", "runs", "definitions", "watermarks")
    }


def test_xgboost_gives_what_xgboost_gives(lake: Lake) -> None:
    model = fit(lake, params={"max_depth": 4, "learning_rate": 0.2}, seed=5)
    learned, tested = sides(lake, model)
    assert (model.split["trained"], model.split["held_out"]) == (learned.num_rows, tested.num_rows)
    direct = xgboost.XGBClassifier(n_estimators=20, max_depth=4, learning_rate=0.2, random_state=5)
    fitted = registry.load(lake, model)
    direct.fit(encode(fitted.prepared(learned), model.features), learned["late"].to_numpy())
    expected = direct.predict_proba(encode(fitted.prepared(tested), model.features))[:, 1]
    found = fitted.predict(tested)
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5)
    assert found["value"].to_pylist() == (expected > 0.5).tolist()
    assert model.metrics["auc"]["value"] == pytest.approx(roc_auc_score(tested["late"], expected), abs=1e-6)
    assert model.metrics["auc"]["baseline"] == 0.5


def test_a_linear_model_is_prepared_on_training_rows_only(lake: Lake) -> None:
    """The plan by hand with scikit-learn, fitted on the training rows; one fitted on all rows differs."""
    model = fit(lake, model="logistic", params={"C": 0.5})
    learned, tested = sides(lake, model)

    def columns(rows: pa.Table) -> np.ndarray:
        days = rows["day"].to_numpy().astype("datetime64[D]")
        whole = days.astype(np.int64)
        of_year = (days - days.astype("datetime64[Y]")).astype(np.int64)
        angles = (2 * np.pi * ((whole + 4) % 7) / 7, 2 * np.pi * of_year / 365.25)
        numbers = [rows[name].cast(pa.float64()).to_numpy() for name in ("speed", "distance")]
        weekend = rows["weekend"].cast(pa.int8()).cast(pa.float64()).to_numpy()
        midnight = np.zeros(len(whole))
        circles = [part(angle) for angle in (midnight, *angles) for part in (np.sin, np.cos)]
        carrier = rows["carrier"].to_pandas().to_numpy()
        return np.column_stack([*numbers, weekend, whole * 86400.0, *circles, carrier]).astype(object)

    def by_hand(rows: pa.Table) -> object:
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        known = sorted(set(rows["carrier"].drop_null().to_pylist()))
        texts = OneHotEncoder(categories=[known], handle_unknown="ignore")
        prepare = ColumnTransformer(
            [("n", numbers, [0, 1, 2, 3]), ("o", "passthrough", list(range(4, 10))), ("c", texts, [10])]
        )
        pipeline = make_pipeline(prepare, LogisticRegression(max_iter=1000, C=0.5, random_state=0))
        return pipeline.fit(columns(rows), rows["late"].to_numpy())

    score = registry.load(lake, model).predict(tested)["score"].to_numpy()
    np.testing.assert_allclose(score, by_hand(learned).predict_proba(columns(tested))[:, 1], rtol=1e-3)
    leaked = by_hand(pa.concat_tables([learned, tested])).predict_proba(columns(tested))[:, 1]
    assert not np.allclose(score, leaked, rtol=1e-3)


def test_the_vocabulary_knows_training_rows_only(lake: Lake) -> None:
    query = "SELECT id, 'c' || id AS own, speed, late FROM flights"
    model = fit(lake, query=query, prepare="none")
    learned, tested = sides(lake, model, query)
    categories = set(model.features.columns[0].categories)
    assert categories == set(learned["own"].to_pylist())
    assert not categories & set(tested["own"].to_pylist())


@pytest.mark.parametrize(
    ("label", "task", "kind"),
    [
        ("late", "binary", "BOOLEAN"),
        ("late::INT", "binary", "BIGINT"),
        ("CASE WHEN late THEN 'yes' ELSE 'no' END", "binary", "VARCHAR"),
        ("level", "multiclass", "VARCHAR"),
        ("list_position(['low', 'mid', 'high'], level)", "multiclass", "BIGINT"),
        ("delay", "regression", "DOUBLE"),
    ],
)
@pytest.mark.parametrize("algorithm", ["xgboost", "linear"])
def test_every_label_type(lake: Lake, label: str, task: str, kind: str, algorithm: str) -> None:
    query = f"SELECT id, speed, carrier, level AS other, {label} AS y FROM flights"
    model = fit(lake, query=query, label="Y", exclude="other", model=algorithm)
    assert (model.task, model.value_type, model.label) == (task, kind, "y")
    rows = lake.cursor().execute(f"SELECT * FROM ({query}) LIMIT 50").to_arrow_table()
    found = registry.load(lake, model).predict(rows)
    assert len(found) == 50
    if task == "regression":
        assert found["score"].null_count == 50
        assert model.metrics["rmse"]["value"] < model.metrics["rmse"]["baseline"]
    else:
        assert set(found["value"].to_pylist()) <= set(model.classes)
        assert set(map(type, found["value"].to_pylist())) == {type(model.classes[0])}
        assert model.metrics["accuracy"]["value"] > model.metrics["accuracy"]["baseline"]


def test_the_score_is_of_the_positive_or_the_predicted_class(lake: Lake) -> None:
    rows = lake.cursor().execute("FROM flights LIMIT 200").to_arrow_table()
    binary = registry.load(lake, fit(lake)).predict(rows)
    assert [score > 0.5 for score in binary["score"].to_pylist()] == binary["value"].to_pylist()
    assert min(binary["score"].to_pylist()) < 0.4
    query = "SELECT id, speed, carrier, level FROM flights"
    many = registry.load(lake, fit(lake, query=query, label="level")).predict(rows)
    assert min(many["score"].to_pylist()) > 1 / 3


@pytest.mark.parametrize(
    "algorithm",
    ["random_forest", "hist_gradient_boosting", "baseline", "sklearn.naive_bayes.GaussianNB", "auto"],
)
def test_other_algorithms(lake: Lake, algorithm: str) -> None:
    model = fit(lake, model=algorithm, params={"n_estimators": 15} if algorithm == "random_forest" else {})
    assert model.algorithm == ("xgboost" if algorithm == "auto" else algorithm)
    assert ("MODEL auto" in model.reason) == (algorithm == "auto")
    rows = lake.cursor().execute(
        "SELECT NULL AS speed, 9 AS distance, 'new' AS carrier, NULL AS day, true AS weekend"
    )
    [found] = registry.load(lake, model).predict(rows.to_arrow_table()).to_pylist()
    assert 0 <= found["score"] <= 1


@pytest.mark.parametrize("algorithm", ["xgboost", "random_forest"])
def test_order_and_threads_do_not_change_the_model(make_lake: Callable[..., Lake], algorithm: str) -> None:
    params = {"n_estimators": 10, **({"subsample": 0.5} if algorithm == "xgboost" else {})}
    one, two = make_lake(600), make_lake(600)
    fill(
        two,
        "CREATE OR REPLACE TABLE lake.main.flights AS FROM lake.main.flights ORDER BY speed DESC, id",
        "main.flights",
    )
    first, second = (fit(lake, "late", model=algorithm, params=params, seed=3) for lake in (one, two))
    assert first.digest == second.digest
    assert first.metrics == second.metrics
    rows = one.cursor().execute("FROM flights").to_arrow_table()
    predicted = [registry.load(lake, model).predict(rows) for lake, model in ((one, first), (two, second))]
    assert predicted[0].equals(predicted[1])
    other = fit(one, "late", model=algorithm, params=params, seed=4)
    assert not registry.load(one, other).predict(rows).equals(predicted[0])


def test_the_same_cell_again_changes_nothing(lake: Lake) -> None:
    first = fit(lake, "again")
    head, before = lake.head(), records(lake)
    assert fit(lake, "again", query=QUERY.lower() + "  -- a comment") == first
    assert (lake.head(), records(lake)) == (head, before)
    assert fit(lake, "again", seed=1).version == 2
    assert len(registry.versions(lake, "again")) == 2


def test_a_new_trigger_makes_no_new_version(lake: Lake) -> None:
    fit(lake, "triggered")
    again = fit(lake, "triggered", when="every '1 hour'")
    assert (again.version, again.trigger) == (1, "every '1 hour'")
    assert registry.get(lake, "triggered").trigger == "every '1 hour'"


def test_one_commit_holds_everything(lake: Lake) -> None:
    head = lake.head()
    model = fit(lake, "whole")
    assert lake.head() == head + 1
    for table, where in (
        ("models", "name = 'whole'"),
        ("deployments", "model = 'whole'"),
        ("runs", "name = 'whole'"),
        ("definitions", "name = 'whole'"),
    ):
        [row] = lake.records.rows(table, where)
        assert row["snapshot_id"] == head + 1
    assert lake.records.watermarks("whole") == {"main.flights": model.snapshot}
    assert model.inputs == ("main.flights",)
    assert registry.get(lake, "whole@1") == model
    assert model.ref == "whole@1"


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"query": "SELECT * FROM flihgts"}, NotFound, "flights"),
        ({"query": f"{QUERY} WHERE id < 0"}, InvalidData, "no rows"),
        ({"query": f"{QUERY} WHERE id < 6"}, InvalidData, "5 rows"),
        ({"query": "SELECT id, speed, NULL::BOOLEAN AS late FROM flights"}, InvalidData, "NULL in 1,200"),
        ({"query": f"{QUERY} WHERE late"}, InvalidData, "nothing to learn"),
        ({"query": "SELECT id, late FROM flights"}, InvalidData, "no features"),
        ({"label": "laet"}, NotFound, "Did you mean 'late'"),
        ({"key": "idd"}, NotFound, "'idd'"),
        ({"features": ["sped"]}, NotFound, "Did you mean 'speed'"),
        ({"exclude": ["sped"]}, NotFound, "Did you mean 'speed'"),
        ({"split": "time(dya)"}, NotFound, "Did you mean 'day'"),
        ({"split": "column(weekend2)"}, NotFound, "weekend"),
        ({"query": f"{QUERY} WHERE id > 0", "split": "time(same)"}, NotFound, "same"),
        ({"metric": "rmse"}, Unsupported, "no regression"),
        ({"metric": "macro_f1"}, NotFound, "binary"),
        ({"deploy": "rmse < 3"}, NotFound, "binary"),
        ({"model": "ridge"}, Unsupported, "regression"),
        ({"model": "logistic", "prepare": "none"}, Unsupported, "carrier"),
        ({"model": "knn", "weight": "id", "split": "hash(id)"}, Unsupported, "takes no weights"),
        ({"weight": "distance"}, InvalidData, "numbers from 0 on"),
        ({"params": {"max_depth": -5}}, ModelError, "max_depth"),
        ({"model": "logistic", "params": {"C": -1}}, InvalidData, "'C'"),
    ],
)
def test_a_failing_training_leaves_nothing(
    lake: Lake, words: dict, error: type[WorkbenchError], said: str
) -> None:
    head, before = lake.head(), records(lake)
    with pytest.raises(error) as caught:
        fit(lake, **words)
    assert said in str(caught.value)
    assert (lake.head(), records(lake)) == (head, before)


def test_an_interrupted_training_leaves_nothing(lake: Lake) -> None:
    head, before = lake.head(), records(lake)

    def interrupt(event: object) -> None:
        if event.title.startswith("Fitting") and event.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watch(interrupt):
        fit(lake, "stopped")
    assert (lake.head(), records(lake)) == (head, before)
    with pytest.raises(NotFound):
        registry.get(lake, "stopped")


def test_when_the_commit_fails_mlflow_forgets_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("workbench.train.recording._check_watermarks", fail)
        with pytest.raises(KeyboardInterrupt):
            fit(lake, "lost")
    client = mlflow_client.open_client(lake.folder)
    assert client.search_model_versions("name = 'lost'") == []
    experiment = client.get_experiment_by_name("lost").experiment_id
    assert client.search_runs([experiment]) == []
    assert fit(lake, "lost").version == 1


def test_a_champion_that_changed_meanwhile_is_a_conflict_and_tried_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(lake, "raced")
    fit(lake, "raced", seed=1, deploy="never")
    real, calls = tracking.log, []

    def log(folder: Path, entry: Entry) -> tracking.Logged:
        logged = real(folder, entry)
        if not calls:
            registry.deploy(lake, "raced@2")
        calls.append(logged)
        return logged

    monkeypatch.setattr("workbench.train.tracking.log", log)
    model = fit(lake, "raced", seed=2, deploy="auc >= champion - 1")
    assert len(calls) == 2
    assert "raced@2" in model.reason
    assert issubclass(Conflict, WorkbenchError)


def test_rows_without_a_label_are_left_out_and_counted(lake: Lake) -> None:
    query = "SELECT id, speed, CASE WHEN id % 10 <> 0 THEN late END AS late FROM flights"
    model = fit(lake, query=query)
    assert model.rows == 1080
    assert "120 rows without a label were left out" in model.reason


def test_the_key_is_a_feature_only_if_asked(lake: Lake) -> None:
    assert "id" not in fit(lake).features.inputs
    assert fit(lake, features=["ID", "speed"]).features.inputs == ("id", "speed")
    assert fit(lake, exclude=["speed"]).features.inputs == (
        "distance",
        "carrier",
        "day",
        "day_parts",
        "weekend",
    )


def test_without_a_key_the_features_decide_the_split(lake: Lake) -> None:
    model = fit(lake, key=None, query="SELECT speed, distance, late FROM flights")
    assert model.split["columns"] == ["speed", "distance"]


def test_the_split_is_by_time_and_stays_as_rows_arrive(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(600)
    model = fit(lake, "late", split="time(day)", holdout=0.25)
    assert "day" not in model.features.inputs
    assert model.split["held_out"] == pytest.approx(150, abs=5)
    fill(
        lake,
        "INSERT INTO lake.main.flights SELECT * REPLACE (id + 5000 AS id, day + INTERVAL 2 YEAR AS day) "
        "FROM lake.main.flights WHERE id <= 100",
        "main.flights",
    )
    run = model.refresh(lake)
    newer = registry.get(lake, run.details["model"])
    assert newer.split["threshold"] == model.split["threshold"]
    assert newer.split["trained"] == model.split["trained"]
    assert newer.split["held_out"] == model.split["held_out"] + 100


def test_a_refresh_trains_when_the_inputs_moved(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(600)
    model = fit(lake, "late")
    assert (model.plan(lake).mode, model.refresh(lake).mode) == ("noop", "noop")
    fill(lake, "CREATE TABLE lake.main.other AS SELECT 1 AS a", "main.other")
    assert model.plan(lake).mode == "noop"
    fill(lake, "UPDATE lake.main.flights SET speed = 1 - speed WHERE id < 300", "main.flights")
    assert model.plan(lake).reason == "main.flights changed"
    run = model.refresh(lake)
    assert (run.mode, run.details["model"], run.snapshot) == ("full", "late@2", lake.head())
    assert registry.get(lake, "late").version == 2
    assert registry.get(lake, "late").plan(lake).mode == "noop"


def test_a_change_that_the_query_does_not_see_makes_no_version(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(600)
    model = fit(lake, "late")
    fill(lake, "UPDATE lake.main.flights SET delay = 0", "main.flights")
    assert model.plan(lake).mode == "full"
    assert model.refresh(lake).mode == "noop"
    assert model.plan(lake).mode == "noop"
    assert len(registry.versions(lake, "late")) == 1
    assert model.refresh(lake, full=True).details["model"] == "late@2"


def test_a_failed_refresh_is_recorded_and_keeps_the_champion(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(600)
    model = fit(lake, "late")
    fill(lake, "UPDATE lake.main.flights SET late = true", "main.flights")
    with pytest.raises(InvalidData, match="nothing to learn"):
        model.refresh(lake)
    assert lake.records.rows("runs", "name = 'late'")[-1]["status"] == "failed"
    assert registry.get(lake, "late").version == 1


def test_the_gate_scores_champion_and_challenger_on_the_same_rows(lake: Lake) -> None:
    first = fit(lake, "gated", holdout=0.2)
    worse = fit(lake, "gated", model="baseline", deploy="auc >= champion", holdout=0.4)
    assert not worse.deployed
    assert f"of {first.ref}" in worse.reason
    assert f"held-out rows that {first.ref} was kept from as well" in worse.reason
    assert registry.get(lake, "gated") == first
    never = fit(lake, "gated", seed=9, deploy="never")
    assert never.reason == "not deployed: DEPLOY never"
    assert registry.get(lake, "gated@latest") == never


def test_a_champion_that_cannot_be_scored_stays(lake: Lake) -> None:
    fit(lake, "narrow")
    other = fit(lake, "narrow", query="SELECT id, speed, late FROM flights", deploy="auc >= champion")
    assert not other.deployed
    assert "narrow@1 cannot be scored on these rows" in other.reason
    text = fit(lake, "narrow", query=QUERY.replace("late", "late::INT AS late"), deploy="auc >= champion")
    assert "predicts other values" in text.reason


def test_deploy_and_rollback_move_the_champion(lake: Lake) -> None:
    for seed in range(3):
        fit(lake, "moved", seed=seed)
    assert registry.get(lake, "moved").version == 3
    assert registry.rollback(lake, "moved").version == 2
    assert registry.rollback(lake, "moved").version == 1
    with pytest.raises(InvalidData, match="no earlier champion"):
        registry.rollback(lake, "moved")
    assert registry.deploy(lake, "moved@3").deployed
    assert registry.get(lake, "moved@champion").version == 3
    assert registry.rollback(lake, "moved").version == 1
    client = mlflow_client.open_client(lake.folder)
    assert (
        client.get_model_version_by_alias("moved", "champion").run_id
        == registry.get(lake, "moved").mlflow_run_id
    )


def test_names_are_found_or_suggested(lake: Lake) -> None:
    fit(lake, "known", deploy="never")
    assert registry.champion(lake, "known") is None
    with pytest.raises(NotFound, match="Did you mean 'known'"):
        registry.get(lake, "knwon")
    for ref in ("known@2", "known@nobody", "known@champion"):
        with pytest.raises(NotFound):
            registry.get(lake, ref)
    listed = registry.models(lake).to_pylist()
    assert [row["champion"] for row in listed if row["model"] == "known"] == [False]


def test_a_name_that_is_taken_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidData, match="'flights' is the name of a table"):
        fit(lake, "flights")


def test_a_dropped_model_is_gone_and_its_numbers_go_on(lake: Lake) -> None:
    fit(lake, "gone")
    with lake.commit("drop gone") as tx:
        lake.records.set_status(tx, "gone", "dropped")
    with pytest.raises(NotFound):
        registry.get(lake, "gone")
    assert fit(lake, "gone", seed=1).version == 2


PLAIN = """
import json, sys, mlflow, pandas
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1] + "/mlflow.db")
rows = json.load(open(sys.argv[2]))
out = {}
raw = pandas.read_parquet(sys.argv[3])
for (name, flavour), (matrix, names) in zip((("boosted", mlflow.xgboost), ("piped", mlflow.sklearn)), rows):
    frame = pandas.DataFrame(matrix, columns=names).astype("float32")
    native = flavour.load_model(f"models:/{name}@champion")
    generic = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert set(c.name for c in generic.metadata.signature.inputs) <= set(raw.columns)
    out[name] = [native.predict_proba(frame)[:, 1].tolist(), generic.predict(raw).tolist()]
assert not any(name.startswith("workbench") for name in sys.modules)
print(json.dumps(out))
"""


def test_plain_mlflow_predicts_the_same_also_after_the_folder_moved(
    make_lake: Callable[..., Lake], tmp_path: Path
) -> None:
    lake = make_lake(600)
    models = [fit(lake, "boosted"), fit(lake, "piped", model="logistic")]
    rows = lake.cursor().execute("FROM flights LIMIT 40").to_arrow_table()
    expected = [registry.load(lake, model).predict(rows) for model in models]
    lake.close()
    moved = tmp_path / "else where"
    shutil.copytree(lake.folder, moved)
    shutil.rmtree(lake.folder)
    with closing(Lake.open(moved)) as again:
        for name, before in zip(("boosted", "piped"), expected, strict=True):
            model = registry.get(again, name)
            assert registry.load(again, model).predict(rows).equals(before)
        registry.deploy(again, "boosted@1")
        matrices = [
            encode(registry.load(again, each).prepared(rows), each.features).tolist() for each in models
        ]
        mlflow_client.open_client(again.folder)
    pq.write_table(rows, tmp_path / "rows.parquet")
    data = tmp_path / "rows.json"
    data.write_text(
        json.dumps([[matrix, each.features.names] for matrix, each in zip(matrices, models, strict=True)])
    )
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(moved), str(data), str(tmp_path / "rows.parquet")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    for name, before in zip(("boosted", "piped"), expected, strict=True):
        scores, values = json.loads(done.stdout.splitlines()[-1])[name]
        np.testing.assert_allclose(scores, before["score"], rtol=1e-5)
        assert values == before["value"].to_pylist()


def test_mlflow_knows_dataset_parameters_and_intervals(lake: Lake) -> None:
    model = fit(lake, params={"max_depth": 2})
    run = mlflow_client.open_client(lake.folder).get_run(model.mlflow_run_id)
    assert run.data.metrics["auc"] == model.metrics["auc"]["value"]
    assert run.data.metrics["auc_low"] == model.metrics["auc"]["low"]
    assert run.data.params["max_depth"] == "2"
    [dataset] = run.inputs.dataset_inputs
    assert dataset.dataset.digest == model.digest
    assert json.loads(dataset.dataset.source) == {"query": model.query, "snapshot": model.snapshot}


def test_nothing_global_is_left_changed(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    fit(lake)
    fit(lake, model="random_forest", params={"n_estimators": 3})
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_is_not_asked(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracking is the store's own; what the user's MLflow is set to is theirs, and may be down."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    model = fit(lake, model="linear")
    assert model.deployed
    with mlflow_client.quiet(lake.folder):
        assert mlflow_client.open_client(lake.folder).get_run(model.mlflow_run_id).info.status == "FINISHED"


def test_relocation_touches_only_our_own_addresses(tmp_path: Path, mlflow_database: Path) -> None:
    database = tmp_path / "mlflow.db"
    shutil.copy(mlflow_database, database)
    connection = sqlite3.connect(database)
    add = "INSERT INTO experiments (name, artifact_location, lifecycle_stage) VALUES (?, ?, 'active')"
    connection.execute(add, ["late", "file:///old/place/artifacts/late"])
    connection.execute(add, ["theirs", "s3://bucket/elsewhere"])
    connection.execute(add, ["near", "file:///old/placebo/x"])
    connection.commit()
    mlflow_client._relocate(database, tmp_path)
    found = dict(connection.execute("SELECT name, artifact_location FROM experiments").fetchall())
    connection.close()
    assert found["late"] == f"{tmp_path.as_uri()}/artifacts/late"
    assert found["theirs"] == "s3://bucket/elsewhere"
    assert found["near"] == "file:///old/placebo/x"


def test_gone_files_are_named(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(300)
    model = fit(lake, "late")
    shutil.rmtree(lake.folder / "artifacts")
    with pytest.raises(ModelError, match="late@1 are gone"):
        registry.load(lake, model)


def test_progress_says_what_is_done(lake: Lake) -> None:
    events: list[tuple[str, int, int | None]] = []
    with watch(lambda event: events.append((event.title, event.done, event.total))):
        fit(lake)
    titles = list(dict.fromkeys(event[0] for event in events))
    sorting = "Sorting the values into bins"
    assert titles[1:] == ["Reading the rows", "Fitting xgboost", sorting, "Evaluating", "Logging to MLflow"]
    assert ("Fitting xgboost", 20, 20) in events


def test_importing_the_room_is_light() -> None:
    code = (
        "import sys, workbench.train, workbench.bind.predictors; heavy = {'mlflow', 'sklearn', 'xgboost', "
        "'pandas', 'numpy', 'pyarrow'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_three_hundred_thousand_rows_are_read_in_a_moment(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(300_000)
    rows = lake.cursor().execute(QUERY).to_arrow_table()
    model = fit(lake, "late", params={"n_estimators": 5})
    started = time.process_time()
    encode(registry.load(lake, model).prepared(rows), model.features)
    assert time.process_time() - started < 2
