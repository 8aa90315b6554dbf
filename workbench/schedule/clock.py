"""The one clock of the schedules, so that tests can turn it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)
