"""The outcomes of a sequence's steps, for lists and for the funnel.

Each condition is defined once, over a row of ``enrollments``, and used for both.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ScalarSelect, TextClause, func, select, text
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from domain.statuses.messaging import MessageStatus
from domain.statuses.progress import FAILURES
from storage.platform.database import Transaction
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message
from storage.tables.sent import DELIVERED, SENT

_DUE = "enrollments.status = 'active' AND enrollments.position <= enrollments.step_count"
_OPTED_OUT = "enrollments.status = 'opted_out'"
_REPLIED = "enrollments.replied_at IS NOT NULL"

_STEP_REPLIED_TO = f"""coalesce((
    SELECT max(m.step) FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.enrollment_id = enrollments.id AND {SENT} AND a.started_at <= enrollments.replied_at
), 0)"""  # noqa: S608 - built from constants
"""SQL: the last step sent before the contact replied; 0 if only one-off texts were sent."""

_FAILED = (
    "m.status IN ('refused', 'failed', 'undelivered', 'canceled')"
    " AND enrollments.status NOT IN ('active', 'opted_out', 'omitted_opted_out')"
)

_OF_TEXT: Mapping[StepOutcome, str] = {
    StepOutcome.SENT: SENT,
    StepOutcome.DELIVERED: DELIVERED,
    StepOutcome.FAILED: _FAILED,
}
"""SQL: true if it is true of any attempt ``a`` of the step's text ``m``."""

_AT_STEP: Mapping[StepOutcome, str] = {
    StepOutcome.DUE: f"{_DUE} AND enrollments.position = :outcome_step",
    StepOutcome.REPLIED: f"{_REPLIED} AND {_STEP_REPLIED_TO} = :outcome_step",
    StepOutcome.OPTED_OUT: f"{_OPTED_OUT} AND enrollments.step = :outcome_step",
    **{
        outcome: f"""EXISTS (
            SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.enrollment_id = enrollments.id AND m.step = :outcome_step AND {condition}
        )"""  # noqa: S608 - built from constants
        for outcome, condition in _OF_TEXT.items()
    },
}


def failing_code() -> ScalarSelect[int | None]:
    """Select the error code of an active enrollment's current text, if it failed and is retried.

    0 if the provider gave no code; for a query that reads ``Enrollment``.
    """
    return (
        select(func.coalesce(col(Message.error_code), 0))
        .where(
            col(Message.enrollment_id) == col(Enrollment.id),
            col(Message.step) == col(Enrollment.position),
            col(Message.pass_number) == col(Enrollment.pass_number),
            col(Message.next_try_at).is_not(None),
            col(Message.status).in_([MessageStatus.REFUSED, *FAILURES]),
            col(Enrollment.status) == EnrollmentStatus.ACTIVE,
        )
        .scalar_subquery()
    )


def is_so(outcome: StepOutcome, step: int) -> TextClause:
    """Build the condition that a step has this outcome; for a query that reads ``enrollments``."""
    return text(f"({_AT_STEP[outcome]})").bindparams(outcome_step=step)


_COUNT_TEXTS = f"""
    SELECT step, count(*) FILTER (WHERE sent) AS sent,
        count(*) FILTER (WHERE delivered) AS delivered, count(*) FILTER (WHERE failed) AS failed
    FROM (
        SELECT m.step, bool_or({_OF_TEXT[StepOutcome.SENT]}) AS sent,
            bool_or({_OF_TEXT[StepOutcome.DELIVERED]}) AS delivered,
            bool_or({_OF_TEXT[StepOutcome.FAILED]}) AS failed
        FROM enrollments
        JOIN messages m ON m.enrollment_id = enrollments.id
        JOIN attempts a ON a.message_id = m.id
        WHERE enrollments.sequence_id = :sequence_id AND m.step IS NOT NULL
        GROUP BY enrollments.id, m.step
    ) of_enrollment
    GROUP BY step
"""  # noqa: S608 - built from constants

_COUNT_ROWS = f"""
    SELECT 'due' AS outcome, enrollments.position AS step, count(*) AS total FROM enrollments
    WHERE enrollments.sequence_id = :sequence_id AND {_DUE} GROUP BY 2
    UNION ALL
    SELECT 'opted_out', enrollments.step, count(*) FROM enrollments
    WHERE enrollments.sequence_id = :sequence_id AND {_OPTED_OUT} GROUP BY 2
    UNION ALL
    SELECT 'replied', {_STEP_REPLIED_TO}, count(*) FROM enrollments
    WHERE enrollments.sequence_id = :sequence_id AND {_REPLIED} GROUP BY 2
"""  # noqa: S608 - built from constants

StepCounts = Mapping[tuple[int, StepOutcome], int]
"""Numbers of enrollments by step and outcome; zeros are left out."""


async def count_by_text(tx: Transaction, sequence_id: UUID) -> StepCounts:
    """Count by step the enrollments whose text was sent, was delivered, failed."""
    counts: dict[tuple[int, StepOutcome], int] = {}
    for row in await tx.run(_COUNT_TEXTS, sequence_id=sequence_id):
        for outcome in _OF_TEXT:
            counts[row.step, outcome] = getattr(row, outcome.value)
    return counts


async def count_by_row(tx: Transaction, sequence_id: UUID) -> StepCounts:
    """Count by step the enrollments that wait at it, replied to it, opted out after it."""
    rows = await tx.run(_COUNT_ROWS, sequence_id=sequence_id)
    return {(row.step, StepOutcome(row.outcome)): row.total for row in rows}
