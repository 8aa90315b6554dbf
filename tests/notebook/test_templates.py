"""The templates run from their first cell to their last in a real kernel, and show what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.plain import parameters, templates

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.notebook]


def executed(name: str, folder: Path) -> list[tuple[str, str, str]]:
    """Run a template; return for each cell its source, and its output as text and as HTML."""
    script = [sys.executable, str(ROOT / "scripts" / "demo.py"), str(folder), "--template", name]
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = nbformat.read(folder / f"{name}.ipynb", as_version=4).cells
    found = []
    for cell in cells:
        if cell.cell_type == "code":
            data = [output.get("data", {}) for output in cell.outputs]
            texts = ["\n".join(each.get(kind, "") for each in data) for kind in ("text/plain", "text/html")]
            found.append((cell.source, *texts))
    return found


def shown(cells: list[tuple[str, str, str]], words: str) -> str:
    """Return what the cell with these words in it shows, as text."""
    (found,) = [text for source, text, _ in cells if words in source]
    return found


def test_voice_of_the_customer(tmp_path: Path) -> None:
    cells = executed("voice_of_the_customer", tmp_path / "run")
    new = shown(cells, "m.feeling")
    assert [word in new for word in ("negative", "positive", "neutral")] == [True] * 3
    assert new.count("384") == 3
    assert len(re.findall("courier|parc|deliver", shown(cells, "embed($question)"))) >= 3
    assert "5001" in shown(cells, "it got lost in the mail")


def test_product_catalogue(tmp_path: Path) -> None:
    cells = executed("product_catalogue", tmp_path / "run")
    (pictures,) = [html for source, _, html in cells if "select id, name, price, image" in source]
    assert pictures.count('<img src="data:image/png;base64,') == 4
    new = shown(cells, "label_model")
    assert new.count("onnx:classifier.onnx@") == 6
    right = re.findall(r"(?:book|lamp|mug|shirt) +\d+ +([\d.]+)", shown(cells, "right_percent"))
    assert len(right) == 4
    assert min(map(float, right)) > 90


def test_predict_a_column_with_other_parameters(tmp_path: Path) -> None:
    values = {"table": "homes", "label": "area", "holdout": 0.3}
    notebook = nbformat.from_dict(parameters.fill(templates.read("predict_a_column"), values))
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert "predicted_area" in last.outputs[-1]["data"]["text/plain"]
