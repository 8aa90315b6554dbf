"""The widgets in a real JupyterLab: served from the kernel, and static where there is none."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, WebSocketRoute

    from tests.browser.conftest import Visit

MAKE = """\
import workbench
%load_ext workbench
store = workbench.connect()
rows = store.sql('''
select i as id, (i * 7919) % 97 as zone, case when i % 9 > 0 then (i * 31) % 1000 / 8.0 end as fare,
       ['north', 'south', 'west'][1 + i % 3] as area, timestamp '2024-01-01' + interval (i) minute as started
from range(200000) r(i)
''')
store.load('trips', rows, key='id')
store.sql('delete from trips where id % 1000 = 7')
store.sql('update trips set fare = fare + 1 where id < 40')
store.load('zones', [{'zone': i, 'name': f'zone {i}'} for i in range(97)], key='zone')"""


@pytest.fixture
def clean(visit: Visit) -> Iterator[Visit]:
    """A visit that must end without a request to the outside and without an error in the console."""
    told: list[str] = []
    visit.page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
    yield visit
    assert visit.outside == []
    assert visit.errors == []
    assert [text for text in told if "mlw" in text or "widget" in text.lower()] == []


def shown(visit: Visit, number: int) -> Locator:
    """Run a cell and return its widget, the static form hidden."""
    visit.run(number)
    cell = visit.cell(number)
    widget = cell.locator(".mlw")
    expect(widget).to_be_visible()
    expect(cell.locator(".mls:not(.mlw)").first).to_be_hidden()
    cell.evaluate("element => element.scrollIntoView({block: 'start'})")
    return widget


def first_cells(widget: Locator, column: int) -> list[str]:
    return widget.locator(f".mlw-row [aria-colindex='{column}']").all_inner_texts()


def test_the_explorer(clean: Visit) -> None:
    visit = clean
    visit.open(visit.lab.write("explorer", MAKE, "%mlstore explore trips"))
    visit.run(0)
    widget = shown(visit, 1)
    expect(widget).to_contain_text("199,800 rows")
    expect(widget.locator(".mlw-bars")).to_have_count(5)
    visit.shoot("explorer-light")
    grid = widget.locator(".mlw-grid")

    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    expect(widget.locator(".mlw-row").last).to_have_attribute("aria-rowindex", "199801")
    grid.focus()
    visit.page.keyboard.press("Control+Home")
    visit.page.keyboard.press("ArrowDown")
    expect(widget.locator(".mlw-active")).to_have_attribute("id", re.compile("-1-0$"))

    widget.get_by_role("button", name="Sort by fare").click()
    expect(widget.locator("[role=columnheader]").nth(2)).to_have_attribute("aria-sort", "ascending")
    expect(widget.locator(".mlw-row").first).to_contain_text("0.000")
    widget.get_by_role("button", name="Sort by fare").click()
    expect(widget.locator(".mlw-row").first).to_contain_text("125.000")

    widget.get_by_label("Filter area").fill("SOU")
    widget.get_by_label("Filter zone").fill("3..5")
    expect(widget.locator(".mlw-count")).to_contain_text(re.compile(r"2,0\d\d rows"))
    visit.until(lambda: set(first_cells(widget, 4)) == {"south"}, "all are in the south")
    widget.get_by_label("Condition in SQL").fill("fare >")
    expect(widget.get_by_role("alert")).to_contain_text("syntax error")
    visit.shoot("explorer-error")
    widget.get_by_label("Condition in SQL").fill("fare > 100")
    expect(widget.get_by_role("alert")).to_be_hidden()

    def all_are_dear() -> bool:
        fares = first_cells(widget, 3)
        return bool(fares) and all(each != "NULL" and float(each or 0) > 100 for each in fares)

    visit.until(all_are_dear, "all fares are above 100")

    widget.get_by_label("what changed").check()
    expect(widget.locator(".mlw-count")).to_contain_text("34 rows")
    expect(widget.locator(".mlw-row.mlw-changed").first).to_be_visible()
    visit.theme("Dark")
    visit.shoot("explorer-changes-dark")
    widget.get_by_role("button", name="Earlier snapshot").click()
    expect(widget.locator(".mlw-count")).to_contain_text("200 rows")
    expect(widget.locator(".mlw-row.mlw-removed").first).to_be_visible()
    widget.get_by_label("what changed").uncheck()
    expect(widget.locator(".mlw-count")).to_contain_text("199,800 rows")


MILLIONS = """\
import workbench
%load_ext workbench
store = workbench.connect()
store.sql('create table big as select i as id, i * 7919 % 1000 as zone, i % 997 / 8.0 as fare from range(10000000) r(i)')
"""  # noqa: E501


def test_ten_million_rows_scroll(clean: Visit) -> None:
    visit = clean
    visit.open(visit.lab.write("millions", MILLIONS, "%mlstore explore big"))
    visit.run(0)
    widget = shown(visit, 1)
    expect(widget).to_contain_text("10,000,000 rows")
    grid, first = widget.locator(".mlw-grid"), widget.locator(".mlw-row").first
    expect(grid).to_have_attribute("aria-rowcount", "10000001")

    def seen() -> tuple[int, int]:
        """Return the number of the row at the top, and its id, when it is there."""
        expect(widget.locator(".mlw-absent")).to_have_count(0)
        cells = first.locator(".mlw-cell").all_inner_texts()
        return int(first.get_attribute("aria-rowindex") or 0) - 2, int(cells[0])

    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2 }")
    expect(first).not_to_have_attribute("aria-rowindex", "2")
    place, named = seen()
    assert place == named and abs(place - 5_000_000) < 20_000
    grid.hover()
    visit.page.mouse.wheel(0, 240)  # moves by rows, although a pixel of the bar is more than one
    expect(first).to_have_attribute("aria-rowindex", str(place + 12))
    assert seen() == (place + 10, place + 10)
    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    last = widget.locator(".mlw-row").last
    expect(last).to_have_attribute("aria-rowindex", "10000001")
    expect(last.locator(".mlw-cell").first).to_have_text("9999999")
    visit.shoot("explorer-millions")
    grid.focus()
    visit.page.keyboard.press("Control+Home")
    visit.page.keyboard.press("PageDown")
    expect(widget.locator(".mlw-active").first).to_be_visible()
    visit.until(lambda: seen()[0] < 40, "the head is seen again")
    visit.page.keyboard.press("Control+End")
    expect(widget.locator(".mlw-active").first).to_have_attribute("id", re.compile("-9999999-0$"))


STORY = """\
import workbench
%load_ext workbench
store = workbench.connect()
store.load('zones', [{'id': i, 'name': f'zone {i}', 'size': i % 7} for i in range(60)], key='id')
store.query('big', 'select * from zones where size > 3')
store.transform('zone_features', 'select id, standardize(size) as size, name from zones',
                on='zones', key='id', when='on write')
