"""The side panel in a real JupyterLab: the tree, what is told of a thing, cells put in, runs, and trouble."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Route, expect

import workbench
from workbench.lake.folder import CATALOG
from workbench.plain.running import announced
from workbench.progress import Event
from workbench.store import Store

if TYPE_CHECKING:
    from tests.browser.conftest import Lab, Visit

LOAD = "%load_ext workbench"
LONG = "%%mlstore\nselect count(*) from range(10000000) a, range(10000000) b where a.range <> b.range"


@pytest.fixture(scope="module")
def taxi(lab: Lab) -> Iterator[Store]:
    """A store with a thing of each kind, in the folder `taxi`."""
    (lab.work / "taxi").mkdir()
    with workbench.connect(lab.work / "taxi" / "mlstore") as store:
        store.sql(
            "create table trips as select i as id, ['Midtown', 'Harlem', 'SoHo'][1 + i % 3] as zone, "
            "round(2 + (i * 7919 % 300) / 10, 2) as fare, i % 5 as tip from range(3000) r(i)"
        )
        store.load("zones", [{"zone": "Midtown", "borough": "Manhattan"}], key="zone")
        store.sql("create or replace table trips as select * from trips")
        store.load("rides", store.sql("select * from trips where id < 400"), key="id")
        store.query("long_trips", "select * from trips where fare > 20")
        store.transform("ride_features", "select id, standardize(fare) as fare, tip from rides", key="id")
        store.train("tips", "select * from ride_features", label="tip", key="id", model="linear")
        store.bind("tip_guess", on="ride_features", model="tips")
        yield store


@pytest.fixture
def panel(visit: Visit, labextension: None) -> Iterator[Visit]:
    """A visit that must end without an error, and without a word to the outside."""
    said: list[str] = []
    visit.page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield visit
    assert visit.outside == []
    assert visit.errors == []
    assert said == []


def show(visit: Visit, path: str = "") -> Locator:
    """Open JupyterLab, or a notebook in it, and the panel; return the tree."""
    if path:
        visit.open(path)
    else:
        visit.page.goto(f"{visit.lab.url}/lab?token={visit.lab.token}&reset")
        visit.page.locator(".jp-Launcher").wait_for()
    visit.page.locator('.jp-SideBar [data-id="mlstore-panel"]').click()
    tree = visit.page.get_by_role("tree", name="Stores")
    expect(tree).to_be_visible()
    return tree


def item(tree: Locator, name: str) -> Locator:
    """Find the row of a thing or a store by its name."""
    told = re.escape(name).replace("/", r"\/")  # Playwright writes it between slashes
    return tree.get_by_role("treeitem", name=re.compile(rf"^{told}(,|$)"))


def unfold(tree: Locator, store: str = "taxi/mlstore") -> None:
    row = item(tree, store)
    expect(row).to_be_visible()
    if row.get_attribute("aria-expanded") == "false":
        # A click would fold it if it unfolds by itself meanwhile.
        row.press("ArrowRight")
    expect(row).to_have_attribute("aria-expanded", "true")
    # The first answer of all waits until the server has imported what it needs.
    expect(tree.get_by_role("treeitem", level=2).or_(tree.locator(".mlp-empty")).first).to_be_visible()


def test_everything_in_a_store_and_what_it_is(panel: Visit, taxi: Store) -> None:
    tree, page = show(panel), panel.page
    unfold(tree)
    for name in ("trips", "zones", "long_trips", "ride_features", "ride_features.tip_guess", "tips"):
        expect(item(tree, name)).to_be_visible()
    expect(item(tree, "trips")).to_contain_text("3,000")
    item(tree, "ride_features").click()
    detail = page.get_by_role("region", name="transform ride_features")
    expect(detail.locator(".mlp-facts")).to_contain_text("up to date")
    expect(detail.locator(".mlp-code")).to_contain_text("standardize(fare)")
    item(tree, "trips").click()
    detail = page.get_by_role("region", name="table trips")
    for tab, shown in {
        "Rows": ".mlp-rows tbody tr",
        "Profile": ".mlp-histogram",
        "History": ".mlp-history li",
        "Lineage": ".mlp-node",
    }.items():
        detail.get_by_role("tab", name=tab).click()
        expect(detail.locator(shown).first).to_be_visible()
        panel.shoot(f"panel-{tab.lower()}")
    detail.get_by_role("button", name="query long_trips").click()
    expect(item(tree, "long_trips")).to_have_attribute("aria-selected", "true")
    item(tree, "tips").dblclick()
    page.locator(".jp-MainAreaWidget .mlp-detail").get_by_role("tab", name="Lineage").click()
    expect(page.locator(".jp-MainAreaWidget .mlp-node")).to_have_count(4)
    panel.shoot("panel-light")
    panel.theme("Dark")
    panel.shoot("panel-dark")


def test_search_finds_names_and_columns(panel: Visit, taxi: Store) -> None:
    tree = show(panel)
    unfold(tree)
    search = panel.page.get_by_label("Filter the stores")
    search.fill("borough")
    expect(item(tree, "zones")).to_be_visible()
    expect(tree.get_by_role("treeitem", name="borough")).to_be_visible()
    expect(item(tree, "trips")).to_have_count(0)
    search.fill("nothing like it")
    expect(tree).to_contain_text("Nothing here has")
    search.press("Escape")
    expect(item(tree, "trips")).to_be_visible()


def test_the_tree_by_keyboard(panel: Visit, taxi: Store) -> None:
    tree, page = show(panel), panel.page
    unfold(tree)
    page.get_by_label("Filter the stores").click()
    page.keyboard.press("ArrowDown")
    # Stores of other tests may stand before this one.
    expect(tree.get_by_role("treeitem").first).to_be_focused()
    item(tree, "taxi/mlstore").focus()
    zones = item(tree, "zones")
    panel.type_ahead("zones", lambda: bool(zones.evaluate("row => row === document.activeElement")))
    page.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="borough")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(tree.get_by_role("treeitem", name="borough")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="table zones")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(item(tree, "zones")).to_have_count(0)
    item(tree, "tips").focus()
    page.keyboard.press("Shift+F10")
    expect(page.locator(".mlp-menu")).to_contain_text("Deploy a version")
    page.keyboard.press("Escape")


def test_a_cell_for_a_verb_and_what_it_does_shows_at_once(panel: Visit, taxi: Store) -> None:
    tree, page = show(panel, panel.lab.write("cells", LOAD, "")), panel.page
    panel.run(0)
    unfold(tree)
    item(tree, "zones").click(button="right")
    expect(page.locator(".mlp-menu")).to_be_visible()
    panel.shoot("panel-menu")
    expect(page.get_by_role("menuitem", name="Choose features of it in a form")).to_be_visible()
    page.get_by_role("menuitem", name="Build features from it").click()
    # The store is elsewhere than beside the notebook; the extension is loaded already.
    cell = panel.cell(1).locator(".cm-content")
    expect(cell).to_contain_text("transform zones_features ON zones KEY (zone) WHEN on write AS")
    panel.type(0, f"\n%mlstore connect '{taxi.folder}'")
    panel.run(0)
    expect(item(tree, "taxi/mlstore")).to_contain_text("open")
    panel.run(1)
    expect(item(tree, "zones_features")).to_be_visible()
    taxi.pause("zones_features")
    expect(item(tree, "zones_features")).to_contain_text("paused")
    taxi.drop("zones_features")
    expect(item(tree, "zones_features")).to_have_count(0)
    taxi.append("rides", [{"id": 9000, "zone": "SoHo", "fare": 1.0, "tip": 2}])
    expect(item(tree, "ride_features")).to_contain_text("stale")
    panel.shoot("panel-stale")
    taxi.refresh()
    expect(item(tree, "ride_features")).not_to_contain_text("stale")


def test_what_is_running_and_its_end(panel: Visit, taxi: Store) -> None:
    connect = f"{LOAD}\n%mlstore connect '{taxi.folder}'"
    tree, page = show(panel, panel.lab.write("running", connect, LONG)), panel.page
    panel.run(0)
    unfold(tree)
    panel.start(1)
    card = page.locator(".mlp-run-now")
    expect(card).to_contain_text("select count(*)")
    expect(card).to_contain_text("running/running.ipynb")
    expect(card.get_by_role("progressbar")).to_be_visible()
    panel.shoot("panel-running")
    card.get_by_role("button", name="Cancel").click()
    expect(panel.cell(1)).to_contain_text("stopped", ignore_case=True)
    expect(card).to_have_count(0)
    panel.wait_idle()
    panel.start(1)
    expect(card).to_be_visible()
    panel.restart()
    expect(card).to_have_count(0)
    panel.wait_idle()
    panel.run(0)
    expect(item(tree, "taxi/mlstore")).to_contain_text("open")


def test_what_runs_is_seen_again_after_the_page_is_loaded_again(panel: Visit, taxi: Store) -> None:
    connect = f"{LOAD}\n%mlstore connect '{taxi.folder}'"
    notebook = panel.lab.write("reloaded", connect, LONG)
    show(panel, notebook)
    panel.run(0)
    panel.start(1)
    card = panel.page.locator(".mlp-run-now")
    expect(card).to_be_visible()
    panel.save(notebook, '"execution_count": 1')
    panel.page.goto(panel.page.url.partition("?")[0])
    panel.page.locator(".jp-Notebook").wait_for()
    expect(card).to_contain_text("reloaded/reloaded.ipynb")
    panel.shoot("panel-reloaded")
    card.get_by_role("button", name="Cancel").click()
    expect(card).to_have_count(0)
    panel.wait_idle()
    taxi.sql("create or replace table after as select 1 as one")
    tree = panel.page.get_by_role("tree", name="Stores")
    expect(item(tree, "taxi/mlstore")).to_contain_text("open")
    expect(item(tree, "after")).to_be_visible()
    taxi.drop("after")


def test_how_far_another_process_is(panel: Visit, taxi: Store) -> None:
    unfold(show(panel))
    card = panel.page.locator(".mlp-run-now")
    with announced(taxi.folder, "refresh tip_guess") as tell:
        tell(Event("Predicting", 300, 1200, note="300 of 1,200 rows"))
        bar = card.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", "25")
        expect(card).to_contain_text("Predicting · 25 % · 300 of 1,200 rows")
        tell(Event("Predicting", 900, 1200))
        expect(bar).to_have_attribute("aria-valuenow", "75")
        # It runs in no kernel of this server, which could be interrupted.
        expect(card).to_contain_text(f"process {os.getpid()}")
        expect(card.get_by_role("button", name="Cancel refresh tip_guess")).to_be_disabled()
        panel.shoot("panel-progress")
    expect(card).to_have_count(0)


def test_two_notebooks_on_one_store_and_a_failed_run(panel: Visit, taxi: Store) -> None:
    connect = f"{LOAD}\n%mlstore connect '{taxi.folder}'"
    first = panel.lab.write("first", connect, "%%mlstore\ncreate table words as select 'one' as word")
    second = panel.lab.write("second", connect, "%%mlstore\ninsert into words values ('two')")
    tree, page = show(panel, first), panel.page
    panel.run(0)
    unfold(tree)
    panel.run(1)
    expect(item(tree, "words")).to_contain_text("1")
    taxi.transform("numbers", "select 1 as id, max(word::varchar = 'x') as n from words", key="id")
    panel.open(second)
    page.locator('.jp-SideBar [data-id="mlstore-panel"]').click()
    panel.run(0)
    unfold(tree)
    panel.run(1)
    expect(item(tree, "words")).to_contain_text("2")
    expect(item(tree, "taxi/mlstore")).to_contain_text("open")
    taxi.sql("create or replace table words as select 7 as other")
    with pytest.raises(workbench.WorkbenchError):
        taxi.refresh("numbers")
    expect(item(tree, "numbers")).to_contain_text("failed")
    failed = page.locator(".mlp-past li.mlp-failed").first
    expect(failed).to_contain_text("numbers")
    failed.get_by_role("button").click()
    expect(failed.locator(".mlp-error")).to_contain_text("word")
    panel.shoot("panel-failed")
    for name in ("numbers", "words"):
        taxi.drop(name)


def test_a_store_in_trouble_says_so_and_the_others_go_on(
    panel: Visit, taxi: Store, lab: Lab, empty_store: Path, tmp_path: Path
) -> None:
    trouble = lab.work / "trouble"
    shutil.copytree(empty_store, trouble)
    # Before the server opens it: a store that is open cannot be locked.
    lock = sqlite3.connect(trouble / CATALOG, timeout=30, isolation_level=None)
    lock.execute("PRAGMA locking_mode = EXCLUSIVE")
    lock.execute("BEGIN EXCLUSIVE")
    tree, page = show(panel), panel.page
    expect(item(tree, "trouble")).to_be_visible()
    item(tree, "trouble").press("ArrowRight")
    expect(tree).to_contain_text("locked")
    unfold(tree)
    item(tree, "trips").click()
    expect(page.locator(".mlp-facts")).to_contain_text("3,000")
    panel.shoot("panel-locked")
    lock.close()
    expect(tree).not_to_contain_text("locked")
    (trouble / CATALOG).write_bytes(b"nonsense" * 4096)
    expect(tree).to_contain_text("damaged")
    trouble.rename(tmp_path / "trouble")  # at once: the server may write beside the catalog while it reads
    expect(tree).to_contain_text("moved or deleted")
    item(tree, "trouble").scroll_into_view_if_needed()
    panel.shoot("panel-gone")


def test_a_store_that_does_not_answer_is_left_as_it_was_for_a_moment(panel: Visit, taxi: Store) -> None:
    tree = show(panel)
    unfold(tree)
    busy = {"code": "conflict", "message": "It does not answer.", "hint": "", "retryable": True}
    misses = 2
    looks = 0

    def answer(route: Route) -> None:
        nonlocal looks
        looks += 1
        found = route.fetch()
        told = found.json()
        for each in told["data"]["stores"] if looks <= misses else ():
            each.update(head=None, problem=busy)
        route.fulfill(response=found, json=told)

    trips = item(tree, "trips")
    trips.evaluate("row => { row.dataset.seen = 'yes' }")
    panel.page.route("**/mlstore/api/stores*", answer)
    panel.until(lambda: looks > misses + 1, "it was looked for some times")
    expect(trips).to_have_attribute("data-seen", "yes")
    misses = 1000
    expect(tree).to_contain_text("It does not answer.")
    misses = 0
    expect(trips).to_be_visible()


def test_the_panel_comes_back_with_the_server(visit: Visit, labextension: None, taxi: Store) -> None:
    tree = show(visit)
    unfold(tree)
    expect(item(tree, "trips")).to_be_visible()
    visit.page.context.set_offline(True)
    lost = visit.page.get_by_text("The Jupyter server does not answer.")
    expect(lost).to_be_visible()
    expect(item(tree, "trips")).to_be_visible()
    visit.page.context.set_offline(False)
    expect(lost).to_have_count(0)
