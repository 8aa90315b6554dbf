"""A version trained again: the same after its table has changed, and said plainly where it is not."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import InvalidData, ModelError, NotFound
from workbench.lake import Lake, Result
from workbench.train import environment, mlflow_client, registry
from workbench.train.definition import Training
from workbench.train.model import Model
from workbench.train.reproduce import reproduce
from workbench.train.training import train

COLUMNS = "id, speed, distance, carrier, day, weekend, late"


def fill(lake: Lake, sql: str, *written: str) -> None:
    with lake.commit("test") as tx:
        for statement in sql.split(";"):
            tx.cursor.execute(statement)
        assert tx.written is not None
        tx.written.update(written)


def fit(lake: Lake, name: str, table: str, columns: str = COLUMNS, **words: object) -> Model:
    given = {"label": "late", "key": "id", "model": "xgboost", "params": {"n_estimators": 20}, **words}
    return train(lake, Training.define(name, f"SELECT {columns} FROM {table}", **given))


def copy(lake: Lake, table: str) -> None:
    fill(lake, f"CREATE TABLE lake.main.{table} AS FROM lake.main.flights", f"main.{table}")


def change(lake: Lake, table: str) -> None:
    fill(
        lake,
        f"UPDATE lake.main.{table} SET speed = speed * 3, late = NOT late WHERE id % 3 = 0; "
        f"DELETE FROM lake.main.{table} WHERE id % 10 = 1; "
        f"INSERT INTO lake.main.{table} SELECT * REPLACE (id + 5000 AS id) FROM lake.main.{table}",
        f"main.{table}",
    )


def facts(result: Result) -> dict[str, dict[str, object]]:
    return {row["what"]: row for row in result.rows()}


def counts(lake: Lake) -> dict[str, int]:
    tables = ("models", "deployments", "decisions", "runs", "definitions", "watermarks")
    return {table: len(lake.records.rows(table)) for table in tables}


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ({"params": {"n_estimators": 20, "subsample": 0.5}, "seed": 3}, COLUMNS),
        ({"model": "logistic", "params": {"C": 0.5}, "prepare": "auto"}, COLUMNS),
        (
            {"split": "time(day)", "model": "linear", "params": {}},
            "id, day, late, standardize(speed) AS s, one_hot(carrier) AS c, target_encode(level, late) AS l",
        ),
        ({"model": "auto", "params": {}, "split": "random", "seed": 8, "features": "SPEED"}, COLUMNS),
        (
            {"label": "level", "model": "random_forest", "params": {"n_estimators": 10}},
            "id, speed, carrier, level",
        ),
        ({"label": "delay", "model": "hist_gradient_boosting", "params": {}}, "id, speed, carrier, delay"),
    ],
    ids=["xgboost", "planned logistic", "built-in functions", "auto by random", "many classes", "regression"],
)
def test_a_version_is_reproduced_exactly_after_its_table_has_changed(
    lake: Lake, request: pytest.FixtureRequest, words: dict[str, object], columns: str
) -> None:
    name = request.node.callspec.id.replace(" ", "_").replace("-", "_")
    copy(lake, f"t_{name}")
    fit(lake, name, f"t_{name}", columns, **words)
    change(lake, f"t_{name}")
    fit(lake, name, f"t_{name}", columns, **words)
    before, head = counts(lake), lake.head()
    result = reproduce(lake, f"{name}@1")
    found = facts(result)
    model = registry.get(lake, f"{name}@1")
    held_out = model.split["held_out"]
    assert result.message == (
        f"{name}@1 was reproduced exactly: the same {model.rows:,} rows, "
        f"the same predictions for the {held_out:,} held-out ones"
    )
    assert {row["same"] for row in found.values()} == {True}
    assert found["predictions"]["difference"] == 0
    assert found["digest of the rows"]["now"] == model.digest
    assert {name: found[name]["difference"] for name in model.metrics} == dict.fromkeys(model.metrics, 0)
    assert (counts(lake), lake.head()) == (before, head)
    assert result.snapshot == model.snapshot


def test_a_version_survives_its_table_and_its_named_query(lake: Lake) -> None:
    copy(lake, "short_lived")
    fill(lake, "CREATE VIEW lake.queries.through AS SELECT * FROM lake.main.short_lived")
    fit(lake, "orphan", "through")
    fill(lake, "DROP VIEW lake.queries.through; DROP TABLE lake.main.short_lived")
    assert "orphan@1 was reproduced exactly" in reproduce(lake, "orphan").message


def test_another_definition_in_between_does_not_matter(lake: Lake) -> None:
    fit(lake, "redefined", "flights")
    fit(lake, "redefined", "flights", model="logistic", params={}, holdout=0.3)
    fit(lake, "redefined", "flights", "id, speed, late", seed=4)
    for version in (1, 2, 3):
        assert "was reproduced exactly" in reproduce(lake, f"redefined@{version}").message


def test_what_differs_is_said(lake: Lake) -> None:
    model = fit(lake, "tampered", "flights")
    other = fit(lake, "tampered", "flights", seed=1, params={"n_estimators": 5})
    fill(
        lake,
        f"UPDATE lake.mlstore.models SET digest = 'of other rows', model_uri = '{other.model_uri}' "
        "WHERE name = 'tampered' AND version = 1",
    )
    result = reproduce(lake, "tampered@1")
    found = facts(result)
    assert result.message.startswith(
        "tampered@1 was not reproduced exactly: digest of the rows: of other rows"
    )
    assert found["digest of the rows"] == {
        "what": "digest of the rows",
        "recorded": "of other rows",
        "now": model.digest,
        "same": False,
        "difference": None,
    }
    # The files are those of another model now, so the predictions differ, and the metrics do not.
    assert found["predictions"]["same"] is False
    assert 0 < found["predictions"]["difference"] <= 1
    assert "predictions: " in result.message
    assert found["auc"]["same"] is True


def test_other_versions_of_the_libraries_are_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(lake, "older", "flights")
    described = environment.describe
    monkeypatch.setattr(environment, "describe", lambda each: {**described(each), "numpy": "9.9", "new": "1"})
    result = reproduce(lake, "older@1")
    assert "was reproduced exactly" in result.message
    assert result.message.endswith(f"; changed since: numpy {described(None)['numpy']} → 9.9")
    found = facts(result)
    assert found["numpy"]["same"] is False
    assert (found["new"]["recorded"], found["new"]["same"]) == (None, None)


def test_a_model_from_before_versions_were_recorded_is_reproduced(lake: Lake) -> None:
    fit(lake, "ancient", "flights")
    [row] = lake.records.rows("models", "name = 'ancient'")
    metrics = {name: value for name, value in row["metrics"].items() if name != "environment"}
    with lake.commit("test") as tx:
        tx.cursor.execute(
            "UPDATE lake.mlstore.models SET metrics = ? WHERE name = 'ancient'", [json.dumps(metrics)]
        )
    result = reproduce(lake, "ancient@1")
    assert "was reproduced exactly" in result.message
    assert (facts(result)["xgboost"]["recorded"], facts(result)["xgboost"]["same"]) == (None, None)


def test_an_expired_snapshot_is_said(make_lake: Callable[..., Lake]) -> None:
    lake = make_lake(300)
    model = fit(lake, "late", "flights")
    change(lake, "flights")
    lake.cursor().execute(f"CALL ducklake_expire_snapshots('lake', versions => [{model.snapshot}])")
    with pytest.raises(InvalidData, match=f"late@1 cannot be reproduced: .* {model.snapshot}, has expired"):
        reproduce(lake, "late@1")


def test_unknown_models_versions_and_lost_files(lake: Lake) -> None:
    fit(lake, "there", "flights")
    with pytest.raises(NotFound, match="Did you mean 'there'"):
        reproduce(lake, "theer@1")
    with pytest.raises(NotFound, match="no version '7'"):
        reproduce(lake, "there@7")
    fill(lake, "UPDATE lake.mlstore.models SET model_uri = 'gone' WHERE name = 'there'")
    with pytest.raises(ModelError, match="files of the model there@1 are gone"):
        reproduce(lake, "there@1")


def test_versions_and_commit_are_recorded_with_the_model(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(environment, "_SECONDS", 60)
    assert "commit" not in environment.describe(None)
    git("init", "-q")
    assert "commit" not in environment.describe(None)
    (tmp_path / "a.txt").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    assert environment.describe(None)["commit"] == commit
    (tmp_path / "a.txt").write_text("2")
    model = fit(lake, "versioned", "flights")
    assert model.environment["commit"] == f"{commit}-dirty"
    assert registry.get(lake, "versioned@1").environment == model.environment
    assert {"python", "machine", "mlstore", "xgboost", "scikit-learn", "numpy", "duckdb"} < set(
        model.environment
    )
    tags = mlflow_client.open_client(lake.folder).get_run(model.mlflow_run_id).data.tags
    assert tags["mlflow.source.git.commit"] == commit
    assert json.loads(tags["mlstore.environment"]) == model.environment


def test_the_package_of_the_estimator_is_recorded() -> None:
    class Mine:
        __module__ = "pytest.something"

    assert environment.describe(Mine())["pytest"] == pytest.__version__