store.transform('sizes', 'select size, count(*) as zones from zone_features group by size', key='size')
store.sql("update zones set size = size + 1 where id < 5")
store.sql("delete from zones where id = 40")
store.sql("insert into zones values (100, 'new', 3)")
store.refresh();"""


def test_diff_runs_and_lineage(clean: Visit) -> None:
    visit = clean
    statements = ("diff zones@3", "runs", "lineage zone_features")
    visit.open(visit.lab.write("story", STORY, *(f"%mlstore {each}" for each in statements)))
    visit.run(0)
    diff = shown(visit, 1)
    expect(diff).to_contain_text("1 added, 1 removed, 5 changed")
    expect(diff.locator(".mlw-row")).to_have_count(7)
    expect(diff.locator(".mls-mark")).to_have_count(10)
    visit.shoot("diff-light")
    diff.get_by_role("button", name="1 removed").click()
    expect(diff.locator(".mlw-row")).to_have_count(1)
    expect(diff.locator(".mlw-row.mlw-removed")).to_contain_text("40")

    runs = shown(visit, 2)
    expect(runs.locator(".mlw-run").first).to_be_visible()
    visit.shoot("runs-light")
    runs.get_by_role("button", name="transform", exact=True).click()
    runs.get_by_label("Search the runs").fill("sizes")
    expect(runs.locator(".mlw-timeline text")).to_have_text(["sizessizes"])

    lineage = shown(visit, 3)
    expect(lineage.locator("[data-node]")).to_have_count(3)
    lineage.locator("[data-node=zones]").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    side = lineage.locator(".mlw-side")
    expect(side).to_contain_text("to be refreshed")
    side.get_by_role("button", name="size", exact=True).click()
    expect(side).to_contain_text("← zones.size (value)")
    visit.shoot("lineage-light")
    lineage.locator("[data-node=sizes]").click()
    visit.theme("Dark")
    visit.shoot("lineage-dark")


def preview(widget: Locator) -> list[str]:
    """The names of the columns of a builder's preview."""
    return widget.locator("[role=columnheader] .mlw-head").all_inner_texts()


