"""The charts of a model in a real JupyterLab, with no network, in its light and its dark theme."""

from __future__ import annotations

from playwright.sync_api import expect

TRAIN = """\
import workbench
%load_ext workbench
store = workbench.connect()
store.sql('''
create table trips as
select i as id, i * 7919 % 1000 as distance, ['north', 'south', 'west'][1 + i % 3] as zone,
       i * 7919 % 1000 + hash(i) % 400 > 700 as slow
from range(3000) r(i)
''')
store.train('slow', 'select * from trips', label='slow', key='id', params={'n_estimators': 30})"""


def test_describe_draws_charts_that_ask_nothing_of_the_network(visit) -> None:
    visit.open(visit.lab.write("charts", TRAIN, "%mlstore describe slow"))
    visit.run(0)
    outputs = visit.run(1)
    # The page of the model, its static form, which hides behind it, and the chart.
    expect(outputs).to_have_count(3)
    expect(outputs.locator("table.mls-grid").filter(visible=True).first).to_be_visible()
    chart = outputs.locator("canvas")
    expect(chart).to_be_visible()
    assert chart.bounding_box()["width"] > 600
    chart.scroll_into_view_if_needed()
    visit.shoot("charts-light")
    visit.theme("Dark")
    drawn = visit.run(1).locator("canvas")
    expect(drawn).to_be_visible()
    drawn.scroll_into_view_if_needed()
    visit.shoot("charts-dark")
    assert visit.outside == []
