"""Where stores are: those in the server's folder, and those that kernels have open."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.lake.folder import CATALOG, DATA
from workbench.plain.running import opened

_DEPTH = 4
_FOLDERS = 3000
_EVERY_SECONDS = 3.0
_PATIENCE_SECONDS = 0.5
_REMEMBERED_SECONDS = 60.0
_PASSED_BY = {"node_modules", "__pycache__", "site-packages"}


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a store, and the kernels that have it open."""

    folder: Path
    kernels: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A short name for requests, which tells nothing and opens nothing else."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]


class Places:
    """Finds stores.

    Parameters
    ----------
    root : Path
        The server's folder; it is searched a few levels deep.
    runtime : Path
        Where kernels tell which stores they have open.
    """

    def __init__(self, root: Path, runtime: Path) -> None:
        self.root = root
        self._runtime = runtime
        self._next = 0.0
        self._searching = threading.Lock()
        self._seen: dict[Path, float] = {}
        self._searched = 0.0

    def all(self) -> list[Place]:
        """List the stores, those that are open first; one that went away is listed for a minute or more."""
        now = time.monotonic()
        if now > self._next and self._searching.acquire(blocking=False):
            # A large or distant folder takes long: what was found before is shown meanwhile.
            search = threading.Thread(target=self._search, name="mlstore-search", daemon=True)
            search.start()
            search.join(_PATIENCE_SECONDS)
        # Counted from the last search: where one takes long, the next is far.
        lately = [
            folder for folder, seen in self._seen.items() if self._searched - seen < _REMEMBERED_SECONDS
        ]
        found = {folder: Place(folder) for folder in lately}
        for kernel, folders in opened(self._runtime).items():
            for folder in folders:
                place = found.get(folder, Place(folder))
                found[folder] = replace(place, kernels=(*place.kernels, kernel))
        return sorted(found.values(), key=lambda place: (not place.kernels, str(place.folder)))

    def _search(self) -> None:
        begun = time.monotonic()
        try:
            found = list(_search(self.root))
            ended = time.monotonic()
            self._seen = self._seen | dict.fromkeys(found, ended)
            self._searched = ended
            self._next = ended + max(_EVERY_SECONDS, 10 * (ended - begun))
        finally:
            self._searching.release()

    def shown(self, folder: Path) -> str:
        """Write a folder as the user knows it: from the server's folder on, where it lies in it."""
        return folder.relative_to(self.root).as_posix() if folder.is_relative_to(self.root) else str(folder)


def _search(root: Path) -> Iterator[Path]:
    """Find the folders of stores below `root`, without following links and with an end."""
    front, left = [root], _FOLDERS
    for _ in range(_DEPTH + 1):
        following: list[Path] = []
        for folder in front[:left]:
            if (folder / CATALOG).is_file() and (folder / DATA).is_dir():
                yield folder
            else:
                following += _below(folder)
        left -= len(front)
        front = following


def _below(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(each.path)
                for each in entries
                if each.is_dir(follow_symlinks=False)
                and not each.name.startswith(".")
                and each.name not in _PASSED_BY
            ]
    except OSError:
        return []
