"""Charts of a report, drawn by Altair: a Vega-Lite specification, and the same numbers as text.

JupyterLab renders the specification itself, with no network, and keeps a picture of it in the
notebook. Text and axes are of a grey that reads on light and on dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.plain import Grid, render

if TYPE_CHECKING:
    from workbench.lake.description import Chart

VEGA_LITE = "application/vnd.vegalite.v5+json"

_COLUMNS = 3
_SIZE = 240
_TEXT_ROWS = 10
_GREY = "#767676"
_BLUE = "#3b82d6"
_SERIES = ("#3b82d6", "#d9822b", "#2f9e68", "#b565c9", "#c94f4f", "#5b8f99", "#8a8f2a", "#7a6fd0")


def bundle(charts: Mapping[str, Chart]) -> dict[str, Any]:
    """Return charts side by side as one mime bundle."""
    return {VEGA_LITE: specification(charts), "text/plain": as_text(charts)}


def specification(charts: Mapping[str, Chart]) -> dict[str, Any]:
    """Return the Vega-Lite specification of charts side by side, with their rows in it."""
    import altair as alt

    drawn = [_draw(title, chart) for title, chart in charts.items()]
    both = alt.concat(*drawn, columns=_COLUMNS).resolve_scale(color="independent")
    spec: dict[str, Any] = (
        both.configure(background="transparent")
        .configure_view(stroke=_GREY, strokeOpacity=0.3)
        .configure_title(color=_GREY, anchor="start", fontSize=12)
        .configure_axis(
            labelColor=_GREY,
            titleColor=_GREY,
            tickColor=_GREY,
            domainColor=_GREY,
            gridColor=_GREY,
            gridOpacity=0.15,
            titleFontWeight="normal",
        )
        .configure_legend(labelColor=_GREY, titleColor=_GREY, titleFontWeight="normal")
        .to_dict()
    )
    return spec


def as_text(charts: Mapping[str, Chart]) -> str:
    """Write the rows of charts as tables, for where no chart can be drawn; long ones thinned."""
    grids = []
    for title, chart in charts.items():
        table = chart.data.to_arrow()
        step = max(1, -(-table.num_rows // _TEXT_ROWS))
        few = table.take(list(range(0, table.num_rows, step))) if step > 1 else table
        footer = f"every {step}th of {table.num_rows:,} points" if step > 1 else ""
        grids.append(Grid.of_arrow(few, limit=_TEXT_ROWS, title=title, footer=footer, brief=True))
    return render(grids)


def _draw(title: str, chart: Chart) -> Any:
    import altair as alt

    rows = alt.Data(values=chart.data.rows())
    base = alt.Chart(rows, title=title, width=_SIZE, height=_SIZE)
    if chart.mark == "bar":
        return _bars(base, chart)
    return _heat(base, chart) if chart.mark == "heat" else _lines(base, chart)


def _bars(base: Any, chart: Chart) -> Any:
    import altair as alt

    return base.mark_bar(color=_BLUE).encode(
        x=alt.X(field=chart.x, type="quantitative", title=chart.x),
        y=alt.Y(field=chart.y, type="nominal", sort=None, title=None),
        tooltip=_tooltip(chart),
    )


def _heat(base: Any, chart: Chart) -> Any:
    import altair as alt

    rows = chart.data.rows()
    # Both axes have all values, in one order.
    order = list(dict.fromkeys([row[chart.y] for row in rows] + [row[chart.x] for row in rows]))
    scale = alt.Scale(domain=order)
    return base.mark_rect().encode(
        x=alt.X(field=chart.x, type="nominal", scale=scale, title=chart.x, axis=alt.Axis(labelAngle=-30)),
        y=alt.Y(field=chart.y, type="nominal", scale=scale, title=chart.y),
        color=alt.Color(
            field=chart.series, type="quantitative", title=chart.series, scale=alt.Scale(scheme="blues")
        ),
        tooltip=_tooltip(chart),
    )


def _lines(base: Any, chart: Chart) -> Any:
    import altair as alt

    values = [row[chart.x] for row in chart.data.rows()]
    # Rates and probabilities are drawn from 0 to 1, to compare; other values where they are.
    rates = min(values) >= 0 and max(values) <= 1
    scale = alt.Scale(domain=[0, 1]) if rates else alt.Scale(zero=False)
    # The order of the rows, not of x: where y jumps at one x, a line ordered by x would zigzag.
    line = base.mark_line(point=len(chart.data) <= 2 * _TEXT_ROWS, strokeWidth=1.8).encode(
        x=alt.X(field=chart.x, type="quantitative", title=chart.x, scale=scale),
        y=alt.Y(field=chart.y, type="quantitative", title=chart.y),
        order=alt.Order(field="_place", type="quantitative"),
        color=_colour(chart),
        tooltip=_tooltip(chart),
    )
    line = line.transform_window([alt.WindowFieldDef(op="row_number", **{"as": "_place"})])
    if not chart.diagonal:
        return line
    ends = alt.Data(values=[{chart.x: 0, chart.y: 0}, {chart.x: 1, chart.y: 1}])
    diagonal = (
        alt.Chart(ends)
        .mark_line(color=_GREY, strokeDash=[4, 3], strokeWidth=1)
        .encode(x=alt.X(field=chart.x, type="quantitative"), y=alt.Y(field=chart.y, type="quantitative"))
    )
    return alt.layer(diagonal, line, title=base.title, width=_SIZE, height=_SIZE)


def _colour(chart: Chart) -> Any:
    import altair as alt

    if not chart.series or len({row[chart.series] for row in chart.data.rows()}) == 1:
        return alt.value(_BLUE)
    scale = alt.Scale(range=list(_SERIES))
    return alt.Color(field=chart.series, type="nominal", title=None, sort=None, scale=scale)


def _tooltip(chart: Chart) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip(
            field=each.name, type="nominal" if str(each.type) == "string" else "quantitative", title=each.name
        )
        for each in chart.data.table.schema
    ]
