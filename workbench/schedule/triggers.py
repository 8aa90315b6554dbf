"""Triggers: the text of a WHEN clause, checked."""

from __future__ import annotations

import re

from workbench.errors import NotFound, Unsupported

MANUAL, ON_WRITE = "manual", "on write"
_PLANNED = ("every", "cron", "changed", "drift", "metric", "after")


def check_trigger(text: str) -> str:
    """Return a trigger in its normal form.

    Raises
    ------
    Unsupported
        If the store does not act on such a trigger yet.
    NotFound
        If there is no such trigger.

    Examples
    --------
    >>> check_trigger("ON  WRITE")
    'on write'
    """
    normal = " ".join(text.lower().split())
    if normal in (MANUAL, ON_WRITE):
        return normal
    first = re.match(r"[a-z]*", normal)
    word = first.group() if first else ""
    if word in _PLANNED:
        raise Unsupported(
            f"The trigger {word!r} is not there yet.", hint="Use WHEN on write, or WHEN manual and refresh."
        )
    raise NotFound.named("trigger", text, (MANUAL, ON_WRITE, *_PLANNED))
