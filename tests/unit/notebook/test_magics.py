"""The magics in an IPython shell, on a store that is a plain DuckDB."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_store import Store
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

import workbench
from workbench.errors import Interrupted, NotFound, StatementError, WorkbenchError
from workbench.lake.result import Result
from workbench.notebook.magics import load_ipython_extension


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell()
    load_ipython_extension(shell)
    shell.user_ns["store"] = Store()
    return shell


def run(shell: InteractiveShell, cell: str) -> Any:
    result = shell.run_cell(cell)
    assert result.error_in_exec is None, result.error_in_exec
    return result.result


def fail(shell: InteractiveShell, cell: str) -> BaseException:
    result: ExecutionResult = shell.run_cell(cell)
    assert result.error_in_exec is not None
    return result.error_in_exec


def block(error: BaseException) -> str:
    lines = error._render_traceback_()  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_a_cell_of_sql_gives_its_result(shell: InteractiveShell) -> None:
    result = run(shell, "%%mlstore\nselect 42 as answer")
    assert isinstance(result, Result)
    assert result.to_arrow().to_pylist() == [{"answer": 42}]


def test_a_semicolon_at_the_end_hides_nothing(shell: InteractiveShell) -> None:
    assert len(run(shell, "%%mlstore\nselect 1;")) == 1


def test_a_line_can_be_assigned(shell: InteractiveShell) -> None:
    run(shell, "runs = %mlstore refresh late")
    assert [each.name for each in shell.user_ns["runs"]] == ["late"]


AWKWARD = [
    "select $$it's {x} %s$$ as a, $tag$ $$ $tag$ as b",
    "select 'abc'[1:2] as a, [1, 2, 3][:2] as b",
    "select {'a': 1, 'b': {'c': [1, 2]}} as s, map {'k': 1} as m",
    "select '{{ x }}' as a, '{x}' as b, '%(x)s' as c, '$x' as d, ':x' as e, '?' as f",
    "select list_transform([1, 2], lambda v: v + 1) as a, 'a{1,4}' as b",
    "select 7 // 2 as a, 2 ** 3 as b, 5 % 3 as c",
    "from range(3) t(i) select i where i::varchar not like '%1' -- a 'comment\n",
    "select 1 as a /* $x {y} */",
    "select e'\\n' as a, '\\n' as b, '\u00e9\u6771' as c",
    "select struct_pack(a := 1, b := 'x') as s",
    "select '!ls' as a, '?x' as b, 'x?' as c",
    'select 1 as "a b", 2 as "c""d", \'%%mlstore\' as e',
]


@pytest.mark.parametrize("query", AWKWARD)
def test_the_body_reaches_the_engine_untouched(shell: InteractiveShell, query: str) -> None:
    shell.user_ns["x"] = 1
    result = run(shell, f"%%mlstore\n{query}")
    assert result.to_arrow().equals(duckdb.sql(query).to_arrow_table())


def test_names_with_a_dollar_are_bound_from_variables(shell: InteractiveShell) -> None:
    shell.user_ns.update(low=2, word="a'; drop table t; --")
    result = run(shell, "%%mlstore\nselect i, $word as w from range(4) t(i) where i >= $low")
    assert result.to_arrow().to_pylist() == [{"i": i, "w": "a'; drop table t; --"} for i in (2, 3)]


def test_a_variable_that_is_not_there_is_named(shell: InteractiveShell) -> None:
    error = fail(shell, "%%mlstore\nselect $nothing_like_it as x")
    assert isinstance(error, NotFound)
    assert "nothing_like_it" in str(error)


def test_as_binds_and_shows_a_note(shell: InteractiveShell) -> None:
    shown = run(shell, "%%mlstore --as late\nselect 1 as a, 2 as b")
    assert shown.blocks[0].text == "late = Result, 1 row, 2 columns"
    assert len(shell.user_ns["late"]) == 1


def test_as_binds_nothing_when_the_statement_fails(shell: InteractiveShell) -> None:
    shell.user_ns["late"] = "as it was"
    fail(shell, "%%mlstore --as late\nselect nonsense")
    assert shell.user_ns["late"] == "as it was"


def test_quiet_shows_nothing(shell: InteractiveShell) -> None:
    assert run(shell, "%%mlstore --quiet --as late\nselect 1") is None
    assert len(shell.user_ns["late"]) == 1


def test_limit_is_for_the_display_only(shell: InteractiveShell) -> None:
    result = run(shell, "%%mlstore --limit 3\nselect * from range(100)")
    assert len(result) == 100
    assert shell.display_formatter is not None
    assert "3 of 100 rows" in shell.display_formatter.format(result)[0]["text/html"]


def test_plan_does_nothing(shell: InteractiveShell) -> None:
    store = shell.user_ns["store"]
    store.during = lambda: pytest.fail("it ran")
    plan = run(shell, "%mlstore refresh late --plan")
    assert (plan.verb, plan.python) == ("refresh", 'store.refresh("late")')


def test_help_needs_no_store(shell: InteractiveShell, tmp_path: Path) -> None:
    del shell.user_ns["store"]
    assert "describe NAME" in run(shell, "%mlstore describe --help").text
    assert "%mlstore connect" in run(shell, "%mlstore --help").text
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_fails(shell: InteractiveShell) -> None:
    assert isinstance(fail(shell, "%mlstore tables --plam"), StatementError)


def test_an_error_is_one_block_with_the_engines_caret(shell: InteractiveShell) -> None:
    error = fail(shell, "%%mlstore\nselect 1,\n  from where")
    text = block(error)
    assert text.startswith("This statement cannot be read\n")
    assert "Traceback" not in text
    line, caret = next(
        (one, two)
        for one, two in zip(text.splitlines(), text.splitlines()[1:], strict=False)
        if two.strip() == "^"
    )
    assert line.startswith("LINE 2:") and line[caret.index("^")] == "w"


def test_an_error_says_what_to_do(shell: InteractiveShell) -> None:
    assert block(fail(shell, "%mlstore tabels")).endswith("→ Did you mean 'tables'?")


def test_debug_shows_the_traceback(shell: InteractiveShell) -> None:
    text = block(fail(shell, "%%mlstore --debug\nselect nonsense"))
    assert "Traceback (most recent call last)" in text
    assert "BinderException" in text or "_run" in text


def test_data_in_a_message_cannot_colour_the_terminal(shell: InteractiveShell) -> None:
    def burst() -> None:
        raise WorkbenchError("a \x1b[2J b")

    shell.user_ns["store"].during = burst
    error = fail(shell, "%mlstore refresh late")
    assert "\x1b[2J" not in "".join(error._render_traceback_())  # type: ignore[attr-defined]


KEPT = [
    ([], "Nothing was changed."),
    (["refresh a"], "Kept: snapshot 4 (refresh a). The step that was running"),
    (["refresh a", "refresh b"], "Kept: snapshot 4 (refresh a), snapshot 5 (refresh b)."),
]


@pytest.mark.parametrize(("commits", "words"), KEPT)
def test_ctrl_c_says_what_was_kept(shell: InteractiveShell, commits: list[str], words: str) -> None:
    store = shell.user_ns["store"]

    def stop() -> None:
        store.commits += commits
        raise KeyboardInterrupt

    store.during = stop
    error = fail(shell, "%mlstore refresh late")
    assert isinstance(error, Interrupted)
    assert words in block(error)


def test_nothing_to_refresh_is_said(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["store"].refresh = lambda name=None, full=False: []
    assert run(shell, "%mlstore refresh all") == []
    assert "everything is up to date" in capsys.readouterr().out
    run(shell, "[]")
    assert "[]" in capsys.readouterr().out


def test_an_error_of_our_own_keeps_its_traceback(shell: InteractiveShell) -> None:
    def burst() -> None:
        raise ZeroDivisionError

    shell.user_ns["store"].during = burst
    error = fail(shell, "%mlstore refresh late")
    assert isinstance(error, ZeroDivisionError)
    assert not hasattr(error, "_render_traceback_")


def test_connect_chooses_another_store(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str | None, Store] = {}
    monkeypatch.setattr(
        workbench, "connect", lambda address=None: made.setdefault(address, Store()), raising=False
    )
    del shell.user_ns["store"]
    run(shell, "%%mlstore\nselect 1")
    assert list(made) == [None]
    assert run(shell, "%mlstore connect 'my folder'") is made["my folder"]
    assert made[None].closed
    assert shell.user_ns["store"] is made["my folder"]
    made["my folder"].sql("create table t(a int)")
    assert len(run(shell, "%%mlstore\nselect * from t")) == 0
    assert isinstance(fail(shell, "%mlstore connect a b"), WorkbenchError)


def test_a_variable_called_store_that_is_none_is_left_alone(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "connect", lambda address=None: Store(), raising=False)
    shell.user_ns["store"] = "Berlin"
    assert len(run(shell, "%%mlstore\nselect 1")) == 1
    run(shell, "%mlstore connect elsewhere")
    assert shell.user_ns["store"] == "Berlin"


def test_loading_twice_registers_once(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    assert shell.Completer is not None
    assert len(shell.Completer.custom_matchers) == 1


_HEAVY = [
    "mlflow",
    "sklearn",
    "xgboost",
    "pandas",
    "pyarrow",
    "altair",
    "ibis",
    "duckdb",
    "optuna",
    "sqlglot",
    "lark",
    "polars",
]


def test_loading_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "begun = time.process_time()\n"  # what else runs may leave it little of the machine
        "from workbench.notebook.magics import load_ipython_extension\n"
        "load_ipython_extension(shell)\n"
        f"print(time.process_time() - begun, *[name for name in {_HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, *heavy = done.stdout.split()
    assert heavy == []
    assert float(took) < 1
