"""Hold Ctrl-C back where it would leave something half done that cannot be done again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function given is called, or to the end.

    Two things cannot be interrupted: C that calls Python, which swallows the interrupt; and the import of
    a large library, after which Python keeps some of its modules and not others, so that it cannot be
    imported again before the end of the process.

    Examples
    --------
    >>> with held_back():
    ...     import json
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
    check()