def apply(adder: Locator, name: str) -> None:
    adder.click()
    adder.page.get_by_role("menuitem", name=name, exact=True).click()


@pytest.mark.usefixtures("labextension")
def test_the_builder(clean: Visit) -> None:
    visit = clean
    keyboard = visit.page.keyboard
    keyless = "store.sql('create table plain as from zones')\nstore.build('plain')"
    explored = "%mlstore explore trips_features"
    visit.open(visit.lab.write("builder", MAKE, "%mlstore build trips", explored, keyless))
    visit.run(0)
    widget = shown(visit, 1)
    statement = widget.get_by_role("region", name="Statement")
    expect(statement).to_contain_text("%%mlstore transform trips_features ON trips KEY (id) AS")
    expect(widget.locator(".mlw-row").first).to_be_visible()
    expect(widget.locator(".mlw-bars")).to_have_count(5)
    assert preview(widget) == ["id", "zone", "fare", "area", "started"]

    # With the keyboard: leave one out, go on to the next, choose what is done with it.
    widget.get_by_label("Keep zone").focus()
    keyboard.press("Space")
    keyboard.press("ArrowDown")
    expect(widget.get_by_label("Keep fare")).to_be_focused()
    keyboard.press("Tab")
    expect(widget.get_by_label("Apply a function to fare")).to_be_focused()
    keyboard.press("Enter")
    expect(widget.get_by_role("menuitem")).to_have_count(18)
    visit.shoot("builder-menu")
    keyboard.press("Escape")
    expect(widget.get_by_label("Apply a function to fare")).to_be_focused()
    keyboard.press("Enter")
    keyboard.type("numb")
    keyboard.press("ArrowDown")
    expect(widget.get_by_role("menuitem", name="standardize")).to_be_focused()
    keyboard.press("ArrowUp")
    keyboard.press("Control+a")
    keyboard.type("imp")
    keyboard.press("Enter")
    expect(widget.get_by_label("strategy of impute of fare")).to_be_focused()
    expect(statement).to_contain_text("impute(fare, 'mean') as fare")
    strategy = widget.get_by_label("strategy of impute of fare")
    visit.type_ahead("med", lambda: strategy.input_value() == "median")
    expect(statement).to_contain_text("impute(fare, 'median') as fare")

    apply(widget.get_by_label("Apply a function to fare"), "standardize")
    widget.get_by_label("Another column made of fare").click()
    apply(widget.get_by_label("Apply a function to fare").nth(1), "quantile_bin")
    widget.get_by_label("bins of quantile_bin of fare").fill("4")
    apply(widget.get_by_label("Apply a function to area"), "one_hot")
    apply(widget.get_by_label("Apply a function to started"), "cyclical")
    widget.get_by_label("Name of started, 1").fill("hour")
    widget.get_by_label("Refresh", exact=True).select_option("on write")
    expect(statement).to_contain_text("standardize(impute(fare, 'median')) as fare")
    expect(statement).to_contain_text("quantile_bin(fare, 4) as fare_quantile_bin")
    expect(statement).to_contain_text("cyclical(started, 'hour') as hour")
    expect(statement).to_contain_text("WHEN on write")
    expect(widget.locator("[role=columnheader] .mlw-head").last).to_have_text("hour")
    assert preview(widget) == ["id", "fare", "fare_quantile_bin", "area", "hour"]
    expect(widget).to_contain_text("20 of 199,800 rows, with statistics of 10,000 taken at random")
    visit.cell(1).evaluate("element => element.scrollIntoView({block: 'start'})")
    visit.shoot("builder-light")

    # What is wrong is said where it is, and nothing can be made of it.
    widget.get_by_label("bins of quantile_bin of fare").fill("many")
    expect(widget.get_by_role("alert")).to_contain_text(
        "The bins of quantile_bin must be a number, not many."
    )
    expect(widget.get_by_role("button", name="Create")).to_be_disabled()
    visit.shoot("builder-error")
    widget.get_by_label("bins of quantile_bin of fare").fill("5")
    expect(widget.get_by_role("alert")).to_have_count(0)
    widget.get_by_label("Name of the transform").fill("zones")
    expect(widget.get_by_role("alert")).to_contain_text("'zones' is the name of a table already.")
    widget.get_by_label("Name of the transform").fill("trips_features")
    expect(widget).to_contain_text("Create makes the table trips_features.")

    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    widget.get_by_role("button", name="Copy").click()
    expect(widget).to_contain_text("Copied: paste it into a cell.")
    copied = visit.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == statement.inner_text()
    widget.get_by_role("button", name="Insert cell").click()
    expect(widget).to_contain_text("It is in a cell below.")
    expect(visit.cell(2).locator(".cm-content")).to_contain_text("quantile_bin(fare, 5)")
    widget.get_by_role("button", name="Create").click()
    expect(widget).to_contain_text("trips_features is at version 1, in snapshot")
    visit.theme("Dark")
    visit.cell(1).evaluate("element => element.scrollIntoView({block: 'start'})")
    visit.shoot("builder-dark")

    # Without our extension the statement is copied; what stays in the notebook is as it was chosen last.
    visit.page.evaluate("() => addEventListener('mlstore:insert-cell', e => e.stopPropagation(), true)")
    widget.get_by_role("button", name="Insert cell").click()
    expect(widget).to_contain_text("Copied: paste it into a cell.")
    chosen, counted = "quantile_bin(fare, 5) as fare_quantile_bin", "20 of 199,800 rows"
    saved = nbformat.reads(visit.save("builder/builder.ipynb", chosen, counted), as_version=4)
    static = saved.cells[1].outputs[0].data
    assert chosen in static["text/plain"]
    assert counted in static["text/html"]
    # The cell says the same, so that it changes nothing.
    expect(visit.run(2)).to_contain_text("trips_features@1")
    made = shown(visit, 3)
    expect(made).to_contain_text("199,800 rows")

    plain = shown(visit, 4)
    expect(plain.get_by_role("alert")).to_contain_text("The transform 'plain_features' needs a key.")
    expect(plain.get_by_role("button", name="Create")).to_be_disabled()
    plain.get_by_label("zone identifies a row").click()
    expect(plain.get_by_role("region", name="Statement")).to_contain_text("ON plain KEY (zone) AS")
    plain.get_by_role("button", name="Leave out all").click()
    expect(plain.locator("[role=columnheader] .mlw-head")).to_have_text(["zone"])
    expect(plain.get_by_role("button", name="Create")).to_be_enabled()


