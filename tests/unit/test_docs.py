"""The pages are true: their code runs, their links hold, and a built page asks for nothing from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCES = {"language"}
"""Pages whose examples stand alone, on tables of the reader's: they are parsed and not run."""
OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//"""
    r"""|<link(?![^>]+rel=["']?canonical)[^>]+href=["']?(?:https?:)?//"""
)


def has_code(page: Path) -> bool:
    return bool(re.search(r"^ *```(python|mlstore)", page.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if has_code(page)], ids=lambda page: page.stem)
def test_every_snippet_runs(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    command = [sys.executable, str(ROOT / "tests" / "snippets.py")]
    command += ["--parse"] if page.stem in REFERENCES else []
    done = subprocess.run(
        [*command, str(page)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_hold(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_a_built_page_loads_nothing_from_outside(site: Path) -> None:
    found = {page.name: OUTSIDE.findall(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert not {name: hits for name, hits in found.items() if hits}


@pytest.mark.slow
def test_the_reference_shows_every_verb(site: Path) -> None:
    import workbench

    reference = (site / "api" / "index.html").read_text(encoding="utf-8")
    verbs = [name for name in dir(workbench.Store) if not name.startswith("_")]
    assert not [verb for verb in verbs if f'id="workbench.Store.{verb}"' not in reference]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_templates_are_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.fixture(scope="module")
def texts(quickstart: Path) -> list[tuple[str, str]]:
    """Each cell of the executed quickstart, and what it shows as plain text."""
    cells = [cell for cell in nbformat.read(quickstart, as_version=4).cells if cell.cell_type == "code"]
    return [(re.sub(r"^%%?mlstore\s", "", cell.source), _text(cell)) for cell in cells]


@pytest.mark.slow
@pytest.mark.notebook
class TestQuickstart:
    """The executed quickstart says what its text says."""

    def shown(self, texts: list[tuple[str, str]], start: str) -> list[str]:
        return [text for source, text in texts if source.removeprefix("%%mlstore\n").startswith(start)]

    def test_it_uses_cells_of_the_language_only(self, quickstart: Path) -> None:
        cells = nbformat.read(quickstart, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        first, variables = [source for source in code if not re.match(r"%%?mlstore\s", source)]
        assert first == "%load_ext workbench"
        assert "workbench" not in variables

    def test_all_five_tables_are_there(self, texts: list[tuple[str, str]]) -> None:
        (tables,) = self.shown(texts, "tables")
        assert all(name in tables for name in ("flights", "weather", "planes", "airlines", "airports"))

    def test_new_flights_are_predicted_and_follow_changes(self, texts: list[tuple[str, str]]) -> None:
        before, after = self.shown(texts, "select carrier, flight, late_prediction,")
        assert [number in before for number in ("9001", "9002", "9003")] == [True, True, True]
        assert [number in after for number in ("9001", "9002", "9003")] == [True, True, False]
        assert before.count(" ok ") == 3

    def test_undo_takes_the_new_flights_back(self, texts: list[tuple[str, str]]) -> None:
        (count,) = self.shown(texts, "select count(*) as flights, count(*) filter")
        assert re.search(r"200,?089\D+0\b", count)


def _text(cell: nbformat.NotebookNode) -> str:
    parts = [output.get("data", output).get("text/plain", output.get("text", "")) for output in cell.outputs]
    return "\n".join(parts)
