#!/usr/bin/env python3
"""Build the JupyterLab extension: where Node.js is, and only when its sources are newer than what was built.

`make` and the browser tests run this file, and packaging (`hatch_build.py`) imports it. It needs nothing
but Python's own library and jupyter-builder. The result lies in `build/share/jupyter`, which JUPYTER_PATH
can name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "extension"
BUILT = ROOT / "build" / "share" / "jupyter" / "labextensions" / "mlstore"
OLDEST_NODE = 20
NOT_BUILT = 3
"""The exit status where the extension cannot be built here."""


def obstacle() -> str:
    """Say what is missing to build the extension here; empty where nothing is."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        return "Node.js is not installed"
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = asked.stdout.strip()
    major = version.lstrip("v").partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST_NODE:
        return f"Node.js {OLDEST_NODE} or newer is needed, and this is {version or 'broken'}"
    return "" if find_spec("jupyter_builder") else "the Python package jupyter-builder is not installed"


def is_stale() -> bool:
    """Tell whether a source is newer than what was built, or nothing was built."""
    built = BUILT / "package.json"
    return not built.exists() or max(each.stat().st_mtime for each in _sources()) > built.stat().st_mtime


def _sources() -> Iterator[Path]:
    for name in ("package.json", "tsconfig.json", "yarn.lock", ".yarnrc.yml"):
        yield SOURCE / name
    for folder in ("src", "style", "schema"):
        # The folders too: a file that was removed leaves only its folder newer.
        yield from (each for each in [SOURCE / folder, *(SOURCE / folder).rglob("*")] if each.exists())


def build() -> None:
    """Build it.

    Raises
    ------
    subprocess.CalledProcessError
        If a step fails; its output has been shown.
    """
    # jupyter-builder is a program of this Python's environment, which need not be activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PATH": path}
    shutil.rmtree(BUILT, ignore_errors=True)  # names of files change with what is in them
    jlpm = [sys.executable, "-c", "from jupyter_builder.jlpm import main; main()"]
    for step in (["install", "--immutable"], ["run", "build"]):
        done = subprocess.run(
            [*jlpm, *step],
            cwd=SOURCE,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            done.check_returncode()
    shutil.copy(SOURCE / "jupyter" / "install.json", BUILT)
    # What was built is as new as this run, also where nothing in it changed.
    os.utime(BUILT / "package.json")


def main() -> int:
    """Build it where needed and possible, and say so."""
    if not is_stale():
        return 0
    missing = obstacle()
    if missing:
        print(f"The JupyterLab extension is not built: {missing}. Everything else works.", file=sys.stderr)
        print("A wheel of mlstore has it built in; or install Node.js and run make again.", file=sys.stderr)
        return NOT_BUILT
    print("Building the JupyterLab extension (a minute or two the first time) …", flush=True)
    try:
        build()
    except subprocess.CalledProcessError as error:
        print(f"The JupyterLab extension could not be built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
