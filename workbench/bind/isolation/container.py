"""A container of a model's own: Docker or Podman, where one is there and runs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

from workbench.bind.isolation.environment import requirements, run
from workbench.bind.isolation.limits import Limits
from workbench.bind.isolation.warm import SCRIPT
from workbench.errors import ModelError, Unsupported
from workbench.progress import step
from workbench.train.registry import Packaged

ENGINES = ("docker", "podman")
NAME = "{name}"
"""Stands in a command for the name of the container, which is another each time it is started."""

MODEL, WORKER = "/model", "/worker.py"
_PROCESSES = 256
_ANSWER = 10.0


def engine() -> str:
    """Return the engine that is there and answers.

    Raises
    ------
    Unsupported
        If there is none, or none that answers, with what to do.
    """
    said = []
    for name in ENGINES:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            done = subprocess.run(  # noqa: S603
                [path, "info"], capture_output=True, text=True, timeout=_ANSWER, check=False
            )
        except subprocess.TimeoutExpired:
            said.append(f"{name} does not answer.")
            continue
        if done.returncode == 0:
            return path
        lines = done.stderr.strip().splitlines()
        said.append(f"{name} is installed, and says: {lines[-1] if lines else 'nothing'}")
    raise Unsupported(
        "ISOLATE container needs Docker or Podman. " + (" ".join(said) or "Neither is installed."),
        hint="Install or start one of them, or use ISOLATE env.",
    )


def image(path: str, packaged: Packaged, name: str) -> str:
    """Return the image for a model; the first time it is built.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    text = dockerfile(requirements(packaged))
    tag = f"mlstore-model:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    known = subprocess.run([path, "image", "inspect", tag], capture_output=True, check=False)  # noqa: S603
    if known.returncode != 0:
        with step(f"Building the image for {name}") as advance:
            try:
                run([path, "build", "-t", tag, "-"], advance, given=text)
            except ModelError as error:
                raise ModelError(f"The image for {name} cannot be built.\n{error.message}") from error
    return tag


def dockerfile(needed: Sequence[str]) -> str:
    r"""Write the recipe of an image.

    Examples
    --------
    >>> print(dockerfile(["pyarrow==25.0.1", "six>=1"]).partition("\n")[2])
    RUN pip install --no-cache-dir 'pyarrow==25.0.1' 'six>=1'
    USER nobody
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = " ".join(f"'{each}'" for each in needed)
    return f"FROM python:{version}-slim\nRUN pip install --no-cache-dir {packages}\nUSER nobody"


def command(path: str, tag: str, packaged: Packaged, limits: Limits) -> tuple[str, ...]:
    """Write the command that runs the worker in a container: no network, no rights, nothing to write to."""
    return (
        path,
        "run",
        "--rm",
        "--interactive",
        "--name",
        NAME,
        "--network",
        "none",
        "--memory",
        str(limits.memory),
        "--pids-limit",
        str(_PROCESSES),
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
        "--tmpfs",
        "/tmp",  # noqa: S108 (that of the container)
        "--volume",
        f"{packaged.files}:{MODEL}:ro",
        "--volume",
        f"{SCRIPT}:{WORKER}:ro",
        tag,
        "python",
        WORKER,
    )
