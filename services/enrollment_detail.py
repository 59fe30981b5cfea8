"""One enrollment: where it stands, what comes next and when, and all that happened to it."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

from domain.errors import NotFoundError
from domain.progress import DELIVERIES, FAILURES
from domain.statuses import (
    STATUS_WORDS,
    Activity,
    AttemptOutcome,
    Direction,
    EnrollmentStatus,
    HeldReason,
    MessageStatus,
    SequenceState,
)
from domain.timing import (
    ContactClock,
    SendWindow,
    next_slot,
    ongoing_due,
    scheduled_due,
    spaced,
)
from services.contact_list import (
    ContactName,
    Fault,
    Live,
    LiveStates,
    UserName,
    shown_activity,
)
from storage import timeline as rows
from storage import workspace
from storage.database import Database
from storage.sequences import StepRecord, steps_of
from storage.timeline import AttemptFacts, EnrollmentFacts, EventRow, MessageRow
from workflows.client import enrollment_workflow_id

_ACCEPTED = frozenset({AttemptOutcome.ACCEPTED, AttemptOutcome.ASSUMED_SENT})
_ORDER = ("enrolled", "written", "attempt", "sent", "delivered", "received", "failed")
"""What comes first of what happened at the same moment; everything else follows, the end last."""


class Reason(NamedTuple):
    """Why a step goes when it does: a stable code, and words for people."""

    code: str
    text: str


@dataclass(frozen=True)
class StepAhead:
    """A step that is still to be sent.

    Attributes:
        position: From 1.
        body: With its merge fields.
        media_urls: What goes with it.
        at: When it would go, UTC; None if that cannot be told.
        estimated: Whether ``at`` hangs on things to come.
        reasons: What makes it that moment.
    """

    position: int
    body: str
    media_urls: tuple[str, ...]
    at: datetime | None
    estimated: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened.

    Attributes:
        at: When, UTC.
        kind: ``enrolled``, ``written`` (a person's one-off text), ``attempt`` (a call to the
            provider), ``sent``, ``delivered``, ``failed``, ``received``, ``ended``, or the kind of
            an event.
        user: Who did it, if a person.
        message_id: The text concerned.
        step: Of that text; None for a one-off.
        body: The text, with ``written``, ``sent`` and ``received``.
        media_urls: What went with it.
        status: With ``ended``: the final status; with ``attempt``: its outcome.
        error: What the provider said.
        detail: Further codes, ids and figures.
    """

    at: datetime
    kind: str
    user: UserName | None = None
    message_id: UUID | None = None
    step: int | None = None
    body: str | None = None
    media_urls: tuple[str, ...] = ()
    status: str | None = None
    error: Fault | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnrollmentDetails:
    """An enrollment as its page shows it.

    Attributes:
        activity: What it is doing; None when final.
        version: The edition of the steps it follows.
        live: What its workflow says; None when final.
        temporal_url: Its workflow in Temporal's Web UI; None for one born final, without any.
        steps: Still to be sent, in order.
        timeline: In order.
    """

    id: UUID
    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    version: int
    contact: ContactName
    time_zones: tuple[str, ...]
    status: EnrollmentStatus
    status_label: str
    activity: Activity | None
    held_reason: HeldReason | None
    error: Fault | None
    step: int
    step_count: int
    enrolled_by: UserName
    enrolled_at: datetime
    ended_at: datetime | None
    ended_by: UserName | None
    replied_at: datetime | None
    paused_at: datetime | None
    next_send_at: datetime | None
    reply_until: datetime | None
    last_message_at: datetime | None
    live: Live | None
    temporal_url: str | None
    steps: Many[StepAhead]
    timeline: Many[TimelineEntry]


