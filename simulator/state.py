"""The account's state."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from uuid import uuid4

from simulator.behavior import Behavior
from simulator.callbacks import Callbacks, Life
from simulator.errors import TwilioError
from simulator.inbound import InboundText, inbound_fields
from simulator.messages import Message, MessageStore, now
from simulator.scenarios import REPLY_DELAY, Fate, Move, failed, scenario_of
from simulator.segments import count_segments
from simulator.senders import OptOuts, ServicePools
from simulator.webhooks import Webhooks


@dataclass(frozen=True)
class SimulatorConfig:
    """The simulated account, and the application's address.

    Attributes:
        account_sid: The only account (``AC`` and 32 hex digits); user name of HTTP Basic.
        auth_token: Its password, and the key that signs webhooks.
        inbound_url: The webhook of all numbers and services, exactly as it is signed.
        base_url: Where the REST API is reached, for the addresses of pictures.
        delivery_delay: From the acceptance of a text to its last status.
        seed: Makes error rates and shuffling repeatable; ids never repeat.
        max_messages: Messages kept, oldest deleted first; also the most texts in progress, beyond
            which creates are answered with 429.
    """

    account_sid: str
    auth_token: str
    inbound_url: str
    delivery_delay: timedelta = timedelta(milliseconds=500)
    seed: int | None = None
    max_messages: int = 200_000
    max_open_webhooks: int = 50
    base_url: str = "http://127.0.0.1:8100"


@dataclass(frozen=True)
class Draft:
    """A create with valid parameters."""

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
        calls: Creates requested by recipient, refused ones included.
        created: Messages created by recipient.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.random = Random(config.seed)  # noqa: S311 - chances of a game, no secrets
        self.messages = MessageStore(config.max_messages)
        self.behavior = Behavior()
        self.pools = ServicePools()
        self.opt_outs = OptOuts()
        self.webhooks = Webhooks(config.auth_token, config.max_open_webhooks)
        self.callbacks = Callbacks(config.account_sid, self.webhooks, self.random)
        self.calls: Counter[str] = Counter()
        self.created: Counter[str] = Counter()

    def accept(self, draft: Draft) -> "tuple[Message, asyncio.Task[None]]":
        """Create a message and start its status changes; the task ends with its last callback.

        Raises:
            TwilioError: The pair is blocked, the sender has an error, or too much is in progress.
        """
        sender = draft.messaging_service_sid or draft.from_number or ""
        if self.opt_outs.is_blocked(draft.to, sender):
            raise TwilioError(21610)
        if self.callbacks.open_tasks >= self.config.max_messages:
            raise TwilioError(20429)
        sender_error = self.behavior.sender_error(draft.from_number, draft.messaging_service_sid)
        if sender_error is not None and sender_error < 30000:
            raise TwilioError(sender_error, sender)
        through_service = draft.messaging_service_sid is not None
        message = self._store(
            draft,
            direction="outbound-api",
            status="accepted" if through_service else "queued",
            messaging_service_sid=draft.messaging_service_sid,
            num_segments=0 if through_service else count_segments(draft.body),
        )
        message.status_callback = draft.status_callback
        message.validity_period = draft.validity_period
        count = self.count(self.created, draft.to)
        fate = failed(sender_error) if sender_error else self._fate(message, count)
        life = Life(
            message=message,
            fate=fate,
            reporting=scenario_of(draft.to).reporting or self.behavior.callbacks,
            chosen_number=draft.from_number or self.pools.choose(sender, draft.to),
            num_segments=count_segments(draft.body),
            lasts=self.config.delivery_delay,
            late=self._lateness(),
        )
        reply = scenario_of(draft.to).reply if count == 1 else None
        return message, self.callbacks.spawn(self._live(life, reply))

    async def receive(self, text: InboundText) -> tuple[Message, int | None]:
        """Receive a text from a handset; return it and the status its webhook got, if it did."""
        message = self._store(
            text,
            direction="inbound",
            status="received",
            messaging_service_sid=text.messaging_service_sid or self.pools.service_of(text.to),
            num_segments=count_segments(text.body),
        )
        message.date_sent = message.date_created
        sender = message.messaging_service_sid or text.to
        self.opt_outs.note(text.from_number, sender, text.body, text.opt_out_type)
        if not text.deliver:
            return message, None
        config = self.config
        fields = inbound_fields(config.account_sid, config.base_url, message, text.opt_out_type)
        return message, await self.webhooks.post(self.config.inbound_url, fields)

    async def reset(self) -> int:
        """Delete messages, opt-outs, counts and faults; return the number of messages."""
        await self.callbacks.cancel_all()
        self.behavior = Behavior()
        self.opt_outs.clear()
        self.calls.clear()
        self.created.clear()
        return self.messages.clear()

    def _store(
        self,
        text: Draft | InboundText,
        *,
        direction: str,
        status: str,
        messaging_service_sid: str | None,
        num_segments: int,
    ) -> Message:
        moment = now()
        message = Message(
            number=self.messages.take_number(),
            sid=("MM" if text.media_urls else "SM") + uuid4().hex,
            to=text.to,
            from_number=text.from_number,
            body=text.body,
            direction=direction,
            status=status,
            date_created=moment,
            date_updated=moment,
            messaging_service_sid=messaging_service_sid,
            media_urls=text.media_urls,
            num_segments=num_segments,
        )
        self.messages.add(message)
        return message

    def _lateness(self) -> timedelta:
        """Return how late the next message's callbacks are; draw a number only if they may be."""
        most = self.behavior.callback_delay_seconds
        return timedelta(seconds=self.random.uniform(0, most) if most else 0)

    def _fate(self, message: Message, count: int) -> Fate:
        """Return the statuses of a message; a service's message is queued first."""
        fate = scenario_of(message.to).fate_of_message(count)
        return (Move("queued"), *fate) if message.messaging_service_sid else fate

    async def _live(self, life: Life, reply: str | None) -> None:
        """Run a message's status changes, then the handset's answer."""
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

    def count(self, counts: Counter[str], number: str) -> int:
        """Count one for a number; remember as many numbers as messages."""
        counts[number] += 1
        if len(counts) > self.config.max_messages:
            del counts[next(iter(counts))]
        return counts[number]


def counts_of(counts: Mapping[str, int], number: str | None) -> dict[str, int]:
    """Return the counts of one number, or of all."""
    if number is None:
        return dict(counts)
    return {number: counts[number]} if number in counts else {}
