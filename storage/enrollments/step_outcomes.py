"""The outcomes of a sequence's steps, for lists and for figures.

Each condition is defined once, over a row of ``enrollments``, and used for both.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from functools import cache
from uuid import UUID

from sqlalchemy import ScalarSelect, TextClause, func, select, text
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from domain.statuses.messaging import TEST_MARK, MessageStatus
from domain.statuses.progress import FAILURES
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message
from storage.tables.sent import DELIVERED, SENT

DUE = "enrollments.status = 'active' AND enrollments.position <= enrollments.step_count"
OPTED_OUT = "enrollments.status = 'opted_out'"
REPLIED = "enrollments.replied_at IS NOT NULL"
SKIPPED = "enrollments.skipped <> '[]'"
FAILED = (
    "m.status IN ('refused', 'failed', 'undelivered', 'canceled')"
    " AND enrollments.status NOT IN ('active', 'opted_out', 'omitted_opted_out')"
)
"""SQL: an enrollment waits at a step, opted out, replied, skipped one; its text ``m`` failed."""

FAILED_WITH = "coalesce(m.error_code, 0)"
"""SQL: the provider's code of a text ``m`` that failed, 0 if it gave none."""

_STEP_REPLIED_TO = f"""coalesce((
    SELECT max(m.step) FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.enrollment_id = enrollments.id AND {SENT} AND a.started_at <= enrollments.replied_at
), 0)"""  # noqa: S608 - built from constants
"""SQL: the last step sent before the contact replied; 0 if only one-off texts were sent."""

HOUR_OF_WEEK = """CAST(
    extract(isodow FROM enrollments.replied_at AT TIME ZONE {zone}) * 24 - 24
    + extract(hour FROM enrollments.replied_at AT TIME ZONE {zone}) AS integer
)"""
"""SQL: when an enrollment's contact replied: hours since the week began, on Monday."""

FIRST_ANSWER = f"""
    SELECT m.user_id, m.created_at AS at FROM messages m
    WHERE m.contact_id = enrollments.contact_id AND m.created_at >= enrollments.replied_at
    AND coalesce(m.written_at, m.created_at) >= enrollments.replied_at
    AND m.direction = 'outbound' AND m.step IS NULL AND m.user_id IS NOT NULL
    AND m.status NOT IN ('pending', 'refused', 'failed', 'undelivered', 'canceled')
    AND NOT starts_with(m.body, '{TEST_MARK.strip()}')
    ORDER BY m.created_at, m.id LIMIT 1
"""  # noqa: S608 - built from constants
"""SQL: who first answered the contact's reply, and when: a person, with a text that was sent.

One that was to be sent later counts from when it went, and only if it was written after the reply.
"""

_OF_TEXT: Mapping[StepOutcome, str] = {
    StepOutcome.SENT: SENT,
    StepOutcome.DELIVERED: DELIVERED,
    StepOutcome.FAILED: FAILED,
}
"""SQL: true if it is true of any attempt ``a`` of the step's text ``m``."""

_OF_ROW: Mapping[StepOutcome, tuple[str, str]] = {
    StepOutcome.DUE: (DUE, "enrollments.position = :outcome_step"),
    StepOutcome.REPLIED: (REPLIED, f"{_STEP_REPLIED_TO} = :outcome_step"),
    StepOutcome.OPTED_OUT: (OPTED_OUT, "enrollments.step = :outcome_step"),
    StepOutcome.SKIPPED: (SKIPPED, "enrollments.skipped @> to_jsonb(CAST(:outcome_step AS int))"),
}
"""SQL: what is true of the enrollment, and whether of a certain step."""


@cache
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


def answered(by: Many[UUID] = ()) -> TextClause:
    """Build the condition that a person answered the contact's first reply, one of these if given.

    For a query that reads ``enrollments``.
    """
    first = f"(SELECT user_id FROM ({FIRST_ANSWER}) first_answer)"  # noqa: S608
    if not by:
        return text(f"({REPLIED} AND {first} IS NOT NULL)")
    return text(f"({REPLIED} AND {first} = ANY(CAST(:answered_by AS uuid[])))").bindparams(
        answered_by=list(by)
    )


def is_so(outcome: StepOutcome, step: int | None, code: int | None = None) -> TextClause:
    """Build the condition that a step has an outcome, any step if None.

    For a query that reads ``enrollments``. ``code`` is one that its text failed with.
    """
    given = {"outcome_step": step, "outcome_code": code}
    if (of_text := _OF_TEXT.get(outcome)) is None:
        condition, of_step = _OF_ROW[outcome]
        where = [condition, *([] if step is None else [of_step])]
        sql = " AND ".join(where)
    else:
        where = [
            "m.step IS NOT NULL" if step is None else "m.step = :outcome_step",
            *([] if code is None else [f"{FAILED_WITH} = :outcome_code"]),
        ]
        sql = f"""EXISTS (
            SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.enrollment_id = enrollments.id AND {" AND ".join(where)} AND {of_text}
        )"""  # noqa: S608 - built from constants
    return text(f"({sql})").bindparams(
        **{name: value for name, value in given.items() if value is not None}
    )
