"""How a sequence stands now: its statuses, the texts of the next hours, and its funnel."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.enrollments.day_range import DayRange, TrendUnit
from domain.platform.errors import required
from domain.statuses.enrollments import (
    STATUS_WORDS,
    EnrollmentStatus,
    HeldReason,
    StepOutcome,
)
from domain.statuses.sequences import SequenceState
from storage.enrollments import list_counts, report, sequence_list
from storage.enrollments import overview as rows
from storage.enrollments.list_filter import ListFilter
from storage.enrollments.report import ReplyRow, TallyRow
from storage.platform import workspace
from storage.platform.database import Database, Transaction
from storage.sequences import sequences
from storage.sequences.sequences import SequenceRecord, StepRecord

_AHEAD = timedelta(hours=24)
_HOUR = timedelta(hours=1)


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
    """The number of texts due in an hour of the workspace's zone.

    Overdue ones are in the first; the last ends 24 hours from now.
    """

    start: datetime
    count: int


@dataclass(frozen=True, kw_only=True)
class CurrentFigures:
    """How a sequence stands now, but for what its texts led to.

    Attributes:
        state: Of the sequence; while it is paused nothing of ``hours`` goes out.
        total: All who were ever enrolled.
        reply_rate: See ``Figures.reply_rate``; late replies are not in it.
        replied_late: Enrollments whose contact replied after they ended without a response.
        missing: Held ones that wait for missing data; ``held`` has them too.
        unconsented: Held ones that wait for consent; likewise.
        statuses: All eight, in the order of their definition.
        hours: Those of the next 24 hours, beginning with this one: the last is a part of one.
    """

    state: SequenceState
    total: int
    reply_rate: float | None
    replied_late: int
    held: int
    missing: int
    unconsented: int
    statuses: Many[StatusCount]
    time_zone: str
    hours: Many[Hour]


@dataclass(frozen=True, kw_only=True)
class Overview(CurrentFigures):
    """The same with the funnel: one entry for each step of the longest version."""

    funnel: Many[FunnelStep]


class SequenceOverview:
    """Reads how sequences stand; ``workspace_zone`` is that of a workspace that has set none."""

    def __init__(self, database: Database, *, workspace_zone: str) -> None:
        self._database = database
        self._zone = workspace_zone

    async def current(self, sequence_id: UUID) -> CurrentFigures:
        """Compute what kept counts and the texts to come tell, as of now.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = required(await sequences.find(tx, sequence_id), "sequence", sequence_id)
            return await self._current(tx, record)

    async def get(self, sequence_id: UUID) -> Overview:
        """Compute the numbers as of now, from every text of the sequence.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = required(await sequences.find(tx, sequence_id), "sequence", sequence_id)
            current = await self._current(tx, record)
            step_count = await sequences.most_steps(tx, sequence_id)
            all_days = DayRange(ZoneInfo(current.time_zone))
            told = await report.tallies(tx, [sequence_id], all_days, TrendUnit.MONTH)
            replies = await report.replies(tx, [sequence_id], all_days)
        counts = outcomes_of_steps(told, replies)
        return Overview(**vars(current), funnel=_funnel(step_count, record.steps, counts))

    async def _current(self, tx: Transaction, record: SequenceRecord) -> CurrentFigures:
        zone = ZoneInfo((await workspace.read(tx)).time_zone or self._zone)
        now = datetime.now(UTC)
        start = _hour_of(now, zone)
        so_far = (await sequence_list.figures(tx, [record.id]))[record.id]
        waiting = await rows.sends_per_hour(tx, record.id, start, now + _AHEAD)
        held_for = dict.fromkeys((HeldReason.MISSING_DATA, HeldReason.CONSENT_MISSING), 0)
        for reason in held_for if so_far.held else ():
            wanted = ListFilter(held_reason=[reason])
            held_for[reason] = (await list_counts.count(tx, record.id, wanted)).number
        starts = [start + number * _HOUR for number in range(_AHEAD // _HOUR + 1)]
        return CurrentFigures(
            state=record.state,
            total=record.total,
            reply_rate=so_far.reply_rate,
            replied_late=so_far.replied_late,
            held=so_far.held,
            missing=held_for[HeldReason.MISSING_DATA],
            unconsented=held_for[HeldReason.CONSENT_MISSING],
            statuses=[_status(status, record) for status in EnrollmentStatus],
            time_zone=zone.key,
            hours=[
                Hour(at.astimezone(zone), waiting.get(number, 0))
                for number, at in enumerate(starts)
            ],
        )


def outcomes_of_steps(
    told: Many[TallyRow], replies: Many[ReplyRow]
) -> Counter[tuple[int, StepOutcome]]:
    """Add rows up to numbers of enrollments by step and outcome; zeros may be left out."""
    counts = Counter[tuple[int, StepOutcome]]()
    for row in told:
        if row.kind == "step" and row.step is not None:
            for outcome in StepOutcome:
                counts[row.step, outcome] += getattr(row, outcome.value)
    for reply in replies:
        if reply.step is not None:
            counts[reply.step, StepOutcome.REPLIED] += reply.replied
    return counts


def _hour_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """Give the start of a moment's hour on a zone's clock, in UTC."""
    minute = moment.astimezone(zone).minute
    return moment.replace(second=0, microsecond=0) - timedelta(minutes=minute)


def _status(status: EnrollmentStatus, record: SequenceRecord) -> StatusCount:
    words, count = STATUS_WORDS[status], record.counts[status]
    share = count / record.total if record.total else 0.0
    return StatusCount(status, words.label, words.meaning, count, share)


def _funnel(
    step_count: int, steps: Many[StepRecord], counts: Mapping[tuple[int, StepOutcome], int]
) -> list[FunnelStep]:
    bodies = {step.position: step.body for step in steps}
    return [
        FunnelStep(
            step,
            bodies.get(step),
            {outcome: counts.get((step, outcome), 0) for outcome in StepOutcome},
        )
        for step in range(1, step_count + 1)
    ]
