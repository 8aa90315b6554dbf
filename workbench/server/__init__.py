"""The extension of the Jupyter server: what JupyterLab asks about statements and stores.

It only reads. Whatever changes a store runs in a kernel, where the user sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def load_jupyter_server_extension(server: ServerApp) -> None:
    """Add the handlers below `mlstore/api/`."""
    import atexit
    from pathlib import Path

    from jupyter_core.paths import jupyter_runtime_dir
    from jupyter_server.utils import url_path_join

    from workbench.server import cells, handlers
    from workbench.server.desk import Desk
    from workbench.server.places import Places

    desk = Desk(Places(Path(server.root_dir).resolve(), Path(jupyter_runtime_dir())))
    atexit.register(desk.close)
    base = url_path_join(server.web_app.settings["base_url"], "mlstore", "api")
    app: Any = server.web_app
    routes = [*handlers.routes(desk), *cells.routes(desk)]
    app.add_handlers(".*$", [(url_path_join(base, path), *rest) for path, *rest in routes])
    server.log.info("mlstore: ready below /mlstore/api")
