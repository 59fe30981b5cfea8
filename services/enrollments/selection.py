"""Actions on the enrollments that a request names."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from domain.platform.errors import InvalidFieldError
from domain.statuses.messaging import LastText

MAX_ENROLLMENTS = 10_000

ResultCode = Literal[
    "added",
    "already_member",
    "accepted",
    "opted_out",
    "landline",
    "finished",
    "paused",
    "already_paused",
    "awaiting_reply",
    "resumed",
    "not_paused",
    "released",
    "not_held",
    "outcome_known",
    "consent_missing",
    "already_final",
    "not_found",
]
"""The results of all actions."""


@dataclass(frozen=True)
class EnrollmentResult:
    """What an action did to one enrollment.

    Attributes:
        result: Each action names its own.
        last_text: If it was finished: the outcome of a text that was under way.
        message_id: If a text was accepted: the text.
        over_cap: If one was accepted: the contact has had as many as the workspace lets one have.
    """

    enrollment_id: UUID
    result: ResultCode
    last_text: LastText | None = None
    message_id: UUID | None = None
    over_cap: bool = False


def checked(enrollment_ids: Many[UUID]) -> list[UUID]:
    """Leave out duplicates.

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
