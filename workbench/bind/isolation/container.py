"""A container of a model's own: Docker or Podman, where one is there and runs."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from workbench.bind.isolation.image import WORKER
from workbench.bind.isolation.limits import Limits
from workbench.errors import Unsupported

ENGINES = ("docker", "podman")
NAME = "{name}"
"""Stands in a command for the name of the container, which is another each time it is started."""

MODEL = "/model"
_CHOSEN = "MLSTORE_CONTAINER_ENGINE"
_NOBODY = 65534
_PROCESSES = 256
_ANSWER = 20.0


def engine() -> str:
    """Return the engine that is there and answers; the variable `MLSTORE_CONTAINER_ENGINE` names one.

    Raises
    ------
    Unsupported
        If there is none, or none that answers, with what to do.
    """
    named = os.environ.get(_CHOSEN)
    return _engine((named,) if named else ENGINES, os.environ.get("PATH", ""))


@functools.lru_cache(maxsize=8)
def _engine(names: tuple[str, ...], path: str) -> str:
    """Look for an engine, once: asking takes up to a second, and each refresh of a binding needs one."""
    said = []
    for name in names:
        found = shutil.which(name, path=path)
        if found is None:
            continue
        try:
            done = _run(found, "info")
        except subprocess.TimeoutExpired:
            said.append(f"{name} does not answer.")
            continue
        if done.returncode == 0:
            return found
        lines = done.stderr.strip().splitlines()
        said.append(f"{name} is installed, and says: {lines[-1] if lines else 'nothing'}")
    if names != ENGINES:
        raise Unsupported(
            f"{_CHOSEN} is {names[0]!r}. " + (" ".join(said) or "There is no such program."),
            hint=f"Unset {_CHOSEN} to use Docker or Podman, whichever runs.",
        )
    raise Unsupported(
        "ISOLATE container needs Docker or Podman. " + (" ".join(said) or "Neither is installed."),
        hint="Install or start one of them, or use ISOLATE env.",
    )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER, check=False)  # noqa: S603


def command(path: str, tag: str, model: Path, limits: Limits) -> tuple[str, ...]:
    """Write the command that runs the worker in a container: no network, no rights, nothing to write to.

    Raises
    ------
    Unsupported
        If the folder of the model has a name that engines cannot be told.
    """
    if ":" in str(model):
        raise Unsupported(
            f"The model lies in {model}, and no container can be given a folder with a colon in its name.",
            hint="Move the store, or use ISOLATE env.",
        )
    return (
        *(path, "run", "--rm", "--interactive", "--name", NAME, "--network", "none"),
        # As much with swap as without: none.
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory)),
        *("--pids-limit", str(_PROCESSES), "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--read-only", "--tmpfs", "/tmp", "--user", user(path, model)),  # noqa: S108 (that of the container)
        # Libraries ask for a home and a name, and the user of this number has neither there.
        *("--env", "HOME=/tmp", "--env", "USER=nobody", "--stop-signal", "KILL"),
        # Under SELinux a container sees only what is labelled for it.
        *("--volume", f"{model}:{MODEL}:ro" + (",z" if Path("/sys/fs/selinux/enforce").exists() else "")),
        # A signal ends the process with that number only where it is not the first of its namespace.
        *(tag, "sh", "-c", f"python {WORKER}; exit $?"),
    )


def stop(path: str) -> tuple[str, ...]:
    """Write the command that ends a container and removes it, whatever state it is in."""
    return (path, "rm", "--force", NAME)


def user(path: str, model: Path) -> str:
    """Say as whom the worker runs: with no more rights than reading the model takes.

    Whoever runs an engine without root is root in its containers, and the same as here outside of them.
    Root itself becomes nobody where nobody can read the model.
    """
    if _is_rootless(path):
        return "0:0"
    if os.getuid() or not _all_may_read(model):
        return f"{os.getuid()}:{os.getgid()}"
    return f"{_NOBODY}:{_NOBODY}"


@functools.lru_cache(maxsize=8)
def _is_rootless(path: str) -> bool:
    for form in ("{{.Host.Security.Rootless}}", "{{.SecurityOptions}}"):
        done = _run(path, "info", "--format", form)
        if done.returncode == 0:
            return "true" in done.stdout or "rootless" in done.stdout
    return False


def _all_may_read(folder: Path) -> bool:
    return all(each.stat().st_mode & (0o005 if each.is_dir() else 0o004) for each in folder.rglob("*"))
