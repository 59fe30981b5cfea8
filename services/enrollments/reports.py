"""Reports: what came of the people who were enrolled in some days, in one sequence or in all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from collections.abc import Sequence as Many
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.enrollments.day_range import DayRange, TrendUnit, end_of, parts, unit_of
from domain.enrollments.faults import Fault
from domain.platform.errors import required
from domain.statuses.enrollments import StepOutcome
from services.enrollments.overview import outcomes_of_steps
from services.platform.group_commit import FullError
from storage.enrollments import report as rows
from storage.enrollments.report import ReplyRow, TallyRow
from storage.platform import workspace
from storage.platform.database import Database, Transaction, is_statement_timeout
from storage.sequences import sequences
from storage.sequences.sequences import StepRecord

_AT_ONCE = 2
"""So many reports are read at once, each on two connections."""

_LONGEST_WAIT = timedelta(seconds=5)
_LONGEST_STATEMENT = timedelta(seconds=20)
"""With the wait less than a page waits for an answer."""


def _share(part: int, whole: int) -> float | None:
    return min(part / whole, 1.0) if whole else None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Numbers of enrollments; each is the length of the list of a ``ListFilter``.

    Attributes:
        people: All of them; of a step, those that its text was tried for.
        due: See ``StepOutcome`` for this and the others, "of any step" where it is not of one.
        omitted_opted_out: Those who had opted out before any text; not among ``opted_out``.
        median_reply_seconds: From the last step sent to the first reply; None if nobody replied to
            a step, or where it is not told: of days, senders and users.
        p90_reply_seconds: The time that nine of ten replies took at most.
        answered: Those whose first reply a person answered; None where it is not told, as above.
        median_answer_seconds: From the first reply to that answer.
        p90_answer_seconds: The time that nine of ten of these took at most.
    """

    people: int = 0
    due: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    replied: int = 0
    opted_out: int = 0
    skipped: int = 0
    replied_late: int = 0
    omitted_opted_out: int = 0
    median_reply_seconds: float | None = None
    p90_reply_seconds: float | None = None
    answered: int | None = None
    median_answer_seconds: float | None = None
    p90_answer_seconds: float | None = None

    @property
    def delivery_rate(self) -> float | None:
        """The share of those sent a text that had it delivered, 0 to 1; None if none was sent."""
        return _share(self.delivered, self.sent)

    @property
    def failure_rate(self) -> float | None:
        """The share of all that could not be reached."""
        return _share(self.failed, self.people)

    @property
    def reply_rate(self) -> float | None:
        """The share of those sent a text that replied."""
        return _share(self.replied, self.sent)

    @property
    def opt_out_rate(self) -> float | None:
        """The share of those sent a text that opted out."""
        return _share(self.opted_out, self.sent)


@dataclass(frozen=True)
class Failure:
    """Why a step's text failed for good, in the provider's code (0: none) and in words."""

    code: int
    meaning: str
    count: int


@dataclass(frozen=True, kw_only=True)
class StepTally(Tally):
    """Of a step: from 1, or 0 for replies and opt-outs that followed one-off texts alone.

    ``body`` is the current version's; None if that has fewer steps. ``failures`` add up to
    ``failed``, the most frequent first.
    """

    step: int
    body: str | None
    failures: Many[Failure]


@dataclass(frozen=True, kw_only=True)
class TrendTally(Tally):
    """Of those enrolled in a part of the range; both days are in it."""

    first_day: date
    last_day: date


@dataclass(frozen=True, kw_only=True)
class NamedTally(Tally):
    """Of a sequence, of a sender that a step was tried from, or of the user who enrolled."""

    id: UUID
    name: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The first replies that a user was the first to answer, and how long that took."""

    id: UUID
    name: str
    answered: int
    median_answer_seconds: float | None
    p90_answer_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of those enrolled in ``days``.

    Attributes:
        unit: Of ``trend``.
        trend: Oldest first, without gaps.
        reply_hours: First replies by weekday, from Monday, and hour, on the clock of ``days``.
        senders: Most people first, as are ``users``; one may be texted from several senders.
        answers: By who answered, most answers first.
    """

    days: DayRange
    total: Tally
    unit: TrendUnit
    trend: Many[TrendTally]
    reply_hours: Many[Many[int]]
    senders: Many[NamedTally]
    users: Many[NamedTally]
    answers: Many[Answers]

    @property
    def time_zone(self) -> str:
        """The zone of the days and hours."""
        return self.days.zone.key

    @property
    def first_day(self) -> date | None:
        """The first day; None if there is no beginning."""
        return self.days.first

    @property
    def last_day(self) -> date | None:
        """The last day; None if there is no end."""
        return self.days.last


