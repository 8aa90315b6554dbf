"""Write an image with this Python alone, as a tar: a base for tests where python:3.x-slim cannot be had.

It has what that one has and a model's image needs: `python` with pip, `sh`, and the system's libraries that
wheels expect. All of it lies where it lies here, so nothing has to be told that it moved.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pip

_LEFT_OUT = {"__pycache__", "site-packages", "dist-packages", "test", "idlelib", "ensurepip", "turtledemo"}
_FOUND = re.compile(r"(?:=> )?(/\S+) \(0x")
_USUAL = (
    *(
        "libstdc++.so.6",
        "libgcc_s.so.1",
        "libm.so.6",
        "libdl.so.2",
        "libpthread.so.0",
        "librt.so.1",
        "libutil.so.1",
    ),
    *("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"),
)
_USERS = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/sh\n"


def libraries(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that programs and libraries need."""
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in _FOUND.findall(said)}


def standard_library() -> list[Path]:
    """List the files of the standard library, without its tests."""
    folder = Path(sysconfig.get_path("stdlib"))
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each not in _LEFT_OUT and not each.startswith("config-")]
        found += [Path(place) / each for each in files if each != "EXTERNALLY-MANAGED"]
    return found


def write(sink: io.BufferedIOBase) -> None:
    """Write the tar."""
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001
    shell = Path(shutil.which("sh") or "/bin/sh").resolve()
    library = standard_library()
    needed = libraries([python, shell, *(each for each in library if each.suffix == ".so")])
    libc = next(each for each in needed if each.name.startswith("libc.so"))
    # Wheels ask for these; where libc lies they are found without a cache of paths.
    usual = [file for name in _USUAL if (file := libc.parent / name).exists()]
    with tarfile.open(fileobj=sink, mode="w|", dereference=True) as tar:
        for file in {python, *library, *usual, *libraries(usual), *needed}:
            tar.add(file, recursive=False)
        tar.add(shell, "/bin/sh")
        if libc.parent not in {each.parent for each in needed if each.name.startswith("libpython")}:
            for each in needed:
                if each.name.startswith("libpython"):
                    tar.add(each, libc.parent / each.name)
        own = Path(pip.__file__).parent
        tar.add(own, Path(sysconfig.get_path("stdlib")) / "pip", filter=_without_caches)
        _link(tar, "/usr/local/bin/python", python)
        _folder(tar, "/tmp", 0o1777)
        _text(tar, "/etc/passwd", _USERS)


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def _link(tar: tarfile.TarFile, name: str, target: Path) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, str(target)
    tar.addfile(member)


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text.encode()))


if __name__ == "__main__":
    write(sys.stdout.buffer)
