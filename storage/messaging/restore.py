"""What the provider has sent that restored rows do not know, and whom it may have gone to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from domain.messaging.ports import ListedMessage
from domain.statuses.messaging import CancelReason
from storage.enrollments.enrollments import RECONCILED
from storage.enrollments.one_offs import cancel
from storage.platform.database import Transaction


async def last_known(tx: Transaction) -> datetime | None:
    """Give when the last text that the rows know of went out; None in a database without people.

    Every text that they do not know is younger. What else they tell of may be from after the
    restore: an API that was up too early has enrolled somebody, or was told of a text. Nor does
    what an earlier run has written count. Where no text went out, nobody was enrolled before the
    first.
    """
    sql = """
        SELECT coalesce(
            (SELECT max(started_at) FROM attempts WHERE call_before > started_at),
            (SELECT min(enrolled_at) FROM enrollments)
        )
    """
    return await tx.value(datetime, sql)


async def own_numbers(tx: Transaction) -> list[str | None]:
    """Give the numbers that texts go out from; None stands for those of Messaging Services."""
    return await tx.column("SELECT DISTINCT phone FROM senders ORDER BY phone")


async def known_sids(tx: Transaction, sids: Sequence[str]) -> set[str]:
    """Find which of the provider's texts an attempt has, or an earlier run noted."""
    sql = """
        SELECT provider_sid FROM attempts WHERE provider_sid = ANY(:sids)
        UNION
        SELECT sid FROM enrollment_events, jsonb_array_elements_text(detail -> 'sids') AS sid
        WHERE kind = :noted AND sid = ANY(:sids)
    """
    return set(await tx.column(sql, sids=sids, noted=RECONCILED))


async def numbers_like(tx: Transaction, start: str) -> list[str]:
    """Give the numbers of active enrollments that begin so: of a redacted one the end is gone."""
    sql = """
        SELECT DISTINCT c.phone FROM contacts c JOIN enrollments e ON e.contact_id = c.id
        WHERE e.status = 'active' AND starts_with(c.phone, :start) ORDER BY c.phone
    """
    return await tx.column(sql, start=start)


@dataclass(frozen=True)
class MayHaveBeenSent:
    """An active enrollment that has steps left; ``position`` is the one that would go next.

    ``sender_phone`` is None for a Messaging Service; ``read_at`` is now, by the database's clock.
    """

    id: UUID
    position: int
    step_count: int
    pass_number: int
    contact_id: UUID
    sender_id: UUID
    sender_phone: str | None
    read_at: datetime


async def lock_enrollments(tx: Transaction, phone: str) -> list[MayHaveBeenSent]:
    """Lock the enrollments of a number that would still send; its lock is held."""
    sql = """
        SELECT 1 FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        WHERE c.phone = :phone AND e.status = 'active' ORDER BY e.id FOR UPDATE OF e
    """
    await tx.run(sql, phone=phone)
    sql = """
        SELECT e.id, e.position, e.step_count, e.pass AS pass_number, e.contact_id, q.sender_id,
            n.phone AS sender_phone, clock_timestamp() AS read_at
        FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        JOIN sequences q ON q.id = e.sequence_id JOIN senders n ON n.id = q.sender_id
        WHERE c.phone = :phone AND e.status = 'active' AND e.position <= e.step_count
        ORDER BY e.id
    """
    return await tx.rows(MayHaveBeenSent, sql, phone=phone)


async def assume_attempt(
    tx: Transaction, enrollment: MayHaveBeenSent, step: int, phone: str, sent: ListedMessage
) -> None:
    """Write an attempt of unknown outcome at a step, unless there is one: it may be this text's.

    From then on the step is never sent before it is known what became of the text.
    """
    about = {
        "enrollment_id": enrollment.id,
        "step": step,
        "pass": enrollment.pass_number,
        "contact_id": enrollment.contact_id,
        "sender_id": enrollment.sender_id,
        "phone": phone,
        "body": sent.body,
        "at": sent.created_at,
        "message_id": uuid4(),
        "attempt_id": uuid4(),
    }
    await tx.run(_MESSAGE, **about)
    await tx.run(_ATTEMPT, **about)


_MESSAGE = """
    INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id, step, pass,
        body, status, created_at)
    VALUES (:message_id, 'outbound', :contact_id, :phone, :sender_id, :enrollment_id, :step, :pass,
        :body, 'unknown', :at)
    ON CONFLICT (enrollment_id, step, pass) WHERE step IS NOT NULL DO NOTHING
"""

_ATTEMPT = """
    WITH message AS (
        UPDATE messages m SET status = 'unknown', error_code = NULL, next_try_at = NULL
        WHERE m.enrollment_id = :enrollment_id AND m.step = :step AND m.pass = :pass
        AND NOT EXISTS (
            SELECT 1 FROM attempts a WHERE a.message_id = m.id AND NOT a.reported_failed
            AND a.outcome IN ('open', 'unknown', 'accepted', 'assumed_sent')
        )
        RETURNING m.id
    )
    INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before)
    SELECT :attempt_id, message.id, 1 + coalesce(
        (SELECT max(number) FROM attempts WHERE message_id = message.id), 0
    ), 'unknown', :at, :at
    FROM message
"""


async def cancel_one_offs(tx: Transaction, phone: str) -> int:
    """Cancel texts that people wrote to a number and that would go; return how many are canceled.

    The transaction holds the number's lock.
    """
    return len(await cancel(tx, "m.phone = :phone", CancelReason.RESTORED, phone=phone))


async def cancel_jobs(tx: Transaction) -> int:
    """Cancel work that would enroll or release people: it may have been done further already."""
    sql = """
        UPDATE jobs SET state = 'canceling'
        WHERE kind IN ('enrol', 'release') AND state IN ('queued', 'running')
    """
    return await tx.count(sql)
