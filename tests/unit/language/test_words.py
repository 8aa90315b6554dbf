"""The words that JupyterLab highlights are those that the parser knows."""

import cell_words


def test_the_words_of_the_highlighting_are_those_of_the_parser() -> None:
    stale = "run: python scripts/cell_words.py"
    assert cell_words.TARGET.read_text(encoding="utf-8") == cell_words.text(), stale


def test_words_are_where_they_belong() -> None:
    words = cell_words.words()
    assert "REFIT WHEN" in words["VERBS"]["transform"]["clauses"]
    assert {"cooldown", "tz", "sync", "log", "trials"} <= set(words["VALUES"])
    assert {"select", "qualify", "summarize"} <= set(words["SQL_KEYWORDS"].split())
    assert "varchar" in words["SQL_TYPES"].split()
