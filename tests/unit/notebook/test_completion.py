"""Completion in magics, through IPython's own completer."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_store import Store
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from workbench.notebook.completion import offset
from workbench.notebook.magics import load_ipython_extension


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell()
    load_ipython_extension(shell)
    shell.user_ns["store"] = Store()
    return shell


def complete(shell: InteractiveShell, marked: str) -> tuple[str, list[str]]:
    """Complete at the `|`; return what would be replaced, and with what."""
    cursor = marked.index("|")
    cell = marked.replace("|", "")
    assert shell.Completer is not None
    with provisionalcompleter():
        found = list(shell.Completer.completions(cell, cursor))
    replaced = {cell[each.start : each.end] for each in found}
    assert len(replaced) <= 1
    return (replaced.pop() if replaced else ""), [each.text for each in found]


@pytest.mark.parametrize(
    ("cell", "replaced", "offered"),
    [
        ("%%mlstore des|", "des", "describe"),
        ("%mlstore des|", "des", "describe"),
        ("x = 1\nruns = %mlstore refr|\ny = 2", "refr", "refresh"),
        ("%%mlstore\nselect * from fl|", "fl", "flights"),
        ("%%mlstore\nselect carr| from flights", "carr", "carrier"),
        ("%%mlstore train late L|", "L", "LABEL"),
        ("%mlstore describe fl|", "fl", "flights"),
    ],
)
def test_what_is_offered(shell: InteractiveShell, cell: str, replaced: str, offered: str) -> None:
    assert complete(shell, cell)[0] == replaced
    assert complete(shell, cell)[1][0] == offered


def test_nothing_else_is_offered_in_a_magic(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "flat.csv").touch()
    shell.user_ns["flock"] = 1
    assert complete(shell, "%%mlstore\nselect * from fl|")[1] == ["flights"]


@pytest.mark.parametrize(
    "cell", ["pri|", "import o|", "x.%mlstore tab|", "# %%mlstore\ntab|", "|%%mlstore tables"]
)
def test_other_cells_are_left_to_ipython(shell: InteractiveShell, cell: str) -> None:
    offered = complete(shell, cell)[1]
    assert "tables" not in offered and "trace" not in offered


def test_python_is_completed_as_ever(shell: InteractiveShell) -> None:
    assert "print" in complete(shell, "prin|")[1]


def test_completion_never_makes_a_store(shell: InteractiveShell, tmp_path: Path) -> None:
    del shell.user_ns["store"]
    assert "describe" in complete(shell, "%mlstore des|")[1]
    complete(shell, "%%mlstore\nselect * from |")
    assert list(tmp_path.iterdir()) == []


def test_letters_of_several_bytes_do_not_move_the_cursor(shell: InteractiveShell) -> None:
    assert complete(shell, "%%mlstore\nselect '東京 🚆 é', carr| from flights") == ("carr", ["carrier"])


def test_places() -> None:
    assert offset("ab\ncd", 1, 1) == 4
