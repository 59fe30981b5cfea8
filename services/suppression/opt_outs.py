"""Opting a number out and in again, ordered by the provider's time."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.suppression import OptOutSource
from storage.enrollments import enrollments
from storage.event_webhooks import events
from storage.platform.database import Transaction
from storage.suppression import suppressions
from storage.suppression.suppressions import Evidence, OptIn, OptInText

LIFTED_BY_TEXT = (OptOutSource.KEYWORD, OptOutSource.PLAIN_OPT_OUT, OptOutSource.PROVIDER_ERROR)
"""A text can undo what a text or the provider did, not what a person did by hand."""

SIGNAL = "opted_out"
"""The signal to workflows whose enrollment an opt-out ends."""


async def opt_out(
    tx: Transaction,
    facts: Sequence[Evidence],
    *,
    sender_id: UUID | None = None,
    enrollment_id: UUID | None = None,
    error_code: int | None = None,
) -> None:
    """Suppress numbers and end their active enrollments, in the evidence's transaction.

    Evidence older than an opt-in of the number suppresses nothing; it still ends the enrollments
    and cancels the scheduled texts that existed then, as nothing resumes by itself. A refusal
    (21610) from another sender than those opted in to blocks that number and sender only. A YES
    that was a reply opts in to none, and does not override a reviewer's decision about an earlier
    text.

    The transaction has recalled the numbers and holds their locks and those of their active
    enrollments. The facts are one of each number, all by the same person or by none. Only a refusal
    has a sender, an enrollment and a code.
    """
    active = await suppress(tx, facts, sender_id=sender_id)
    await enrollments.end(
        tx,
        [*([enrollment_id] if enrollment_id is not None else []), *active],
        EnrollmentStatus.OPTED_OUT,
        signal=SIGNAL,
        error_code=error_code,
        user_id=facts[0].user_id,
    )


async def suppress(
    tx: Transaction, facts: Sequence[Evidence], *, sender_id: UUID | None = None
) -> Collection[UUID]:
    """Do the first half of ``opt_out``; return the active enrollments that are to end."""
    if not facts:
        return ()
    opt_ins = await suppressions.opt_ins(tx, [one.phone for one in facts])
    late, everywhere, of_sender = list[Evidence](), list[Evidence](), list[Evidence]()
    for one in facts:
        if _is_overtaken(one, opt_ins[one.phone]):
            late.append(one)
        elif sender_id is not None and _opted_in_elsewhere(opt_ins[one.phone], sender_id):
            of_sender.append(one)
        else:
            everywhere.append(one)
    active = dict[UUID, str]()
    for some, only_sender in ((everywhere, None), (of_sender, sender_id)):
        if some:
            await _suppress(tx, some, only_sender)
            phones = [one.phone for one in some]
            active |= await suppressions.active_of(tx, phones, sender_id=only_sender)
    for one in late:
        phones, at = [one.phone], one.occurred_at
        active |= await suppressions.active_of(tx, phones, enrolled_before=at)
        await suppressions.cancel_one_offs(
            tx, phones, sender_id=None, scheduled=True, written_before=at
        )
    return active


def _is_overtaken(fact: Evidence, opt_ins: Sequence[OptIn]) -> bool:
    return any(
        opt_in.occurred_at > fact.occurred_at
        for opt_in in opt_ins
        if fact.user_id is None or not opt_in.is_reply
    )


def _opted_in_elsewhere(opt_ins: Sequence[OptIn], sender_id: UUID) -> bool:
    wanted = {opt_in.sender_id for opt_in in opt_ins if not opt_in.is_reply}
    return bool(wanted) and sender_id not in wanted


async def _suppress(tx: Transaction, facts: Sequence[Evidence], sender_id: UUID | None) -> None:
    await suppressions.suppress(tx, facts, sender_id=sender_id)
    # Other one-offs go within seconds or never; these would go after a later opt-in.
    numbers = [one.phone for one in facts]
    await suppressions.cancel_one_offs(tx, numbers, sender_id=sender_id, scheduled=True)
    for source in sorted({one.source for one in facts}):
        phones = [one.phone for one in facts if one.source is source]
        await events.contacts_opted_out(tx, phones, source=source.value, sender_id=sender_id)


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
        tx, list(active), EnrollmentStatus.OPTED_OUT, signal=SIGNAL, user_id=user_id
    )
    await suppressions.cancel_one_offs(tx, phones, sender_id=sender_id)
    return Counter(active[one] for one in ended)


async def opt_in(tx: Transaction, texts: Sequence[OptInText]) -> set[str]:
    """Lift suppressions by an earlier text or 21610; return the numbers that had any.

    A block of another sender alone stays: the provider still refuses that sender's texts.
    """
    lifted = await suppressions.lift(tx, texts, LIFTED_BY_TEXT) if texts else set[str]()
    if lifted:
        source = OptOutSource.KEYWORD.value
        await events.contacts_opted_in(tx, sorted(lifted), source=source, sender_id=None)
    return lifted
