"""The enrollments that a request names."""

from collections.abc import Sequence as Many
from uuid import UUID

from domain.platform.errors import InvalidFieldError

MAX_ENROLLMENTS = 10_000


def checked(enrollment_ids: Many[UUID]) -> list[UUID]:
    """Count enrollments, each once.

    Raises:
        InvalidFieldError: ``enrollment_count``: too many or none.
    """
    asked = list(dict.fromkeys(enrollment_ids))
    if not 1 <= len(asked) <= MAX_ENROLLMENTS:
        raise InvalidFieldError(
            "enrollment_ids",
            f"has {len(asked)} enrollments; give 1 to {MAX_ENROLLMENTS}",
            code="enrollment_count",
        )
    return asked
