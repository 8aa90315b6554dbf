"""The functions that completion offers in SQL: the store's own, and those of the engine."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from functools import cache

Named = Sequence[tuple[str, str, str]]
"""Functions: the name, how it is called, and what it does."""

_MODELS = (
    ("predict", "predict(model, cols… | t.*)", "What a model says of each row. Columns are matched by name."),
    (
        "predict_proba",
        "predict_proba(model, cols… | t.*)",
        "The probability that a model gives to the second class, or to each of several.",
    ),
    (
        "held_out",
        "held_out(model, cols… | t.*)",
        "Whether a row was kept from the training of a model, to score it.",
    ),
)


@cache
def store_functions() -> Named:
    """List the store's own functions.

    Examples
    --------
    >>> next(signature for name, signature, _ in store_functions() if name == "one_hot")
    "one_hot(c[, max[, least[, 'other']]])"
    """
    # Late, for with the steps comes the engine, and a language alone should be there at once.
    from workbench.transform.steps import STEPS

    steps = ((step.name, step.signature, _says(type(step))) for step in STEPS.values())
    return (*_MODELS, *steps)


@cache
def engine_functions() -> Named:
    """List the functions of DuckDB."""
    from workbench.engines.functions import functions

    return tuple(
        (name, each.signature, "\n\n".join(filter(None, (each.does, _example(each.example, each.gives)))))
        for name, each in functions().items()
    )


def _example(example: str, gives: str) -> str:
    lines = [f"Example: {example}" if example else "", f"Gives {gives}." if gives else ""]
    return "\n".join(line for line in lines if line)


def _says(step: type) -> str:
    """Take what the docstring of a step says before its sections, a paragraph on a line."""
    said = inspect.cleandoc(step.__doc__ or "").partition("\n\nExamples\n")[0]
    said = re.sub(r"\A`[^\n]*?`: ", "", said).replace("`", "")
    paragraphs = [re.sub(r"\n(?!- )\s*", " ", each) for each in said.split("\n\n")]
    return "\n\n".join(each[:1].upper() + each[1:] for each in paragraphs)