MODEL = """\
import workbench
%load_ext workbench
store = workbench.connect()
store.sql('''
create table trips as
select i as id, i * 7919 % 1000 as distance, ['north', 'south', 'west'][1 + i % 3] as zone,
       i * 7919 % 1000 + hash(i) % 400 > 700 as slow
from range(2000) r(i)
''')
what = {'label': 'slow', 'key': 'id'}
store.train('slow', 'select * from trips', **what, model='xgboost', params={'n_estimators': 30})
store.train('slow', 'select * from trips where id < 900', **what, model='logistic', deploy='never')
store.load('later', store.sql('select * exclude slow from trips'), key='id')
store.bind('late', on='later', model='slow');"""


def test_the_pages_of_a_model_and_a_binding(clean: Visit) -> None:
    visit = clean
    visit.open(visit.lab.write("model", MODEL, "%mlstore describe slow", "%mlstore describe late"))
    visit.run(0)
    page = shown(visit, 1)
    expect(page.locator(".mlw-scale").first).to_be_visible()
    expect(page.locator(".mlw-track")).to_have_count(2)
    expect(page.locator("dl dt").first).to_have_text("version")
    page.get_by_text("What it was made from").click()
    assert "[object" not in page.inner_text()
    visit.shoot("model-light")
    chart = visit.cell(1).locator("canvas")
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    assert box is not None and box["width"] > 600
    chart.scroll_into_view_if_needed()
    visit.shoot("charts-light")
    page.get_by_role("button", name="Deploy version 2").click()
    expect(page).to_contain_text("Make slow@2 the champion?")
    page.get_by_role("button", name="No").click()
    page.get_by_role("button", name="Deploy version 2").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("tr.mlw-added")).to_contain_text("@2")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("tr.mlw-added")).to_contain_text("@1")

    binding = shown(visit, 2)
    expect(binding).to_contain_text("2,000 ok (100 %)")
    assert "[object" not in binding.inner_text()
    binding.get_by_role("button", name="Refresh").click()
    binding.get_by_role("button", name="Yes").click()
    expect(binding.locator(".mls-badge")).to_have_text("up to date")
    visit.shoot("binding-light")
    visit.theme("Dark")
    visit.shoot("binding-dark")
    visit.cell(1).evaluate("element => element.scrollIntoView({block: 'start'})")
    visit.shoot("model-dark")
    outputs = visit.run(1)
    # The page of the model, its static form, which hides behind it, and the charts.
    expect(outputs).to_have_count(3)
    expect(chart).to_be_visible()
    chart.scroll_into_view_if_needed()
    visit.shoot("charts-dark")


