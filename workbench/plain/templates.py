"""The notebooks that come with the package, as starting points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidData, NotFound, StatementError
from workbench.plain import parameters
from workbench.plain.blocks import Grid, Note
from workbench.plain.nouns import Report
from workbench.plain.parameters import Parameter

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


@dataclass(frozen=True, slots=True)
class Template:
    """A notebook that comes with the package: its title, its first paragraph, what can be set in it."""

    name: str
    title: str
    about: str
    parameters: tuple[Parameter, ...]


def templates() -> tuple[Template, ...]:
    """Describe the templates."""
    return tuple(_describe(path) for path in _paths())


def read(name: str) -> dict[str, Any]:
    """Return a template as a notebook in JSON.

    Raises
    ------
    NotFound
        If there is no such template.
    """
    return _notebook(_find(name))


def listing() -> Grid:
    """List the templates with their titles."""
    rows = [(each.name, each.title) for each in templates()]
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
    source = _find(name)
    target = path / source.name if path.is_dir() else path
    try:
        with target.open("xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        raise InvalidData(
            f"{target} is there already; it was left as it is.", hint="Give another path at the end."
        ) from None
    except OSError as error:
        raise InvalidData(f"{target} cannot be written: {error.strerror}.") from error
    return target


def _paths() -> list[Path]:
    return sorted(folder().glob("*.ipynb"))


def _find(name: str) -> Path:
    known = {each.stem: each for each in _paths()}
    if name not in known:
        raise NotFound.named("template", name, known)
    return known[name]


def _describe(path: Path) -> Template:
    """Describe a notebook by its first heading and the paragraph after it."""
    notebook = _notebook(path)
    text = "\n".join("".join(cell.get("source", "")) for cell in notebook["cells"][:2])
    heading, _, rest = text.partition("\n")
    about = next((each.strip() for each in rest.split("\n\n") if each.strip()), "")
    title = heading.lstrip("# ").strip() if heading.startswith("#") else ""
    return Template(path.stem, title, about if title else "", parameters.read(notebook))


def _notebook(path: Path) -> dict[str, Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        notebook = {}
    return {"cells": [], **notebook}
