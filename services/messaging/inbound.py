"""Inbound texts: the event and its whole effect in one transaction, before the answer."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID, uuid4

from domain.messaging.inbound import InboundText
from domain.statuses.messaging import TextKind
from domain.statuses.suppression import OptOutSource, TextMeaning
from domain.suppression.keywords import Reading, read
from domain.suppression.opt_out_intent import Intent, read_intent
from domain.suppression.writers import Writer
from services.messaging import replies
from services.platform.group_commit import GroupCommit, GroupLimits
from services.suppression.erasure import recall
from services.suppression.opt_outs import opt_in, suppress
from storage.contacts import consents
from storage.contacts.consents import NewConsent
from storage.enrollments import replies as reply_rows
from storage.enrollments.waking import data_changed
from storage.event_webhooks import events
from storage.messaging import inbound
from storage.messaging.inbound import Parties, ReceivedText, SentText
from storage.platform.database import Database, Transaction, is_lock_timeout, is_unavailable
from storage.platform.locks import limit_waits, lock_enrollments_of, lock_numbers
from storage.suppression import reviews, second_readings
from storage.suppression.suppressions import Evidence, OptInText

LOCK_PATIENCE = timedelta(milliseconds=500)
"""How long texts that share a transaction wait for a lock; then each goes alone. One that does
waits as long, and again after others have had their turn."""

_AT_ONCE_LENGTH = 320
"""Characters of a text that is read on the event loop; reading takes some milliseconds."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applied:
    """What became of texts that were to share a transaction.

    Attributes:
        count: How many have their effect by it; those that had it before are not counted.
        left: Those that must go alone: others hold their number, or it is their contact's second.
    """

    count: int
    left: Sequence[InboundText] = ()


class Inbound:
    """Stores the texts that people send us, and applies their effects.

    Texts that come in at the same time share a transaction; one that cannot goes alone.

    Args:
        database: Where the rows are.
        limits: How many texts are taken on.
        has_second_reader: Whether texts that are no clear request are to be read once more.
    """

    def __init__(
        self,
        database: Database,
        limits: GroupLimits | None = None,
        *,
        has_second_reader: bool = False,
    ) -> None:
        self._database = database
        self._has_second_reader = has_second_reader
        self._limits = limits or GroupLimits()
        self._group = GroupCommit(
            self._apply_together,
            self._apply_alone,
            lambda text: text.phone,
            self._limits,
            is_busy=is_lock_timeout,
        )

    @property
    def is_full(self) -> bool:
        """Whether ``receive`` would refuse."""
        return self._group.is_full

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return self._group.is_idle

    async def receive(self, text: InboundText) -> None:
        """Keep a text and apply its whole effect; the same text again changes nothing.

        If its effect cannot be applied, the text is still kept, and blocks sends to its number
        until the sweep has applied it.

        Raises:
            FullError: Too many are waiting: nothing is kept.
            Exception: PostgreSQL is away (``database.is_unavailable``): nothing is kept.
        """
        await self._group.do(_storable(text))

    async def _apply_together(self, texts: Sequence[InboundText]) -> Sequence[InboundText]:
        try:
            return (await self.apply(texts, patience=LOCK_PATIENCE)).left
        except Exception as error:
            if is_unavailable(error):
                raise
            _logger.warning(
                "inbound texts go alone",
                extra={"texts": len(texts), "error": type(error).__name__},
            )
            return texts

    async def _apply_alone(self, text: InboundText) -> None:
        try:
            await self.apply([text], at_most=LOCK_PATIENCE)
        except Exception as error:
            if is_unavailable(error) or is_lock_timeout(error):
                raise
            _logger.exception("inbound text kept, not applied", extra={"sid": text.sid})
            await self.keep([text], at_most=LOCK_PATIENCE)

    async def keep(self, texts: Sequence[InboundText], *, at_most: timedelta | None = None) -> None:
        """Keep texts to be applied later; until then nothing is sent to their numbers.

        ``at_most`` limits how long to wait for a lock, as for ``apply``.
        """
        texts = [_storable(text) for text in texts]
        async with self._database.transaction() as tx:
            if at_most is not None:
                await limit_waits(tx, at_most)
            # A text of ours that is just starting is committed before these are.
            await lock_numbers(tx, [text.phone for text in texts])
            await inbound.keep_texts(tx, texts)

    async def apply(
        self,
        texts: Sequence[InboundText],
        *,
        patience: timedelta | None = None,
        at_most: timedelta | None = None,
    ) -> Applied:
        """Apply the effects of texts of different numbers in one transaction.

        Args:
            texts: At least one.
            patience: How long to wait for a lock; a number that is not free is left out. None to
                wait for all of them.
            at_most: How long to wait then; None to wait for as long as it takes.

        Raises:
            Exception: It took longer (``database.is_lock_timeout``): nothing is kept.
        """
        readings = dict[str, Reading]()
        for text in texts:
            readings[text.sid] = await _reading(text)
            await asyncio.sleep(0)  # reading takes a while; others have their turn in between
        async with self._database.transaction() as tx:
            if at_most is not None:
                await limit_waits(tx, at_most)
            if patience is None:
                await lock_numbers(tx, [text.phone for text in texts])
            kept = await inbound.keep_texts(tx, texts, patience=patience)
            moments = {one.sid: one.occurred_at for one in kept if not one.is_applied}
            new = [text for text in texts if text.sid in moments]
            taken = await _take_effect(tx, new, readings, moments) if new else []
            if self._has_second_reader:
                await second_readings.add(tx, [one.id for one in taken if _is_ordinary(one)])
        done = {one.text.sid for one in taken} | {one.sid for one in kept if one.is_applied}
        return Applied(len(taken), [text for text in texts if text.sid not in done])

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
            for group in _of_different_numbers(kept, self._limits.together):
                applied += await self._apply_again(group)
        return applied

    async def _apply_again(self, texts: Sequence[InboundText]) -> int:
        """Apply kept texts together, then those that are left one by one; return how many."""
        done = Applied(0, texts)
        if len(texts) > 1:
            try:
                done = await self.apply(texts, patience=LOCK_PATIENCE)
            except Exception as error:
                if is_unavailable(error):
                    raise
        count = done.count
        for text in done.left:
            try:
                count += (await self.apply([text])).count
            except Exception as error:
                if is_unavailable(error):
                    raise
                _logger.exception("inbound text still not applied", extra={"sid": text.sid})
        return count