@dataclass(frozen=True, kw_only=True)
class SequenceReport(Report):
    """Of one sequence: its steps, one entry for each of the longest version."""

    name: str
    steps: Many[StepTally]


@dataclass(frozen=True, kw_only=True)
class WorkspaceReport(Report):
    """Of all sequences: those with anybody in it, most people first."""

    sequences: Many[NamedTally]


class Reports:
    """Reads reports, few at a time; ``workspace_zone`` is that of a workspace that has set none."""

    def __init__(
        self,
        database: Database,
        *,
        workspace_zone: str,
        longest_wait: timedelta = _LONGEST_WAIT,
        longest_statement: timedelta = _LONGEST_STATEMENT,
    ) -> None:
        self._database = database
        self._zone = workspace_zone
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._longest_wait = longest_wait
        self._longest_statement = longest_statement

    async def of_sequence(
        self, sequence_id: UUID, first: date | None = None, last: date | None = None
    ) -> SequenceReport:
        """Report on those enrolled in a sequence from the first day to the last, on both too.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: The last day is before the first.
            FullError: Too many are being read, or this one takes too long.
        """
        async with self._database.transaction() as tx:
            found = await sequences.find(tx, sequence_id, counted=False)
            record = required(found, "sequence", sequence_id)
            step_count = await sequences.most_steps(tx, sequence_id)
            days = await self._days(tx, first, last)
        read = await self._read([sequence_id], days)
        return SequenceReport(
            **read.shared(days), name=record.name, steps=read.steps(step_count, record.steps)
        )

    async def of_all(self, first: date | None = None, last: date | None = None) -> WorkspaceReport:
        """Report on those enrolled in any sequence from the first day to the last, on both too.

        Raises:
            InvalidFieldError: The last day is before the first.
            FullError: Too many are being read, or this one takes too long.
        """
        async with self._database.transaction() as tx:
            ids = await rows.all_sequences(tx)
            days = await self._days(tx, first, last)
        read = await self._read(ids, days)
        return WorkspaceReport(**read.shared(days), sequences=read.named("sequence"))

    async def _days(self, tx: Transaction, first: date | None, last: date | None) -> DayRange:
        zone = (await workspace.read(tx)).time_zone or self._zone
        return DayRange.of(zone, first, last)

    async def _read(self, ids: Many[UUID], days: DayRange) -> "_Read":
        async with self._database.transaction() as tx:
            earliest = await rows.first_enrolled(tx, ids)
        now = datetime.now(UTC)
        first, last = _shown(days, days.day_of(earliest or now), days.day_of(now))
        unit = unit_of(first, last)
        # In parallel: each reads the texts of all these enrollments.
        async with self._a_turn(), asyncio.TaskGroup() as both:
            tallies = both.create_task(self._tallies(ids, days, unit))
            of_replies = both.create_task(self._replies(ids, days))
        told, replies = tallies.result(), of_replies.result()
        ids_told = (*(row.id for row in told), *(row.id for row in replies))
        named = [one for one in ids_told if one is not None]
        async with self._database.transaction() as tx:
            names = await rows.names(tx, named)
        return _Read(told, replies, names, unit, parts(first, last, unit))

    @asynccontextmanager
    async def _a_turn(self) -> AsyncIterator[None]:
        """Wait until few others read; give up if that takes long, or the reading does."""
        try:
            async with asyncio.timeout(self._longest_wait.total_seconds()):
                await self._turn.acquire()
        except TimeoutError:
            raise FullError from None
        try:
            yield
        except ExceptionGroup as errors:
            first = errors.exceptions[0]
            raise FullError if is_statement_timeout(first) else first from errors
        finally:
            self._turn.release()

    async def _tallies(self, ids: Many[UUID], days: DayRange, unit: TrendUnit) -> list[TallyRow]:
        async with self._database.transaction() as tx:
            await tx.limit_statements(self._longest_statement)
            return await rows.tallies(tx, ids, days, unit)

    async def _replies(self, ids: Many[UUID], days: DayRange) -> list[ReplyRow]:
        async with self._database.transaction() as tx:
            await tx.limit_statements(self._longest_statement)
            return await rows.replies(tx, ids, days)


def _shown(days: DayRange, earliest: date, today: date) -> tuple[date, date]:
    """Give the days that a trend shows: of many, not those before anyone was enrolled, nor later.

    ``earliest`` is the day of the first enrollment.
    """
    last = days.last or today
    first = days.first or min(earliest, last)
    if unit_of(first, last) is TrendUnit.DAY:
        return first, last
    first = min(max(first, earliest), last)
    return first, max(min(last, today), first)


