"""What a model is trained with: the versions of the libraries, and the commit of the code around it."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import Any

PACKAGES = ("mlstore", "xgboost", "scikit-learn", "numpy", "duckdb")

DIRTY = "-dirty"
"""What stands behind a commit to which changes were made."""

_SECONDS = 2.0


def describe(estimator: Any) -> dict[str, str]:
    """Return the versions of Python, of `PACKAGES` and of the estimator's own package, and the commit.

    Returns
    -------
    dict of str to str
        By name; a package that is not installed is left out, and so is the commit where the working
        directory is in no repository of Git. A commit with `-dirty` behind it had changes that were
        not committed.
    """
    own = type(estimator).__module__.partition(".")[0]
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in dict.fromkeys((*PACKAGES, own)):
        version = _version(name)
        if version is not None:
            found[name] = version
    commit = _commit()
    return {**found, "commit": commit} if commit else found


def _version(name: str) -> str | None:
    """Return the version of an installed package; `xgboost-cpu` counts as xgboost."""
    for each in (name, f"{name}-cpu"):
        try:
            return metadata.version(each)
        except metadata.PackageNotFoundError:
            continue
    return None


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", f"--dirty={DIRTY}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
