"""The shell command, on a store that is a plain DuckDB."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "notebook"))

from fake_store import Store

import workbench
from workbench import cli
from workbench.plain import templates


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    store = Store()
    store.addresses = []  # type: ignore[attr-defined]

    def connect(address: str | None = None) -> Store:
        store.addresses.append(address)  # type: ignore[attr-defined]
        return store

    monkeypatch.setattr(workbench, "connect", connect, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return store


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert cli.main(words) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_sql_is_printed_as_a_table(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "sql", "select 1 as a, null as b union all select 22, 'x'")
    assert out == " a  b\n──  ────\n 1  NULL\n22  x\n2 rows · 0.10 s · snapshot 3\n"
    assert store.closed


def test_a_query_needs_no_verb(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "42" in run(capsys, "select 42 as a")
    assert "42" in run(capsys, "select", "42", "as", "a")


def test_json_has_all_rows(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "--format", "json", "sql", "select i, [i] as l from range(50) t(i)"))
    assert len(rows) == 50
    assert rows[1] == {"i": 1, "l": [1]}


def test_json_of_dates_decimals_bytes_and_maps(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select date '2013-01-02' as d, 1.10 as n, 'a'::blob as b, {'x': time '03:04:05'} as s"
    (row,) = json.loads(run(capsys, "--format=json", "sql", query))
    assert row == {"d": "2013-01-02", "n": "1.10", "b": "61", "s": {"x": "03:04:05"}}


def test_csv_has_its_names_also_without_rows(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "sql", "select 'a,\"b' as x, {'k': 1} as y, null as z", "--format", "csv")
    assert list(csv.reader(io.StringIO(out))) == [["x", "y", "z"], ['a,"b', '{"k": 1}', ""]]
    assert run(capsys, "--format", "csv", "sql", "select 1 as a where false") == "a\n"


def test_runs_are_rows_too(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "late" in run(capsys, "refresh", "late")
    (row,) = json.loads(run(capsys, "refresh", "late", "--format", "json"))
    assert (row["name"], row["kind"]) == ("late", "transform")


def test_the_store_can_be_chosen_anywhere(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--store", "one", "select 1")
    run(capsys, "sql", "select 1", "--store=two")
    run(capsys, "select 1")
    assert store.addresses == ["one", "two", None]  # type: ignore[attr-defined]


def test_flags_belong_to_the_statement(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'store.refresh("late")' in run(capsys, "refresh", "late", "--plan")
    assert run(capsys, "refresh", "late", "--quiet") == ""
    assert "2 of 9 rows" in run(capsys, "sql", "--limit", "2", "select * from range(9)")


def test_an_error_is_a_block_on_stderr(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sql", "select nonsense from range(3) t(i)"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Not found\n")
    assert "LINE 1:" in captured.err and "Traceback" not in captured.err


def test_an_unknown_verb_is_suggested(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'describe'?" in run(capsys, "descrbe", "late", code=1)


def test_ctrl_c_says_what_was_kept(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    store.during = stop
    assert "Nothing was changed." in run(capsys, "refresh", "late", code=130)


FILE = """\
-- a pipeline
create table t as select * from range(10) r(i)
---
refresh late --quiet
---

select count(*) as n
from t
"""


def test_a_file_runs_statement_by_statement(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pipeline.mls").write_text(FILE)
    out = run(capsys, "run", "pipeline.mls", "--store", "here")
    assert out.splitlines()[-2].strip() == "10"
    assert store.addresses == ["here"]  # type: ignore[attr-defined]


def test_a_file_stops_at_its_first_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pipeline.mls").write_text(
        FILE.replace("refresh late --quiet", "refrsh late") + "---\nselect 'after'\n"
    )
    assert cli.main(["run", "pipeline.mls"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("pipeline.mls:4: This statement cannot be read\n")
    assert "after" not in captured.out


def test_values_of_a_file_have_names(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.mls").write_text("select 1 as a --as first\n---\nselect 2 as b")
    assert "first = Result, 1 row, 1 column" in run(capsys, "run", "p.mls")


def test_a_file_that_is_not_there(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be read" in run(capsys, "run", "nothing.mls", code=1)
    assert "usage" in run(capsys, "run", code=2)


def test_help_lists_the_verbs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "--help")
    assert all(word in out for word in ("describe", "train", "run FILE", "--store DIR"))
    assert "usage" in run(capsys, code=2)
    assert "describe NAME" in run(capsys, "describe", "--help")
    assert store.addresses == []  # type: ignore[attr-defined]


def test_a_format_that_there_is_not(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--format", "yaml", "tables"])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("words", "statement"),
    [
        (["load", "trips", "FROM", "data/*.csv", "KEY", "(id)"], "load trips FROM 'data/*.csv' KEY (id)"),
        (["load trips FROM 'a b.csv'"], "load trips FROM 'a b.csv'"),
        (["load", "trips", "FROM", "https://host/x.csv"], "load trips FROM 'https://host/x.csv'"),
        (["load", "trips", "FROM", "it's.csv"], "load trips FROM 'it''s.csv'"),
        (["describe", "features.late@3"], "describe features.late@3"),
        (["query", "q", "AS", "select 1 / 2"], "query q AS select 1 / 2"),
    ],
)
def test_quotes_that_the_shell_took_are_given_back(words: list[str], statement: str) -> None:
    assert cli._statement(words) == statement


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cell = {"cell_type": "markdown", "source": ["# Quick start\n", "text"]}
    (folder / "quickstart.ipynb").write_text(json.dumps({"cells": [cell]}))
    (folder / "broken.ipynb").write_text("not json")
    monkeypatch.setattr(templates, "folder", lambda: folder)
    return folder


def test_templates(store: Store, notebooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Quick start" in run(capsys, "template", "list")
    assert "was made" in run(capsys, "template", "new", "quickstart")
    assert Path("quickstart.ipynb").read_bytes() == (notebooks / "quickstart.ipynb").read_bytes()
    Path("quickstart.ipynb").write_text("mine")
    assert "is there already" in run(capsys, "template", "new", "quickstart", code=1)
    assert Path("quickstart.ipynb").read_text() == "mine"
    run(capsys, "template", "new", "quickstart", "other.ipynb")
    assert Path("other.ipynb").exists()
    assert "Did you mean 'quickstart'?" in run(capsys, "template", "new", "quikstart", code=1)
    assert "cannot be written" in run(capsys, "template", "new", "quickstart", "no/folder/x.ipynb", code=1)
    assert "template list" in run(capsys, "template", "copy", code=1)
    assert store.addresses == []  # type: ignore[attr-defined]


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "workbench.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mlstore ")


def test_a_pipe_that_closes_early_is_no_error() -> None:
    command = f"{sys.executable} -m workbench.cli --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "Broken" not in done.stderr
