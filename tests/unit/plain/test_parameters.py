"""The parameters of template notebooks."""

from __future__ import annotations

import pytest

from workbench.errors import InvalidData, NotFound
from workbench.plain.parameters import Parameter, fill, read

SOURCE = """\
# What to read.
table = "trips"  # the table
größe, rows = 1, 2
share = 0.2
names = ["a"]
label: str = "tip" # what to predict
quiet = False; limit = -5
nothing = None
path = table + ".csv"
"""


def notebook(source: object) -> dict[str, object]:
    tagged = {"source": source, "metadata": {"tags": ["parameters"]}}
    return {"cells": [{"source": "x = 1", "metadata": {}}, tagged]}


def test_plain_values_are_parameters() -> None:
    found = {each.name: each for each in read(notebook(SOURCE.splitlines(keepends=True)))}
    assert found["table"] == Parameter("table", "trips", "text", "the table")
    assert found["share"] == Parameter("share", 0.2, "number", "")
    assert found["label"].about == "what to predict"
    assert found["quiet"].kind == "choice"
    assert found["limit"].value == -5
    assert set(found) == {"table", "share", "label", "quiet", "limit", "nothing"}


def test_a_value_is_replaced_where_it_stands() -> None:
    made = fill(notebook(SOURCE), {"table": "it's \N{SNOWMAN}", "limit": 7, "quiet": True, "label": "fare"})
    source = made["cells"][1]["source"]
    space: dict[str, object] = {}
    exec(source, space)
    told = [space[name] for name in ("table", "limit", "quiet", "label")]
    assert told == ["it's \N{SNOWMAN}", 7, True, "fare"]
    assert "# the table" in source
    assert made["cells"][0] == {"source": "x = 1", "metadata": {}}


def test_code_never_gets_in() -> None:
    made = fill(notebook(SOURCE), {"table": '"); import os; ("'})
    assert read(made)[0].value == '"); import os; ("'


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(NotFound, match="tabel"):
        fill(notebook(SOURCE), {"tabel": "x"})
    for value in (3, True, None):
        with pytest.raises(InvalidData):
            fill(notebook(SOURCE), {"table": value})


def test_a_cell_that_is_no_python_has_none() -> None:
    assert read(notebook("%mlstore tables\nx = 1")) == ()
