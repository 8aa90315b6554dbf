"""The image of a model: its packages and the worker, built once for each set of requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from workbench.bind.isolation.commands import run
from workbench.bind.isolation.environment import cache, requirement_files
from workbench.bind.isolation.pip_settings import pip_settings
from workbench.bind.isolation.warm import SCRIPT
from workbench.errors import ModelError
from workbench.progress import step
from workbench.train.registry import Packaged

REPOSITORY = "mlstore-model"
WORKER = "/worker.py"
_BASE = "MLSTORE_CONTAINER_BASE"
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_PIP, _CERTIFICATES = "pip.conf", "certificates.pem"


def base() -> str:
    """Return the image that others are built from; the variable `MLSTORE_CONTAINER_BASE` names another.

    Engines without a list of registries to look in know only whole names.

    Examples
    --------
    >>> monkeypatch = getfixture("monkeypatch")
    >>> monkeypatch.setenv("MLSTORE_CONTAINER_BASE", "registry.example/python:3.12")
    >>> base()
    'registry.example/python:3.12'
    """
    here = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    return os.environ.get(_BASE) or here


def image(engine: str, packaged: Packaged, name: str) -> str:
    """Return the image for a model; the first time it is built.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    files = {**requirement_files(packaged), SCRIPT.name: SCRIPT.read_text(encoding="utf-8")}
    told = hashlib.sha256("\n".join([dockerfile({}), *files.values()]).encode()).hexdigest()[:16]
    tag = f"{REPOSITORY}:{told}"
    with FileLock(cache("images") / f"{told}.lock"):
        if not _is_built(engine, tag):
            with step(f"Building the image for {name}") as advance, _context(files) as (folder, more):
                build = [engine, "build", "--tag", tag, *more, str(folder)]
                try:
                    run(build, advance, {"DOCKER_BUILDKIT": "1"} if "--secret" in more else {})
                except ModelError as error:
                    raise ModelError(
                        f"The image for {name} cannot be built.\n{error.message}", hint=_hint(error.message)
                    ) from error
    return tag


def _is_built(engine: str, tag: str) -> bool:
    known = subprocess.run([engine, "image", "inspect", tag], capture_output=True, check=False)  # noqa: S603
    return known.returncode == 0


def _hint(said: str) -> str:
    if "no space left" in said.lower():
        return "Make room where the engine keeps its images, for instance with: podman system prune"
    if base() in said and "pip install" not in said:
        return f"The image is built from {base()}; name another that can be reached with {_BASE}."
    return "Its packages are installed with pip, with the settings pip has here; ISOLATE env does without."


def dockerfile(secrets: Mapping[str, str]) -> str:
    r"""Write the recipe of an image; secrets are there while packages are installed, and nowhere after.

    Examples
    --------
    >>> print(dockerfile({}).partition("\n")[2])
    COPY *.txt /mlstore/
    RUN python -m pip install --no-cache-dir --no-input -r /mlstore/requirements.txt
    COPY worker.py /worker.py
    USER nobody
    """
    mounts = "".join(f"--mount=type=secret,id={name},target={target} " for name, target in secrets.items())
    return "\n".join(
        [
            f"FROM {base()}",
            "COPY *.txt /mlstore/",
            f"RUN {mounts}python -m pip install --no-cache-dir --no-input -r /mlstore/requirements.txt",
            f"COPY {SCRIPT.name} {WORKER}",
            "USER nobody",
        ]
    )


@contextmanager
def _context(files: Mapping[str, str]) -> Iterator[tuple[Path, list[str]]]:
    """Give a folder to build from, and the flags that hand pip its settings."""
    with tempfile.TemporaryDirectory(prefix="mlstore-image-") as made:
        folder, secret = Path(made, "context"), Path(made, "secret")
        folder.mkdir()
        secret.mkdir()
        secrets = _write_settings(secret)
        for name, text in {**files, "Dockerfile": dockerfile(secrets)}.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o644)  # The worker is read by nobody.
        proxies = [name for each in _PROXIES for name in (each, each.upper()) if os.environ.get(name)]
        # Rootless engines may have no other network, and a proxy may be on this machine.
        flags = ["--network", "host"]
        flags += [word for name in secrets for word in ("--secret", f"id={name},src={secret / name}")]
        flags += [word for name in proxies for word in ("--build-arg", name)]
        yield folder, flags


def _write_settings(folder: Path) -> dict[str, str]:
    """Write what pip is to know, and return where each file has to be while it runs."""
    settings, secrets = pip_settings(), {}
    if certificates := settings.get("cert"):
        shutil.copyfile(certificates, folder / _CERTIFICATES)
        secrets[_CERTIFICATES] = settings["cert"] = f"/mlstore/{_CERTIFICATES}"
    if settings:
        lines = [f"{key} = {value}" for key, value in settings.items()]
        (folder / _PIP).write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
        secrets[_PIP] = "/etc/pip.conf"
    return secrets