SEARCH = """\
%%mlstore train fares LABEL fare KEY (id) MODEL auto BUDGET '5 min' AS
select *, zone + 1 as more from trips where fare is not null and id < 600"""
VERSIONS = "%mlstore select version, model_uri from mlstore.models where name = 'fares'"


def searching(visit: Visit, name: str) -> tuple[Locator, Locator]:
    """Start a search; return its cell, and its button once there are trials."""
    visit.open(visit.lab.write(name, MAKE, SEARCH, VERSIONS))
    visit.run(0)
    visit.start(1)
    cell = visit.cell(1)
    expect(cell.locator("table.mls-grid tbody tr").nth(2)).to_be_visible(timeout=180_000)
    return cell, cell.get_by_role("button", name="Stop and keep the best so far")


def test_a_search_is_stopped_and_keeps_the_best(clean: Visit) -> None:
    visit = clean
    cell, stop = searching(visit, "stopped")
    visit.shoot("search-light")
    stop.click()
    expect(cell).to_contain_text("the best setting so far is then trained")
    visit.shoot("search-stopping")
    visit.wait_done(1)  # which does not wait for the five minutes that it was given
    expect(cell).to_contain_text("was the best of")
    expect(cell).to_contain_text("the search was stopped")
    expect(stop).to_have_count(0)
    expect(visit.run(2).locator("tbody tr")).to_have_count(1)
    visit.shoot("search-stopped")


