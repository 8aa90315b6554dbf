"""The extension of the Jupyter server: what JupyterLab asks about statements and stores.

It only reads. Whatever changes a store runs in a kernel, where the user sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def load_jupyter_server_extension(server: ServerApp) -> None:
    """Add the handlers below `mlstore/api/`."""
    server.log.info("mlstore: ready below /mlstore/api")
