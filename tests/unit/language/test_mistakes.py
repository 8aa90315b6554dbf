"""Errors: the place, what was expected, the nearest word."""

# ruff: noqa: E501 (cases in tables stay on one line)

import pytest

from workbench.errors import StatementError
from workbench.language import from_call, parse, parse_cell
from workbench.language.verbs import VERBS

# The text with a | where the mistake is, and what the error must say.
MISTAKES = {
    "|trian late LABEL x AS select 1": "Did you mean 'train'?",
    "|selct 1": "Did you mean 'select'?",
    "|monitor m ON t": "The verbs are",
    "transform f |KYE (id) AS select 1": "Did you mean 'KEY'?",
    "transform f KEY (id) USING |pyhton AS select 1": "Did you mean 'python'?",
    "load t FROM 'p' MODE |appnd": "Did you mean 'append'?",
    "refresh f |ful": "Did you mean 'FULL'?",
    "load t FROM 'p' |LABEL y": "LABEL is a clause of train or export, not of load.",
    "bind c ON t MODEL m |SPLIT BY hash": "SPLIT BY is a clause of train or export, not of bind.",
    "bind c ON t MODEL m WHEN on write |REFIT WHEN manual": "REFIT WHEN is a clause of transform, not of bind.",
    "load t FROM 'p' MODE append |MODE merge": "MODE is there twice.",
    "train m LABEL y WHEN manual DEPLOY WHEN a > 1 |WHEN manual AS select 1": "WHEN is there twice.",
    "train m LABEL y FEATURES (a) EXCEPT (b)| AS select 1": "FEATURES and EXCEPT cannot both stand.",
    "train m LABEL y PARAMS |{a: 1, a: 2} AS select 1": "The key 'a' is there twice.",
    "train m|": "train needs a body.",
    "undo t|": "undo needs TO @n.",
    "train m LABEL y|": "train needs a body.",
    "train m LABEL y| AS": "train needs a body.",
    "train m LABEL y| AS \n \n": "train needs a body.",
    "tables| AS select 1": "tables takes no body.",
    "tables\n|select 1": "tables takes no body.",
    "transform f KEY (id)\n|select 1": "A line AS must stand between",
    "transform f KEY (id) USING python\n|def f(b): return b": "A line AS must stand between",
    "refresh|": "Expected a name or all.",
    "bind p ON t MODEL|": "Expected a model from elsewhere such as mlflow:name, a name or a text in single quotes.",
    "deploy fare|": "Expected @version.",
    "diff |a@1 b@2": "two versions of one table",
    "load my|-table FROM 'p'": "is written in quotes",
    "load t FROM |p.csv": "Expected a text in single quotes or $variable.",
    "load t FROM |\"p.csv\"": "Expected a text in single quotes or $variable.",
    "load t FROM |'p": "The ' here is not closed.",
    "load |\"t FROM p": "The \" here is not closed.",
    "load t FROM |'it''": "The ' here is not closed.",
    "export |(select (1) TO 'p' FORMAT csv": "The ( here is not closed.",
    "export (|trips) TO 'p' FORMAT csv": "A query is wanted",
    "export t TO 'p' FORMAT |xml": "Expected arrow, csv,",
    "bind c ON t MODEL m WHEN on |wirte": "Did you mean 'write'?",
    "bind c ON t MODEL m WHEN changed >= 5|": "Expected %.",
    "bind c ON t MODEL m WHEN changed |> 5%": "Expected >=.",
    "bind c ON t MODEL m BATCH |-5": "Expected a whole number.",
    "train m LABEL y TUNE |3.5 TRIALS AS select 1": "Expected a whole number.",
    "train m LABEL y HOLDOUT |lots AS select 1": "Expected a number.",
    "train m LABEL y DEPLOY WHEN auc >=| AS select 1": "Expected a name, a number or a text in single quotes.",
    "trace t KEY|": "Expected a number, a text",
    "tables |--paln": "Did you mean '--plan'?",
    "tables |--timeout 5": "The options are --as",
    "tables |--note this": "A comment needs a space",
    "tables --as| 1x": "needs the name of a Python variable",
    "tables --as| class": "needs the name of a Python variable",
    "tables --limit|": "needs a number of rows",
    "tables --limit| -5": "needs a number of rows",
    "tables --as a |--as b": "The option --as is there twice.",
    "history t |more": "Expected",
    "|": "There is nothing to run.",
    "-- nothing|": "There is nothing to run.",
}  # fmt: skip


