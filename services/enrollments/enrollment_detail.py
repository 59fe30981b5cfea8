"""One enrollment: its state, the plan of its remaining steps, and its timeline."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from domain.enrollments.faults import Fault
from domain.platform.errors import required
from domain.platform.moments import written
from domain.platform.names import Named
from domain.platform.rules import SendingRules
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from domain.statuses.progress import DELIVERIES, FAILURES
from services.enrollments.enrollment_list import shown_activity
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
from workflows.client import EnrollmentClient, LiveState, enrollment_workflow_id

_ACCEPTED = frozenset({AttemptOutcome.ACCEPTED, AttemptOutcome.ASSUMED_SENT})
_ORDER = ("enrolled", "written", "attempt", "sent", "delivered", "received", "failed")
"""Order of entries with the same time; other kinds follow, ``ended`` last."""


@dataclass(frozen=True)
class TimelineEntry:
    """One entry of the timeline.

    Attributes:
        kind: ``enrolled``, ``written`` (a person's one-off text), ``attempt`` (a call to the
            provider), ``sent``, ``delivered``, ``failed``, ``received``, ``ended``, or the kind of
            an event.
        user: Who did it, if a person.
        message_id: The text it is about.
        step: Of that text; None for a one-off.
        body: The text, with ``written``, ``sent`` and ``received``.
        status: With ``ended``: the final status; with ``attempt``: its outcome.
        error: The provider's error.
        detail: Further codes, ids and figures. With ``failed``, if the text was or will be retried:
            ``again_at``, null if it was retried already or the time is not known.
    """

    at: datetime
    kind: str
    user: Named | None = None
    message_id: UUID | None = None
    step: int | None = None
    body: str | None = None
    media_urls: tuple[str, ...] = ()
    status: str | None = None
    error: Fault | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EnrollmentDetails(EnrollmentFacts):
    """An enrollment as its page shows it.

    Attributes:
        time_zones: Where the contact may be.
        live: The workflow's own state; None when final.
        temporal_url: Its workflow in Temporal's Web UI; None if it was born final, without one.
    """

    time_zones: tuple[str, ...]
    live: LiveState | None
    temporal_url: str | None
    steps: Many[StepAhead]
    timeline: Many[TimelineEntry]


class EnrollmentDetail:
    """Reads one enrollment with its timeline and its plan."""

    def __init__(
        self,
        database: Database,
        temporal: EnrollmentClient,
        *,
        live_deadline: timedelta,
        rules: SendingRules,
        workflows_url: str,
    ) -> None:
        self._database = database
        self._temporal = temporal
        self._live_deadline = live_deadline
        self._rules = rules
        self._workflows_url = workflows_url.rstrip("/")

    async def get(self, enrollment_id: UUID) -> EnrollmentDetails:
        """Read one enrollment; everything but ``live`` comes from PostgreSQL.

        Raises:
            NotFoundError: There is no such enrollment.
        """
        async with self._database.transaction() as tx:
            facts = required(await rows.facts(tx, enrollment_id), "enrollment", enrollment_id)
            steps = await steps_of(tx, facts.version_id)
            events = await rows.events(tx, enrollment_id)
            messages = await rows.messages(tx, facts)
            attempts = await rows.attempts(tx, [message.id for message in messages])
            sids = [one.provider_sid for one in attempts if one.provider_sid is not None]
            reported = await rows.reports(tx, sids)
            zone = await workspace.zone(tx, self._rules.workspace_zone)
        live: Mapping[UUID, LiveState] = {}
        if not facts.status.is_final:
            live = await self._temporal.progress([enrollment_id], deadline=self._live_deadline)
        clock = facts.clock(zone)
        now, spacing = datetime.now(UTC), self._rules.min_spacing
        ahead = plan(facts, steps, clock, events, now=now, min_spacing=spacing)
        entries = [
            *_own_entries(facts),
            *(_event_entry(event) for event in events),
            *_message_entries(messages, attempts, reported, _repeated(facts, messages, attempts)),
        ]
        activity = shown_activity(facts.activity, facts.sequence_state)
        return EnrollmentDetails(
            **{**vars(facts), "activity": activity},
            time_zones=clock.zones,
            live=live.get(enrollment_id),
            temporal_url=self._temporal_url(facts),
            steps=[] if facts.status.is_final else list(ahead),
            timeline=sorted(entries, key=_place),
        )

    def _temporal_url(self, facts: EnrollmentFacts) -> str | None:
        if facts.ended_at == facts.enrolled_at:
            return None
        return f"{self._workflows_url}/{quote(enrollment_workflow_id(facts.id), safe='')}"


def _place(entry: TimelineEntry) -> tuple[datetime, int]:
    if entry.kind in _ORDER:
        return entry.at, _ORDER.index(entry.kind)
    return entry.at, len(_ORDER) + (entry.kind == "ended")


def _own_entries(facts: EnrollmentFacts) -> Iterator[TimelineEntry]:
    yield TimelineEntry(
        facts.enrolled_at, "enrolled", user=facts.enrolled_by, detail={"version": facts.version}
    )
    if facts.ended_at is not None:
        yield TimelineEntry(
            facts.ended_at,
            "ended",
            user=facts.ended_by,
            status=facts.status.value,
            error=Fault.of(facts.error_code),
        )


def _event_entry(event: EventRow) -> TimelineEntry:
    message_id = event.detail.get("message_id")
    return TimelineEntry(
        event.at,
        event.kind,
        user=event.user,
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
            detail = {
                "is_reply": message.is_reply,
                "keyword": message.keyword,
                "kind": message.kind,
                "about_message_id": _id(message.about_id),
            }
            at = message.occurred_at or message.created_at
            yield TimelineEntry(at, "received", **text, detail=detail)
        elif message.step is None:
            yield TimelineEntry(message.created_at, "written", **text, user=message.user)
    for attempt in attempts:
        again = {"again_at": _iso(repeated[attempt.id])} if attempt.id in repeated else {}
        yield from _attempt_entries(attempt, by_id[attempt.message_id], reported, again)


def _id(which: UUID | None) -> str | None:
    return None if which is None else str(which)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else written(moment)


def _repeated(
    facts: EnrollmentFacts, messages: Many[MessageRow], attempts: Many[AttemptFacts]
) -> dict[UUID, datetime | None]:
    """Find the attempts whose text was retried or will be, and when, if that is to come."""
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
    """Yield the entries of one attempt: the call, its answer, and the delivery report."""
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
    """Find when the provider first reported one of these; None if no report told it."""
    sid = attempt.provider_sid or ""
    moments = [reported[sid, one.value] for one in statuses if (sid, one.value) in reported]
    return min(moments, default=None)