@dataclass(frozen=True)
class _Read:
    """What was read, and how it becomes a report."""

    told: Many[TallyRow]
    replies: Many[ReplyRow]
    names: Mapping[UUID, str]
    unit: TrendUnit
    parts: Many[date]

    def shared(self, days: DayRange) -> dict[str, Any]:
        """Build what every report has."""
        [total] = [row for row in self.told if row.kind == "all"]
        return {
            "days": days,
            "total": Tally(**_counts(total), **self._times("all")),
            "unit": self.unit,
            "trend": self._trend(days),
            "reply_hours": self._hours(),
            "senders": self.named("sender"),
            "users": self.named("user"),
            "answers": self._answers(),
        }

    def named(self, kind: str) -> list[NamedTally]:
        """List the tallies of a kind that have an id, most people first."""
        found = [
            NamedTally(
                id=row.id,
                name=self.names.get(row.id, ""),
                **_counts(row),
                **(self._times(kind, row.id) if kind == "sequence" else {}),
            )
            for row in self.told
            if row.kind == kind and row.id is not None
        ]
        return sorted(found, key=lambda one: (-one.people, one.name, one.id))

    def steps(self, step_count: int, current: Many[StepRecord]) -> list[StepTally]:
        """List the steps; 0 only if anything followed one-off texts alone."""
        bodies = {step.position: step.body for step in current}
        outcomes = outcomes_of_steps(self.told, self.replies)
        first = 0 if any(outcomes[0, one] for one in StepOutcome) else 1
        tried = {row.step: row.people for row in self.told if row.kind == "step" and row.people}
        return [
            StepTally(
                step=step,
                body=bodies.get(step),
                people=tried.get(step, 0),
                failures=self._failures(step),
                **{outcome.value: outcomes[step, outcome] for outcome in StepOutcome},
                **self._times("step", step),
            )
            for step in range(first, step_count + 1)
        ]

    def _failures(self, step: int) -> list[Failure]:
        found = [
            Failure(row.code, _meaning(row.code), row.failed)
            for row in self.told
            if row.kind == "failure" and row.step == step and row.code is not None
        ]
        return sorted(found, key=lambda one: (-one.count, one.code))

    def _trend(self, days: DayRange) -> list[TrendTally]:
        found = {row.part: row for row in self.told if row.kind == "part" and row.part is not None}
        trend = []
        for day in sorted({*self.parts, *found}):
            first, last = days.clipped(day, end_of(day, self.unit))
            counts = _counts(found[day]) if day in found else {}
            trend.append(TrendTally(first_day=first, last_day=last, **counts))
        return trend

    def _hours(self) -> list[list[int]]:
        found = {row.hour: row.replied for row in self.replies if row.kind == "hour"}
        return [[found.get(24 * day + hour, 0) for hour in range(24)] for day in range(7)]

    def _answers(self) -> list[Answers]:
        found = [
            Answers(id=row.id, name=self.names.get(row.id, ""), **_answers_of(row))
            for row in self.replies
            if row.kind == "answer" and row.id is not None
        ]
        return sorted(found, key=lambda one: (-one.answered, one.name, one.id))

    def _times(self, kind: str, of: UUID | int | None = None) -> dict[str, Any]:
        """Tell how long replies and answers took: of all, of a sequence, of a step."""
        for row in self.replies:
            if row.kind == kind and of in (row.id, row.step):
                median, most = row.took or (None, None)
                taken = {"median_reply_seconds": median, "p90_reply_seconds": most}
                return {**taken, **_answers_of(row)}
        return {"answered": 0}


def _answers_of(row: ReplyRow) -> dict[str, Any]:
    median, most = row.answer_took or (None, None)
    took = {"median_answer_seconds": median, "p90_answer_seconds": most}
    return {"answered": row.answered, **took}


def _counts(row: TallyRow) -> dict[str, int]:
    outcomes = (outcome.value for outcome in StepOutcome)
    names = ("people", *outcomes, "replied_late", "omitted_opted_out")
    return {name: getattr(row, name) for name in names}


def _meaning(code: int) -> str:
    fault = Fault.of(code or None, failed=True)
    return fault.meaning if fault else ""


def last_days(number: int, zone: str, now: datetime) -> tuple[date, date]:
    """Give the first and the last of so many days, of which the last is today."""
    today = DayRange.of(zone, None, None).day_of(now)
    return today - timedelta(days=number - 1), today