def _of_different_numbers(
    texts: Sequence[InboundText], most: int
) -> Iterator[Sequence[InboundText]]:
    """Cut texts into groups in which each number stands once, without changing their order."""
    group: list[InboundText] = []
    for text in texts:
        if len(group) == most or any(one.phone == text.phone for one in group):
            yield group
            group = []
        group.append(text)
    if group:
        yield group


async def _reading(text: InboundText) -> Reading:
    """Read a text; a long one, which takes tens of milliseconds, beside the event loop."""
    if len(text.body) <= _AT_ONCE_LENGTH:
        return read(text.body, text.opt_out_type)
    return await asyncio.to_thread(read, text.body, text.opt_out_type)


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
    tx: Transaction,
    texts: Sequence[InboundText],
    readings: Mapping[str, Reading],
    moments: Mapping[str, datetime],
) -> Sequence[ReceivedText]:
    """Write conversation, suppression and final statuses of texts; return those written.

    Of texts from two numbers of one contact only the first: what the second does may depend on it.
    """
    parties = await inbound.lock_contacts_of(tx, texts)
    texts = _of_different_contacts(texts, parties)
    phones = [text.phone for text in texts]
    await recall(tx, phones)
    await lock_enrollments_of(tx, phones, since=min(moments[text.sid] for text in texts))
    answers = [text for text in texts if _may_be_opt_in(readings[text.sid])]
    opted_in = await inbound.suppressed_by_text(
        tx, {text.phone: parties[text.sid].sender_id for text in answers}
    )
    reactions = [text for text in texts if readings[text.sid].reaction is not None]
    ours = await inbound.sent_before(tx, reactions, moments)
    received = []
    for text in texts:
        reading = readings[text.sid]
        kind, about_id = _kind(reading, ours.get(text.sid, ()))
        may_be_reply = reading.may_be_reply and text.phone not in opted_in
        one = ReceivedText(
            id=uuid4(),
            text=text,
            at=moments[text.sid],
            contact_id=parties[text.sid].contact_id,
            sender_id=parties[text.sid].sender_id,
            meaning=_meaning(reading),
            kind=kind,
            about_id=about_id,
            is_reply=may_be_reply and kind is TextKind.HUMAN,
        )
        received.append(one)
    await inbound.store_texts(tx, received)
    await reply_rows.recount_steps_of(
        tx, [text.phone for text in texts if parties[text.sid].was_undelivered]
    )
    answered = await replies.answered_by(tx, received)
    counted = [(text_id, one.id) for one in answered for text_id in one.message_ids]
    await events.messages_received(tx, [one.id for one in received], counted)
    facts = [fact for one in received if (fact := _opt_out_of(one)) is not None]
    await replies.take_effect(tx, answered, opted_out=await suppress(tx, facts))
    opt_ins = [one for one in received if one.meaning is TextMeaning.OPT_IN and not one.is_reply]
    await opt_in(tx, [OptInText(one.text.phone, one.sender_id, one.at, one.id) for one in opt_ins])
    await _keep_consents(tx, opt_ins)
    unsure = [one for one in received if _is_unsure(one, readings[one.text.sid])]
    await reviews.add(tx, [one.id for one in unsure])
    return received


