"""What a reply does to the enrollments that it answers, at once or when it is read anew."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import TextKind
from domain.statuses.sequences import ReplyPolicy
from services.suppression.opt_outs import SIGNAL
from storage.enrollments import enrollments
from storage.enrollments import replies as rows
from storage.enrollments.enrollments import Ending
from storage.messaging import inbound
from storage.messaging.inbound import PossibleReply, ReceivedText, Repliable
from storage.platform.database import Transaction


async def answered_by(tx: Transaction, received: Sequence[ReceivedText]) -> Sequence[Repliable]:
    """Find the enrollments that stored texts reply to; note which reactions and such were counted.

    The transaction holds the locks of the numbers and of their enrollments.
    """
    may_answer = [
        PossibleReply(one.id, one.text.phone, one.sender_id, one.at, one.kind)
        for one in received
        if one.sender_id is not None and (one.is_reply or one.kind is not TextKind.HUMAN)
    ]
    answered = await inbound.repliable(tx, may_answer) if may_answer else ()
    counted = {message_id for one in answered for message_id in one.message_ids}
    machines = [one.id for one in may_answer if one.kind is not TextKind.HUMAN]
    await inbound.mark_replies(tx, [one for one in machines if one in counted])
    return answered


async def take_effect(
    tx: Transaction, answered: Sequence[Repliable], *, opted_out: Collection[UUID] = ()
) -> None:
    """End or pause enrollments that a reply ends or pauses; note other replies, and late ones.

    Those whose number opted out end by that. Of one that ended without a response only the first
    reply is noted: its status stays.
    """
    endings = [Ending(one, EnrollmentStatus.OPTED_OUT, SIGNAL) for one in opted_out]
    going_on, pausing, late = (dict[UUID, datetime]() for _ in range(3))
    for enrollment in answered:
        if enrollment.status.is_final:
            late[enrollment.id] = enrollment.replied_at
            continue
        match enrollment.on_reply:
            case ReplyPolicy.FINISH:
                others = None
            case ReplyPolicy.CONTINUE:
                others = going_on
            case ReplyPolicy.PAUSE:
                others = pausing
            case _ as unreachable:
                assert_never(unreachable)
        if others is None or enrollment.all_sent:
            status, at = EnrollmentStatus.FINISHED_RESPONDED, enrollment.replied_at
            endings.append(Ending(enrollment.id, status, "reply_received", at))
        else:
            others[enrollment.id] = enrollment.replied_at
    if endings:
        await enrollments.end_each(tx, endings)
    await rows.record_replies(tx, going_on)
    await rows.pause_for_replies(tx, pausing)
    await rows.record_late(tx, late)
