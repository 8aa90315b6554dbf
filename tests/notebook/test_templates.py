"""Every template runs, with the parameters it comes with and with others."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from workbench.plain import parameters, templates


def test_predict_a_column(tmp_path: Path) -> None:
    values = {"table": "homes", "label": "area", "holdout": 0.3}
    made = parameters.fill(templates.read("predict-a-column"), values)
    notebook = nbformat.from_dict(made)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert "predicted_area" in last.outputs[-1]["data"]["text/plain"]
