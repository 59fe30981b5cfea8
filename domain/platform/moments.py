"""Moments: as every answer and event writes them, and those that must be to come."""

from datetime import UTC, datetime, timedelta

from domain.platform.errors import InvalidFieldError

LATEST = timedelta(days=365)
"""How far ahead something can be put off or scheduled."""


def written(moment: datetime) -> str:
    """Write an aware moment in UTC with milliseconds, cut off: ``2026-11-28T23:52:29.958Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_ahead(moment: datetime, *, field: str) -> None:
    """Let through a moment of the coming year.

    Raises:
        InvalidFieldError: ``in_the_past`` or ``too_far_ahead``.
    """
    now = datetime.now(UTC)
    if moment <= now:
        raise InvalidFieldError(
            field, "is in the past; choose a later time, or leave it out", code="in_the_past"
        )
    if moment > now + LATEST:
        raise InvalidFieldError(
            field,
            f"is too far ahead; choose a time within {LATEST.days} days",
            code="too_far_ahead",
        )
