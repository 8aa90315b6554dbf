"""A virtual environment of a model's own, built once from the requirements that lie with the model."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from workbench.bind.isolation.commands import run
from workbench.errors import ModelError
from workbench.progress import step
from workbench.train.registry import Packaged

_READY = "ready"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_FILE = re.compile(r"(?:-c|-r|--constraint|--requirement)[ =]?\s*([\w.-]+\.txt)")


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


def requirement_files(packaged: Packaged) -> dict[str, str]:
    """Return the text of requirements.txt as it is to be installed, and of the files that it names."""
    needed = requirements(packaged)
    files = {"requirements.txt": "\n".join(needed)}
    for found in map(_FILE.fullmatch, needed):
        file = found and packaged.files / Path(found[1]).name
        if file and file.is_file():
            files[file.name] = file.read_text(encoding="utf-8")
    return files


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

    files = requirement_files(packaged)
    named = "\n".join([platform.python_version(), *files.values()])
    folder = cache("environments") / hashlib.sha256(named.encode()).hexdigest()[:16]
    python = folder / "bin" / "python"
    with FileLock(f"{folder}.lock"):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _build(folder, files, name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _READY).write_text(named, encoding="utf-8")
    return python


def cache(kind: str) -> Path:
    """Return the folder where things of a kind are kept; the variable MLSTORE_CACHE names another place."""
    usual = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlstore"
    folder = Path(os.environ.get("MLSTORE_CACHE") or usual) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build(folder: Path, files: Mapping[str, str], name: str) -> None:
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
        with tempfile.TemporaryDirectory(prefix="mlstore-") as made:
            for file, text in files.items():
                Path(made, file).write_text(text, encoding="utf-8")
            run([*install, "-r", f"{made}/requirements.txt"], advance)
        advance(1)
