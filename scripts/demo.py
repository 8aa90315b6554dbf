"""Run a template in a fresh folder; leave the executed notebook, its page and its store there."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary

TEMPLATES = Path(__file__).resolve().parent.parent / "notebooks"


class Narrated(NotebookClient):
    """A client that says which cell it is at, so that two minutes are not silent."""

    async def async_execute_cell(self, cell, cell_index, **options):
        """Execute one cell, and say how long it took."""
        if cell.cell_type != "code":
            return await super().async_execute_cell(cell, cell_index, **options)
        start = time.perf_counter()
        print(f"  {_title(cell.source):<70}", end="", flush=True)
        done = await super().async_execute_cell(cell, cell_index, **options)
        print(f"{time.perf_counter() - start:6.1f} s", flush=True)
        return done


def _title(source: str) -> str:
    lines = source.strip().splitlines()
    first = lines[1] if lines[0].strip() == "%%mlstore" and len(lines) > 1 else lines[0]
    return first[:68]


def run(folder: Path, name: str = "quickstart") -> Path:
    """Execute a template in `folder`, which is emptied first; return the executed notebook."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = folder / f"{name}.ipynb"
    notebook = nbformat.read(TEMPLATES / target.name, as_version=4)
    try:
        Narrated(
            notebook,
            timeout=600,
            store_widget_state=False,  # widgets would show as live ones that nobody answers
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    finally:
        nbformat.write(notebook, target)
        # JupyterLab shows the outputs of notebooks that it doesn't trust without styles and pictures. This
        # one has just been run here, by the user.
        NotebookNotary().sign(notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    target.with_suffix(".html").write_text(page, encoding="utf-8")
    return target


def main() -> int:
    """Run a template in the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to run; removed first")
    parser.add_argument("--template", default="quickstart", help="which one (default: quickstart)")
    given = parser.parse_args()
    print(f"Running {given.template}:")
    start = time.perf_counter()
    try:
        notebook = run(given.folder, given.template)
    except CellExecutionError as error:
        print(f"\n\n{given.template} failed:\n{error}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.perf_counter() - start:.0f} s. The results:")
    print(f"  notebook  {notebook}\n  page      {notebook.with_suffix('.html')}")
    print("Open the notebook in JupyterLab with:\n  make lab")
    return 0


if __name__ == "__main__":
    sys.exit(main())
