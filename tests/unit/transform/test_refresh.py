"""Refreshing transforms: what is computed, what is written, and what is refused."""

from __future__ import annotations

import pytest

import workbench
from workbench.errors import InvalidData, NotFound
from workbench.store import Store


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row.values()) for row in store.sql(sql).rows()), key=repr)


@pytest.fixture
def sales(store: Store) -> Store:
    store.load(
        "sales",
        store.sql("SELECT i AS id, i % 5 AS shop, i * 1.5 AS price, 'p' || i AS note FROM range(40) AS r(i)"),
        key="id",
    )
    store.load("shops", store.sql("SELECT i AS shop, 'city ' || i AS city FROM range(5) AS r(i)"), key="shop")
    return store


def test_only_touched_units_are_computed_and_only_changed_rows_written(sales: Store) -> None:
    sales.transform(
        "per_shop", "SELECT shop, count(*) AS n, max(price) AS top FROM sales GROUP BY shop", key="shop"
    )
    # Two shops are touched; of shop 2 the row changes, of shop 3 it does not.
    sales.sql("UPDATE sales SET price = price + 100 WHERE id = 2; UPDATE sales SET note = 'x' WHERE id = 3")
    run = sales.refresh("per_shop")[-1]
    assert (run.mode, run.rows_read, run.rows_written, run.rows_deleted) == ("incremental", 2, 1, 0)
    assert run.details["unit"] == ["shop"]
    assert run.details["units"] == 2
    before = run.snapshot
    assert before is not None
    assert sales.refresh("per_shop")[-1].mode == "noop"
    changes = sales._lake.changes("per_shop", before - 1, before)
    assert (len(changes), changes.updates_after.num_rows) == (1, 1)


def test_a_change_that_comes_to_nothing_writes_no_row_and_is_not_looked_at_again(sales: Store) -> None:
    sales.transform("cheap", "SELECT id, price FROM sales WHERE price < 3", key="id")
    sales.sql("UPDATE sales SET note = 'other' WHERE id > 20")
    run = sales.refresh("cheap")[-1]
    assert (run.mode, run.rows_written, run.rows_deleted) == ("incremental", 0, 0)
    assert sales.refresh("cheap")[-1].mode == "noop"


def test_a_change_on_the_side_without_the_key(sales: Store) -> None:
    query = "SELECT s.id, s.price, c.city FROM sales AS s LEFT JOIN shops AS c USING (shop)"
    sales.transform("with_city", query, key="id")
    sales.sql("UPDATE shops SET city = 'Rome' WHERE shop = 1; DELETE FROM shops WHERE shop = 4")
    run = sales.refresh("with_city")[-1]
    assert (run.mode, run.rows_written, run.rows_deleted) == ("incremental", 16, 0)
    assert rows(sales, "FROM with_city") == rows(sales, query)


def test_rows_follow_a_group_that_no_column_shows(sales: Store) -> None:
    query = "SELECT id, price - avg(price) OVER (PARTITION BY shop) AS above FROM sales"
    sales.transform("above", query, key="id")
    sales.sql("UPDATE sales SET shop = 4 WHERE id = 0; DELETE FROM sales WHERE id = 7")
    run = sales.refresh("above")[-1]
    assert run.mode == "incremental"
    assert run.details["unit"] == ["id"]
    # Shops 0, 2 and 4 were touched, 1 and 3 were not.
    assert run.rows_read == 23
    assert rows(sales, "FROM above") == rows(sales, query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT lower(note) AS note, price FROM sales",
        "SELECT note, avg(price) OVER (PARTITION BY shop) AS mean FROM sales",
        "SELECT note, shop, rank() OVER (PARTITION BY shop ORDER BY price) AS r FROM sales",
    ],
)
def test_a_key_that_is_no_longer_unique_is_refused_with_the_rows(sales: Store, query: str) -> None:
    sales.transform("by_note", query, key="note")
    before = rows(sales, "FROM by_note")
    # The rows with this note that were there before are of a group that the change does not touch.
    sales.append("sales", [{"id": 100, "shop": 77, "price": 1.0, "note": "p3"}])
    with pytest.raises(InvalidData, match="not unique: note = p3"):
        sales.refresh("by_note")
    assert rows(sales, "FROM by_note") == before
    failed = sales.runs("by_note").rows()[0]
    assert (failed["status"], failed["mode"]) == ("failed", "incremental")
    sales.sql("UPDATE sales SET note = 'p100' WHERE id = 100")
    assert sales.refresh("by_note")[-1].status == "ok"
    assert rows(sales, "FROM by_note") == rows(sales, query)


