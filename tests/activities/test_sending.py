"""The send activities against a scripted ledger: ask, call once, record, reconcile."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities import sending
from activities.sending import (
    LATE_RETRY,
    LOOK_AGAIN,
    CloseEnrollment,
    SendingActivities,
    SendMessage,
    SendStep,
)
from activities.sweeping import SweepingActivities
from domain.maintenance.ports import SweepReport
from domain.messaging.deadline import Deadline
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    LateError,
    LineTypeNeeded,
    Listing,
    NeedsReconciliation,
    NextAction,
    NotCalled,
    OutcomeUnknown,
    Preparation,
    Refused,
    SendRequest,
    SendResult,
)
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import Need
from domain.statuses.messaging import MessageStatus
from tests.fakes import FakeGateway

PHONE = "+12125550187"
SENT = EnrollmentState("waiting", "active", step=1)
ENROLLMENT = uuid4()
PAST = datetime(2026, 1, 1, tzinfo=UTC)
NOW = PAST + timedelta(minutes=5)


@dataclass
class ScriptedLedger:
    """Answers in order and keeps what is recorded."""

    decisions: deque[Preparation] = field(default_factory=deque)
    next_actions: deque[NextAction] = field(default_factory=deque)
    after_listing: deque[NextAction] = field(default_factory=deque)
    record_fails: int = 0
    late: bool = False
    recorded: list[object] = field(default_factory=list)

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        assert enrollment_id == ENROLLMENT
        return self.decisions.popleft()

    async def decide_message(self, message_id: UUID) -> Preparation:
        return await self.decide_step(message_id)

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        assert enrollment_id == ENROLLMENT
        if self.late:
            raise LateError
        return self.next_actions.popleft()

    async def open_message(self, message_id: UUID) -> NextAction:
        return await self.open_step(message_id)

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        if self.record_fails:
            self.record_fails -= 1
            raise ConnectionError
        self.recorded.append(answer)
        return self.next_actions.popleft()

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        self.recorded.append(listing)
        return self.after_listing.popleft()

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        self.recorded.append(line_type)

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        assert enrollment_id == ENROLLMENT
        return EnrollmentState("ended", "finished_no_response")


@pytest.fixture
def ledger() -> ScriptedLedger:
    return ScriptedLedger()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def activities(ledger: ScriptedLedger, gateway: FakeGateway) -> SendingActivities:
    return SendingActivities(ledger, gateway)


def call(*, deadline: float = 5) -> SendRequest:
    moment = Deadline.within(timedelta(seconds=deadline))
    return SendRequest(uuid4(), PHONE, "+14155550100", None, "Hi", (), 36_000, moment)


def needs_reconciliation(wait: timedelta = timedelta(0)) -> NeedsReconciliation:
    return NeedsReconciliation(uuid4(), PHONE, PAST, wait, NOW)


async def send_step(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.send_step, SendStep(str(ENROLLMENT)))


async def send_message(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.send_message, SendMessage(str(ENROLLMENT)))


async def resolve_step(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.resolve_step, SendStep(str(ENROLLMENT)))


async def resolve_message(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.resolve_message, SendMessage(str(ENROLLMENT)))


async def decide_step(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.decide_step, SendStep(str(ENROLLMENT)))


async def decide_message(activities: SendingActivities) -> EnrollmentState:
    return await ActivityEnvironment().run(activities.decide_message, SendMessage(str(ENROLLMENT)))


Run = Callable[[SendingActivities], Awaitable[EnrollmentState]]
BOTH = pytest.mark.parametrize("send", [send_step, send_message])
BOTH_RESOLVE = pytest.mark.parametrize("resolve", [resolve_step, resolve_message])
NEEDS: list[tuple[Preparation, Need]] = [
    (NeedsReconciliation(uuid4(), PHONE, PAST, timedelta(0), PAST), Need.RECONCILE),
    (LineTypeNeeded(uuid4(), PHONE), Need.LOOK_UP),
]


@BOTH
async def test_blocked_row_prevents_the_call(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway, send: Run
) -> None:
    blocked = EnrollmentState("paused", "active")
    ledger.next_actions.append(blocked)
    assert await send(activities) == blocked
    assert gateway.calls == []


@BOTH
async def test_call_is_made_once_and_recorded(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway, send: Run
) -> None:
    ledger.next_actions.extend([call(), SENT])
    assert await send(activities) == SENT
    assert len(gateway.calls) == 1
    assert isinstance(ledger.recorded[0], Accepted)


async def test_call_after_its_deadline_is_not_made(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway
) -> None:
    ledger.next_actions.extend([call(deadline=-1), SENT])
    assert await send_step(activities) == SENT
    assert gateway.calls == []
    assert ledger.recorded == [NotCalled()]


async def test_failed_recording_is_retried(
    activities: SendingActivities,
    ledger: ScriptedLedger,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rule: recording is retried in the process, which has the provider's id."""
    monkeypatch.setattr(sending, "RECORD_RETRY", timedelta(milliseconds=5))
    ledger.record_fails = 3
    ledger.next_actions.extend([call(), SENT])
    assert await send_step(activities) == SENT
    assert len(gateway.calls) == 1
    assert len(ledger.recorded) == 1