class EnrollmentDetail:
    """The use case of an enrollment's page.

    Args:
        database: PostgreSQL.
        live_states: Asks the workflow.
        live_deadline: Time limit of that question.
        workspace_zone: IANA zone of whoever's own cannot be told, if the workspace has none.
        workflows_url: Where Temporal's Web UI shows workflows, their ids appended:
            ``http://host/namespaces/default/workflows``.
    """

    def __init__(
        self,
        database: Database,
        live_states: LiveStates,
        *,
        live_deadline: timedelta,
        workspace_zone: str,
        workflows_url: str,
    ) -> None:
        self._database = database
        self._live_states = live_states
        self._live_deadline = live_deadline
        self._zone = workspace_zone
        self._workflows_url = workflows_url.rstrip("/")

    async def get(self, enrollment_id: UUID) -> EnrollmentDetails:
        """Show one enrollment; everything but ``live`` comes from the rows.

        Raises:
            NotFoundError: There is no such enrollment.
        """
        async with self._database.transaction() as tx:
            facts = await rows.facts(tx, enrollment_id)
            if facts is None:
                raise NotFoundError("enrollment", enrollment_id)
            steps = await steps_of(tx, facts.version_id)
            events = await rows.events(tx, enrollment_id)
            messages = await rows.messages(tx, facts)
            attempts = await rows.attempts(tx, [message.id for message in messages])
            sids = [one.provider_sid for one in attempts if one.provider_sid is not None]
            reported = await rows.reports(tx, sids)
            zone = await workspace.zone(tx, self._zone)
        live: Mapping[UUID, Live] = {}
        if not facts.status.is_final:
            live = await self._live_states.progress([enrollment_id], deadline=self._live_deadline)
        clock = ContactClock.of(time_zone=facts.time_zone, phone=facts.phone, workspace=zone)
        entries = [
            *_own_entries(facts),
            *(_event_entry(event) for event in events),
            *_message_entries(messages, attempts, reported),
        ]
        return EnrollmentDetails(
            id=facts.id,
            sequence_id=facts.sequence_id,
            sequence_name=facts.sequence_name,
            sequence_state=facts.sequence_state,
            version=facts.version,
            contact=ContactName(
                facts.contact_id, f"{facts.first_name} {facts.last_name}".strip(), facts.phone
            ),
            time_zones=clock.zones,
            status=facts.status,
            status_label=STATUS_WORDS[facts.status].label,
            activity=shown_activity(facts.activity, facts.sequence_state),
            held_reason=facts.held_reason,
            error=Fault.of(
                facts.error_code if facts.error_code is not None else facts.held_code,
                failed=facts.status is EnrollmentStatus.FAILED,
            ),
            step=facts.step,
            step_count=facts.step_count,
            enrolled_by=UserName(facts.enrolled_by, facts.enrolled_by_name),
            enrolled_at=facts.enrolled_at,
            ended_at=facts.ended_at,
            ended_by=_user(facts.ended_by, facts.ended_by_name),
            replied_at=facts.replied_at,
            paused_at=facts.paused_at,
            next_send_at=facts.next_send_at,
            reply_until=facts.reply_until,
            last_message_at=facts.last_message_at,
            live=live.get(enrollment_id),
            temporal_url=self._temporal_url(facts),
            steps=[] if facts.status.is_final else list(_ahead(facts, steps, clock)),
            timeline=sorted(entries, key=_place),
        )

    def _temporal_url(self, facts: EnrollmentFacts) -> str | None:
        if facts.ended_at == facts.enrolled_at:
            return None
        return f"{self._workflows_url}/{quote(enrollment_workflow_id(facts.id), safe='')}"


def _user(user_id: UUID | None, name: str | None) -> UserName | None:
    return None if user_id is None else UserName(user_id, name or "")


def _place(entry: TimelineEntry) -> tuple[datetime, int]:
    if entry.kind in _ORDER:
        return entry.at, _ORDER.index(entry.kind)
    return entry.at, len(_ORDER) + (entry.kind == "ended")


# What comes


def _ahead(
    facts: EnrollmentFacts, steps: Many[StepRecord], clock: ContactClock
) -> Iterator[StepAhead]:
    """Say when each step to come would go: the next as the row says, later ones worked out."""
    window = SendWindow.parse(facts.send_window) if facts.send_window is not None else None
    waits = _waits(facts)
    at = facts.next_send_at
    for step in steps[facts.position - 1 :]:
        if step.position == facts.position:
            reasons = _timing_reasons(step, clock)
            if at is not None and facts.due_at is not None and at > facts.due_at:
                reasons += (_moved(window),)
            yield _step_ahead(step, at, (*waits, *reasons), estimated=bool(waits))
            at = None if at is None else max(at, datetime.now(UTC))
            continue
        reasons = _timing_reasons(step, clock)
        if at is not None:
            due = _due(at, step, clock)
            apart = spaced(at, _least_distance(step, steps), due)
            if apart > due:
                reasons += (Reason("spacing", "kept apart from the text before"),)
            at = next_slot(apart, window, clock).at
            if at > apart:
                reasons += (_moved(window),)
        yield _step_ahead(step, at, (*waits, *reasons), estimated=True)


def _step_ahead(
    step: StepRecord, at: datetime | None, reasons: tuple[Reason, ...], *, estimated: bool
) -> StepAhead:
    return StepAhead(step.position, step.body, step.media_urls, at, estimated, reasons)


def _waits(facts: EnrollmentFacts) -> tuple[Reason, ...]:
    """Say what must happen first, before any time counts."""
    if facts.activity is Activity.HELD:
        return (Reason("held", "waits until a person releases it"),)
    if facts.sequence_state is SequenceState.PAUSED:
        return (Reason("paused", "not before the sequence is resumed"),)
    return ()


def _due(previous: datetime, step: StepRecord, clock: ContactClock) -> datetime:
    if step.send_at is not None:
        return scheduled_due(step.send_at, clock)
    return ongoing_due(previous, timedelta(seconds=step.delay_seconds or 0), step.at_time, clock)


