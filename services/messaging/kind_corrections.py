"""Correcting what an inbound text was taken for, with the effect it should have had."""

from uuid import UUID

from domain.platform.errors import ConflictError, required
from domain.statuses.messaging import Direction, TextKind
from domain.statuses.sequences import CountsAsReply
from domain.suppression.opt_out_intent import read_intent
from domain.suppression.writers import Writer
from services.messaging import replies
from services.platform import audit
from services.suppression.erasure import recall
from storage.enrollments import timeline
from storage.event_webhooks import events
from storage.messaging import inbound, kind_corrections
from storage.messaging.inbound import PossibleReply, Repliable
from storage.messaging.kind_corrections import TextRecord
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_enrollments_of, lock_numbers
from storage.suppression import reviews


class KindCorrections:
    """Takes people's word for what a text is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def correct(self, message_id: UUID, kind: TextKind, *, user_id: UUID) -> TextRecord:
        """Mark a text that was taken for a reaction or an automatic reply as a person's.

        What a reply does happens now: to active enrollments that had texted the number from that
        sender before it, and as a late reply to those that ended without a response. An automatic
        reply that may ask for no more texts is put up for review. A text that is a person's already
        stays as it is.

        Raises:
            NotFoundError: There is no such text.
            ConflictError: ``only_to_human``, ``not_inbound``.
        """
        if kind is not TextKind.HUMAN:
            raise ConflictError(
                "only_to_human",
                "a text can only be corrected to human; one that has had the effect of a reply"
                " cannot lose it",
            )
        async with self._database.transaction() as tx:
            text = required(await kind_corrections.get(tx, message_id), "message", message_id)
            if text.direction is not Direction.INBOUND:
                raise ConflictError(
                    "not_inbound", "the text is ours; only inbound texts have a kind"
                )
            await lock_numbers(tx, [text.phone])
            text = required(await kind_corrections.get(tx, message_id), "message", message_id)
            if text.kind not in {None, TextKind.HUMAN}:
                await recall(tx, [text.phone])
                await lock_enrollments_of(tx, [text.phone], since=text.at)
                await _take_effect(tx, text, user_id)
                text = required(await kind_corrections.get(tx, message_id), "message", message_id)
        return text


def _counted(text: TextRecord, enrollment: Repliable) -> bool:
    """Whether a text was a reply to an active enrollment when it came, as any text is to it.

    It was none if no reply had come by then: the sequence counts any text since.
    """
    if not text.is_reply or enrollment.status.is_final:
        return False
    counts_any = enrollment.counts_as_reply is CountsAsReply.ANY
    first = enrollment.first_replied_at
    return counts_any and first is not None and first <= text.at


async def _take_effect(tx: Transaction, text: TextRecord, user_id: UUID) -> None:
    await kind_corrections.set_human(tx, text.id)
    answered = []
    if text.sender_id is not None:
        answer = PossibleReply(text.id, text.phone, text.sender_id, text.at, TextKind.HUMAN)
        answered = [one for one in await inbound.repliable(tx, [answer]) if not _counted(text, one)]
    await timeline.note(
        tx,
        [one.id for one in answered],
        "kind_corrected",
        user_id=user_id,
        message_id=str(text.id),
        was=str(text.kind),
    )
    await events.message_kind_changed(tx, text.id, str(text.kind), [one.id for one in answered])
    await replies.take_effect(tx, answered)
    # What a reaction quotes is ours, so nothing in it is a request.
    is_automatic = text.kind is TextKind.AUTO_REPLY
    if is_automatic and read_intent(text.body, writer=Writer.HUMAN) is not None:
        await reviews.add(tx, [text.id])
    await audit.record(
        tx,
        "message.set_kind",
        "message",
        [text.id],
        user_id=user_id,
        kind=TextKind.HUMAN.value,
        was=str(text.kind),
        contact_id=str(text.contact_id) if text.contact_id else None,
    )
