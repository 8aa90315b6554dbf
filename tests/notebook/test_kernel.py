"""The magics in a real kernel, with a real store."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

pytestmark = pytest.mark.notebook

HEAVY = ("mlflow", "sklearn", "xgboost", "pandas", "altair")
FLIGHTS = """%%mlstore
create table flights as
select i as id, ['UA', 'AA', 'B6'][1 + i % 3] as carrier, (i * 7 % 90)::double as dep_delay
from range(1000) t(i)
"""


@pytest.fixture(scope="module")
def lake(kernel):
    """The kernel, with a table of flights in its store."""
    assert kernel.run(FLIGHTS).error is None
    return kernel


def test_loading_imports_nothing_heavy(kernel) -> None:
    fresh = kernel.run(
        "import subprocess, sys\n"
        "code = '''\n"
        "import sys, time\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "begun = time.process_time()\n"  # what else runs may leave it little of the machine
        "shell.run_line_magic('load_ext', 'workbench')\n"
        "took = time.process_time() - begun\n"
        f"print(took, *[n for n in {HEAVY} if n in sys.modules])\n"
        "'''\n"
        "done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)\n"
        "print(done.stdout)"
    )
    took, *heavy = fresh.printed.split()
    assert heavy == []
    assert float(took) < 1


def test_sql(lake) -> None:
    cell = lake.run("%%mlstore\nselect * from flights order by id")
    assert "20 of 1,000 rows" in cell.result["text/html"]
    assert re.search(r"snapshot \d+", cell.text)
    assert lake.run("len(_)").text == "1000"


def test_a_write_says_what_it_did(lake) -> None:
    assert "1 row" in lake.run("%%mlstore\ninsert into flights values (5000, 'DL', 1.0)").text


def test_limit_as_quiet_and_plan(lake) -> None:
    assert "3 of " in lake.run("%%mlstore --limit 3\nselect * from flights").text
    cell = lake.run("%%mlstore --as delays\nselect carrier, avg(dep_delay) as delay from flights group by 1")
    assert cell.text.startswith("delays = Result")
    assert lake.run("delays.columns").text == "['carrier', 'delay']"
    assert lake.run("%%mlstore --quiet\nselect 1").messages[-1][0] == "execute_input"
    assert lake.run("%%mlstore --plan\nselect count(*) from flights").text


AWKWARD = [
    "select $$it's {x}$$ as a, $t$ $$ $t$ as b",
    "select 'x'[1:2] as a, [1, 2, 3][:2] as b",
    "select {'a': 1, 'b': {'c': [1]}} as s",
    "select struct_pack(a := 1, b := 'x') as s",
    "select '{{ x }}' as a, '{x}' as b, '%(x)s' as c, '$x' as d, ':x' as e, '!ls' as f",
    "select i from range(5) t(i) where i::varchar like '%1' -- a 'comment",
    "select e'\\\\n' as a, '東京' as b;",
]


@pytest.mark.parametrize("query", AWKWARD)
def test_the_body_gives_what_plain_duckdb_gives(lake, query: str) -> None:
    lake.run(f"x = 5\nquery = {query!r}")
    lake.run(f"%%mlstore --as ours --quiet\n{query}")
    check = "import duckdb\nours.to_arrow().equals(duckdb.sql(query).to_arrow_table())"
    assert lake.run(check).text == "True"


def test_variables_are_bound(lake) -> None:
    lake.run('least, name = 88, "it\'s"')
    lake.run(
        "%%mlstore --as bound\nselect dep_delay, $name as name from flights where dep_delay >= $least limit 1"
    )
    assert "it's" in lake.run("bound.to_arrow().to_pylist()").text


def test_an_error_is_a_block_and_the_store_goes_on(lake) -> None:
    cell = lake.execute("%%mlstore --as nothing\nselect carier from flights")
    assert cell.error is not None
    assert cell.error["ename"] == "NotFound"
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(cell.error["traceback"]))
    assert text.startswith("Not found\n")
    assert "LINE 1:" in text and "^" in text and "carrier" in text
    assert "Traceback" not in text and "File" not in text
    assert lake.run("'nothing' in globals()").text == "False"
    assert lake.run("%%mlstore\nselect 1 as one").text


def test_ctrl_c_stops_the_engine_and_says_what_was_kept(lake) -> None:
    cell = lake.execute(
        "%%mlstore\nselect count(*) from range(100000000000) t(i) where hash(i) = 1",
        interrupt_after=1.5,
    )
    assert cell.error is not None
    assert cell.error["ename"] == "Interrupted"
    assert "Nothing was changed" in "\n".join(cell.error["traceback"])
    assert lake.run("%%mlstore\nselect 1 as one").text


def test_completion_reads_the_catalog(lake) -> None:
    assert lake.complete("%%mlstore des") == ["describe"]
    assert "flights" in lake.complete("%%mlstore\nselect * from fli")
    assert lake.complete("%%mlstore\nselect * from flights where carr") == ["carrier"]
    assert "LABEL" in lake.complete("%%mlstore train late L")
    assert "flights" in lake.complete("%mlstore describe fl")
    assert "flights" not in lake.complete("fli")


def test_charts_need_no_network(lake) -> None:
    lake.run("%mlstore tables")
    cell = lake.run(
        "import altair as alt\n"
        "alt.Chart(_.to_arrow()).mark_bar().encode(x='name:N') | alt.Chart(_.to_arrow()).mark_bar()"
    )
    assert any(mime.startswith("application/vnd.vegalite.v5") for mime in cell.result)
    assert "text/html" not in cell.result


def test_a_chosen_chart_renderer_stays(lake) -> None:
    cell = lake.run(
        "import altair as alt\n"
        "_ = alt.renderers.enable('json')\n"
        "alt.Chart(alt.Data(values=[{'a': 1}])).mark_bar().encode(x='a:Q')"
    )
    lake.run("_ = alt.renderers.enable('default')")
    assert "application/json" in cell.result


SLOW = """
import time
from workbench.notebook.progress import Bar
from workbench.progress import step
real, show, drawn = type(store).refresh, Bar.show, []
def refresh(self, *args, **known):
    with step("Refreshing late", total=10) as advance:
        advance(4)
        begun = time.monotonic()
        while len(drawn) < 2 and time.monotonic() < begun + 100:
            time.sleep(0.1)
        advance(6)
    return []
