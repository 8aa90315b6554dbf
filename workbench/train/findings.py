"""What was found out about a model when it was trained, read back from the records to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines.duckdb import fetch
from workbench.lake import Result
from workbench.lake.description import Chart

if TYPE_CHECKING:
    from workbench.lake import Lake
    from workbench.train.model import Model

_MOST_BARS = 15

# Rows stand in the order in which they were recorded: the most important feature, the worst slice first.
_IMPORTANCE = (
    "SELECT feature, metric, permutation, permutation_sd, shap FROM lake.mlstore.importance WHERE {} "
    "ORDER BY rowid"
)
_SLICES = (
    "SELECT segment, rows, of_rows, metric, value, rest, loss, difference, low, high "
    "FROM lake.mlstore.slices WHERE {} ORDER BY rowid"
)
_CONFUSION = (
    "SELECT coalesce(actual, 'all others') AS actual, coalesce(predicted, 'all others') AS predicted, rows, "
    "rows / sum(rows) OVER (PARTITION BY actual) AS share FROM lake.mlstore.confusion WHERE {} "
    "ORDER BY rowid"
)
_CALIBRATION = (
    'SELECT x AS predicted, y AS "came true", rows FROM lake.mlstore.curves '
    "WHERE {} AND curve = 'calibration' ORDER BY rowid"
)
_CURVE = (
    "SELECT x AS {x}, y AS {y}, series FROM lake.mlstore.curves WHERE {{}} AND curve = '{curve}' "
    "ORDER BY rowid"
)


def found_tables(lake: Lake, model: Model) -> dict[str, Result]:
    """Return importances, worst segments and counts as tables; none of a model without records of them."""
    tables = {
        "Importance": _read(lake, model, _IMPORTANCE),
        "Worst slices": _read(lake, model, _SLICES),
        "Confusion matrix": _read(lake, model, _CONFUSION),
        "Calibration": _read(lake, model, _CALIBRATION),
    }
    return {title: result for title, result in tables.items() if len(result)}


def found_charts(lake: Lake, model: Model) -> dict[str, Chart]:
    """Return the charts of a model; none where there is nothing to draw."""
    bars = _read(lake, model, f"{_IMPORTANCE} LIMIT {_MOST_BARS}")
    by = "permutation" if bars.table["permutation"].null_count < len(bars) else "shap"
    roc = {"curve": "roc", "x": '"false positive rate"', "y": '"true positive rate"'}
    detection = {"curve": "precision_recall", "x": "recall", "y": "precision"}
    residuals = {"curve": "residuals", "x": "predicted", "y": '"actual − predicted"'}
    kept = {"curve": "explained_variance", "x": "components", "y": '"variance kept"'}
    scores = {"curve": "strangeness", "x": '"share of the rows"', "y": "score"}
    charts = {
        "Importance": Chart(bars, "bar", by, "feature"),
        "Confusion matrix": Chart(
            _read(lake, model, _CONFUSION), "heat", "predicted", "actual", series="share"
        ),
        "ROC": Chart(
            _read(lake, model, _CURVE.format(**roc)),
            "line",
            "false positive rate",
            "true positive rate",
            series="series",
            diagonal=True,
        ),
        "Precision and recall": Chart(
            _read(lake, model, _CURVE.format(**detection)), "line", "recall", "precision", series="series"
        ),
        "Calibration": Chart(
            _read(lake, model, _CALIBRATION), "line", "predicted", "came true", diagonal=True
        ),
        "Residuals by predicted value": Chart(
            _read(lake, model, _CURVE.format(**residuals)),
            "line",
            "predicted",
            "actual − predicted",
            series="series",
        ),
        "Explained variance": Chart(
            _read(lake, model, _CURVE.format(**kept)), "line", "components", "variance kept", series="series"
        ),
        "Scores of the held-out rows": Chart(
            _read(lake, model, _CURVE.format(**scores)), "line", "share of the rows", "score", series="series"
        ),
    }
    return {title: chart for title, chart in charts.items() if len(chart.data)}


def _read(lake: Lake, model: Model, query: str) -> Result:
    """Run a query whose braces stand for the condition that a row is one of the model's."""
    sql = query.format("model = $name AND version = $version")
    params = {"name": model.name, "version": model.version}
    return Result(fetch(lake.run(lake.cursor(), sql, params)))
