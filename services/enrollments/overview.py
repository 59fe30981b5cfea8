"""A sequence's Overview tab: its funnel, its statuses, and the texts of the next hours."""

import asyncio
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.platform.errors import required
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentStatus, StepOutcome
from domain.statuses.sequences import SequenceState
from storage.enrollments import overview as rows
from storage.enrollments import sequence_list, step_outcomes
from storage.enrollments.step_outcomes import StepCounts
from storage.platform import workspace
from storage.platform.database import Database
from storage.sequences import sequences
from storage.sequences.sequences import SequenceRecord, StepRecord

HOURS = 24


@dataclass(frozen=True)
class FunnelStep:
    """One step of the funnel: numbers of enrollments.

    ``ListFilter(outcome=..., outcome_step=step)`` lists the enrollments behind a number.

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
    """The number of enrollments with a status; ``share`` is of all of them, 0 to 1."""

    status: EnrollmentStatus
    label: str
    meaning: str
    count: int
    share: float


@dataclass(frozen=True)
class Hour:
    """The number of texts due in an hour of the workspace's zone; overdue ones are in the first."""

    start: datetime
    count: int


@dataclass(frozen=True)
class Overview:
    """The tab.

    Attributes:
        state: Of the sequence; while it is paused nothing of ``hours`` goes out.
        total: All who were ever enrolled.
        reply_rate: See ``Figures.reply_rate``; late replies are not in it.
        replied_late: Enrollments whose contact replied after they ended without a response.
        statuses: All eight, in the order of their definition.
        funnel: One entry for each step of the longest version.
        hours: The next 24, beginning with this one.
    """

    state: SequenceState
    total: int
    reply_rate: float | None
    replied_late: int
    statuses: Many[StatusCount]
    funnel: Many[FunnelStep]
    time_zone: str
    hours: Many[Hour]


class SequenceOverview:
    """Reads the Overview tab; ``workspace_zone`` is that of a workspace that has set none."""

    def __init__(self, database: Database, *, workspace_zone: str) -> None:
        self._database = database
        self._zone = workspace_zone

    async def get(self, sequence_id: UUID) -> Overview:
        """Compute the numbers as of now.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = required(await sequences.find(tx, sequence_id), "sequence", sequence_id)
            step_count = await sequences.most_steps(tx, sequence_id)
            so_far = (await sequence_list.figures(tx, [sequence_id]))[sequence_id]
            zone = ZoneInfo(await workspace.zone(tx, self._zone))
        # In parallel: the second reads every text of the sequence.
        (by_row, hours), by_text = await asyncio.gather(
            self._by_row(sequence_id, zone), self._by_text(sequence_id)
        )
        return Overview(
            state=record.state,
            total=record.total,
            reply_rate=so_far.reply_rate,
            replied_late=so_far.replied_late,
            statuses=[_status(status, record) for status in EnrollmentStatus],
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
    """Give the start of the current hour on a zone's clock, in UTC."""
    now = datetime.now(zone)
    return (
        now - timedelta(minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    ).astimezone(UTC)


def _status(status: EnrollmentStatus, record: SequenceRecord) -> StatusCount:
    words, count = STATUS_WORDS[status], record.counts[status]
    share = count / record.total if record.total else 0.0
    return StatusCount(status, words.label, words.meaning, count, share)


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
