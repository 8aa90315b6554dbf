"""What a user sees in a real JupyterLab: typed cells, tables, errors, completion, the finished quickstart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Visit

LOAD = "%load_ext workbench"
TRIPS = (
    "%%mlstore\ncreate table trips as select i as trip_id, i % 3 as zone, i * 1.5 as fare from range(40) t(i)"
)


def test_a_typed_cell_shows_a_table(visit: Visit) -> None:
    visit.open(visit.lab.write("typed", LOAD, TRIPS, ""))
    visit.run(0)
    visit.run(1)
    visit.type(2, "%%mlstore\nselect zone, count(*) as trips from trips group by zone order by zone")
    output = visit.run(2)
    table = output.locator("table").last
    expect(table).to_contain_text("zone")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(output.last).to_contain_text("3 rows")
    visit.shoot("table")
    assert visit.outside == []
    assert visit.errors == []


def test_an_error_is_one_block(visit: Visit) -> None:
    visit.open(visit.lab.write("error", LOAD, TRIPS, "%%mlstore\nselect * from tripps"))
    visit.run(0)
    visit.run(1)
    output = visit.run(2)
    expect(output.last).to_contain_text("There is no table 'tripps'.")
    expect(output.last).to_contain_text("Did you mean 'trips'?")
    assert "Traceback" not in output.last.inner_text()
    visit.shoot("error")


def test_tab_completes_a_table(visit: Visit) -> None:
    visit.open(visit.lab.write("complete", LOAD, TRIPS.replace("trips", "harbour_trips"), ""))
    visit.run(0)
    visit.run(1)
    visit.type(2, "%%mlstore\nselect * from harb")
    shown = visit.page.locator(".jp-Completer")
    editor = visit.cell(2).locator(".cm-content")
    # One candidate is put in at once; several are listed first.
    found = shown.or_(editor).filter(has_text="harbour_trips").first
    visit.complete()
    expect(found).to_be_visible()
    visit.shoot("completion")
    if shown.is_visible():
        visit.page.keyboard.press("Enter")
    expect(editor).to_contain_text("select * from harbour_trips")


def test_the_finished_quickstart(visit: Visit, quickstart: Path) -> None:
    visit.page.set_viewport_size({"width": 1400, "height": 1100})
    visit.open(visit.lab.trust(quickstart))
    visit.page.keyboard.press("Control+b")  # hides the file browser
    shown = {
        "quickstart-model": ("train late", "table"),
        "quickstart": ("insert into flights", ".jp-OutputArea-output"),
        "quickstart-lineage": ("lineage late_prediction", "svg"),
    }
    for picture, (statement, output) in shown.items():
        cell = visit.page.locator(".jp-CodeCell", has_text=statement).first
        visit.show(cell, cell.locator(output).first)
        visit.shoot(picture)
    assert visit.outside == []
    assert visit.errors == []


def test_a_search_shows_its_board_and_goes_on_after_an_interrupt(visit: Visit) -> None:
    rows = TRIPS.replace("* 1.5 as fare", "* 1.5 + random() as fare").replace("range(40)", "range(400)")
    search = (
        "%%mlstore train fares LABEL fare KEY (trip_id) MODEL auto {limit} AS\n"
        "select *, fare + zone as base from trips"
    )
    long, short = search.format(limit="BUDGET '4 min'"), search.format(limit="TUNE 3 TRIALS")
    visit.open(visit.lab.write("search", LOAD, rows, long, short))
    visit.run(0)
    visit.run(1)
    visit.start(2)
    board = visit.cell(2).locator("table.mls-grid tbody tr")
    expect(board.nth(2)).to_be_visible(timeout=180_000)
    visit.shoot("search")
    visit.page.get_by_role("button", name="Interrupt").first.click()
    expect(visit.cell(2)).to_contain_text("trials of fares: train again to go on")
    expect(visit.run(3).last).to_contain_text("was the best of")
    assert visit.outside == []