def test_what_cannot_be_followed_is_computed_in_full_and_says_why(sales: Store) -> None:
    sales.transform("ranked", "SELECT id, rank() OVER (ORDER BY price) AS place FROM sales", key="id")
    sales.sql("DELETE FROM sales WHERE id = 3")
    run = sales.refresh("ranked")[-1]
    assert run.mode == "full"
    assert "without PARTITION BY" in run.reason
    assert "without PARTITION BY" in sales.describe("ranked").facts["refreshed"]


def test_how_it_will_be_refreshed_is_said_before_the_first_run(sales: Store) -> None:
    query = "SELECT id, price / (SELECT max(shop) FROM shops) AS p FROM sales"
    said = sales.plan("transform", name="shares", query=query, key="id").action
    assert "by (id) when sales changes" in said
    assert "in full when shops changes: main.shops is read by a subquery in SELECT" in said
    with pytest.raises(NotFound):
        sales.describe("shares")


def test_a_large_change_is_computed_in_full(store: Store) -> None:
    store.load("big", store.sql("SELECT i AS id, i AS x FROM range(20000) AS r(i)"), key="id")
    store.transform("copy", "SELECT id, x + 1 AS y FROM big", key="id")
    store.sql("UPDATE big SET x = x + 1 WHERE id < 5000")
    assert store.refresh("copy")[-1].mode == "incremental"
    store.sql("UPDATE big SET x = x + 1 WHERE id < 15000")
    run = store.refresh("copy")[-1]
    assert run.mode == "full"
    assert "15,000 of 20,000 rows of main.big changed" in run.reason
    assert run.rows_written == 15000


def test_many_touched_groups_are_computed_in_full(store: Store) -> None:
    store.load("big", store.sql("SELECT i AS id, i % 15000 AS g FROM range(60000) AS r(i)"), key="id")
    store.transform("per_g", "SELECT g, count(*) AS n FROM big GROUP BY g", key="g")
    store.sql("DELETE FROM big WHERE id < 8000")
    run = store.refresh("per_g")[-1]
    assert run.mode == "full"
    assert "8,000 of 15,000 (g)" in run.reason
    assert rows(store, "FROM per_g") == rows(store, "SELECT g, count(*) AS n FROM big GROUP BY g")


def test_a_table_made_anew_or_with_other_columns_is_read_whole(sales: Store) -> None:
    sales.transform("notes", "SELECT * FROM sales WHERE id < 10", key="id")
    sales.sql("ALTER TABLE sales ADD COLUMN extra INTEGER; UPDATE sales SET extra = 7 WHERE id = 1")
    run = sales.refresh("notes")[-1]
    assert (run.mode, run.reason) == ("full", "the columns of main.sales changed")
    assert rows(sales, "SELECT id, extra FROM notes WHERE extra IS NOT NULL") == [(1, 7)]
    sales.sql("CREATE OR REPLACE TABLE shops AS SELECT 1 AS shop, 'new' AS city")
    sales.transform("cities", "SELECT shop, city FROM shops", key="shop")
    sales.sql("CREATE OR REPLACE TABLE shops AS SELECT 2 AS shop, 'newer' AS city")
    run = sales.refresh("cities")[-1]
    assert (run.mode, run.reason) == ("full", "main.shops was made anew")
    assert rows(sales, "FROM cities") == [(2, "newer")]


def test_a_snapshot_that_has_expired_is_no_obstacle(sales: Store) -> None:
    sales.transform("copy", "SELECT id, price FROM sales", key="id")
    watermark = sales._lake.records.watermarks("copy")["main.sales"]
    sales.sql("UPDATE sales SET price = 0 WHERE id = 1")
    sales._lake.cursor().execute(f"CALL ducklake_expire_snapshots('lake', versions => [{watermark}])")
    run = sales.refresh("copy")[-1]
    assert (run.mode, run.reason) == ("full", f"snapshot {watermark} of main.sales has expired")
    assert rows(sales, "SELECT price FROM copy WHERE id = 1") == [(0.0,)]


