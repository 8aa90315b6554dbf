"""What is left of widgets without a kernel: in exported pages, on GitHub, in a notebook opened again."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from workbench.notebook.widgets.base import VIEW

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode
    from playwright.sync_api import Browser

    from tests.browser.conftest import Lab, Visit

MAKE = """\
import workbench
%load_ext workbench
store = workbench.connect()
store.load('trips', [{'id': i, 'km': i % 7, 'slow': i % 7 > 3} for i in range(300)], key='id')
store.transform('trip_features', 'select id, standardize(km) as km, slow from trips',
                on='trips', key='id', when='on write')
store.train('slow', 'select * from trip_features', label='slow', key='id', model='logistic')
store.bind('late', on='trip_features', model='slow')
store.sql('update trips set km = km + 1 where id < 3');"""

SHOWN = {
    "explore trips": ("trips", "300 rows", "km"),
    "build trips": ("transform trips_features ON trips KEY (id)", "20 of 300 rows", "km"),
    "diff trips@3": ("3 changed", "km_before"),
    "runs": ("trip_features", "slow", "late"),
    "lineage late": ("trips", "trip_features", "slow"),
    "describe slow": ("slow", "accuracy", "champion"),
    "describe late": ("trip_features", "300"),
}
"""Statements that show a widget, and words that must be left of each without one."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook with each widget, run without a front end, as `nbconvert --execute` runs one."""
    folder = tmp_path_factory.mktemp("static")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(each) for each in (MAKE, *(f"%mlstore {said}" for said in SHOWN))]
    )
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / "static.ipynb")
    return folder / "static.ipynb"


def cells(notebook: NotebookNode) -> dict[str, Any]:
    return {each.source.removeprefix("%mlstore "): each for each in notebook.cells[1:]}


def missing(words: tuple[str, ...], text: str) -> list[str]:
    return [word for word in words if word not in text]


def test_each_widget_has_a_static_form_without_scripts(executed: Path) -> None:
    notebook = nbformat.read(executed, as_version=4)
    for statement, cell in cells(notebook).items():
        bundles = [
            each.data for each in cell.outputs if each.output_type in ("display_data", "execute_result")
        ]
        static, live = bundles[0], bundles[1]
        assert VIEW in live and VIEW not in static, statement
        assert not missing(SHOWN[statement], static["text/html"]), statement
        assert not missing(SHOWN[statement], static["text/plain"]), statement
        assert live.get("text/plain", "") == "", "a front end without widgets would show it"
        assert not re.search(r"<script|\son\w+=|https?://(?!www\.w3\.org/)|javascript:", static["text/html"])


def test_what_is_left_of_a_notebook_that_is_not_trusted(visit: Visit, lab: Lab, executed: Path) -> None:
    """JupyterLab takes styles and scripts out of it, as GitHub does."""
    shutil.copy(executed, lab.work / "untrusted.ipynb")
    visit.open("untrusted.ipynb")
    for number, (statement, words) in enumerate(SHOWN.items(), 1):
        cell = visit.cell(number)
        cell.scroll_into_view_if_needed()
        static = cell.locator(".jp-RenderedHTMLCommon").first
        expect(static).to_be_visible()
        text = static.inner_text().replace("\n", " ")
        assert static.locator("style, script").count() == 0 and "{" not in text, statement
        assert "As it was saved" not in text and not missing(words, text), statement
    visit.cell(1).evaluate("cell => cell.scrollIntoView({block: 'start'})")
    visit.shoot("static-untrusted")
    assert visit.outside == []


@pytest.mark.parametrize("state", [False, True], ids=["without", "with widget state"])
def test_an_exported_page_shows_the_static_form(
    executed: Path, browser: Browser, tmp_path: Path, state: bool
) -> None:
    notebook = nbformat.read(executed, as_version=4)
    if not state:
        notebook.metadata.pop("widgets", None)
    assert ("widgets" in notebook.metadata) is state
    page_text, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "page.html").write_text(page_text, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1100, "height": 1000})
    page = context.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto(f"file://{tmp_path}/page.html")
    for number, words in enumerate(SHOWN.values(), 1):
        cell = page.locator(".jp-CodeCell").nth(number)
        static = cell.locator(".jp-OutputArea-child", has=page.locator(".mls")).first
        expect(static).to_be_visible()
        assert not missing(words, static.inner_text().replace("\n", " "))
        expect(cell.get_by_text("Error displaying widget")).to_have_count(0)
    before = page.evaluate("getComputedStyle(document.querySelector('.mls-static'), '::before').content")
    assert before == "none", "a page cannot be run again"
    context.close()


def test_a_notebook_opened_again_shows_them_and_how_they_come_back(
    visit: Visit, lab: Lab, executed: Path
) -> None:
    visit.open(lab.trust(executed))
    for number, words in enumerate(SHOWN.values(), 1):
        cell = visit.cell(number)
        cell.scroll_into_view_if_needed()
        static = cell.locator(".jp-OutputArea-child", has=visit.page.locator(".mls-static"))
        expect(static).to_be_visible()
        assert not missing(words, static.inner_text().replace("\n", " "))
        # The state of the widget was saved too: it could be drawn, but nobody would answer it.
        expect(cell.locator(".jp-OutputArea-child").nth(1)).to_be_hidden()
    first = visit.cell(1)
    first.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    tall = "() => parseFloat(getComputedStyle(document.querySelector('.mls-static'), '::before').height) > 15"
    visit.page.wait_for_function(tall)
    visit.shoot("static-reopened")
    visit.run(0)
    visit.run(1)
    expect(first.locator(".mlw")).to_be_visible()
    expect(first.locator(".mls-static")).to_be_hidden()
    assert (visit.outside, visit.errors) == ([], [])
