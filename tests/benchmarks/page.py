"""What the parts of the page of benchmarks have in common."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def replace_part(page: Path, title: str, text: str) -> None:
    """Put `text`, which begins with `title`, where the part of that title stands, or at the end."""
    before, _, rest = page.read_text(encoding="utf-8").partition(title)
    _, more, after = rest.partition("\n## ")
    page.write_text(before.rstrip() + "\n\n" + text + (f"\n## {after}" if more else ""), encoding="utf-8")


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def judged(ratio: float, reach: float, ratio_format: str = ".2f", reach_format: str = "") -> tuple[str, ...]:
    """Return the last cells of a row: a ratio, the one that may be reached, and whether it is."""
    return f"{ratio:{ratio_format}}", f"{reach:{reach_format}}", "yes" if ratio <= reach else "no"


def machine(*packages: str, cores: int | None = None) -> str:
    """Say by what the figures were made: the versions of Python and of these packages, and how many cores."""
    software = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}, {software}; {cores or os.cpu_count()} cores"
