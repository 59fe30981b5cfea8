"""A sequence's Overview tab: its funnel, who stands where, and what goes out soon."""

import asyncio
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.platform.errors import NotFoundError
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentStatus, StepOutcome
from domain.statuses.sequences import SequenceState
from storage.enrollments import overview as rows
from storage.enrollments import sequence_list, step_outcomes
from storage.enrollments.step_outcomes import StepCounts
from storage.platform import workspace
from storage.platform.database import Database
from storage.sequences import sequences
from storage.sequences.sequences import StepRecord

HOURS = 24


@dataclass(frozen=True)
class FunnelStep:
    """One step of the funnel; each number is of enrollments, and has its list.

    The people behind a number are those that ``ListFilter(outcome=..., outcome_step=step)`` lists.

    Attributes:
        step: From 1; the same position in every version.
        body: Of the current version; None if that has fewer steps.
        counts: By outcome, all of them; see ``StepOutcome`` for what each means.
    """

    step: int
    body: str | None
    counts: Mapping[StepOutcome, int]


@dataclass(frozen=True)
class StatusCount:
    """How many people have a status; ``share`` is of all who were enrolled, 0 to 1."""

    status: EnrollmentStatus
    label: str
    meaning: str
    count: int
    share: float


@dataclass(frozen=True)
class Hour:
    """What goes out in an hour.

    Attributes:
        start: Its beginning, in the workspace's zone.
        count: Texts that wait for a moment in it; in the first one also what is overdue.
    """

    start: datetime
    count: int


@dataclass(frozen=True)
class Overview:
    """The tab.

    Attributes:
        state: Of the sequence; while it is paused nothing of ``hours`` goes out.
        total: All who were ever enrolled.
        reply_rate: As the list of sequences has it.
        statuses: All eight, in the order of their definition.
        funnel: A step each, of the longest version.
        time_zone: The workspace's.
        hours: The next 24, beginning with this one.
    """

    state: SequenceState
    total: int
    reply_rate: float | None
    statuses: Many[StatusCount]
    funnel: Many[FunnelStep]
    time_zone: str
    hours: Many[Hour]


class SequenceOverview:
    """The use case of the Overview tab.

    Args:
        database: PostgreSQL.
        workspace_zone: IANA zone where nobody has set one for the workspace.
    """

    def __init__(self, database: Database, *, workspace_zone: str) -> None:
        self._database = database
        self._zone = workspace_zone

    async def get(self, sequence_id: UUID) -> Overview:
        """Work the numbers out, as they are now.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = await sequences.find(tx, sequence_id)
            if record is None:
                raise NotFoundError("sequence", sequence_id)
            step_count = await sequences.most_steps(tx, sequence_id)
            so_far = (await sequence_list.figures(tx, [sequence_id]))[sequence_id]
            zone = ZoneInfo(await workspace.zone(tx, self._zone))
        # Side by side: the second reads every text of the sequence.
        (by_row, hours), by_text = await asyncio.gather(
            self._by_row(sequence_id, zone), self._by_text(sequence_id)
        )
        total = sum(record.counts.values())
        return Overview(
            state=record.state,
            total=total,
            reply_rate=so_far.reply_rate,
            statuses=[_status(status, record.counts, total) for status in EnrollmentStatus],
            funnel=_funnel(step_count, record.steps, {**by_row, **by_text}),
            time_zone=zone.key,
            hours=hours,
        )

    async def _by_row(self, sequence_id: UUID, zone: ZoneInfo) -> tuple[StepCounts, list[Hour]]:
        start = _this_hour(zone)
        async with self._database.transaction() as tx:
            waiting = await rows.sends_per_hour(tx, sequence_id, start, HOURS)
            counts = await step_outcomes.count_by_row(tx, sequence_id)
        starts = [start + timedelta(hours=number) for number in range(HOURS)]
        return counts, [
            Hour(at.astimezone(zone), waiting.get(number, 0)) for number, at in enumerate(starts)
        ]

    async def _by_text(self, sequence_id: UUID) -> StepCounts:
        async with self._database.transaction() as tx:
            return await step_outcomes.count_by_text(tx, sequence_id)


def _this_hour(zone: ZoneInfo) -> datetime:
    """Give the beginning of the hour that a zone's clocks show, in UTC."""
    now = datetime.now(zone)
    return (
        now - timedelta(minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    ).astimezone(UTC)


def _status(
    status: EnrollmentStatus, counts: Mapping[EnrollmentStatus, int], total: int
) -> StatusCount:
    words, count = STATUS_WORDS[status], counts.get(status, 0)
    return StatusCount(status, words.label, words.meaning, count, count / total if total else 0.0)


def _funnel(step_count: int, steps: Many[StepRecord], counts: StepCounts) -> list[FunnelStep]:
    bodies = {step.position: step.body for step in steps}
    return [
        FunnelStep(
            step,
            bodies.get(step),
            {outcome: counts.get((step, outcome), 0) for outcome in StepOutcome},
        )
        for step in range(1, step_count + 1)
    ]
