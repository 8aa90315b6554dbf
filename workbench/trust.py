"""Which code of a store may run on this machine: what was made here, or approved.

A store that came from somebody else can hold Python code, and models whose loading runs code. It
does not run until its fingerprint is among those kept in the user's configuration folder.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InvalidData, Unsupported

_FILE = "trusted.json"


@dataclass(frozen=True, slots=True)
class Unapproved:
    """Something in a store that may not run on this machine yet.

    Attributes
    ----------
    kind : {"transform", "model"}
    text : str
        The code, or what there is to say of a file.
    fingerprint : str
        What is approved.
    """

    kind: str
    name: str
    version: str
    text: str
    fingerprint: str


def config_folder() -> Path:
    """Return the folder of the user's configuration; the variable MLSTORE_CONFIG names another."""
    if named := os.environ.get("MLSTORE_CONFIG"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming")) / "mlstore"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mlstore"
    return Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "mlstore"


def approved() -> frozenset[str]:
    """Return the fingerprints of the code that may run here.

    Raises
    ------
    InvalidData
        If the file that holds them is broken.
    """
    path = config_folder() / _FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise InvalidData(
            f"The list of approved code, {path}, cannot be read: {error}",
            hint="Remove the file, and approve again what you trust.",
        ) from error
    if not isinstance(found, list):
        raise InvalidData(f"{path} is no list of fingerprints.", hint="Remove the file, and approve again.")
    return frozenset(str(each) for each in found)


def approve(fingerprint: str) -> None:
    """Let code of this fingerprint run on this machine, now and later."""
    if fingerprint in approved():
        return
    from filelock import FileLock

    folder = config_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # Two trainings at once must not forget each other's model.
    with FileLock(folder / f"{_FILE}.lock"):
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(sorted({*approved(), fingerprint}), file, indent=1)
        with suppress(OSError):
            Path(name).chmod(0o600)
        Path(name).replace(folder / _FILE)


def require(fingerprint: str, what: str, store: Path) -> None:
    """Refuse to run code that was not approved.

    Parameters
    ----------
    fingerprint : str
        What was approved, or not.
    what : str
        What it is, as in "The transform 'f' is Python code".
    store : Path
        The folder of the store.

    Raises
    ------
    Unsupported
        With what to say to approve it.
    """
    if fingerprint not in approved():
        raise Unsupported(
            f"{what}, and was not approved on this machine: it does not run.",
            hint=f"If you trust who made it, approve it with: mlstore --store {store} trust",
        )
