"""A report as one CSV file, whose first column says what each row is of."""

from collections.abc import AsyncIterator, Iterator, Sequence
from operator import attrgetter
from typing import Any

from services.enrollments.reports import (
    NamedTally,
    Report,
    SequenceReport,
    Tally,
    WorkspaceReport,
)
from services.jobs.exports import lines

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_FIGURES = (
    *("people", "due", "sent", "delivered", "failed", "replied", "opted_out", "replied_late"),
    *("delivery_rate", "failure_rate", "reply_rate", "opt_out_rate"),
    *("median_reply_seconds", "p90_reply_seconds", "omitted_opted_out"),
    *("answered", "median_answer_seconds", "p90_answer_seconds", "skipped"),
)
_CELLS = attrgetter(*_FIGURES)
_PLACES = {name: place for place, name in enumerate(_FIGURES)}

REPORT_COLUMNS = ("section", "name", "id", "first_day", "last_day", *_FIGURES)
"""The columns; what a section does not have is blank."""


async def report_file(report: SequenceReport | WorkspaceReport) -> AsyncIterator[bytes]:
    """Write a report."""
    yield lines([REPORT_COLUMNS])
    yield lines(list(_rows(report)))


def _rows(report: SequenceReport | WorkspaceReport) -> Iterator[list[Any]]:
    yield _row(report, "total", "All people", report.total)
    match report:
        case SequenceReport():
            yield from _steps(report)
        case WorkspaceReport():
            yield from _named(report, "sequence", report.sequences)
    for part in report.trend:
        cells = _row(report, report.unit.value, part.first_day, part)
        yield [*cells[:3], part.first_day, part.last_day, *cells[5:]]
    for weekday, hours in zip(WEEKDAYS, report.reply_hours, strict=True):
        for hour, replied in enumerate(hours):
            yield _one(report, "reply_hour", f"{weekday} {hour:02}:00", None, replied=replied)
    yield from _named(report, "sender", report.senders)
    yield from _named(report, "user", report.users)
    for one in report.answers:
        took = {name: getattr(one, name) for name in _FIGURES[-3:]}
        yield _one(report, "answered_by", one.name, one.id, **took)


def _steps(report: SequenceReport) -> Iterator[list[Any]]:
    for step in report.steps:
        yield _row(report, "step", step.body, step, of=step.step)
        for failure in step.failures:
            name = f"Step {step.step}: {failure.meaning}"
            yield _one(report, "failure", name, failure.code, failed=failure.count)


def _named(report: Report, section: str, named: Sequence[NamedTally]) -> Iterator[list[Any]]:
    for one in named:
        yield _row(report, section, one.name, one, of=one.id)


def _row(
    report: Report, section: str, name: object, tally: Tally, *, of: object = None
) -> list[Any]:
    rates = [round(one, 4) if isinstance(one, float) else one for one in _CELLS(tally)]
    return [section, name, of, report.first_day, report.last_day, *rates]


def _one(report: Report, section: str, name: str, of: object, **numbers: float | None) -> list[Any]:
    """Write a row of few numbers."""
    cells: list[Any] = [None] * len(_FIGURES)
    for column, number in numbers.items():
        cells[_PLACES[column]] = number
    return [section, name, of, report.first_day, report.last_day, *cells]
