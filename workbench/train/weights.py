"""How much each training row counts: the column of WEIGHT, and the weights of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, NotFound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.train.label import Label

CLASS_WEIGHT = "class_weight"


def read_weights(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Read the column of weights (n rows).

    Raises
    ------
    InvalidData
        If it holds anything but finite numbers from 0 on, or nothing but zeros.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import ArrowException

    try:
        weights: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except ArrowException as error:
        raise InvalidData(f"The weights {name!r} are {column.type}, not numbers.") from error
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidData(
            f"The weights {name!r} must be numbers from 0 on, in every row.",
            hint=f"Fill them in the query, as in coalesce({name}, 1).",
        )
    if not weights.any():
        raise InvalidData(f"The weights {name!r} are 0 in every row: there is nothing to learn from.")
    return weights


def class_weights(
    wanted: str | Mapping[str, float] | None, label: Label, numbers: npt.NDArray[Any]
) -> npt.NDArray[np.float64] | None:
    """Return a weight for each row by its class, the same for every estimator.

    Parameters
    ----------
    wanted : "balanced", mapping or None
        Weights by the label's values as text. "balanced" is n / (classes × rows of the class), as in
        scikit-learn.
    label : Label
    numbers : ndarray (n)
        The class number of each row.

    Raises
    ------
    NotFound
        If the mapping names a value that the label does not have.
    InvalidData
        If it is neither.
    """
    import numpy as np

    if wanted is None:
        return None
    if not label.classes:
        raise InvalidData(
            f"{CLASS_WEIGHT} is for classes, and the label is a number.", hint="Say WEIGHT col."
        )
    counts = np.bincount(numbers, minlength=len(label.classes))
    if wanted == "balanced":
        each = len(numbers) / (len(counts) * np.maximum(counts, 1))
    elif isinstance(wanted, Mapping):
        each = _named(wanted, label)
    else:
        raise InvalidData(
            f"{CLASS_WEIGHT} {wanted!r} is not known.", hint="Say 'balanced', or {value: weight, …}."
        )
    weights: npt.NDArray[np.float64] = each[numbers]
    return weights


def _named(wanted: Mapping[str, float], label: Label) -> npt.NDArray[np.float64]:
    import numpy as np

    places = {str(value).lower(): place for place, value in enumerate(label.classes)}
    each = np.ones(len(label.classes))
    for value, weight in wanted.items():
        if str(value).lower() not in places:
            raise NotFound.named("class", str(value), [str(known) for known in label.classes])
        each[places[str(value).lower()]] = weight
    return each