@pytest.mark.parametrize(
    ("late", "recorded"),
    [
        (Accepted("SM1", MessageStatus.QUEUED), True),
        (Refused(400, 21211), True),
        (OutcomeUnknown(500), False),
    ],
    ids=["accepted", "refused", "lost"],
)
async def test_late_answer_is_recorded(
    activities: SendingActivities,
    ledger: ScriptedLedger,
    gateway: FakeGateway,
    late: SendResult,
    *,
    recorded: bool,
) -> None:
    coming: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
    lost = OutcomeUnknown(late=coming)
    gateway.answer(lost)
    ledger.next_actions.extend([call(), SENT, SENT])
    assert await send_step(activities) == SENT
    assert ledger.recorded == [lost]

    coming.set_result(late)
    await asyncio.gather(*activities._listening)

    assert ledger.recorded == [lost, late] if recorded else [lost]
    assert not activities._listening


async def test_recording_is_given_up_after_a_while(
    activities: SendingActivities,
    ledger: ScriptedLedger,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "RECORD_RETRY", timedelta(milliseconds=1))
    monkeypatch.setattr(sending, "RECORD_GIVE_UP", timedelta(milliseconds=20))
    ledger.record_fails = 1000
    ledger.next_actions.append(call())
    with pytest.raises(ConnectionError):
        await send_step(activities)
    assert len(gateway.calls) == 1


async def test_canceled_send_records_its_answer(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway
) -> None:
    """Rule: an accepted text is recorded although the activity was canceled."""
    gateway.delay = 0.1
    ledger.next_actions.extend([call(), SENT])
    task = asyncio.create_task(send_step(activities))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)
    assert isinstance(ledger.recorded[0], Accepted)


@BOTH
async def test_unknown_outcome_returns_the_need_to_reconcile(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway, send: Run
) -> None:
    """Rule: a send without an answer returns a need instead of failing."""
    gateway.answer(OutcomeUnknown())
    ledger.next_actions.extend([call(), needs_reconciliation(wait=timedelta(minutes=2))])
    assert (await send(activities)).needs is Need.RECONCILE
    assert len(gateway.calls) == 1


@BOTH
@pytest.mark.parametrize(("found", "need"), NEEDS)
async def test_send_leaves_reconciliation_and_look_up_to_others(
    activities: SendingActivities, ledger: ScriptedLedger, send: Run, found: Preparation, need: Need
) -> None:
    """A retried send finds the attempt of a worker that died."""
    ledger.next_actions.append(found)
    state = await send(activities)
    assert state.needs is need
    assert state.due_at is not None, "builds that know no needs wait until then"
    assert ledger.recorded == []


@BOTH
async def test_late_send_is_retried_with_jitter(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway, send: Run
) -> None:
    """Rule: it writes nothing, and late sends are spread by jitter."""
    ledger.late = True
    delays = set()
    for _ in range(5):
        with pytest.raises(ApplicationError) as raised:
            await send(activities)
        assert raised.value.type == "late"
        assert not raised.value.non_retryable
        assert raised.value.category is ApplicationErrorCategory.BENIGN
        assert raised.value.next_retry_delay is not None
        assert LATE_RETRY <= raised.value.next_retry_delay <= 2 * LATE_RETRY
        delays.add(raised.value.next_retry_delay)
    assert len(delays) > 1
    assert gateway.calls == []


