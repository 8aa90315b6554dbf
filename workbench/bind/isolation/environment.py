"""A virtual environment of a model's own, built once from the requirements that lie with the model."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from workbench.errors import ModelError
from workbench.progress import Advance, step
from workbench.train.registry import Packaged

_READY = "ready"
_TAIL = 2000
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(packaged: Packaged) -> list[str]:
    """Return what has to be installed to run a model: what it names, and what the worker needs.

    MLflow names itself in every model; it is left out where the model brings its own loader.
    """
    file = packaged.files / "requirements.txt"
    if not file.exists():
        raise ModelError(
            f"The model in {packaged.files} does not say what it requires: it has no requirements.txt.",
            hint="Use ISOLATE process, which runs it with what is installed here.",
        )
    named = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    kept = [line for line in named if line and not line.startswith("#")]
    if not packaged.loader.startswith("mlflow."):
        kept = [line for line in kept if _package(line) != "mlflow"]
    kept = [_smaller(line) for line in kept]
    present = {_package(line) for line in kept}
    own = [f"{each}=={metadata.version(each)}" for each in ("pyarrow", "pandas") if each not in present]
    return sorted([*kept, *own])


def _package(line: str) -> str:
    found = _NAME.match(line)
    return found[0].lower() if found else ""


def _smaller(line: str) -> str:
    """Take XGBoost without its half gigabyte for graphics cards, where that is what is installed here."""
    if _package(line) == "xgboost":
        try:
            metadata.version("xgboost-cpu")
        except metadata.PackageNotFoundError:
            return line
        return "xgboost-cpu" + line[len("xgboost") :]
    return line


def environment(packaged: Packaged, name: str) -> Path:
    """Return the interpreter of the environment for a model; the first time it is built.

    Raises
    ------
    ModelError
        If its requirements cannot be installed.
    """
    from filelock import FileLock

    needed = requirements(packaged)
    named = "\n".join([platform.python_version(), *needed])
    folder = _cache() / hashlib.sha256(named.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with FileLock(f"{folder}.lock"):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _build(folder, needed, name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _READY).write_text(named, encoding="utf-8")
    return python


def _cache() -> Path:
    """Return where environments are kept; the variable MLSTORE_CACHE names another folder."""
    if named := os.environ.get("MLSTORE_CACHE"):
        return Path(named) / "environments"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlstore" / "environments"


def _build(folder: Path, needed: Sequence[str], name: str) -> None:
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        make, install = [uv, "venv", str(folder)], [uv, "pip", "install", "--python", python]
    else:
        make = [sys.executable, "-m", "venv", str(folder)]
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    with step(f"Installing what {name} requires", 2) as advance:
        run(make, advance)
        advance(1)
        run([*install, *needed], advance)
        advance(1)


def run(command: Sequence[str], advance: Advance, given: str | None = None) -> None:
    """Run a command that takes a while, and show the last line it printed.

    Raises
    ------
    ModelError
        If it fails.
    """
    outside = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    process = subprocess.Popen(  # noqa: S603 (pip, uv or docker)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=outside,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    printed = ""
    try:
        with process.stdin as pipe:
            pipe.write(given or "")
        with process.stdout as lines:
            for line in lines:
                printed = (printed + line)[-_TAIL:]
                advance(0, note=line.strip()[:80])
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.wait() != 0:
        raise ModelError(f"{' '.join(command[:4])} … failed:\n{printed.strip()}")


FOREIGN = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})
"""Variables that would let another interpreter import what is installed here."""
