"""Statements in cells, as a user types, completes, corrects, reads, formats and runs them."""

# ruff: noqa: E501 (cells stay as they are typed)

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Route, expect

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

pytestmark = pytest.mark.usefixtures("labextension")

LOAD = "%load_ext workbench"
MAKE = "workbench.connect().sql('create table harbour_trips as select i as trip_id from range(40) t(i)')"
TRIPS = """\
%%mlstore
create table harbour_trips as
select i as trip_id, i % 3 as zone, i * 1.5 as fare, timestamp '2026-01-01' + i * interval 1 hour as started_at
from range(40) t(i)"""
# Notebook 7.6's own code throws these, also where no extension is installed.
NOTEBOOKS_OWN = {
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
}
FEATURES = """\
%%mlstore transform trip_features ON harbour_trips KEY (trip_id) WHEN changed >= 5% AS
-- what the model learns from
select
    trip_id,
    one_hot(zone) as zone,
    date_trunc('day', started_at) as day,
    fare * 1.19 as gross
from harbour_trips
where fare > 3 and zone is not null"""


def spans(cell: Locator) -> dict[str, str]:
    """Return the colour of each word of a cell that has one of its own."""
    found: dict[str, str] = cell.evaluate(
        """cell => Object.fromEntries([...cell.querySelectorAll('.cm-line span')].map(
            each => [each.textContent, getComputedStyle(each).color]))"""
    )
    return found


def coloured(visit: Visit, number: int, *words: str) -> dict[str, str]:
    """Return the colours of a cell once these words have some: a long text is read bit by bit."""
    visit.until(lambda: set(words) <= spans(visit.cell(number)).keys(), f"{words} have colours")
    return spans(visit.cell(number))


def offered(visit: Visit, number: int, text: str) -> Locator:
    """Type, press Tab, and return what is offered."""
    visit.type(number, text)
    return visit.complete().locator(".jp-Completer-match")


def close(visit: Visit) -> None:
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".jp-Completer-item").first).to_be_hidden()


def test_statements_are_highlighted_while_they_are_typed(visit: Visit) -> None:
    python = (
        "%%mlstore transform gross ON trips KEY (id) USING python AS\ndef gross(batch):\n    return batch"
    )
    lines = "import pandas\nruns = %mlstore runs trip_features --limit 5\nfor run in [1]:\n    print(run)"
    visit.open(visit.lab.write("highlighting", FEATURES, python, lines, "select = 1"))
    editor = visit.cell(0).locator(".cm-content")
    expect(editor.locator(".mls-own")).to_have_text("one_hot")
    expect(editor.locator(".mls-function:not(.mls-own)")).to_have_text("date_trunc")
    words = ("transform", "KEY", "select", "'day'", "3", "-- what the model learns from")
    colours = coloured(visit, 0, *words)
    plain = visit.cell(0).locator(".cm-content").evaluate("each => getComputedStyle(each).color")
    for word in words:
        assert colours[word] != plain, word
    assert colours["transform"] == colours["KEY"] == colours["select"]
    assert coloured(visit, 1, "def")["def"] == colours["select"]
    in_lines = coloured(visit, 2, "import", "for", "runs")
    assert in_lines["import"] == in_lines["for"] == in_lines["runs"] == colours["select"]
    # Typed anew, a cell becomes a statement with the word mlstore, and Python again without it.
    visit.type(3, "")
    visit.page.keyboard.press("Control+a")
    visit.page.keyboard.type("%%mlstore\nselect zone from trips")
    assert coloured(visit, 3, "select")["select"] == colours["select"]
    visit.page.keyboard.press("Control+Home")
    for _ in range(3):
        visit.page.keyboard.press("Delete")
    expect(visit.cell(3).locator(".cm-content")).to_contain_text("lstore")
    visit.until(lambda: "select" not in spans(visit.cell(3)), "it is Python")
    visit.shoot("cells-light")
    visit.theme("Dark")
    visit.shoot("cells-dark")
    visit.until(lambda: spans(visit.cell(0))["KEY"] != colours["KEY"], "the colours are those of the dark")
    assert (visit.outside, visit.errors) == ([], [])


