"""How much memory there is for a training."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workbench.errors import InvalidData

SETTING = "MLSTORE_MEMORY"
"""An environment variable that says how much memory a training may take, as in "4 GB"."""

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Return how many bytes a training may take: as set, else what the machine and its limits leave.

    Raises
    ------
    InvalidData
        If the setting is no size.
    """
    setting = os.environ.get(SETTING)
    return size(setting) if setting else min(_machine(), *_limits())


def size(text: str) -> int:
    """Read a size in bytes.

    Raises
    ------
    InvalidData
        If it is none.

    Examples
    --------
    >>> size("1.5 GB"), size("512MiB"), size("1000")
    (1610612736, 536870912, 1000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if not found:
        raise InvalidData(f"{SETTING} {text!r} is no size.", hint="Write it as in 4 GB.")
    return int(float(found[1]) * _UNITS[found[2]])


def check(wanted: int, what: str) -> None:
    """Refuse what does not fit into memory, before it is tried.

    Raises
    ------
    InvalidData
        If less than `wanted` bytes are available.
    """
    there = available()
    if wanted > there:
        raise InvalidData(
            f"{what[0].upper()}{what[1:]} take {_said(wanted)} of memory, and {_said(there)} are available.",
            hint="MODEL xgboost trains from disk; or take fewer rows, as in USING SAMPLE 10%.",
        )


def _said(size: int) -> str:
    return f"{size / 2**30:,.1f} GB" if size >= 2**30 else f"{size / 2**20:,.0f} MB"


def _machine() -> int:
    """Return how much the machine has left: free, or in caches that give way."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    if hasattr(os, "sysconf"):  # there half of all memory is a guess
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 2**32


def _limits() -> list[int]:
    """Return what the limits of the process and of its control group leave."""
    left = [2**63 - 1]
    try:
        most = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        left += [int(most) - used] if most != "max" else []
    except OSError:
        pass
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
    except (ImportError, OSError):
        return left
    for limit, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        most_bytes, used_kb = resource.getrlimit(limit)[0], re.search(rf"{name}:\s+(\d+) kB", status)
        if most_bytes != resource.RLIM_INFINITY and used_kb:
            left.append(most_bytes - int(used_kb[1]) * 1024)
    return left
