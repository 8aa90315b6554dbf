"""What a model may use where it runs by itself, as the environment of this process says it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from workbench.errors import InvalidData

_MEMORY, _SECONDS = "MLSTORE_ISOLATE_MEMORY", "MLSTORE_ISOLATE_SECONDS"
_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?b|)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model may use.

    Attributes
    ----------
    memory : int
        Bytes for its data, what its libraries need included.
    seconds : float
        How long a batch may take.
    """

    memory: int
    seconds: float

    @property
    def answer(self) -> int:
        """How many bytes an answer may have: it is held three times on its way."""
        return self.memory // 4

    @classmethod
    def from_environment(cls) -> Limits:
        """Read `MLSTORE_ISOLATE_MEMORY`, else half of the machine, and `MLSTORE_ISOLATE_SECONDS`, else 300.

        Raises
        ------
        InvalidData
            If one of them is no size, or no number of seconds.

        Examples
        --------
        >>> monkeypatch = getfixture("monkeypatch")
        >>> monkeypatch.setenv("MLSTORE_ISOLATE_MEMORY", "1.5 GB")
        >>> monkeypatch.setenv("MLSTORE_ISOLATE_SECONDS", "20")
        >>> Limits.from_environment()
        Limits(memory=1500000000, seconds=20.0)
        """
        memory, seconds = os.environ.get(_MEMORY), os.environ.get(_SECONDS)
        return cls(_half_of_memory() if memory is None else _bytes(memory), _positive(seconds or "300"))

    def __str__(self) -> str:
        return f"{self.memory / 10**9:.1f} GB of memory, {self.seconds:g} s a batch"


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InvalidData(f"{_MEMORY} is {text!r}, which is no size.", hint="Write it as in 2 GB.")
    return int(float(found["number"]) * _UNITS[found["unit"].lower()])


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidData(f"{_SECONDS} is {text!r}.", hint="Write a number of seconds, as in 60.")
    return seconds


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
