"""The cells that the panel puts into a notebook."""

from __future__ import annotations

import pytest

from workbench.language import VERBS, parse_cell
from workbench.language.draft import Draft, Subject, drafts, store_drafts
from workbench.store import Store

SUBJECTS = [
    Subject("trips", "table", ("id", "my fare", "order"), ("id",), 7),
    Subject("daily", "transform", ("id", "x"), ("id",), 7),
    Subject("cheap", "query", ("a",), (), 3),
    Subject("trips.late", "binding", ("id", "late"), ("id",), 9, "trips"),
    Subject("late", "model", ("a", "b c"), (), 9, "late"),
]
ALL = [*(each for subject in SUBJECTS for each in drafts(subject)), *store_drafts()]


@pytest.mark.parametrize("draft", ALL, ids=lambda each: each.cell.partition("\n")[0])
def test_each_can_be_run_as_it_is(draft: Draft) -> None:
    line, _, body = draft.cell.partition("\n")
    magic, _, rest = line.partition(" ")
    assert parse_cell(rest, body if magic == "%%mlstore" else None).verb == draft.verb


def test_there_is_one_for_each_verb() -> None:
    assert {each.verb for each in ALL} == {*VERBS, "sql"}


def test_names_are_quoted_only_where_they_must_be(store: Store) -> None:
    store.load("trips", [{"id": 1, "my fare": 2.5, "order": 3}], key="id")
    cell = drafts(SUBJECTS[0])[0].cell
    assert cell == '%%mlstore\nselect id, "my fare", "order"\nfrom trips\nlimit 100'
    assert len(store.sql(cell.partition("\n")[2])) == 1
