"""Outputs, panel and cells stand in one page: no style of one may reach another."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.notebook.style import CSS

ROOT = Path(__file__).resolve().parents[3]


def classes(text: str) -> set[str]:
    """Return the classes that a style sheet names."""
    return set(re.findall(r"\.(ml[a-z]-[a-z][a-z-]*)", text))


def test_no_class_has_two_homes() -> None:
    style = ROOT / "extension" / "style"
    widgets = (ROOT / "workbench" / "notebook" / "widgets" / "widgets.css").read_text(encoding="utf-8")
    outputs = classes(CSS) | classes(widgets)
    panel, cells = (
        classes((style / f"{name}.css").read_text(encoding="utf-8")) for name in ("panel", "cells")
    )
    assert outputs and panel and cells
    assert not outputs & panel
    assert not outputs & cells
    assert not panel & cells
