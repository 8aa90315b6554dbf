"""Round trips of the language: text, statement, call and Python are four ways to say one thing."""

# ruff: noqa: E501 (cases in tables stay on one line)

import ast
import keyword
import re
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from workbench.errors import StatementError, WorkbenchError
from workbench.language import (
    Flags,
    Range,
    Statement,
    Variable,
    complete,
    from_call,
    parse,
    parse_cell,
    split_file,
)
from workbench.language.about import about
from workbench.language.check import check, mistakes_of_run
from workbench.language.kinds import KINDS, SQL_WORDS, is_query
from workbench.language.layout import formatted
from workbench.language.read import MAGIC
from workbench.language.scan import is_empty
from workbench.language.statement import Part, body_of, parts
from workbench.language.verbs import METHODS, VERBS

# Texts that are hard on a reader that knows no strings, quotes or comments.
NASTY = [
    "'", '"', "''", "$$", "--", "/*", "*/", "\n", "\r\n", " AS\n", "AS", "(", ")", "{", "}", "[", ":=", "?", "{{", "@",
    "---", "--plan", "%%mlstore", "\\", '"""', "$tag$", ";", ".", " ", "\t", "é", "🙂", "\u2028", "select", "auto", "1..2",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=4)), max_size=8).map("".join)
words = st.one_of(
    st.from_regex(r"[a-zA-Z_éß][a-z0-9_]{0,6}", fullmatch=True),
    st.sampled_from(
        [
            "as",
            "AS",
            "key",
            "Label",
            "when",
            "all",
            "auto",
            "error",
            "on",
            "full",
            "always",
            *SQL_WORDS,
            *VERBS,
        ]
    ),
)
columns = st.one_of(words, texts.filter(bool))
parts_of_names = st.one_of(words, st.text("ab c-'é(;\n", min_size=1, max_size=4))
names = st.lists(parts_of_names, min_size=1, max_size=2).map(".".join)
versions = st.one_of(st.integers(0, 10**12), st.sampled_from(["champion", "v1x"]))
refs = st.one_of(names, st.builds("{}@{}".format, names, versions))
numbers = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(numbers, texts, st.booleans(), st.none())
literals = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
ranges = st.builds(Range, numbers, numbers, st.booleans())
tuples = st.lists(columns, min_size=1, max_size=3).map(tuple)
plain_columns = st.lists(st.sampled_from(["a", "b_1", '"c d"']), min_size=1, max_size=2).map(", ".join)
events = st.one_of(
    st.sampled_from(["on write", "every '1 hour'", "cron '* * * * *'", "cron '1 2 * * *' tz 'UTC'", "changed >= 5%"]),
    st.builds("changed >= {}% OF ({})".format, st.integers(1, 99), plain_columns),
    st.builds("{}({}) {} {}".format, st.sampled_from(["drift", "metric"]), st.just("auc"), st.sampled_from(["<", ">="]), st.just("0.5")),
    st.builds("after {}".format, st.sampled_from(["f", "features.f"])),
)  # fmt: skip
triggers = st.one_of(
    st.just("manual"),
    st.builds(
        "{}{}".format,
        st.recursive(events, lambda e: st.builds("{} and ({} or {})".format, events, e, e), max_leaves=4),
        st.sampled_from(["", " COOLDOWN '6 h'"]),
    ),
)
gates = st.sampled_from(
    ["always", "never", "auc >= champion", "(auc >= 0.9 or f1 > champion - 0.1) and latency < 20"]
)
splits = st.one_of(
    st.sampled_from(["hash", "random"]),
    st.builds("{}({})".format, st.sampled_from(["hash", "time", "column"]), plain_columns),
)
queries = st.one_of(
    st.sampled_from(
        ["select ')' -- :)", "from t\n-- it's", "with a as (select $$ ( $$) from a", "(select 1)"]
    ),
    st.builds("select '{}' as x".format, texts.map(lambda each: each.replace("'", "''"))),
)
OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "name": names,
    "ref": refs,
    "versioned": st.builds("{}@{}".format, names, versions),
    "name or all": st.one_of(st.none(), refs),
    "column": columns,
    "columns": tuples,
    "key": st.one_of(st.just("auto"), tuples),
    "values": st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3).map(tuple)),
    "text": texts,
    "source": st.one_of(texts, words.filter(lambda each: not keyword.iskeyword(each)).map(Variable)),
    "word": st.one_of(words.map(str.lower), texts),
    "trigger": triggers,
    "gate": gates,
    "model": st.one_of(texts, st.sampled_from(["fare@champion", "xgboost", "auto", "py:a:b"])),
    "count": st.integers(0, 10**9),
    "trials": st.integers(0, 10**9),
    "share": st.one_of(
        st.floats(0, 1), st.integers(0, 100), st.floats(allow_nan=False, allow_infinity=False)
    ),
    "settings": st.dictionaries(texts, literals, max_size=3),
    "space": st.dictionaries(texts, st.one_of(literals, ranges), max_size=3),
    "split": splits,
    "relation": st.one_of(refs.filter(lambda each: not is_query(each)), queries),
    "snapshot": versions,
    "flag": st.just(True),
    "body": texts.filter(str.strip),
}
flags = st.builds(
    Flags,
    as_=st.none() | st.sampled_from(["df", "größe", "_x"]),
    plan=st.booleans(),
    limit=st.none() | st.integers(0, 10**9),
    quiet=st.booleans(),
    debug=st.booleans(),
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a method of the Store and arguments it can take."""
    method = draw(st.sampled_from(sorted(METHODS)))
    arguments: dict[str, Any] = {}
    for part in parts(METHODS[method]):
        if part.required or part.kind_name == "body" or draw(st.booleans()):
            arguments |= draw(values(part))
    if "features" in arguments and "exclude" in arguments:
        del arguments["exclude"]
    return method, arguments


@st.composite
def values(draw: st.DrawFn, part: Part) -> dict[str, Any]:
    """Draw values for all fields of a part."""
    if part.kind_name == "choice":
        return {part.fields[0]: draw(st.sampled_from(part.words))}
    if part.kind_name == "inputs":
        return {"on": draw(names), "inputs": draw(st.none() | tuples)}
    if part.kind_name == "versions":
        return {"name": draw(names), "a": draw(versions), "b": draw(st.none() | versions)}
    if part.kind_name == "place":
        name = draw(st.sampled_from(["t", "features.t", "my table", "t@3"]))
        return {"name": name, "column": draw(st.none() | columns)}
    return {part.fields[0]: draw(OF_KIND[part.kind_name])}


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    method, arguments = draw(calls())
    assume(method != "sql" or not is_empty(arguments["query"]))
    return METHODS[method](flags=draw(flags), **arguments)


def test_every_kind_is_drawn() -> None:
    assert set(OF_KIND) | {"choice", "inputs", "versions", "place"} == set(KINDS)


@settings(max_examples=200, deadline=None)
@given(statements())
def test_statement_written_and_read_is_the_same(statement: Statement) -> None:
    assert parse(str(statement)) == statement


@settings(max_examples=200, deadline=None)
@given(statements())
def test_statement_made_from_its_call_is_the_same(statement: Statement) -> None:
    call = statement.call()
    again = from_call(call.method, call.arguments)
    assert again.call() == call
    assert from_call(call.method, again.call().arguments) == again


@settings(max_examples=200, deadline=None)
@given(statements())
def test_python_of_a_call_says_the_same_call(statement: Statement) -> None:
    call = statement.call()
    node = ast.parse(call.to_python(), mode="eval").body
    assert isinstance(node, ast.Call)
    assert ast.unparse(node.func) == f"store.{call.method}"
    said = dict(zip(call.positional, (_value(each) for each in node.args), strict=False))
    said |= {str(each.arg): _value(each.value) for each in node.keywords}
    assert said == call.arguments


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return Variable(node.id)
    return eval(compile(ast.Expression(node), "call", "eval"), {"Range": Range})


@settings(max_examples=200, deadline=None)
@given(
    body=texts.filter(str.strip),
    header=st.sampled_from(["query q AS", "transform f\nKEY (k)\nas  ", "train m LABEL y --plan AS"]),
)
@example(body="\r\nselect 1", header="query q AS")
def test_body_of_a_cell_is_kept_byte_for_byte(body: str, header: str) -> None:
    line, _, rest = f"{header}\n{body}".partition("\n")
    assert parse_cell(line, rest).call().arguments["query"] == body


@settings(max_examples=200, deadline=None)
@given(texts)
def test_plain_cell_is_kept_byte_for_byte(body: str) -> None:
    assume(not is_empty(body))
    assert parse_cell("", body).call().arguments["query"] == body


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*sorted(VERBS), "", "%%mlstore", "select", "export (select"]), texts, texts)
def test_any_text_is_read_or_is_a_mistake_with_a_place(start: str, middle: str, end: str) -> None:
    text = f"{start} {middle} {end}"
    try:
        statement = parse(text)
    except StatementError as error:
        place = error.line
    else:
        assert parse(str(statement)) == statement
        place = None
    assert place is None or 1 <= place <= text.count("\n") + 1


@settings(max_examples=200, deadline=None)
@given(st.lists(texts, max_size=4))
def test_file_is_split_without_losing_a_statement(chunks: list[str]) -> None:
    chunks = [f"x{each.replace('---', '')}" for each in chunks]
    found = split_file("\n---\n".join(chunks))
    assert [text for _, text in found] == [f"{each}\n" for each in chunks[:-1]] + chunks[-1:]
    lines = "\n---\n".join(chunks).split("\n")
    for number, text in found:
        assert lines[number - 1] == text.partition("\n")[0]


FLIGHTS = {"id": "BIGINT", "dep delay": "DOUBLE"}
CATALOG = {"flights": FLIGHTS, "main.flights": FLIGHTS, "features.f": {"x": "DOUBLE"}}
NAMES = {"table": ["flights"], "transform": ["f"], "model": ["late"], "query": [], "binding": ["b"]}


@settings(max_examples=200, deadline=None)
@given(statements(), st.integers(0, 400), st.sampled_from(["", "%%mlstore ", "%mlstore "]))
def test_completion_never_fails_and_fits_its_place(statement: Statement, cursor: int, magic: str) -> None:
    text = (magic if MAGIC.match(str(statement)) is None else "") + str(statement)
    cursor = min(cursor, len(text))
    for each in complete(text[:cursor], cursor, CATALOG, NAMES) + complete(text, cursor, CATALOG, NAMES):
        assert 0 <= each.start <= each.end == cursor
        typed = text[each.start : each.end].lower().lstrip('"')
        assert each.text.lower().lstrip('"').startswith(typed)


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_completion_of_any_text(before: str, after: str) -> None:
    for start in (
        "",
        "%%mlstore ",
        "%%mlstore\nselect ",
        "transform f ",
        "%%mlstore export (",
        "train m AS\n",
    ):
        text = start + before + after
        complete(text, len(start + before), CATALOG, NAMES)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["%%mlstore\n", "%%mlstore transform f KEY (k) AS\n", "x = %mlstore "]), texts, texts)
def test_any_cell_is_checked_explained_and_laid_out(start: str, middle: str, end: str) -> None:
    cell = f"{start}select {middle} from t {end}"
    for found in [
        *check(cell),
        *mistakes_of_run(cell, f"There is no table '{middle}'.\n\nLINE 1: {middle}\n   ^"),
    ]:
        assert 0 <= found.start <= found.end <= len(cell)
        assert cell.count("\n", 0, found.start) + 1 == found.line
    said = about(cell, len(start) + 8, CATALOG, NAMES)
    assert said is None or said.start <= len(start) + 8 < said.end
    try:
        made = formatted(cell)
    except WorkbenchError:
        return
    assert re.sub(r"\s", "", made) == re.sub(r"\s", "", cell)
    assert formatted(made) == made


def test_body_kind_has_a_strategy_for_each_verb() -> None:
    assert {verb for verb, cls in METHODS.items() if body_of(cls)} == {"sql", "query", "transform", "train"}
