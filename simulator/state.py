"""The account's state: accepts texts, receives texts, forgets everything on demand."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from simulator.behaviour import Behaviour
from simulator.callbacks import Callbacks, Life
from simulator.config import SimulatorConfig
from simulator.errors import TwilioError
from simulator.inbound import InboundText, inbound_fields
from simulator.messages import Message, MessageStore, new_sid, now
from simulator.scenarios import REPLY_DELAY, Fate, Move, failed, scenario_of
from simulator.segments import count_segments
from simulator.senders import OptOuts, ServicePools
from simulator.webhooks import Webhooks


@dataclass(frozen=True)
class Draft:
    """A create whose parameters are in order."""

    to: str
    from_number: str | None
    messaging_service_sid: str | None
    body: str
    media_urls: tuple[str, ...]
    status_callback: str | None
    validity_period: int | None


class Simulator:
    """Everything behind the HTTP interface.

    Attributes:
        calls: How many creates each recipient's number was called with, refused ones included.
        created: How many messages were created for each.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.random = Random(config.seed)  # noqa: S311 - chances of a game, no secrets
        self.messages = MessageStore(config.max_messages)
        self.behaviour = Behaviour()
        self.pools = ServicePools()
        self.opt_outs = OptOuts()
        self.webhooks = Webhooks(config.auth_token, config.max_open_webhooks)
        self.callbacks = Callbacks(config.account_sid, self.webhooks, self.random)
        self.calls: Counter[str] = Counter()
        self.created: Counter[str] = Counter()

    def count_call(self, to: str) -> int:
        """Count a create for a number and return which one it is, from 1."""
        return self._count(self.calls, to)

    def accept(self, draft: Draft) -> "tuple[Message, asyncio.Task[None]]":
        """Create a message and let it live; the task ends with its last report.

        Raises:
            TwilioError: The pair is blocked, the sender is at fault, or too much is under way.
        """
        sender = draft.messaging_service_sid or draft.from_number or ""
        if self.opt_outs.is_blocked(draft.to, sender):
            raise TwilioError(21610)
        if self.callbacks.open_tasks >= self.config.max_messages:
            raise TwilioError(20429)
        sender_error = self.behaviour.sender_error(draft.from_number, draft.messaging_service_sid)
        if sender_error is not None and sender_error < 30000:
            raise TwilioError(sender_error, sender)
        message = self._create(draft)
        count = self._count(self.created, draft.to)
        fate = failed(sender_error) if sender_error else self._fate(message, count)
        life = Life(
            message=message,
            fate=fate,
            reporting=scenario_of(draft.to).reporting or self.behaviour.callbacks,
            chosen_number=draft.from_number or self.pools.choose(sender, draft.to),
            num_segments=count_segments(draft.body),
            lasts=self.config.delivery_delay,
            late=self._lateness(),
        )
        reply = scenario_of(draft.to).reply if count == 1 else None
        return message, self.callbacks.spawn(self._live(life, reply))

    async def receive(self, text: InboundText) -> tuple[Message, int | None]:
        """Take a text from a handset; returns it and the HTTP status its webhook got.

        The status is ``None`` if there was no answer or the webhook was not to be sent.
        """
        service_sid = text.messaging_service_sid or self.pools.service_of(text.to)
        moment = now()
        message = Message(
            number=self.messages.take_number(),
            sid=new_sid(text.media_urls),
            to=text.to,
            from_number=text.from_number,
            body=text.body,
            direction="inbound",
            status="received",
            date_created=moment,
            date_updated=moment,
            date_sent=moment,
            messaging_service_sid=service_sid,
            media_urls=text.media_urls,
            num_segments=count_segments(text.body),
        )
        self.messages.add(message)
        sender = message.sender_key
        self.opt_outs.note(text.from_number, sender, text.body, text.opt_out_type)
        if not text.deliver:
            return message, None
        fields = inbound_fields(self.config.account_sid, message, text.opt_out_type)
        return message, await self.webhooks.post(self.config.inbound_url, fields)

    async def reset(self) -> int:
        """Forget messages, opt-outs, counts and faults; returns how many messages there were."""
        await self.callbacks.cancel_all()
        self.behaviour = Behaviour()
        self.opt_outs.clear()
        self.calls.clear()
        self.created.clear()
        return self.messages.clear()

    def _create(self, draft: Draft) -> Message:
        """Store a message as it stands before a sender was chosen."""
        moment = now()
        through_service = draft.messaging_service_sid is not None
        message = Message(
            number=self.messages.take_number(),
            sid=new_sid(draft.media_urls),
            to=draft.to,
            from_number=draft.from_number,
            body=draft.body,
            direction="outbound-api",
            status="accepted" if through_service else "queued",
            date_created=moment,
            date_updated=moment,
            messaging_service_sid=draft.messaging_service_sid,
            media_urls=draft.media_urls,
            num_segments=0 if through_service else count_segments(draft.body),
            status_callback=draft.status_callback,
            validity_period=draft.validity_period,
        )
        self.messages.add(message)
        return message

    def _lateness(self) -> timedelta:
        """Return how late the next message's reports are; draws only if they may be."""
        most = self.behaviour.callback_delay_seconds
        return timedelta(seconds=self.random.uniform(0, most) if most else 0)

    def _fate(self, message: Message, count: int) -> Fate:
        """Return what happens to the message; a service's text is queued in between."""
        fate = scenario_of(message.to).fate_of_message(count)
        return (Move("queued"), *fate) if message.messaging_service_sid else fate

    async def _live(self, life: Life, reply: str | None) -> None:
        """Let a message live, then let the handset answer it."""
        await self.callbacks.live(life)
        if reply is None:
            return
        await asyncio.sleep(REPLY_DELAY / timedelta(seconds=1))
        message = life.message
        text = InboundText(
            from_number=message.to,
            to=message.from_number or life.chosen_number,
            body=reply,
            messaging_service_sid=message.messaging_service_sid,
        )
        await self.receive(text)

    def _count(self, counts: Counter[str], number: str) -> int:
        """Count one more of a number; as many numbers are remembered as messages."""
        counts[number] += 1
        if len(counts) > self.config.max_messages:
            del counts[next(iter(counts))]
        return counts[number]


def counts_of(counts: Mapping[str, int], number: str | None) -> dict[str, int]:
    """Return the counts of one number, or of all."""
    if number is None:
        return dict(counts)
    return {number: counts[number]} if number in counts else {}
