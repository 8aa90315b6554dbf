"""What is said of the word under the pointer."""

# ruff: noqa: E501 (cases in tables stay on one line)

import pytest

from workbench.language.about import about

CATALOG = {"trips": {"id": "BIGINT", "fare": "DOUBLE"}}
NAMES = {"table": ["trips"], "model": ["late"]}


@pytest.mark.parametrize(
    ("marked", "kind", "title", "within"),
    [
        ("%%mlstore tra|nsform f", "verb", "transform NAME", "Example:"),
        ("%%mlstore transform f K|EY (id)", "clause", "KEY (cols)", "identify a row"),
        ("%%mlstore transform f REF|IT WHEN manual", "clause", "REFIT WHEN trigger", "fit"),
        ("%%mlstore tables --pl|an", "option", "--plan", "do nothing"),
        ("%%mlstore\nselect f|are from trips", "column", "fare: DOUBLE", "trips"),
        ("%%mlstore\nselect fare from tr|ips", "table", "trips: 2 columns", "fare  DOUBLE"),
        ("%%mlstore\nselect date_tr|unc('day', d) from trips", "function", "date_trunc(part, timestamp)", "Trunc"),
        ("%%mlstore\nselect predi|ct(late, t.*) from trips t", "function", "predict(model,", "each row"),
        ("x = %mlstore train m MODEL rid|ge", "algorithm", "ridge", "sklearn"),
        ("%mlstore train m MODEL ridge PARAMS {al|pha: 1}", "parameter", "alpha", "1.0"),
    ],
)  # fmt: skip
def test_what_is_said(marked: str, kind: str, title: str, within: str) -> None:
    cell, offset = marked.replace("|", ""), marked.index("|")
    said = about(cell, offset, CATALOG, NAMES)
    assert said is not None
    assert said.kind == kind
    assert said.title.startswith(title)
    assert within.lower() in f"{said.title}\n{said.text}".lower()
    assert said.start < offset < said.end


@pytest.mark.parametrize(
    "marked", ["pri|nt(1)", "%%mlstore\nselect 'fa|re'", "%%mlstore\nselect nobody_kn|ows"]
)
def test_of_other_words_nothing_is_said(marked: str) -> None:
    assert about(marked.replace("|", ""), marked.index("|"), CATALOG, NAMES) is None
