"""A kit to test the send path: real rows, provider and Temporal in memory, a movable clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.sending import CloseEnrollment, SendingActivities, SendMessage, SendStep
from domain.messaging.inbound import StatusReport
from domain.messaging.ports import LateError, Refused, SendRequest, SendResult
from domain.platform.rules import SendingRules
from domain.sequences.steps import StepDraft
from domain.sequences.timing import DAYS
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from domain.statuses.enrollments import Need, WaitReason
from domain.statuses.messaging import Direction, MessageStatus
from services.enrollments.enrolling import Enrolling
from services.factory import ServiceConfig, Services
from storage.enrollments.list_filter import ListFilter
from storage.platform import outbox
from storage.platform.database import Database
from storage.sequences.sequences import SequenceRecord
from storage.tables.messaging import InboundEvent, Message
from tests.fakes import FakeGateway
from tests.kits.inbound import OURS, receive
from tests.worlds import ZONE, World, ongoing
from workflows.client import (
    EnrollmentClient,
    LiveState,
    TemporalRefusedError,
    TemporalUnavailableError,
)

RULES = SendingRules(workspace_zone=ZONE)
"""The product's own timings: tests move time instead of waiting."""

TICK = timedelta(seconds=5)
"""How much time may pass between two statements of a test."""


