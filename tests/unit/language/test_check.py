"""Mistakes: what is wrong in a cell, where, before it is run and from the error of its run."""

import pytest

import workbench
from workbench.errors import WorkbenchError
from workbench.language.check import check, mistakes_of_run


def marked(cell: str) -> list[str]:
    """Return what is underlined in a cell."""
    return [cell[each.start : each.end] for each in check(cell)]


@pytest.mark.parametrize(
    ("cell", "underlined"),
    [
        ("%%mlstore trian late", ["trian"]),
        ("%%mlstore transform f KYE (id) AS\nselect 1", ["KYE"]),
        ("%%mlstore transform f KEY (id) USING python AS\ndef f(x:\n    pass", ["("]),
        ("%%mlstore transform f KEY (id) AS\nselect id frm trips where", ["trips"]),
        ("%%mlstore\nselect count(*) fro trips", ["trips"]),
        ("%%mlstore\n\n\nselect '東京 🚆 é', from where trips", ["where"]),
        ("%%mlstore train m LABEL x AS", ["x"]),
        ("%%mlstore describe", ["describe"]),
        ("x = 1\ny = %mlstore descrbe x\n%mlstore tables\n%mlstore undo t TO", ["descrbe", "TO"]),
        ("%%mlstore tables --plam", ["--plam"]),
    ],
)
def test_what_is_underlined(cell: str, underlined: list[str]) -> None:
    assert marked(cell) == underlined


@pytest.mark.parametrize(
    "cell",
    [
        "", "x = 1", "%%mlstore", "%%mlstore\n", "%%mlstore\n-- later", "%%mlstore --plan\nselect 1",
        "%mlstore connect 'folder'", "%mlstore template list", "%%mlstore --help", "%%mlstore train --help",
        "%%mlstore\nselect predict(late, t.*) from trips as t where fare > $least",
        "%%mlstore\nfrom trips select zone; delete from trips where id = 3",
        "%%mlstore transform f ON trips KEY (id) USING python AS\ndef f(batch):\n    return batch",
        "%%timeit\n%%mlstore nothing",
    ],
)  # fmt: skip
def test_what_is_right_is_left_alone(cell: str) -> None:
    assert check(cell) == []


def test_the_place_is_said_in_lines_and_columns_too() -> None:
    (found,) = check("\n%%mlstore transform f\n  KYE (id) AS\nselect 1")
    assert (found.line, found.column) == (3, 3)
    assert found.message == "'KYE' cannot stand here."
    assert found.hint == "Did you mean 'KEY'?"


def test_the_place_in_a_long_line_of_which_duckdb_shows_a_part() -> None:
    columns = ", ".join(f"column_{i}" for i in range(60))
    cell = f"%%mlstore\nselect {columns} fro m trips, {columns}"
    assert marked(cell) == ["m"]


@pytest.mark.parametrize(
    ("cell", "underlined"),
    [
        ("%%mlstore\nselect *\nfrom tripps", "tripps"),
        ("%%mlstore\nselect zone, far\nfrom trips", "far"),
        ("%%mlstore query q AS\nselect nothing(zone) from trips", "nothing"),
        ("%mlstore describe tripps", "tripps"),
        ("x = 1\n%mlstore refresh tripps", "tripps"),
        ("%%mlstore transform f ON trips KEY (idd) AS\nselect id from trips", "idd"),
    ],
)
def test_the_error_of_a_run_has_a_place(store: workbench.Store, cell: str, underlined: str) -> None:
    store.sql("create table trips as select 1 as id, 'a' as zone, 2.0 as fare")
    statement = cell[cell.index("%") :]
    with pytest.raises(WorkbenchError) as raised:
        store.execute(statement)
    (found,) = mistakes_of_run(cell, str(raised.value))
    assert cell[found.start : found.end] == underlined


def test_an_error_without_a_place_underlines_nothing() -> None:
    assert mistakes_of_run("%%mlstore\nselect 1", "The disk is full.") == []
    assert mistakes_of_run("print(1)", "name 'x' is not defined") == []
