"""Help for every verb, running statements on a store, and what importing costs."""

# ruff: noqa: E501 (cases in tables stay on one line)

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.answers import PlanReport
from workbench.errors import NotFound, StatementError
from workbench.language import VERBS, HelpText, execute, help_text, parse
from workbench.language.statement import parts
from workbench.language.verbs import METHODS


class Recorder:
    """A store that only notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in METHODS:
            raise AttributeError(name)

        def record(*args: Any, **arguments: Any) -> str:
            self.calls.append((" ".join([name, *args]), arguments))
            return f"result of {name}"

        return record

    def plan(self, verb: str, **arguments: Any) -> PlanReport:
        self.calls.append((f"plan {verb}", arguments))
        return PlanReport(verb, "does nothing")


def run(text: str, **options: Any) -> tuple[object, list[tuple[str, dict[str, Any]]]]:
    store = Recorder()
    return execute(store, text, **options), store.calls


@pytest.mark.parametrize("verb", METHODS)
def test_help_of_each_verb_has_synopsis_clauses_and_example(verb: str) -> None:
    cls = METHODS[verb]
    text = help_text(verb)
    summary = (cls.__doc__ or "").strip()
    assert summary.endswith(".")
    assert summary in text
    assert cls.example.split("\n")[0] in text
    for part in parts(cls):
        assert part.help.endswith("."), part
        assert part.help in text
        assert part.keyword in text
        assert all(word in text for word in part.words)
    assert max(len(line) for line in text.split("\n")) <= 110
    assert f"  {verb} " in help_text()


def test_help_of_another_word() -> None:
    with pytest.raises(NotFound, match="train"):
        help_text("trian")


def test_statement_calls_the_store() -> None:
    assert run("refresh f full") == ("result of refresh", [("refresh", {"name": "f", "full": True})])
    assert run("tables") == ("result of tables", [("tables", {})])
    assert run("select 1")[1] == [("sql", {"query": "select 1"})]
    statement = parse("drop f --quiet")
    assert execute(Recorder(), statement) == "result of drop"


def test_plan_does_nothing() -> None:
    result, calls = run("train m LABEL y --plan AS select 1")
    assert isinstance(result, PlanReport)
    assert result.python == 'store.train("m", "select 1", label="y")'
    assert calls == [("plan train", {"name": "m", "query": "select 1", "label": "y"})]
    assert run("select 1 --plan")[1] == [("plan sql", {"query": "select 1"})]


def test_help_asks_no_store() -> None:
    result, calls = run("train --help")
    assert isinstance(result, HelpText)
    assert str(result) == repr(result) == help_text("train")
    assert calls == []


def test_variables_are_sources() -> None:
    frame = object()
    assert run("load t FROM $frame", variables={"frame": frame})[1] == [
        ("load", {"table": "t", "source": frame})
    ]
    with pytest.raises(NotFound, match="Did you mean 'frame'"):
        run("load t FROM $fraem", variables={"frame": frame, "_hidden": 1})
    with pytest.raises(NotFound, match="no variable 'frame'"):
        run("load t FROM $frame")


def test_variables_are_parameters_of_sql() -> None:
    pytest.importorskip("workbench.engines.duckdb")
    variables = {"low": 1, "high": 2, "unused": 3}
    query = "select $low; select '$no', $$ $no $$ from t where x < $high"
    assert run(query, variables=variables)[1] == [("sql", {"query": query, "params": {"low": 1, "high": 2}})]
    assert run("select '$low'", variables=variables)[1] == [("sql", {"query": "select '$low'"})]
    with pytest.raises(NotFound, match="Did you mean 'high'"):
        run("select $hihg", variables=variables)
    with pytest.raises(StatementError, match=r"Write \$name"):
        run("select ?", variables=variables)


def test_parameters_are_named_by_the_function_given() -> None:
    calls = run("select $a", variables={"a": 1, "b": 2}, parameters=lambda sql: {"b"})[1]
    assert calls == [("sql", {"query": "select $a", "params": {"b": 2}})]


def test_importing_is_cheap() -> None:
    code = "import sys, workbench.language; print([m for m in ('lark', 'duckdb', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The reference -------------------------------------------------------------

REFERENCE = Path(__file__).parents[3] / "docs" / "language.md"


def blocks() -> list[str]:
    found, lines = [], REFERENCE.read_text(encoding="utf-8").split("\n")
    start = None
    for number, line in enumerate(lines):
        if line.startswith("```mlstore"):
            start = number + 1
        elif line.startswith("```") and start is not None:
            found.append("\n".join(lines[start:number]))
            start = None
    return found


@pytest.mark.parametrize("block", blocks())
def test_examples_of_the_reference_are_read(block: str) -> None:
    statement = parse(block)
    assert parse(str(statement)) == statement


def test_reference_has_every_verb_and_clause() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    shown = {parse(block).verb for block in blocks()}
    assert set(METHODS) <= shown
    for verb, cls in VERBS.items():
        section = text.partition(f"\n### {verb}\n")[2].partition("\n### ")[0]
        assert section, verb
        assert help_text(verb).partition("\n\n")[0] in section
        for part in parts(cls):
            assert part.keyword in section
