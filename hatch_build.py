"""Puts the JupyterLab extension into the wheel: built here where Node.js is, left out where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))
import extension

SHARED = "share/jupyter/labextensions/mlstore"


class ExtensionHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling gives the parameter no meaning here
    """Build the extension for a wheel.

    The environment variable MLSTORE_EXTENSION says how: `no` leaves it out, `yes` fails where it cannot be
    built; otherwise it is built where that is possible.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build where needed, and add what was built to the wheel's shared data."""
        wish = os.environ.get("MLSTORE_EXTENSION", "")
        if wish == "no":
            return
        if extension.is_stale():
            missing = extension.obstacle()
            if not missing:
                missing = self._build(required=wish == "yes" or version == "standard")
            if missing:
                if wish == "yes":
                    raise RuntimeError(f"The JupyterLab extension cannot be built: {missing}.")
                self.app.display_warning(f"Without the JupyterLab extension: {missing}.")
                return
        build_data["shared_data"][str(extension.BUILT)] = SHARED

    def _build(self, *, required: bool) -> str:
        self.app.display_waiting("Building the JupyterLab extension …")
        try:
            extension.build()
        except subprocess.CalledProcessError as error:
            if required:
                raise
            return f"its build failed ({error})"
        return ""
