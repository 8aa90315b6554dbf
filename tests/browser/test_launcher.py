"""Template notebooks from the Launcher: the card, the form, the notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

TITLE = "Predict a column of a file"


def test_a_card_asks_for_the_parameters_and_makes_a_notebook(visit: Visit, labextension: None) -> None:
    page, lab = visit.page, visit.lab
    (lab.work / "templates").mkdir()
    page.goto(f"{lab.url}/lab/tree/templates?token={lab.token}&reset")
    card = page.locator(".jp-LauncherCard", has_text=TITLE)
    expect(card).to_be_visible()
    visit.shoot("launcher")
    card.click()
    form = page.locator(".jp-Dialog")
    expect(form).to_contain_text("the column to predict")
    form.get_by_label("table").fill("homes")
    form.get_by_label("holdout").fill("0.25")
    form.get_by_label("predict").uncheck()
    visit.shoot("launcher-form")
    form.get_by_role("button", name="Create").click()
    page.locator(".jp-Notebook").wait_for()
    expect(visit.cell(0)).to_contain_text('"homes"'.replace('"', "'"))
    made = json.loads((lab.work / "templates" / "predict_a_column.ipynb").read_text())
    source = "".join(made["cells"][1]["source"])
    assert "holdout = 0.25" in source
    assert "predict = False" in source
    visit.shoot("launcher-notebook")
    assert visit.outside == []
    assert visit.errors == []


def test_the_palette_has_the_templates_and_cancel_makes_nothing(visit: Visit, labextension: None) -> None:
    page, lab = visit.page, visit.lab
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.locator(".jp-LauncherCard", has_text=TITLE).wait_for()
    search = page.locator(".lm-CommandPalette-input")

    def is_there() -> bool:
        page.keyboard.press("Control+Shift+C")
        return search.count() == 1 and bool(search.evaluate("field => field === document.activeElement"))

    visit.until(is_there, "the palette is open")  # its shortcut may come after the Launcher
    page.keyboard.type("predict a column")
    page.locator(".lm-CommandPalette-item", has_text=TITLE).click()
    page.locator(".jp-Dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert not list(lab.work.glob("predict_a_column*"))
