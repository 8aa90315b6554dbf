"""Whether an estimator takes the values of its parameters, asked before anything runs."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from workbench.errors import InvalidData
from workbench.ranges import Range

_ALIASES = {"eta": "learning_rate", "lambda": "reg_lambda", "alpha": "reg_alpha", "min_split_loss": "gamma"}


def canonical(model: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Write parameters by the names that XGBoost's estimators have, where its own other ones are used.

    Raises
    ------
    InvalidData
        If one is given by both names.

    Examples
    --------
    >>> canonical("xgboost", {"eta": 0.1, "max_depth": 3})
    {'learning_rate': 0.1, 'max_depth': 3}
    """
    boosted = model in ("auto", "xgboost") or model.startswith("xgboost.")
    for name, other in _ALIASES.items():
        if boosted and name in params and other in params:
            raise InvalidData(f"PARAMS {name} and {other} are the same.", hint="Keep one of them.")
    return {_ALIASES.get(name, name) if boosted else name: value for name, value in params.items()}


def check_range(name: str, value: Range) -> None:
    """Raise InvalidData unless a range has a lower end below its upper one, and above 0 for a log."""
    if not all(isinstance(end, int | float) for end in (value.low, value.high)):
        raise InvalidData(f"The range of {name!r} needs numbers: {value.low!r}..{value.high!r}.")
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        raise InvalidData(
            f"The range of {name!r} has no end: {value.low:g}..{value.high:g}.", hint="Write both ends."
        )
    if value.low >= value.high:
        raise InvalidData(
            f"The range of {name!r} is empty: {value.low:g}..{value.high:g}.",
            hint="Write the lower end first; for one value leave the dots out.",
        )
    if value.log and value.low <= 0:
        raise InvalidData(
            f"The range of {name!r} begins at {value.low:g}, which has no logarithm.",
            hint="Begin above 0, or leave log out.",
        )


def check_values(cls: type[Any], params: Mapping[str, Any]) -> None:
    """Ask an estimator whether it takes these values: scikit-learn by its constraints, others by types.

    Raises
    ------
    InvalidData
        If it does not, with what it takes.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> check_values(Ridge, {"alpha": -1})
    Traceback (most recent call last):
    ...
    workbench.errors.InvalidData: The 'alpha' parameter of Ridge must be ... Got -1 instead.
    """
    own = {name: value for name, value in params.items() if "__" not in name}
    constraints = getattr(cls, "_parameter_constraints", None)
    if isinstance(constraints, dict):
        from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

        try:
            validate_parameter_constraints(constraints, own, cls.__name__)
        except InvalidParameterError as error:
            raise InvalidData(str(error)) from error
        return
    numbers = _numbers(cls) if own else {}
    for name, value in own.items():
        wanted = numbers.get(name)
        if wanted is not None and value is not None and not _is(value, wanted):
            noun = "a whole number" if wanted is int else "a number"
            raise InvalidData(f"The parameter {name!r} of {cls.__name__} must be {noun}, not {value!r}.")


def _numbers(cls: type[Any]) -> dict[str, type]:
    """Return the parameters that are annotated as a number, and as which."""
    found: dict[str, type] = {}
    for base in reversed(cls.__mro__):
        try:
            hints = typing.get_type_hints(vars(base).get("__init__"))
        except (NameError, TypeError, AttributeError):
            continue
        for name, hint in hints.items():
            union = typing.get_origin(hint) in (typing.Union, types.UnionType)
            kinds = set(typing.get_args(hint) if union else (hint,)) - {type(None)}
            if kinds in ({int}, {float}):
                found[name] = kinds.pop()
    return found


def _is(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if wanted is int else isinstance(value, int | float)
