"""`predict()` wherever SQL is: which columns it is given, where it cannot be, and rows from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.store import Store


def answers(store: Store, sql: str) -> list[object]:
    return store.sql(sql).to_arrow().column(0).to_pylist()


@pytest.mark.parametrize(
    "given",
    [
        "f.* EXCLUDE (id)",
        "f.* exclude id",
        "* EXCLUDE (id, slow)",
        'f.* EXCLUDE ("distance"), f.distance',
        '"f".*',
    ],
)
def test_what_a_star_gives(trained: Store, given: str) -> None:
    assert answers(trained, f"SELECT predict(slow, {given}) FROM trip_features AS f ORDER BY id") == answers(
        trained, "SELECT predict(slow, f.*) FROM trip_features AS f ORDER BY id"
    )


@pytest.mark.parametrize(
    "column",
    [
        "avg(predict_proba(slow, f.*))",
        "count(*) FILTER (WHERE predict(slow, f.*))",
        "max(predict_proba(slow, f.*)) - min(predict_proba(slow, f.*))",
    ],
)
def test_a_column_that_is_computed_from_predictions_is_called_as_it_is_written(
    trained: Store, column: str
) -> None:
    rows = trained.sql(f"SELECT {column}, count(*) AS n FROM trip_features AS f").to_arrow()
    assert rows.column_names == [column, "n"]
    same = trained.sql(f"SELECT {column} AS named FROM trip_features AS f").to_arrow()
    assert rows[column].to_pylist() == same["named"].to_pylist()


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT predict(slow, f.*), zone_ FROM trip_features AS f", "zone_ FROM"),
        ("SELECT id FROM trip_features AS f WHERE predict(slow, f.*) AND zone_ = 1", "zone_ = 1"),
        ("SELECT predict(slow, g.*) FROM trip_features AS f", "predict(slow, g.*)"),
        ("SELECT predict(slow, f.*) + FROM trip_features AS f", "FROM trip"),
        ("SELECT max(predict_proba(slow, f.*)) - FROM trip_features AS f", "FROM trip"),
        ("SELECT 1,\n  predict(slow, f.*) AND zone_\nFROM trip_features AS f", "zone_"),
    ],
)
def test_a_mistake_is_shown_in_the_text_as_it_was_written(trained: Store, sql: str, shown: str) -> None:
    with pytest.raises((NotFound, StatementError)) as wrong:
        trained.sql(sql)
    text = str(wrong.value)
    assert "mlstore_" not in text
    *_, line, caret = text[: text.index("^") + 1].split("\n")
    assert line[caret.index("^") :].startswith(shown)
    if isinstance(wrong.value, StatementError) and wrong.value.column is not None:
        assert sql.split("\n")[(wrong.value.line or 1) - 1][wrong.value.column - 1 :].startswith(shown)


@pytest.mark.parametrize("table", ["features.trip_features", "lake.features.trip_features"])
def test_a_star_of_a_table_with_its_schema(trained: Store, table: str) -> None:
    assert len(answers(trained, f"SELECT predict(slow, {table}.*) FROM {table}")) == 400


def test_a_column_that_is_left_out_is_missing(trained: Store) -> None:
    with pytest.raises(InvalidData, match="lacks distance"):
        trained.sql("SELECT predict(slow, f.* EXCLUDE (distance)) FROM trip_features AS f")


def test_a_column_is_given_once(trained: Store) -> None:
    with pytest.raises(StatementError, match="given Distance twice"):
        trained.sql("SELECT predict(slow, f.*, 1 AS distance, 2 AS Distance) FROM trip_features AS f")


def test_a_name_with_a_quote_in_it(store: Store) -> None:
    store.sql('CREATE TABLE t AS SELECT i AS id, i % 7 AS "a""b", i % 7 * 2 AS y FROM range(50) AS r(i)')
    store.train("m", "FROM t", label="y", key="id", model="xgboost", params={"n_estimators": 5})
    by_star = answers(store, "SELECT predict(m, t.*) FROM t ORDER BY id")
    assert answers(store, 'SELECT predict(m, "a""b") FROM t ORDER BY id') == by_star
    assert answers(store, 'SELECT predict(m, "a""b" + 0 AS "a""b") FROM t ORDER BY id') == by_star


def test_a_query_is_explained(trained: Store) -> None:
    for verb in ("EXPLAIN", "explain analyze"):
        assert trained.sql(f"{verb} SELECT predict(slow, f.*) FROM trip_features AS f").rows()


def test_a_column_is_called_as_it_is_written_whatever_follows(trained: Store) -> None:
    shown = trained.sql("FROM trip_features AS f SELECT predict(slow, f.*) LIMIT 1")
    assert shown.to_arrow().column_names == ["predict(slow, f.*)"]


@pytest.mark.parametrize("made", ["VIEW v", "OR REPLACE VIEW v", "TEMP VIEW v"])
def test_no_view_asks_a_model(trained: Store, made: str) -> None:
    """It could be read by the process alone that had asked the model before."""
    with pytest.raises(Unsupported, match="view") as raised:
        trained.sql(f"CREATE {made} AS SELECT id, predict(slow, f.*) AS p FROM trip_features AS f")
    assert "CREATE TABLE" in raised.value.hint
    trained.sql("CREATE TABLE kept AS SELECT id, predict(slow, f.*) AS p FROM trip_features AS f")
    trained.sql("CREATE VIEW v AS SELECT id FROM trips; SELECT predict(slow, f.*) FROM trip_features AS f")


def test_rows_of_a_file(trained: Store, tmp_path: Path) -> None:
    rows = trained.sql("FROM trip_features ORDER BY id LIMIT 5")
    trained.export("(FROM trip_features ORDER BY id LIMIT 5)", tmp_path / "new.parquet", format="parquet")
    wanted = trained.predict("slow", rows)
    assert trained.predict("slow", tmp_path / "new.parquet") == wanted
    assert trained.predict("slow", str(tmp_path / "new.parquet")) == wanted
    with pytest.raises(NotFound, match=r"no file 'now\.parquet'"):
        trained.predict("slow", tmp_path / "now.parquet")