async def _keep_consents(tx: Transaction, opt_ins: Sequence[ReceivedText]) -> None:
    """Keep that whoever texts START agrees, and wake who waited for that."""
    if opt_ins:
        given = [
            NewConsent("Text message", one.at, phone=one.text.phone, message_id=one.id)
            for one in opt_ins
        ]
        await consents.add(tx, given)
        known = {one.contact_id for one in opt_ins if one.contact_id is not None}
        await data_changed(tx, sorted(known))


def _is_ordinary(received: ReceivedText) -> bool:
    return received.kind is TextKind.HUMAN and received.meaning is None


def _may_be_opt_in(reading: Reading) -> bool:
    return reading.keyword is TextMeaning.OPT_IN and reading.may_be_reply


def _of_different_contacts(
    texts: Sequence[InboundText], parties: Mapping[str, Parties]
) -> Sequence[InboundText]:
    first: dict[UUID | str, InboundText] = {}
    for text in texts:
        first.setdefault(parties[text.sid].contact_id or text.phone, text)
    return list(first.values())


def _meaning(reading: Reading) -> TextMeaning | None:
    return TextMeaning.PLAIN_OPT_OUT if reading.intent is Intent.OPT_OUT else reading.keyword


def _kind(reading: Reading, ours: Sequence[SentText]) -> tuple[TextKind, UUID | None]:
    """Say what a text is, and which of the texts sent to its number a reaction is about.

    One that is about none of them is a person's: phones tell us only of reactions to our texts.
    """
    reaction = reading.reaction
    if reaction is None:
        return reading.kind, None
    candidates = ours[:1] if reaction.quoted is None else ours
    for sent in candidates:
        if sent.has_media if reaction.quoted is None else reaction.is_about(sent.body):
            return TextKind.REACTION, sent.id
    return TextKind.HUMAN, None


def _is_unsure(received: ReceivedText, reading: Reading) -> bool:
    """Whether a person has to read if a text asks for no more texts.

    What looks like a reaction, but is about none of our texts, may quote the person's own request.
    """
    if reading.reaction is not None and received.kind is TextKind.HUMAN:
        return read_intent(received.text.body, writer=Writer.UNCLEAR) is not None
    return reading.intent is Intent.UNSURE


def _opt_out_of(received: ReceivedText) -> Evidence | None:
    match received.meaning:
        case TextMeaning.OPT_OUT:
            source = OptOutSource.KEYWORD
        case TextMeaning.PLAIN_OPT_OUT:
            source = OptOutSource.PLAIN_OPT_OUT
        case TextMeaning.OPT_IN | TextMeaning.HELP | None:
            return None
        case _ as unreachable:
            assert_never(unreachable)
    return Evidence(
        phone=received.text.phone,
        source=source,
        occurred_at=received.at,
        message_id=received.id,
    )
