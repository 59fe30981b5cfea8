"""Moments as every answer and event writes them."""

from datetime import UTC, datetime


def written(moment: datetime) -> str:
    """Write an aware moment in UTC with milliseconds, cut off: ``2026-11-28T23:52:29.958Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