def test_completion_knows_the_store_while_the_kernel_is_busy(visit: Visit) -> None:
    visit.open(visit.lab.write("completing", LOAD, TRIPS, "import time; time.sleep(600)", "", ""))
    visit.run(0)
    visit.run(1)
    visit.start(2)
    expect(visit.page.get_by_text("Python 3 (ipykernel) | Busy")).to_be_visible()
    labels = offered(visit, 3, "%%mlstore\nselect f")
    expect(labels.filter(has_text=re.compile("^from$"))).to_have_count(1)  # and not twice
    close(visit)
    visit.page.keyboard.type("are, s from harbour_trips")
    for _ in range(len(" from harbour_trips")):
        visit.page.keyboard.press("ArrowLeft")
    first = visit.complete().first
    expect(first).to_contain_text("started_at")
    expect(first).to_contain_text("timestamp")
    visit.shoot("completing-columns")
    visit.page.keyboard.press("Enter")
    expect(visit.cell(3).locator(".cm-content")).to_contain_text("select fare, started_at from harbour_trips")
    expect(offered(visit, 4, "%%mlstore tra")).to_have_text(["transform", "train", "trace"])
    visit.shoot("completing-verbs")
    close(visit)
    visit.type(4, "in cheap LABEL fare MODEL ridge PARAMS {al")
    expect(visit.complete()).to_have_count(1)
    visit.page.keyboard.press("Tab")
    expect(visit.cell(4).locator(".cm-content")).to_contain_text("PARAMS {alpha")
    visit.page.get_by_role("button", name="Interrupt").first.click()
    assert (visit.outside, visit.errors) == ([], [])


def test_an_answer_that_comes_late_is_offered_all_the_same(visit: Visit) -> None:
    visit.open(visit.lab.write("late", ""))

    def slowly(route: Route) -> None:
        visit.page.wait_for_timeout(1700)  # JupyterLab waits for a second
        route.continue_()

    visit.page.route("**/mlstore/api/cells/complete*", slowly)
    expect(offered(visit, 0, "%%mlstore tra")).to_have_text(["transform", "train", "trace"])
    close(visit)
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.type("i")  # what is no longer asked for is not offered
    visit.page.wait_for_timeout(2500)
    expect(visit.page.locator(".jp-Completer-item").first).to_be_hidden()
    assert (visit.outside, visit.errors) == ([], [])


def test_mistakes_are_underlined_before_and_after_a_run(visit: Visit) -> None:
    wrong = "%%mlstore transform late ON harbour_trips\n  KYE (trip_id) AS\nselect 1"
    visit.open(
        visit.lab.write("mistakes", LOAD, TRIPS, wrong, "%%mlstore\nselect zone, far\nfrom harbour_trips")
    )
    place = visit.cell(2).locator(".cm-lintRange-error")
    expect(place).to_have_text("KYE")
    visit.rest_on(place, visit.page.locator(".mls-mistake"), "Did you mean 'KEY'?")
    visit.shoot("mistakes")
    visit.run(0)
    visit.run(1)
    visit.run(3)
    after = visit.cell(3).locator(".cm-lintRange-error")
    expect(after).to_have_text("far")
    visit.cell(3).scroll_into_view_if_needed()
    visit.rest_on(after, visit.page.locator(".mls-mistake"), "Did you mean 'fare'")
    visit.shoot("mistakes-of-a-run")
    visit.cell(3).locator(".cm-line", has_text="far").click()
    visit.page.keyboard.press("End")
    visit.page.keyboard.press("Control+ArrowLeft")
    visit.page.keyboard.press("Control+ArrowRight")
    visit.page.keyboard.type("e")
    expect(after).to_have_count(0)
    assert (visit.outside, visit.errors) == ([], [])