@pytest.mark.parametrize("decide", [decide_step, decide_message])
@pytest.mark.parametrize(("found", "need"), NEEDS)
async def test_decision_returns_the_need(
    activities: SendingActivities,
    ledger: ScriptedLedger,
    decide: Run,
    found: Preparation,
    need: Need,
) -> None:
    ledger.decisions.extend([found, SENT])
    assert (await decide(activities)).needs is need
    assert await decide(activities) == SENT
    assert ledger.recorded == []


@BOTH_RESOLVE
async def test_reconciliation_lists_before_the_next_decision(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway, resolve: Run
) -> None:
    ledger.decisions.extend([needs_reconciliation(), SENT])
    ledger.after_listing.append(EnrollmentState("reconciled", "accepted"))
    assert await resolve(activities) == SENT
    assert ledger.recorded == [Listing(NOW, [], CanaryState.NONE)]
    assert gateway.calls == []


@BOTH_RESOLVE
async def test_reconciliation_without_evidence_is_retried(
    activities: SendingActivities, ledger: ScriptedLedger, resolve: Run
) -> None:
    ledger.decisions.append(needs_reconciliation(wait=timedelta(minutes=2)))
    with pytest.raises(ApplicationError) as raised:
        await resolve(activities)
    assert raised.value.type == "outcome_unknown"
    assert raised.value.next_retry_delay == LOOK_AGAIN, "a status callback may arrive any moment"
    assert raised.value.category is ApplicationErrorCategory.BENIGN
    assert not raised.value.non_retryable
    assert PHONE not in str(raised.value)


async def test_second_list_waits_by_retry_delay(
    activities: SendingActivities, ledger: ScriptedLedger
) -> None:
    ledger.decisions.append(needs_reconciliation())
    ledger.after_listing.append(needs_reconciliation(timedelta(seconds=60)))
    with pytest.raises(ApplicationError, match="being reconciled") as raised:
        await resolve_step(activities)
    assert ledger.recorded == [Listing(NOW, [], CanaryState.NONE)]
    assert raised.value.next_retry_delay == timedelta(seconds=60), (
        "a list before that proves nothing"
    )


async def test_failed_list_is_recorded_as_no_evidence(
    activities: SendingActivities, ledger: ScriptedLedger, gateway: FakeGateway
) -> None:
    gateway.lists_fail = True
    ledger.decisions.append(needs_reconciliation())
    ledger.after_listing.append(needs_reconciliation(timedelta(seconds=60)))
    with pytest.raises(ApplicationError, match="being reconciled"):
        await resolve_step(activities)
    assert ledger.recorded == [None]


@pytest.mark.parametrize(
    ("fails", "known"), [(False, LineType.LANDLINE), (True, None)], ids=["known", "trouble"]
)
async def test_unknown_line_type_is_looked_up(
    activities: SendingActivities,
    ledger: ScriptedLedger,
    gateway: FakeGateway,
    known: LineType | None,
    *,
    fails: bool,
) -> None:
    gateway.line_types[PHONE] = LineType.LANDLINE
    gateway.look_ups_fail = fails
    ledger.decisions.extend([LineTypeNeeded(uuid4(), PHONE), SENT])
    assert await resolve_step(activities) == SENT
    assert ledger.recorded == [known]


async def test_close_returns_the_state_of_the_row(activities: SendingActivities) -> None:
    request = CloseEnrollment(str(ENROLLMENT))
    state = await ActivityEnvironment().run(activities.close_enrollment, request)
    assert state.status == "finished_no_response"


async def test_sweep_returns_its_counts() -> None:
    class Sweeper:
        async def sweep(self) -> SweepReport:
            return SweepReport(restarted=3)

    swept = await ActivityEnvironment().run(SweepingActivities(Sweeper()).sweep)
    assert swept.restarted == 3


async def test_sweep_sends_heartbeats_until_it_ends() -> None:
    """So a killed worker is noticed, and the next sweep can start."""
    beats = []
    enough = asyncio.Event()

    def beat(*details: object) -> None:
        beats.append(details)
        if len(beats) == 3:
            enough.set()

    class Sweeper:
        async def sweep(self) -> SweepReport:
            await enough.wait()
            return SweepReport()

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=0.04))
    environment.on_heartbeat = beat
    async with asyncio.timeout(5):
        await environment.run(SweepingActivities(Sweeper()).sweep)
    count = len(beats)
    await asyncio.sleep(0.05)
    assert len(beats) == count
