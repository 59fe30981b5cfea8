"""Inbound texts: the event and its whole effect in one transaction, before the answer."""

import asyncio
import logging
import re
from dataclasses import replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.messaging.inbound import InboundText
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import ReplyPolicy
from domain.statuses.suppression import OptOutSource, TextMeaning
from domain.suppression.keywords import Reading, read
from domain.suppression.opt_out_intent import Intent
from services.suppression.erasure import recall
from services.suppression.opt_outs import opt_in, opt_out
from storage.enrollments import enrollments
from storage.event_webhooks import events
from storage.messaging import inbound
from storage.platform.database import Database, Transaction, is_unavailable
from storage.platform.locks import lock_enrollments_of, lock_numbers
from storage.suppression import reviews
from storage.suppression.suppressions import Evidence

_logger = logging.getLogger(__name__)


class Inbound:
    """Stores the texts that people send us, and applies their effects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, text: InboundText) -> None:
        """Keep a text and apply its whole effect; the same text again changes nothing.

        If its effect cannot be applied, the text is still kept, and blocks sends to its number
        until the sweep has applied it.

        Raises:
            Exception: PostgreSQL is away (``database.is_unavailable``): nothing is kept.
        """
        text = _storable(text)
        try:
            await self.apply(text)
        except Exception as error:
            if is_unavailable(error):
                raise
            _logger.exception("inbound text kept, not applied", extra={"sid": text.sid})
            await self.keep(text)

    async def keep(self, text: InboundText) -> None:
        """Keep a text to be applied later; from now on nothing is sent to its number until then."""
        text = _storable(text)
        async with self._database.transaction() as tx:
            # A text of ours that is just starting is committed before this one is.
            await lock_numbers(tx, [text.phone])
            await inbound.keep_text(tx, text)

    async def apply(self, text: InboundText) -> bool:
        """Apply a text's effects in one transaction; False if that was done before."""
        # Reading a long text takes tens of milliseconds: beside the event loop, before any lock.
        reading = await asyncio.to_thread(read, text.body, text.opt_out_type)
        async with self._database.transaction() as tx:
            await lock_numbers(tx, [text.phone])
            occurred_at = await inbound.keep_text(tx, text)
            if occurred_at is None:
                return False
            await _take_effect(tx, text, reading, occurred_at)
            await inbound.text_applied(tx, text.sid)
            return True

    async def apply_kept(self, limit: int = 100) -> int:
        """Apply texts that were kept without their effects, ``limit`` at a time; return how many.

        If none of them can be applied, the next ones are tried too.
        """
        applied, last = 0, None
        while not applied:
            async with self._database.transaction() as tx:
                kept = await inbound.unapplied_texts(tx, limit, last)
            if not kept:
                return 0
            last = kept[-1]
            for text in kept:
                try:
                    applied += await self.apply(text)
                except Exception as error:
                    if is_unavailable(error):
                        raise
                    _logger.exception("inbound text still not applied", extra={"sid": text.sid})
        return applied


def _storable(text: InboundText) -> InboundText:
    """Replace what PostgreSQL cannot store: NUL, and halves of surrogate pairs."""
    return replace(
        text,
        body=_plain(text.body),
        media_urls=tuple(map(_plain, text.media_urls)),
        payload={_plain(name): _plain(value) for name, value in text.payload.items()},
    )


def _plain(words: str) -> str:
    return re.sub("[\\x00\\ud800-\\udfff]", "\N{REPLACEMENT CHARACTER}", words)


async def _take_effect(
    tx: Transaction, text: InboundText, reading: Reading, occurred_at: datetime
) -> None:
    """Write the conversation, suppression and final statuses that follow from one text."""
    await recall(tx, [text.phone])
    contact_id = await inbound.lock_contact_of(tx, text.phone)
    await lock_enrollments_of(tx, [text.phone])
    sender_id = await inbound.sender_of_text(tx, text)
    is_reply = reading.may_be_reply
    if is_reply and reading.keyword is TextMeaning.OPT_IN:
        is_reply = not await inbound.is_suppressed_by_text(tx, text.phone, sender_id)
    meaning = reading.keyword
    if reading.intent is Intent.OPT_OUT:
        meaning = TextMeaning.PLAIN_OPT_OUT
    message_id = await inbound.store_text(
        tx,
        text,
        at=occurred_at,
        contact_id=contact_id,
        sender_id=sender_id,
        keyword=meaning.value if meaning else None,
        is_reply=is_reply,
    )
    await enrollments.recount_steps_of(tx, text.phone)
    await events.message_received(tx, message_id)
    match meaning:
        case TextMeaning.OPT_OUT:
            await _opt_out(tx, text.phone, OptOutSource.KEYWORD, occurred_at, message_id)
        case TextMeaning.PLAIN_OPT_OUT:
            await _opt_out(tx, text.phone, OptOutSource.PLAIN_OPT_OUT, occurred_at, message_id)
        case TextMeaning.OPT_IN if not is_reply:
            await opt_in(tx, text.phone, sender_id, at=occurred_at, message_id=message_id)
        case TextMeaning.OPT_IN | TextMeaning.HELP | None:
            pass
        case _ as unreachable:
            assert_never(unreachable)
    if is_reply and sender_id is not None:
        await _reply(tx, text.phone, sender_id, occurred_at)
    if reading.intent is Intent.UNSURE:
        await reviews.add(tx, message_id)


async def _opt_out(
    tx: Transaction, phone: str, source: OptOutSource, occurred_at: datetime, message_id: UUID
) -> None:
    evidence = Evidence(phone=phone, source=source, occurred_at=occurred_at, message_id=message_id)
    await opt_out(tx, evidence)


async def _reply(tx: Transaction, phone: str, sender_id: UUID, replied_at: datetime) -> None:
    """Apply a reply to every active enrollment that texted this number from that sender."""
    for enrollment in await inbound.repliable(tx, phone, sender_id, replied_at):
        match enrollment.on_reply:
            case ReplyPolicy.FINISH:
                ends = True
            case ReplyPolicy.CONTINUE:
                ends = enrollment.all_sent
            case _ as unreachable:
                assert_never(unreachable)
        if ends:
            await enrollments.end(
                tx,
                [enrollment.id],
                EnrollmentStatus.FINISHED_RESPONDED,
                signal="reply_received",
                replied_at=replied_at,
            )
        else:
            await enrollments.record_reply(tx, enrollment.id, at=replied_at)