def test_words_explain_themselves_and_sql_is_commented_and_laid_out(visit: Visit) -> None:
    untidy = "%%mlstore\nselect zone,count(*) as trips, -- how many\navg(fare) as fare from harbour_trips group by zone order by trips desc, zone, fare limit 20"
    visit.open(visit.lab.write("reading", FEATURES, untidy))
    about = visit.page.locator(".mls-about")
    visit.rest_on(visit.cell(0).locator(".mls-own"), about, "one_hot(c[, max")
    visit.shoot("explaining")
    visit.page.mouse.move(5, 5)
    expect(about).to_have_count(0)
    key = visit.cell(0).locator(".cm-line span", has_text=re.compile("^KEY$"))
    visit.rest_on(key, about, "KEY (cols)")
    editor = visit.cell(1).locator(".cm-content")
    visit.type(1, "")
    visit.page.keyboard.press("Control+/")
    expect(editor.locator(".cm-line").last).to_have_text(re.compile("^-- avg"))
    visit.page.keyboard.press("Control+/")
    expect(editor.locator(".cm-line").last).to_have_text(re.compile("^avg"))
    visit.page.keyboard.press("Alt+Shift+f")
    expect(editor.locator(".cm-line")).to_have_text(
        [
            "%%mlstore",
            "select",
            "    zone,",
            "    count(*) as trips, -- how many",
            "    avg(fare) as fare",
            "from harbour_trips",
            "group by zone",
            "order by trips desc, zone, fare",
            "limit 20",
        ]
    )
    visit.shoot("formatted")
    visit.page.keyboard.press("Control+z")
    expect(editor.locator(".cm-line")).to_have_count(3)
    visit.cell(1).click(button="right")
    visit.page.get_by_text("Format SQL of the Cell", exact=True).click()
    expect(editor.locator(".cm-line")).to_have_count(9)
    assert (visit.outside, visit.errors) == ([], [])


def test_statements_live_in_notebook_7_too(visit: Visit) -> None:
    said: list[str] = []
    visit.page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    wrong = "%%mlstore transform late ON harbour_trips\n  KYE (trip_id) AS\nselect one_hot(zone) from harbour_trips"
    untidy = (
        "%%mlstore\nselect zone, count(*) from harbour_trips group by zone order by zone, count(*) limit 20"
    )
    path = visit.lab.write(
        "seven", wrong, "", untidy, f"import workbench\n{LOAD}\n{MAKE}\n%mlstore explore harbour_trips"
    )
    visit.page.goto(f"{visit.lab.url}/notebooks/{path}?token={visit.lab.token}")
    expect(visit.cell(0).locator(".cm-lintRange-error")).to_have_text("KYE")
    own = visit.cell(0).locator(".mls-own")
    expect(own).to_have_text("one_hot")
    visit.rest_on(own, visit.page.locator(".mls-about"), "one_hot(c[, max")
    visit.page.mouse.move(5, 5)
    expect(offered(visit, 1, "%%mlstore tra").first).to_contain_text("transform")
    visit.shoot("notebook-7")
    close(visit)
    lines = visit.cell(2).locator(".cm-line")
    visit.type(2, "")
    visit.page.keyboard.press("Control+/")
    expect(lines.last).to_have_text(re.compile("^-- select"))
    visit.page.keyboard.press("Control+/")
    visit.page.keyboard.press("Alt+Shift+f")
    expect(lines).to_have_text(
        [
            "%%mlstore",
            "select zone, count(*)",
            "from harbour_trips",
            "group by zone",
            "order by zone, count(*)",
            "limit 20",
        ]
    )
    expect(visit.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")
    visit.start(3)
    expect(visit.cell(3).locator(".mlw-row").nth(5)).to_be_visible()
    expect(visit.cell(3).locator(".mls-static")).to_be_hidden()
    visit.shoot("notebook-7-widget")
    assert (visit.outside, said) == ([], [])
    assert set(visit.errors) <= NOTEBOOKS_OWN


def test_the_word_that_is_being_typed_is_no_mistake_yet(visit: Visit) -> None:
    visit.open(visit.lab.write("typing", ""))
    visit.type(0, "%%mlstore tra")
    visit.page.wait_for_timeout(2500)
    place = visit.cell(0).locator(".cm-lintRange-error")
    expect(place).to_have_count(0)
    visit.page.keyboard.type(" x")
    expect(place).to_have_text("tra")
    assert (visit.outside, visit.errors) == ([], [])
