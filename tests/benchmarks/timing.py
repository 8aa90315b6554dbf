"""How the benchmarks take times: here, in turn, and in processes of their own."""

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(actions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time several things in turn, after two turns to warm up; return the median of each."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for run in range(repeats + 2):
        for name, action in actions.items():
            seconds = timed(action)
            if run >= 2:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def printed(*command: str) -> str:
    """Run a process of its own, and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
