"""Which columns of a training query are features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.errors import InvalidData, NotFound

if TYPE_CHECKING:
    from workbench.train.definition import Training


def choose_features(training: Training, columns: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    """Return the feature columns: those named, or all but label, weight, key, split columns and EXCEPT.

    Raises
    ------
    NotFound
        If a named column does not exist.
    InvalidData
        If nothing is left.
    """
    if training.features is not None:
        return tuple(find_column(name, columns, "feature") for name in training.features)
    label = {training.label} if training.label else set()
    left_out = {*label, *training.key, *training.rule().columns, *training.exclude}
    left_out |= {training.weight} if training.weight else set()
    for name in training.exclude:
        find_column(name, columns, "column to leave out")
    folded = {name.lower() for name in left_out}
    features = tuple(name for name in columns if name.lower() not in folded)
    if not features:
        raise InvalidData(
            f"The query of {training.name!r} returns no features beside {', '.join(sorted(left_out))}.",
            hint="Select the columns to learn from as well.",
        )
    return features


def find_column(name: str, columns: Sequence[str] | Mapping[str, str], noun: str) -> str:
    """Return a column as the query spells it, whatever the case.

    Raises
    ------
    NotFound
        If there is none.
    """
    for column in columns:
        if column.lower() == name.lower():
            return column
    raise NotFound.named(noun, name, columns, within="the query's columns")
