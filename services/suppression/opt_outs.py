"""Opting a number out and in again, ordered by the provider's time."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.suppression import OptOutSource
from services.suppression.erasure import recall
from storage.enrollments import enrollments
from storage.event_webhooks import events
from storage.platform.database import Transaction
from storage.platform.locks import lock_enrollments_of
from storage.suppression import suppressions
from storage.suppression.suppressions import Evidence

LIFTED_BY_TEXT = (OptOutSource.KEYWORD, OptOutSource.PLAIN_OPT_OUT, OptOutSource.PROVIDER_ERROR)
"""A text can undo what a text or the provider did, not what a person did by hand."""

_SIGNAL = "opted_out"
"""The signal to workflows whose enrollment an opt-out ends."""


async def opt_out(
    tx: Transaction,
    evidence: Evidence,
    *,
    sender_id: UUID | None = None,
    enrollment_id: UUID | None = None,
    error_code: int | None = None,
) -> None:
    """Suppress a number and end its active enrollments, in the evidence's transaction.

    Evidence older than an opt-in of the number suppresses nothing; it still ends the enrollments
    that existed then, as nothing resumes by itself. A refusal (21610) from another sender than
    those opted in to blocks that number and sender only. A YES that was a reply opts in to none,
    and does not override a reviewer's decision about an earlier text.

    The transaction holds the number's lock. Only a refusal has a sender, an enrollment and a code.
    """
    await recall(tx, [evidence.phone])
    also = [enrollment_id] if enrollment_id is not None else []
    await lock_enrollments_of(tx, [evidence.phone], also=also)
    opt_ins = await suppressions.opt_ins(tx, evidence.phone)
    wanted = {opt_in.sender_id for opt_in in opt_ins if not opt_in.is_reply}
    only_sender: UUID | None = None
    enrolled_before: datetime | None = None
    if any(
        opt_in.occurred_at > evidence.occurred_at
        for opt_in in opt_ins
        if evidence.user_id is None or not opt_in.is_reply
    ):
        enrolled_before = evidence.occurred_at
    else:
        if wanted and sender_id not in {None, *wanted}:
            only_sender = sender_id
        await suppressions.suppress(tx, [evidence], sender_id=only_sender)
        await events.contacts_opted_out(
            tx, [evidence.phone], source=evidence.source.value, sender_id=only_sender
        )
    active = await suppressions.active_of(
        tx, [evidence.phone], enrolled_before=enrolled_before, sender_id=only_sender
    )
    await enrollments.end(
        tx,
        [*also, *active],
        EnrollmentStatus.OPTED_OUT,
        signal=_SIGNAL,
        error_code=error_code,
        user_id=evidence.user_id,
    )


async def opt_out_by_hand(
    tx: Transaction, reasons: Mapping[str, str], *, sender_id: UUID | None, user_id: UUID
) -> Counter[str]:
    """Suppress numbers by hand; earlier opt-ins do not undo that.

    Their active enrollments end as by a STOP, and their one-off texts that wait are canceled. The
    transaction holds the numbers' locks; the reasons are by number; no sender means all of them.

    Returns:
        How many enrollments ended, by number.
    """
    phones, now, source = list(reasons), datetime.now(UTC), OptOutSource.BY_HAND
    facts = [
        Evidence(phone, source, occurred_at=now, user_id=user_id, reason=reason)
        for phone, reason in reasons.items()
    ]
    await suppressions.suppress(tx, facts, sender_id=sender_id)
    await events.contacts_opted_out(tx, phones, source=source.value, sender_id=sender_id)
    active = await suppressions.active_of(tx, phones, sender_id=sender_id)
    ended = await enrollments.end(
        tx, list(active), EnrollmentStatus.OPTED_OUT, signal=_SIGNAL, user_id=user_id
    )
    await suppressions.cancel_one_offs(tx, phones, sender_id=sender_id)
    return Counter(active[one] for one in ended)


async def opt_in(
    tx: Transaction, phone: str, sender_id: UUID | None, *, at: datetime, message_id: UUID
) -> bool:
    """Lift suppressions by an earlier text or 21610; return whether there were any.

    A block of another sender alone stays: the provider still refuses that sender's texts.
    """
    lifted = await suppressions.lift(
        tx, phone, LIFTED_BY_TEXT, sender_id=sender_id, before=at, message_id=message_id
    )
    if lifted:
        await events.contact_opted_in(tx, phone, source=OptOutSource.KEYWORD.value, sender_id=None)
    return lifted