class FakeTemporal:
    """Accepts calls and records them in order; runs nothing.

    Attributes:
        told: Every accepted call: kind, subject, and the name and status of a signal.
        opened: The open workflows.
        away: While true, it does not answer.
        refuses: Subjects for which it does not answer.
        forbids: Subjects for which it refuses every call for good.
        most_paced: The most senders that may have a rate of their own.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, UUID, str | None, str | None]] = []
        self.opened: set[UUID] = set()
        self.states: dict[UUID, EnrollmentState] = {}
        self.away = False
        self.refuses: set[UUID] = set()
        self.forbids: set[UUID] = set()
        self.most_paced = 1000
        self.paced: dict[UUID, float] = {}

    async def start_enrollment(self, new: NewEnrollment) -> None:
        self._reach(new.enrollment_id)
        self.states[new.enrollment_id] = new.standing
        self.opened.add(new.enrollment_id)
        self.told.append(("start", new.enrollment_id, None, None))

    async def start_message(self, message_id: UUID, sender_id: UUID | None) -> None:
        self._reach(message_id)
        self.told.append(("message", message_id, str(sender_id), None))

    async def start_job(self, job_id: UUID) -> None:
        self._reach(job_id)
        self.told.append(("job", job_id, None, None))

    async def signal_enrollment(self, enrollment_id: UUID, signal: str, status: str | None) -> None:
        self._reach(enrollment_id)
        self.told.append(("signal", enrollment_id, signal, status))

    async def pace_senders(self, texts_per_second: Mapping[UUID, float]) -> None:
        for sender_id in texts_per_second:
            self._reach(sender_id)
        paced = {one: rate for one, rate in {**self.paced, **texts_per_second}.items() if rate != 1}
        if len(paced) > self.most_paced:
            raise TemporalRefusedError("INVALID_ARGUMENT, too many")
        self.paced = paced
        self.told += [("pace", sender_id, None, None) for sender_id in texts_per_second]

    async def mispaced(self, texts_per_second: Mapping[UUID, float]) -> list[UUID]:
        self._reach(uuid4())
        wanted, there = dict(texts_per_second), self.paced
        return [one for one in {**wanted, **there} if wanted.get(one, 1) != there.get(one, 1)]

    async def wake_events(self, endpoint_id: UUID) -> None:
        self._reach(endpoint_id)
        self.told.append(("events", endpoint_id, None, None))

    async def is_open(self, enrollment_id: UUID) -> bool:
        self._reach(enrollment_id)
        return enrollment_id in self.opened

    async def progress(
        self, enrollment_ids: Sequence[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, LiveState]:
        return dict.fromkeys(enrollment_ids, LiveState(unavailable="not_running"))

    def signals_to(self, enrollment_id: UUID) -> list[tuple[str | None, str | None]]:
        return [
            (signal, status)
            for kind, subject, signal, status in self.told
            if (kind, subject) == ("signal", enrollment_id)
        ]

    def _reach(self, subject: UUID) -> None:
        if self.away or subject in self.refuses:
            raise TemporalUnavailableError("UNAVAILABLE")
        if subject in self.forbids:
            raise TemporalRefusedError("INVALID_ARGUMENT, never")


@dataclass
class SendingKit:
    """What tests of the send path share."""

    world: World
    services: Services
    gateway: FakeGateway
    temporal: FakeTemporal
    rules: SendingRules = RULES
    sequences: dict[UUID, SequenceRecord] = field(default_factory=dict)

    def with_rules(self, **changes: Any) -> "SendingKit":
        """Return the same world with other timings."""
        rules = replace(self.rules, **changes)
        return replace(
            self, services=_services(self.world, self.temporal, self.gateway, rules), rules=rules
        )

    # Enrolling

    async def sequence(self, *bodies: str | StepDraft, **changes: Any) -> SequenceRecord:
        """Create an active sequence; steps given as texts are a day apart, the first is due now."""
        if bodies:
            changes["steps"] = [
                body if isinstance(body, StepDraft) else ongoing(body, 86_400 if index else 0)
                for index, body in enumerate(bodies)
            ]
        return await self.world.active(**changes)

    async def enroll(
        self, sequence: SequenceRecord | None = None, contact_id: UUID | None = None
    ) -> UUID:
        """Enroll a contact; by default a new one of the user, in a new sequence of three steps."""
        contact_ids = [contact_id] if contact_id else await self._contacts(1)
        [enrollment_id] = await self._enroll(sequence or await self.sequence(), contact_ids)
        return enrollment_id

    async def enroll_many(self, count: int, sequence: SequenceRecord | None = None) -> list[UUID]:
        """Enroll new contacts of the user, by default in a new sequence of three steps."""
        contact_ids = await self._contacts(count)
        return await self._enroll(sequence or await self.sequence(), contact_ids)

    async def _contacts(self, count: int) -> list[UUID]:
        return await self.world.contacts(count, owner_id=self.world.user_id)

    async def _enroll(self, sequence: SequenceRecord, contact_ids: Sequence[UUID]) -> list[UUID]:
        enrolling = Enrolling(self.world.database, workspace_zone=ZONE)
        answer = await enrolling.enroll(sequence.id, self.world.user_id, contact_ids=contact_ids)
        return [one.id for one in answer.enrolled]

    async def one_off(self, enrollment_id: UUID, body: str = "A word from me") -> UUID:
        """Write a one-off text to an enrollment's contact."""
        [row] = await self.world.rows(
            "SELECT c.id, c.phone, q.sender_id FROM enrollments e"
            " JOIN contacts c ON c.id = e.contact_id JOIN sequences q ON q.id = e.sequence_id"
            " WHERE e.id = :id",
            id=enrollment_id,
        )
        message_id = uuid4()
        async with self.world.database.transaction() as tx:
            await tx.execute(
                insert(Message).values(
                    id=message_id,
                    direction=Direction.OUTBOUND,
                    contact_id=row.id,
                    phone=row.phone,
                    sender_id=row.sender_id,
                    enrollment_id=enrollment_id,
                    user_id=self.world.user_id,
                    body=body,
                    status=MessageStatus.PENDING,
                )
            )
            await outbox.add_message_starts(tx, [message_id])
        return message_id

    # In place of the workflows

    async def run_step(self, enrollment_id: UUID) -> EnrollmentState | timedelta:
        """Decide and do what is needed; return the state, or the delay before the next try."""
        return await self._run_all("step", SendStep(str(enrollment_id)))

    async def run_message(self, message_id: UUID) -> EnrollmentState | timedelta:
        """Do the same for a one-off text."""
        return await self._run_all("message", SendMessage(str(message_id)))

    async def send_step(self, enrollment_id: UUID) -> EnrollmentState:
        """Run only the send activity, as Temporal does again after it lost a worker."""
        state = await self._run("send_step", SendStep(str(enrollment_id)))
        assert isinstance(state, EnrollmentState)
        return state

    async def run_close(self, enrollment_id: UUID) -> EnrollmentState:
        """Run the closing activity once."""
        closed = await self._run("close_enrollment", CloseEnrollment(str(enrollment_id)))
        assert isinstance(closed, EnrollmentState)
        return closed

    async def send(self, enrollment_id: UUID) -> EnrollmentState:
        """Send the step that is due."""
        before = len(self.gateway.calls)
        state = await self.run_step(enrollment_id)
        assert isinstance(state, EnrollmentState), state
        assert len(self.gateway.calls) == before + 1, state
        return state

    async def send_all(self, enrollment_id: UUID) -> EnrollmentState:
        """Send every step, each when it is due."""
        while True:
            state = await self.send(enrollment_id)
            if state.doing != "waiting":
                return state
            assert state.due_at is not None
            await self.pass_time(state.due_at - datetime.now(UTC))

    async def _run_all(
        self, kind: str, request: SendStep | SendMessage
    ) -> EnrollmentState | timedelta:
        state = await self._run(f"decide_{kind}", request)
        while isinstance(state, EnrollmentState) and state.needs is not None:
            act = "send" if state.needs is Need.SEND else "resolve"
            state = await self._run(f"{act}_{kind}", request)
        return state

    async def _run(self, name: str, request: Any) -> EnrollmentState | timedelta:
        activities = SendingActivities(
            self.services.sending, self.gateway, look_again=timedelta(days=1)
        )
        while True:
            try:
                state = await ActivityEnvironment().run(getattr(activities, name), request)
            except ApplicationError as error:
                if error.type == "late":  # many at once on a busy machine
                    continue
                if error.type != "outcome_unknown" or error.next_retry_delay is None:
                    raise
                return error.next_retry_delay
            return cast("EnrollmentState", state)

    # In place of the provider and the contact

    async def answers(self, enrollment_id: UUID, *answers: SendResult) -> None:
        """Make the provider give these answers to the enrollment's next texts."""
        self.gateway.answer(*answers, to=await self.phone(enrollment_id))

    async def refuses(self, enrollment_id: UUID, code: int | None, http_status: int = 400) -> None:
        """Make the provider refuse the enrollment's next text."""
        await self.answers(enrollment_id, Refused(http_status, code))

    async def report(
        self,
        attempt: Any,
        status: str,
        code: int | None = None,
        *,
        by_sid: bool = True,
        from_phone: str | None = None,
    ) -> None:
        """Receive a delivery report about an attempt, a row of ``attempts``."""
        await self.services.status_callbacks.receive(
            StatusReport(
                sid=attempt.provider_sid or f"SM{attempt.id.hex}",
                status=status,
                error_code=code,
                attempt_id=None if by_sid else attempt.id,
                from_phone=from_phone,
            )
        )

    async def text_back(
        self, enrollment_id: UUID, body: str = "Yes please", to: str | None = None
    ) -> None:
        """Receive a text from the contact."""
        await receive(self.services, await self.phone(enrollment_id), body, to=to or OURS)

    async def keep_unapplied(self, enrollment_id: UUID) -> None:
        """Store an inbound text from the contact whose effects are not applied."""
        await self.world.at_once(
            insert(InboundEvent).values(
                provider_sid=f"SM{uuid4().hex}",
                phone=await self.phone(enrollment_id),
                payload={},
                occurred_at=datetime.now(UTC),
            )
        )

    # Time

    async def pass_time(self, by: timedelta) -> None:
        """Let time pass, by moving every timestamp in the database back."""
        await self.world.run("SELECT pass_time(:by)", by=by)

    # Reading

    async def row(self, enrollment_id: UUID) -> Any:
        [row] = await self.world.rows("SELECT * FROM enrollments WHERE id = :id", id=enrollment_id)
        return row

    async def waiting_for(
        self, sequence_id: UUID, *reasons: WaitReason
    ) -> dict[UUID, tuple[str, ...]]:
        """List whom a reason keeps from going, with all their reasons."""
        tab = await self.services.enrollment_list.page(sequence_id, ListFilter(reason=reasons))
        return {one.enrollment_id: one.waits_for for one in tab.page.items}

    async def phone(self, enrollment_id: UUID) -> str:
        [row] = await self.world.rows(
            "SELECT c.phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
            " WHERE e.id = :id",
            id=enrollment_id,
        )
        return cast("str", row.phone)

    async def message(self, enrollment_id: UUID, step: int = 1) -> Any:
        [row] = await self.world.rows(
            "SELECT * FROM messages WHERE enrollment_id = :id AND step = :step",
            id=enrollment_id,
            step=step,
        )
        return row

    async def one_off_row(self, message_id: UUID) -> Any:
        [row] = await self.world.rows("SELECT * FROM messages WHERE id = :id", id=message_id)
        return row

    async def attempts(self, enrollment_id: UUID, step: int | None = None) -> Sequence[Any]:
        return await self.world.rows(
            "SELECT a.*, m.step FROM attempts a JOIN messages m ON m.id = a.message_id"
            " WHERE m.enrollment_id = :id AND (CAST(:step AS integer) IS NULL OR m.step = :step)"
            " ORDER BY m.created_at, a.number",
            id=enrollment_id,
            step=step,
        )

    async def outcomes(self, enrollment_id: UUID, step: int | None = None) -> list[str]:
        return [attempt.outcome for attempt in await self.attempts(enrollment_id, step)]

    async def sender(self, sender_id: UUID | None = None) -> Any:
        [row] = await self.world.rows(
            "SELECT * FROM senders WHERE id = :id", id=sender_id or self.world.sender_id
        )
        return row

    async def pending_signals(self, enrollment_id: UUID) -> list[str]:
        """Return the names of the signals in the outbox, oldest first."""
        rows = await self.world.rows(
            "SELECT payload FROM outbox WHERE subject_id = :id AND kind = 'signal_enrollment'"
            " ORDER BY id",
            id=enrollment_id,
        )
        return [row.payload["signal"] for row in rows]

    async def bodies(self, enrollment_id: UUID) -> list[str]:
        """Return the texts to an enrollment's contact that reached the provider."""
        return [call.body for call in self.gateway.calls_to(await self.phone(enrollment_id))]

    async def landline(self, enrollment_id: UUID) -> None:
        """Record that the contact's number is a landline."""
        await self.world.run(
            "UPDATE contacts SET line_type = :kind WHERE phone = :phone",
            kind=LineType.LANDLINE.value,
            phone=await self.phone(enrollment_id),
        )

    async def open_call(self, enrollment_id: UUID) -> SendRequest:
        """Open an attempt at the next step without calling, as a worker that dies then does."""
        while True:
            with suppress(LateError):  # many at once on a busy machine
                call = await self.services.sending.open_step(enrollment_id)
                assert isinstance(call, SendRequest)
                return call


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Wait up to ten seconds until a condition holds."""
    async with asyncio.timeout(10):
        while True:
            if await happened():
                return
            await asyncio.sleep(0.01)


def about(moment: datetime | None, delay: timedelta) -> bool:
    """Return whether a moment is this far from now, within ``TICK``."""
    return moment is not None and abs(moment - datetime.now(UTC) - delay) < TICK


def _services(
    world: World, temporal: FakeTemporal, gateway: FakeGateway, rules: SendingRules
) -> Services:
    return Services(
        world.database, cast("EnrollmentClient", temporal), gateway, ServiceConfig(rules)
    )


@asynccontextmanager
async def sending_kit(database_url: str) -> AsyncIterator[SendingKit]:
    """Open a kit on an empty database."""
    world = World(Database(database_url, connections=50))
    temporal, gateway = FakeTemporal(), FakeGateway()
    services = _services(world, temporal, gateway, RULES)
    world.finishing, world.sequences = services.finishing, services.sequences
    try:
        await world.found()
        yield SendingKit(world, services, gateway, temporal)
    finally:
        await world.database.close()


def zone_where_it_is(hour: int) -> ZoneInfo:
    """Return a time zone in which it is this hour of the day now."""
    ahead = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    return ZoneInfo(f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")


def every_day(opens: str, closes: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(DAYS, (opens, closes))
