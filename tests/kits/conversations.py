"""A kit to test conversations: enrollments, texts both ways, delivery reports.

Many tests share one database, so each makes numbers, senders and sequences of its own.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from domain.messaging.inbound import InboundText, StatusReport
from domain.messaging.ports import Accepted, LateError, NextAction, Refused, SendRequest, SendResult
from domain.sequences.steps import StepDraft
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import MessageStatus
from domain.statuses.sequences import ReplyPolicy
from domain.statuses.suppression import OptOutSource
from services.enrollments.enrolling import Enrolling
from services.messaging.inbound import Inbound
from services.messaging.sending import Sending
from services.messaging.status_callbacks import StatusCallbacks
from storage.platform.database import Database, Pools
from storage.sequences.sequences import SequenceRecord
from storage.tables.messaging import Message, Sender
from storage.tables.suppression import Suppression
from tests.kits.inbound import inbound_text
from tests.worlds import ADD_USER, ZONE, World, ongoing

FINISH, CONTINUE, PAUSE = ReplyPolicy.FINISH, ReplyPolicy.CONTINUE, ReplyPolicy.PAUSE
ACTIVE = EnrollmentStatus.ACTIVE
RESPONDED = EnrollmentStatus.FINISHED_RESPONDED
NO_RESPONSE = EnrollmentStatus.FINISHED_NO_RESPONSE
FAILED = EnrollmentStatus.FAILED
OPTED_OUT = EnrollmentStatus.OPTED_OUT
OMITTED_OPTED_OUT = EnrollmentStatus.OMITTED_OPTED_OUT
OMITTED_LANDLINE = EnrollmentStatus.OMITTED_LANDLINE

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """A contact in a sequence."""

    contact_id: UUID
    phone: str
    enrollment_id: UUID


@dataclass(frozen=True)
class Sent:
    """An attempt that the provider accepted."""

    attempt_id: UUID
    sid: str


class Talk(World):
    """A world with the use cases of conversations, and phone numbers of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.inbound = Inbound(self.database)
        self.status_callbacks = StatusCallbacks(self.database, self.rules)
        self.ledger = Sending(Pools.one(self.database), self.rules)
        self.enrolling = Enrolling(self.database, workspace_zone=ZONE)
        self.phones = next(_numbers) * 1_000
        self.our_phone = ""

    async def found(self) -> None:
        """Create a user and a sender."""
        await self.run(ADD_USER, id=self.user_id, email=f"{self.user_id}@example.com", name="Mia")
        self.our_phone = await self.number(self.sender_id)

    async def number(self, sender_id: UUID | None = None, *, prefix: str = "+1415") -> str:
        """Create a sender with a number; return the number."""
        phone = f"{prefix}{5_000_000 + next(_numbers)}"
        await self.sender(sender_id or uuid4(), phone)
        return phone

    async def service(self) -> tuple[UUID, str]:
        """Create a sender that is a Messaging Service; return its own and the provider's id."""
        sender_id, sid = uuid4(), "MG" + uuid4().hex
        await self.at_once(
            insert(Sender).values(id=sender_id, name="Service", messaging_service_sid=sid)
        )
        return sender_id, sid

    async def sequence(
        self, *, steps: int = 2, on_reply: ReplyPolicy = FINISH, **changes: Any
    ) -> SequenceRecord:
        """Create an active sequence whose steps are all due at once."""
        drafts: list[StepDraft] = [ongoing(f"Text {number}", 0) for number in range(1, steps + 1)]
        return await self.active(**{"steps": drafts, "on_reply": on_reply, **changes})

    async def person(
        self, sequence: SequenceRecord | None = None, *, like: Person | None = None, **changes: Any
    ) -> Person:
        """Enroll a new contact, or the one of another enrollment."""
        if sequence is None:
            sequence = await self.sequence(**changes)
        [contact_id] = [like.contact_id] if like else await self.contacts(1)
        enrollment = await self.enrolling.enroll(
            sequence.id, self.user_id, contact_ids=[contact_id]
        )
        [row] = await self.rows("SELECT phone FROM contacts WHERE id = :id", id=contact_id)
        return Person(contact_id, row.phone, enrollment.enrolled[0].id)

    async def crowd(self, sequence: SequenceRecord, count: int, *, texts: int = 0) -> list[Person]:
        """Enroll many new contacts at once and send them the first texts."""
        contact_ids = await self.contacts(count)
        enrollment = await self.enrolling.enroll(sequence.id, self.user_id, contact_ids=contact_ids)
        rows = await self.rows(
            "SELECT id, phone FROM contacts WHERE id = ANY(:ids)", ids=contact_ids
        )
        phones = {row.id: row.phone for row in rows}
        people = [
            Person(one.contact_id, phones[one.contact_id], one.id) for one in enrollment.enrolled
        ]
        for _ in range(texts):
            await asyncio.gather(*(self.send(person) for person in people))
        return people

    async def texted(self, texts: int = 1, **changes: Any) -> Person:
        """Enroll a new contact and send the first texts."""
        person = await self.person(**changes)
        for _ in range(texts):
            await self.send(person)
        return person

    # What we send

    async def open(self, person: Person) -> SendRequest:
        """Open an attempt at the next text."""
        next_action = await self.ask(person)
        assert isinstance(next_action, SendRequest), next_action
        return next_action

    async def ask(self, person: Person) -> NextAction:
        """Ask to send the next text; if it is late, ask again, as the activity does."""
        while True:
            with suppress(LateError):
                return await self.ledger.open_step(person.enrollment_id)

    async def send(self, person: Person) -> Sent:
        """Send the next text."""
        call = await self.open(person)
        sid = new_sid()
        await self.answer(call, Accepted(sid, MessageStatus.QUEUED, call.from_phone))
        return Sent(call.attempt_id, sid)

    async def refuse(self, person: Person, code: int, http_status: int = 400) -> NextAction:
        """Send the next text, which the provider refuses."""
        return await self.answer(await self.open(person), Refused(http_status, code))

    async def answer(self, call: SendRequest, answer: SendResult) -> NextAction:
        """Record the provider's answer to a call."""
        return await self.ledger.record_answer(call.attempt_id, answer)

    async def one_off(self, person: Person, sender_id: UUID | None = None) -> Sent:
        """Send a one-off text to the enrollment's contact."""
        message_id = uuid4()
        await self.at_once(
            insert(Message).values(
                id=message_id,
                direction="outbound",
                contact_id=person.contact_id,
                phone=person.phone,
                sender_id=sender_id or self.sender_id,
                enrollment_id=person.enrollment_id,
                body="By hand",
                media_urls=[],
                status=MessageStatus.PENDING,
            )
        )
        call = await self.ledger.open_message(message_id)
        assert isinstance(call, SendRequest), call
        sid = new_sid()
        await self.answer(call, Accepted(sid, MessageStatus.QUEUED, call.from_phone))
        return Sent(call.attempt_id, sid)

    # What comes in

    def inbound_text(
        self,
        phone: str,
        body: str = "Hello",
        *,
        to: str | None = None,
        service: str | None = None,
        media: Sequence[str] = (),
        kind: str | None = None,
        at: datetime | None = None,
        sid: str | None = None,
    ) -> InboundText:
        """Make an inbound text, by default to the first sender."""
        return inbound_text(
            phone,
            body,
            sid=sid or new_sid(),
            to=to or self.our_phone,
            messaging_service_sid=service,
            media_urls=tuple(media),
            opt_out_type=kind,
            occurred_at=at or datetime.now(UTC),
            payload={"Body": body},
        )

    async def text(self, who: Person | str, body: str = "Hello", **facts: Any) -> InboundText:
        """Receive a text."""
        phone = who if isinstance(who, str) else who.phone
        text = self.inbound_text(phone, body, **facts)
        await self.inbound.receive(text)
        return text

    async def report(
        self,
        sent: Sent,
        status: str,
        code: int | None = None,
        *,
        from_phone: str | None = None,
        by_sid: bool = False,
    ) -> None:
        """Receive a delivery report."""
        await self.status_callbacks.receive(
            StatusReport(
                sid=sent.sid,
                status=status,
                error_code=code,
                attempt_id=None if by_sid else sent.attempt_id,
                from_phone=from_phone,
            )
        )

    # Reading

    async def row(self, person: Person) -> Any:
        """Read an enrollment."""
        [row] = await self.rows("SELECT * FROM enrollments WHERE id = :id", id=person.enrollment_id)
        return row

    async def statuses(self, *people: Person) -> list[EnrollmentStatus]:
        """Read enrollments' statuses."""
        return [EnrollmentStatus((await self.row(person)).status) for person in people]

    async def signals(self, person: Person) -> list[tuple[str, str | None]]:
        """Return the signals to the workflow in the outbox, oldest first: names and statuses."""
        rows = await self.rows(
            "SELECT payload FROM outbox WHERE subject_id = :id AND kind = 'signal_enrollment'"
            " ORDER BY id",
            id=person.enrollment_id,
        )
        return [(row.payload["signal"], row.payload["status"]) for row in rows]

    async def attempts(self, person: Person) -> Sequence[Any]:
        """Read an enrollment's attempts, with their messages' status and step."""
        return await self.rows(
            "SELECT a.*, m.status AS message_status, m.step, m.error_code AS message_code"
            " FROM attempts a JOIN messages m ON m.id = a.message_id"
            " WHERE m.enrollment_id = :id ORDER BY a.started_at, a.number",
            id=person.enrollment_id,
        )

    async def received(self, phone: str) -> Sequence[Any]:
        """Read the texts in the conversation that came from a number."""
        return await self.rows(
            "SELECT * FROM messages WHERE direction = 'inbound' AND phone = :phone"
            " ORDER BY created_at",
            phone=phone,
        )

    async def events(self, phone: str) -> Sequence[Any]:
        """Read the stored inbound events of a number."""
        return await self.rows("SELECT * FROM inbound_events WHERE phone = :phone", phone=phone)

    async def suppressions(self, phone: str, *, standing: bool = True) -> Sequence[Any]:
        """Read a number's suppressions."""
        only = " AND lifted_at IS NULL" if standing else ""
        return await self.rows(
            f"SELECT * FROM suppressions WHERE phone = :phone{only} ORDER BY created_at",  # noqa: S608
            phone=phone,
        )

    async def suppress_by_hand(self, phone: str) -> None:
        """Suppress a number as a person would."""
        await self.at_once(
            insert(Suppression).values(
                id=uuid4(),
                phone=phone,
                source=OptOutSource.BY_HAND,
                user_id=self.user_id,
                occurred_at=datetime.now(UTC) - timedelta(hours=1),
            )
        )


def new_sid() -> str:
    return "SM" + uuid4().hex


def ago(**span: float) -> datetime:
    """Return a moment in the past."""
    return datetime.now(UTC) - timedelta(**span)


@asynccontextmanager
async def talking(database_url: str) -> AsyncIterator[Talk]:
    """Open a world of its own in a shared database."""
    talk = Talk(Database(database_url))
    try:
        await talk.found()
        yield talk
    finally:
        await talk.database.close()
