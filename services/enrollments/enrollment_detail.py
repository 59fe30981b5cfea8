"""One enrollment: where it stands, what comes next and when, and all that happened to it."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from domain.platform.errors import (
    NotFoundError,
)
from domain.platform.rules import SendingRules
from domain.sequences.timing import ContactClock
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from domain.statuses.progress import DELIVERIES, FAILURES
from domain.statuses.sequences import SequenceState
from services.enrollments.enrollment_list import (
    ContactName,
    Fault,
    Live,
    LiveStates,
    UserName,
    shown_activity,
)
from services.enrollments.step_plan import StepAhead, plan
from storage.enrollments import enrollment_detail as rows
from storage.enrollments.enrollment_detail import (
    AttemptFacts,
    EnrollmentFacts,
    EventRow,
    MessageRow,
)
from storage.platform import workspace
from storage.platform.database import Database
from storage.sequences.sequences import steps_of
from workflows.client import enrollment_workflow_id

_ACCEPTED = frozenset({AttemptOutcome.ACCEPTED, AttemptOutcome.ASSUMED_SENT})
_ORDER = ("enrolled", "written", "attempt", "sent", "delivered", "received", "failed")
"""What comes first of what happened at the same moment; everything else follows, the end last."""


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
        detail: Further codes, ids and figures. With ``failed``, if the text was or will be tried
            again: ``again_at``, null if that has happened or cannot be told.
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
class SenderName:
    """A sender as lists show it."""

    id: UUID
    name: str


@dataclass(frozen=True)
class EnrollmentDetails:
    """An enrollment as its page shows it.

    Attributes:
        activity: What it is doing; None when final.
        error: As ``ListedEnrollment.error``.
        version: The edition of the steps it follows.
        sender: Of its sequence; what was said through it is ``Conversations.get(contact.id,
            sender_id=sender.id)``.
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
    sender: SenderName
    contact: ContactName
    time_zones: tuple[str, ...]
    status: EnrollmentStatus
    status_label: str
    activity: EnrollmentPhase | None
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
        rules: The timings.
        workflows_url: Where Temporal's Web UI shows workflows, their ids appended:
            ``http://host/namespaces/default/workflows``.
    """

    def __init__(
        self,
        database: Database,
        live_states: LiveStates,
        *,
        live_deadline: timedelta,
        rules: SendingRules,
        workflows_url: str,
    ) -> None:
        self._database = database
        self._live_states = live_states
        self._live_deadline = live_deadline
        self._rules = rules
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
            zone = await workspace.zone(tx, self._rules.workspace_zone)
        live: Mapping[UUID, Live] = {}
        if not facts.status.is_final:
            live = await self._live_states.progress([enrollment_id], deadline=self._live_deadline)
        error = Fault.of_enrollment(facts)
        clock = ContactClock.of(time_zone=facts.time_zone, phone=facts.phone, workspace=zone)
        ahead = plan(facts, steps, clock, events, min_spacing=self._rules.min_spacing, error=error)
        entries = [
            *_own_entries(facts),
            *(_event_entry(event) for event in events),
            *_message_entries(messages, attempts, reported, _repeated(facts, messages, attempts)),
        ]
        return EnrollmentDetails(
            id=facts.id,
            sequence_id=facts.sequence_id,
            sequence_name=facts.sequence_name,
            sequence_state=facts.sequence_state,
            version=facts.version,
            sender=SenderName(facts.sender_id, facts.sender_name),
            contact=ContactName(
                facts.contact_id, f"{facts.first_name} {facts.last_name}".strip(), facts.phone
            ),
            time_zones=clock.zones,
            status=facts.status,
            status_label=STATUS_WORDS[facts.status].label,
            activity=shown_activity(facts.activity, facts.sequence_state),
            held_reason=facts.held_reason,
            error=error,
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
            steps=[] if facts.status.is_final else list(ahead),
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
    message_id = event.detail.get("message_id")
    return TimelineEntry(
        event.at,
        event.kind,
        user=_user(event.user_id, event.user_name),
        message_id=UUID(message_id) if message_id else None,
        step=event.detail.get("step") if message_id else None,
        detail=event.detail,
    )


def _message_entries(
    messages: Many[MessageRow],
    attempts: Many[AttemptFacts],
    reported: Mapping[tuple[str, str], datetime],
    repeated: Mapping[UUID, datetime | None],
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
        again = {"again_at": _iso(repeated[attempt.id])} if attempt.id in repeated else {}
        yield from _attempt_entries(attempt, by_id[attempt.message_id], reported, again)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _repeated(
    facts: EnrollmentFacts, messages: Many[MessageRow], attempts: Many[AttemptFacts]
) -> dict[UUID, datetime | None]:
    """Find the attempts after which their text was tried again, or will be, and when it will."""
    at = (facts.position, facts.pass_number)
    current = {one.id for one in messages if (one.step, one.pass_number) == at}
    last = {one.message_id: one.id for one in attempts}
    found: dict[UUID, datetime | None] = dict.fromkeys(
        one.id for one in attempts if last[one.message_id] != one.id
    )
    if facts.failing_code is not None:
        found |= {last[one]: facts.next_send_at for one in current if one in last}
    return found


def _attempt_entries(
    attempt: AttemptFacts,
    message: MessageRow,
    reported: Mapping[tuple[str, str], datetime],
    again: Mapping[str, str | None],
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
        yield TimelineEntry(answered_at, "failed", **which, error=error, detail=again)
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
        yield TimelineEntry(at or answered_at, "failed", **which, error=error, detail=again)


def _reported_at(
    attempt: AttemptFacts,
    statuses: frozenset[MessageStatus],
    reported: Mapping[tuple[str, str], datetime],
) -> datetime | None:
    """Tell when the provider first said one of these; None if it was found out another way."""
    sid = attempt.provider_sid or ""
    moments = [reported[sid, one.value] for one in statuses if (sid, one.value) in reported]
    return min(moments, default=None)
