"""The notebooks that come with the package, as starting points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import InvalidData, NotFound, StatementError
from workbench.plain.blocks import Grid, Note
from workbench.plain.nouns import Report

_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """Return where the templates are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "notebooks"


def answer(words: Sequence[str]) -> Report:
    """Answer `template list` and `template new NAME [PATH]`, given the words after `template`.

    Raises
    ------
    StatementError
        If the words say neither.
    NotFound, InvalidData
        See `new`.
    """
    if list(words) in ([], ["list"]):
        return Report((listing(),))
    if words[0] == "new" and len(words) in (2, 3):
        path = new(words[1], *map(Path, words[2:]))
        return Report((Note(f"{path} was made from the template {words[1]!r}.", "good"),))
    raise StatementError(
        f"There is no 'template {' '.join(words)}'.",
        hint="Write: template list, or: template new NAME [PATH]",
        expected=("list", "new"),
    )


def listing() -> Grid:
    """List the templates with their titles."""
    rows = [(path.stem, _title(path)) for path in _paths()]
    footer = "template new NAME copies one here" if rows else "no templates are installed"
    return Grid.of_rows(["template", "about"], rows, footer=footer)


def new(name: str, path: Path = Path()) -> Path:
    """Copy a template to `path`, a file or a folder; returns the file.

    Raises
    ------
    NotFound
        If there is no such template.
    InvalidData
        If the file is there already, or its folder is not.
    """
    known = {each.stem: each for each in _paths()}
    if name not in known:
        raise NotFound.named("template", name, known)
    target = path / known[name].name if path.is_dir() else path
    try:
        with target.open("xb") as file:
            file.write(known[name].read_bytes())
    except FileExistsError:
        raise InvalidData(
            f"{target} is there already; it was left as it is.", hint="Give another path at the end."
        ) from None
    except OSError as error:
        raise InvalidData(f"{target} cannot be written: {error.strerror}.") from error
    return target


def _paths() -> list[Path]:
    return sorted(folder().glob("*.ipynb"))


def _title(path: Path) -> str:
    """Return the first heading of a notebook, empty where there is none."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8")).get("cells", [])
    except ValueError:
        return ""
    lines = (line for cell in cells for line in "".join(cell.get("source", "")).splitlines())
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")
