"""An error as one readable block, which still makes the cell fail.

IPython asks an exception for `_render_traceback_` before it writes a traceback itself. The block
is text, its title bold: notebooks and terminals show it in a fixed-width font, and nbclient and
Papermill still see a cell that failed.
"""

from __future__ import annotations

import traceback

from workbench.errors import WorkbenchError
from workbench.plain.failures import block


def shown_as_block(error: WorkbenchError) -> WorkbenchError:
    """Make an error show itself as its block."""
    error._render_traceback_ = lambda: block(error, styled=True).split("\n")  # type: ignore[method-assign]
    return error


def shown_in_full(error: WorkbenchError) -> WorkbenchError:
    """Make an error show its whole traceback, and the block at the end."""

    def render() -> list[str]:
        trace = "".join(traceback.format_exception(error)).rstrip("\n")
        return [*trace.split("\n"), "", *block(error, styled=True).split("\n")]

    error._render_traceback_ = render  # type: ignore[method-assign]
    return error