def test_compaction_between_refreshes_changes_nothing(sales: Store) -> None:
    query = "SELECT shop, count(*) AS n, list(id ORDER BY id) AS ids FROM sales GROUP BY shop"
    sales.transform("per_shop", query, key="shop")
    for step in range(4):
        sales.sql(f"UPDATE sales SET shop = (shop + 1) % 5 WHERE id = {step}")
        sales.delete("sales", f"id = {30 + step}")
        sales.append("sales", [{"id": 200 + step, "shop": step, "price": 1.0, "note": ""}])
        if step % 2:
            sales._lake.cursor().execute("CALL ducklake_merge_adjacent_files('lake')")
        assert sales.refresh("per_shop")[-1].mode == "incremental"
        assert rows(sales, "FROM per_shop") == rows(sales, query)


def test_rounding_noise_of_sums_is_no_change(store: Store) -> None:
    store.sql("CREATE TABLE raw AS SELECT i AS id, i % 3 AS g, sqrt(i) / 3 AS x FROM range(200000) AS r(i)")
    store.transform("sums", "SELECT g, sum(x) AS s, avg(x) AS m FROM raw GROUP BY g", key="g")
    for _ in range(3):
        assert store.refresh("sums", full=True)[-1].rows_written == 0
    store.sql("UPDATE raw SET x = x + 1 WHERE id = 1")
    store.refresh("sums")
    (kept,), (computed,) = (
        rows(store, "SELECT s FROM sums WHERE g = 1"),
        rows(store, "SELECT sum(x) AS s FROM raw WHERE g = 1"),
    )
    assert kept == pytest.approx(computed, rel=1e-9)


def test_a_query_defined_anew_is_noticed(sales: Store) -> None:
    sales.query("dear", "SELECT id, price FROM sales WHERE price > 30")
    sales.transform("dear_notes", "SELECT id, price FROM dear", key="id")
    sales.query("dear", "SELECT id, price FROM sales WHERE price > 50")
    assert sales.stale("dear_notes").rows()[0]["why"] == "the query dear was defined anew"
    run = sales.refresh("dear_notes")[-1]
    assert (run.mode, run.reason) == ("full", "the query dear was defined anew")
    assert rows(sales, "FROM dear_notes") == rows(sales, "FROM dear")


def test_a_circle_of_transforms_is_refused(sales: Store) -> None:
    sales.transform("first", "SELECT id, price FROM sales", key="id")
    sales.transform("second", "SELECT id, price FROM first", key="id")
    with pytest.raises(InvalidData, match="would read itself: first reads second reads first"):
        sales.transform("first", "SELECT id, price FROM second", key="id")


def test_a_dropped_source_names_both_ends(sales: Store) -> None:
    sales.transform("notes", "SELECT id, note FROM sales", key="id")
    sales.sql("ALTER TABLE sales RENAME COLUMN note TO remark")
    with pytest.raises(NotFound, match=r"'notes' reads something that is gone(.|\n)*note"):
        sales.refresh("notes")
    assert sales.stale("notes").rows()[0]["why"].startswith("broken: The transform 'notes' reads")
    sales.sql("ALTER TABLE sales RENAME COLUMN remark TO note")
    assert sales.refresh("notes")[-1].reason == "the columns of main.sales changed"


def test_a_keyless_source_with_repeated_rows(store: Store) -> None:
    store.sql("CREATE TABLE loose AS SELECT i % 3 AS a, 1 AS b FROM range(9) AS r(i)")
    query = "SELECT a, count(*) AS n, sum(b) AS s FROM loose GROUP BY a"
    store.transform("counts", query, key="a")
    store.sql("INSERT INTO loose VALUES (1, 1), (1, 1), (5, NULL), (NULL, 2)")
    with pytest.raises(InvalidData, match="NULL"):
        store.refresh("counts")
    store.sql("DELETE FROM loose WHERE a IS NULL OR a = 2")
    assert store.refresh("counts")[-1].mode == "incremental"
    assert rows(store, "FROM counts") == rows(store, query)


def test_a_chain_is_refreshed_in_order(sales: Store) -> None:
    sales.transform("a", "SELECT id, shop, price * 2 AS p FROM sales", key="id", when="on write")
    sales.transform("b", "SELECT shop, sum(p) AS p FROM a GROUP BY shop", key="shop", when="on write")
    sales.transform("c", "SELECT p > 0 AS k, count(*) AS n FROM b GROUP BY 1", key="k", when="on write")
    said = sales.sql("DELETE FROM sales WHERE shop = 3").message
    assert said.index("a refreshed") < said.index("b refreshed") < said.index("c refreshed")
    assert rows(sales, "FROM c") == [(True, 4)]