def _least_distance(step: StepRecord, steps: Many[StepRecord]) -> timedelta:
    """Give the distance that was configured to the text before."""
    before = steps[step.position - 2].send_at
    if step.send_at is not None and before is not None:
        return step.send_at - before
    return timedelta(seconds=step.delay_seconds or 0)


def _timing_reasons(step: StepRecord, clock: ContactClock) -> tuple[Reason, ...]:
    zone = Reason("zone", f"on the contact's clock, {clock.wall_zone.key}")
    if step.send_at is not None:
        return (Reason("date", f"planned for {step.send_at:%Y-%m-%d %H:%M}"), zone)
    before = "the text before" if step.position > 1 else "enrolment"
    delay = timedelta(seconds=step.delay_seconds or 0)
    words = f"{_span(delay)} after {before}" if delay else f"right after {before}"
    if step.at_time is None:
        return (Reason("delay", words),)
    return (Reason("delay", f"{words}, at {step.at_time:%H:%M}"), zone)


def _moved(window: SendWindow | None) -> Reason:
    if window is None:
        return Reason("later", "moved to a later moment")
    return Reason("window", "moved into the send window")


def _span(delay: timedelta) -> str:
    """Say a duration in its two largest units."""
    minutes, seconds = divmod(int(delay.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second"))
    told = [f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in units if count]
    return " ".join(told[:2])


# What happened


def _own_entries(facts: EnrollmentFacts) -> Iterator[TimelineEntry]:
    yield TimelineEntry(
        facts.enrolled_at,
        "enrolled",
        user=UserName(facts.enrolled_by, facts.enrolled_by_name),
        detail={"version": facts.version},
    )
    if facts.ended_at is not None:
        yield TimelineEntry(
            facts.ended_at,
            "ended",
            user=_user(facts.ended_by, facts.ended_by_name),
            status=facts.status.value,
            error=Fault.of(facts.error_code),
        )


def _event_entry(event: EventRow) -> TimelineEntry:
    return TimelineEntry(
        event.at,
        event.kind,
        user=_user(event.user_id, event.user_name),
        detail=event.detail,
    )


def _message_entries(
    messages: Many[MessageRow],
    attempts: Many[AttemptFacts],
    reported: Mapping[tuple[str, str], datetime],
) -> Iterator[TimelineEntry]:
    by_id = {message.id: message for message in messages}
    for message in messages:
        text: dict[str, Any] = {
            "message_id": message.id,
            "body": message.body,
            "media_urls": tuple(message.media_urls),
        }
        if message.direction is Direction.INBOUND:
            detail = {"is_reply": message.is_reply, "keyword": message.keyword}
            at = message.occurred_at or message.created_at
            yield TimelineEntry(at, "received", **text, detail=detail)
        elif message.step is None:
            user = _user(message.user_id, message.user_name)
            yield TimelineEntry(message.created_at, "written", **text, user=user)
    for attempt in attempts:
        yield from _attempt_entries(attempt, by_id[attempt.message_id], reported)


def _attempt_entries(
    attempt: AttemptFacts, message: MessageRow, reported: Mapping[tuple[str, str], datetime]
) -> Iterator[TimelineEntry]:
    """Tell a call to the provider, and what became of the text."""
    which: dict[str, Any] = {"message_id": message.id, "step": message.step}
    error = Fault.of(attempt.error_code)
    answered_at = attempt.answered_at or attempt.started_at
    yield TimelineEntry(
        attempt.started_at,
        "attempt",
        **which,
        status=attempt.outcome.value,
        error=error,
        detail={"number": attempt.number, "http_status": attempt.http_status},
    )
    if attempt.outcome is AttemptOutcome.REFUSED:
        yield TimelineEntry(answered_at, "failed", **which, error=error)
        return
    if attempt.outcome not in _ACCEPTED:
        return
    yield TimelineEntry(
        answered_at, "sent", **which, body=message.body, media_urls=tuple(message.media_urls)
    )
    if attempt.provider_status in DELIVERIES:
        at = _reported_at(attempt, DELIVERIES, reported)
        yield TimelineEntry(at or answered_at, "delivered", **which)
    if attempt.reported_failed or attempt.provider_status in FAILURES:
        at = _reported_at(attempt, FAILURES, reported)
        yield TimelineEntry(at or answered_at, "failed", **which, error=error)


def _reported_at(
    attempt: AttemptFacts,
    statuses: frozenset[MessageStatus],
    reported: Mapping[tuple[str, str], datetime],
) -> datetime | None:
    """Tell when the provider first said one of these; None if it was found out another way."""
    sid = attempt.provider_sid or ""
    moments = [reported[sid, one.value] for one in statuses if (sid, one.value) in reported]
    return min(moments, default=None)