def test_where_no_subshell_can_be_had_the_button_interrupts(visit: Visit) -> None:
    cell, stop = searching(visit, "interrupted")
    expect(cell.locator(".mls-beside")).to_have_count(1)
    while_searching = visit.save("interrupted/interrupted.ipynb", "vnd.jupyter.widget-view", "mls-grid")
    refused = "class { constructor() { setTimeout(() => this.onerror()) } close() {} }"
    visit.page.evaluate(f"() => {{ window.WebSocket = {refused} }}")
    stop.click()
    expect(cell).to_contain_text("the same training again goes on after them")
    cell.get_by_role("button", name="Interrupt the cell, keep the trials").click()
    expect(cell).to_contain_text("trials of fares: train again to go on")

    # As the notebook was saved meanwhile, the board is there, and no button that could do nothing.
    (visit.lab.work / "interrupted" / "seen.ipynb").write_text(while_searching)
    visit.page.goto("about:blank")
    visit.page.goto(f"{visit.lab.url}/lab/tree/interrupted/seen.ipynb?token={visit.lab.token}&reset")
    expect(cell.locator("table.mls-grid")).to_be_visible()
    lost = cell.get_by_text("Error displaying widget")
    expect(lost).to_be_attached(timeout=60_000)
    expect(lost).to_be_hidden()
    visit.shoot("search-reopened")
    assert visit.outside == []
    assert visit.errors == []


def test_a_question_that_is_lost_on_the_way_is_asked_again(clean: Visit) -> None:
    visit, lost, careless = clean, [], threading.Event()

    def pass_on(page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def send(message: str | bytes) -> None:
            sent = message.encode() if isinstance(message, str) else message
            if careless.is_set() and b'"ask"' in sent:
                lost.append(sent)
            else:
                server.send(message)

        page.on_message(send)

    visit.page.route_web_socket(re.compile("/channels"), pass_on)
    visit.open(visit.lab.write("lost", MAKE, "%mlstore explore trips"))
    visit.run(0)
    widget = shown(visit, 1)
    careless.set()
    widget.get_by_role("button", name="Sort by fare").click()
    visit.page.wait_for_timeout(2000)
    careless.clear()
    expect(widget.locator(".mlw-row").first).to_contain_text("0.000")
    expect(widget.locator(".mlw-status")).to_have_text("")
    assert any(b'"page"' in each for each in lost)


def test_a_widget_says_that_its_kernel_is_gone(clean: Visit) -> None:
    visit = clean
    notebook = visit.lab.write("gone", MAKE, "%mlstore explore trips", "import os; os._exit(1)")
    visit.open(notebook)
    visit.run(0)
    widget = shown(visit, 1)
    gone, sort = widget.locator(".mlw-gone"), widget.get_by_role("button", name="Sort by fare")

    def is_live() -> None:
        expect(gone).to_be_hidden()
        sort.click()
        expect(widget.locator(".mlw-row").first).to_contain_text("0.000")

    def is_static() -> None:
        expect(gone).to_contain_text("Run the cell again")
        expect(sort).to_be_disabled()
        expect(widget.locator(".mlw-row").first).to_be_visible()
        expect(widget.locator(".mlw-status")).to_have_text("")

    is_live()
    # Its page is loaded again, while the kernel goes on.
    visit.save(notebook, "vnd.jupyter.widget-view")
    visit.page.reload()
    visit.page.locator(".jp-Notebook").wait_for()
    expect(widget).to_be_visible(timeout=60_000)
    is_live()
    visit.restart()
    is_static()
    # Rows that were not read are not waited for.
    widget.locator(".mlw-grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight }")
    expect(widget.locator(".mlw-absent").first).to_be_visible()
    expect(widget.locator(".mlw-error")).to_be_hidden()
    visit.shoot("explorer-gone")
    visit.wait_idle()
    visit.run(0)
    shown(visit, 1)
    is_live()
    visit.start(2)  # the kernel dies, and Jupyter starts another one
    dialog = visit.page.locator(".jp-Dialog")
    dialog.get_by_role("button", name="Ok").click()
    is_static()