def noted(self, tick):
    show(self, tick)
    drawn.append(tick)
type(store).refresh, Bar.show = refresh, noted
"""


def test_a_long_step_shows_a_bar_that_goes_away(lake) -> None:
    lake.run("import workbench\nstore = workbench.connect()" + SLOW)
    try:
        cell = lake.run("%mlstore refresh all")
    finally:
        lake.run("type(store).refresh, Bar.show = real, show\ndel store")
    (first,) = cell.of("display_data")
    updates = cell.of("update_display_data")
    assert "Refreshing late · 40 % (4 of 10)" in first["data"]["text/plain"]
    assert len(updates) >= 2
    assert updates[-1]["data"] == {"text/html": "", "text/plain": ""}


def _notebook(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def test_a_notebook_runs_and_keeps_its_displays(tmp_path: Path) -> None:
    notebook = _notebook(
        "%load_ext workbench", FLIGHTS, "%%mlstore\nselect * from flights", "%mlstore tables"
    )
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "<table" in notebook.cells[2].outputs[0]["data"]["text/html"]
    assert "flights" in notebook.cells[3].outputs[0]["data"]["text/html"]
    assert (tmp_path / "mlstore").is_dir()


def test_an_error_stops_a_notebook(tmp_path: Path) -> None:
    notebook = _notebook("%load_ext workbench", "%mlstore descrbe x", "print('after')")
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    with pytest.raises(CellExecutionError) as failed:
        client.execute()
    assert failed.value.ename == "StatementError"
    assert notebook.cells[2].outputs == []
    assert not (tmp_path / "mlstore").exists()