def test_undo_is_followed_row_by_row(sales: Store) -> None:
    sales.transform("copy", "SELECT id, price FROM sales", key="id", when="on write")
    before = sales._lake.head()
    sales.sql("UPDATE sales SET price = -1 WHERE id < 5")
    sales.undo("sales", before)
    assert rows(sales, "FROM copy") == rows(sales, "SELECT id, price FROM sales")
    run = sales.runs("copy").rows()[0]
    assert (run["mode"], run["rows_written"]) == ("incremental", 5)


def test_a_restored_version_keeps_what_it_was_fitted_to(sales: Store) -> None:
    sales.transform("scaled", "SELECT id, standardize(price) AS z FROM sales", key="id")
    first = rows(sales, "SELECT statistic, number FROM mlstore.fitted WHERE name = 'scaled'")
    sales.sql("UPDATE sales SET price = price * 10")
    sales.refit("scaled")
    assert rows(sales, "SELECT statistic, number FROM mlstore.fitted WHERE version = 2") != first
    sales.undo("scaled", 1)
    assert rows(sales, "SELECT statistic, number FROM mlstore.fitted WHERE version = 3") == first
    assert sales.describe("scaled").facts["version"] == 3


def test_two_stores_that_define_one_name_make_two_versions(sales: Store) -> None:
    with workbench.connect(sales.folder) as other:
        sales.transform("copy", "SELECT id, price FROM sales", key="id")
        made = other.transform("copy", "SELECT id, price + 1 AS price FROM sales", key="id")
    assert made.version == 2


def test_sums_of_integers_are_kept_to_the_last_digit(store: Store) -> None:
    store.sql(
        "CREATE TABLE raw AS SELECT i AS id, i % 3 AS g, 9007199254740993 + i AS x FROM range(9) AS r(i)"
    )
    query = "SELECT g, sum(x) AS s FROM raw GROUP BY g"
    store.transform("sums", query, key="g")
    assert store._lake.tables.resolve("features.sums").columns["s"] == "BIGINT"
    assert rows(store, "FROM sums") == rows(store, query.replace("sum(x)", "sum(x)::BIGINT"))
    # One sum no longer fits: the column is made anew, and stays as wide while another group is followed.
    store.sql(f"UPDATE raw SET x = {2**63 - 1} WHERE g = 1")
    assert store.refresh("sums")[-1].reason == "the columns of the result changed"
    store.sql("UPDATE raw SET x = x + 1 WHERE id = 2")
    assert store.refresh("sums")[-1].mode == "incremental"
    assert store._lake.tables.resolve("features.sums").columns["s"] == "DECIMAL(38,0)"
    assert rows(store, "SELECT s::VARCHAR AS s FROM sums WHERE g = 1") == [(str(3 * (2**63 - 1)),)]
    assert rows(store, "SELECT s::VARCHAR AS s FROM sums WHERE g = 2") == [(str(3 * 9007199254740993 + 16),)]


def test_a_recursive_query_is_computed_in_full_also_below_a_name(store: Store) -> None:
    store.load("parts", [{"id": 1, "up": None}, {"id": 2, "up": 1}, {"id": 3, "up": 2}], key="id")
    text = (
        "WITH RECURSIVE tree AS (SELECT id, 0 AS depth FROM parts WHERE up IS NULL UNION ALL "
        "SELECT p.id, t.depth + 1 FROM parts AS p JOIN tree AS t ON p.up = t.id) SELECT * FROM tree"
    )
    store.query("tree", text)
    store.transform("deep", "SELECT id, depth FROM tree", key="id")
    store.append("parts", [{"id": 4, "up": 3}])
    run = store.refresh("deep")[-1]
    assert (run.mode, rows(store, "FROM deep")) == ("full", rows(store, "SELECT id, depth FROM tree"))
    assert "recursive" in run.reason.lower()


def test_a_key_is_found_in_any_case(store: Store) -> None:
    store.load("t", [{"Id": 1, "x": 2.0}, {"Id": 2, "x": 3.0}], key="id")
    made = store.transform("f", "SELECT iD, x * 2 AS y FROM t", key="ID")
    assert (store._lake.tables.resolve("t").key, made.key) == (("Id",), ("Id",))
    store.merge("t", [{"ID": 1, "x": 9.0}], key="ID")
    assert store.refresh("f")[-1].mode == "incremental"
    assert rows(store, "FROM f") == [(1, 18.0), (2, 6.0)]