@pytest.mark.parametrize("marked", MISTAKES)
def test_mistake_says_where_and_what(marked: str) -> None:
    text, offset = marked.replace("|", "", 1), marked.index("|")
    with pytest.raises(StatementError) as caught:
        parse(text)
    error = caught.value
    assert MISTAKES[marked] in str(error)
    before = text[:offset]
    assert (error.line, error.column) == (before.count("\n") + 1, offset - before.rfind("\n"))
    line, caret = error.message.split("\n")[-2:]
    assert caret.endswith("^")
    assert line[caret.index("^") :].startswith(text[offset:].partition("\n")[0][:10].rstrip())


def test_expected_lists_what_can_stand() -> None:
    with pytest.raises(StatementError) as caught:
        parse("transform f ON t whatever")
    assert {"AS", "KEY", "REFIT WHEN", "USING", "WHEN"} <= set(caught.value.expected)


def test_place_counts_the_magic_line() -> None:
    with pytest.raises(StatementError) as caught:
        parse("%%mlstore transform f ON t\n   KYE (id) AS\nselect 1")
    assert (caught.value.line, caught.value.column) == (2, 4)
    with pytest.raises(StatementError) as caught:
        parse_cell("trian m", "select 1")
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_long_line_is_cut_around_the_place() -> None:
    with pytest.raises(StatementError) as caught:
        parse(f"load t FROM '{'x' * 500}' KYE (a)")
    assert max(len(line) for line in str(caught.value).split("\n")) < 130
    line, caret = caught.value.message.split("\n")[-2:]
    assert line[caret.index("^") :].startswith("KYE")


@pytest.mark.parametrize("verb", VERBS)
def test_no_text_makes_another_kind_of_error(verb: str) -> None:
    # Whatever stands behind a verb, it is read or it is a StatementError.
    for rest in (
        "",
        "x",
        "x y z",
        "(",
        ")",
        "@",
        "x@",
        "x@1 x@2",
        "'",
        "x KEY (",
        "x AS",
        "{",
        "\x00",
        "x ON",
        "-",
        "--",
    ):
        error = mistake_in(f"{verb} {rest}")
        if error is not None:
            assert "Token" not in str(error)
            assert not any(word.startswith("_") for word in error.expected)


def mistake_in(text: str) -> StatementError | None:
    try:
        parse(text)
    except StatementError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("trian", {}, "Did you mean 'train'?"),
        ("load", {"table": "t"}, "load needs source."),
        ("load", {"table": "t", "source": "p", "mod": "merge"}, "Did you mean 'mode'?"),
        ("load", {"table": "t", "source": "p", "mode": "appnd"}, "Did you mean 'append'?"),
        ("load", {"table": None, "source": "p"}, "needs a value for table"),
        ("undo", {"name": 5, "to": 3}, "cannot be written"),
        ("trace", {"table": "t", "key": float("nan")}, "cannot be written"),
        ("bind", {"column": "c", "on": "t", "model": "m", "when": "manual MODE async"}, "do not make one statement"),
        ("bind", {"column": "c", "on": "t", "model": "m", "when": "manual --plan"}, "do not make one statement"),
        ("query", {"name": "q", "query": ""}, "needs a body"),
        ("transform", {"name": "f", "key": ("k",), "query": "select 1", "when": "manual AS\nselect 2"}, "one statement"),
    ],
)  # fmt: skip
def test_call_that_is_no_statement(method: str, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(StatementError, match=says.replace("?", r"\?")):
        from_call(method, arguments)
