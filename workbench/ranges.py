"""A range of values to search in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A range to search in, as in `PARAMS {max_depth: 3..9, eta: 0.01..0.3 log}`.

    Parameters
    ----------
    low, high : int or float
        Both ends belong to the range. Two integers mean whole numbers only.
    log : bool
        Whether to search by order of magnitude.

    Examples
    --------
    >>> Range(3, 9)
    Range(3, 9)
    """

    low: int | float
    high: int | float
    log: bool = False

    def __repr__(self) -> str:
        return f"Range({self.low!r}, {self.high!r}{', log=True' if self.log else ''})"
