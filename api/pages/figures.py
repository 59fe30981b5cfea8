"""What pages with figures share: the range of days, links to the people behind numbers, charts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from starlette.responses import Response

from api.pages.addresses import address
from api.pages.page import Page
from api.problems import BUSY
from api.schemas.reports import DaysQuery
from domain.enrollments.day_range import DayRange
from domain.platform.durations import in_units
from domain.platform.moments import written
from domain.statuses.enrollments import StepOutcome
from services.enrollments.reports import Report, TrendTally, last_days
from services.jobs.report_export import WEEKDAYS

OUTCOMES = (
    (StepOutcome.DUE, "Waiting", "have a text to come", ""),
    (StepOutcome.SENT, "Sent", "were sent a text", ""),
    (StepOutcome.DELIVERED, "Delivered", "had it delivered, or have texted since", "delivery_rate"),
    (StepOutcome.FAILED, "Failed", "could not be reached with it", "failure_rate"),
    (StepOutcome.REPLIED, "Replied", "gave their first reply", "reply_rate"),
    (StepOutcome.OPTED_OUT, "Opted out", "opted out after a text", "opt_out_rate"),
)
"""Columns: outcome, heading, the people it counts (after "those who"), the rate of a tally."""

SKIPPED = (StepOutcome.SKIPPED, "Skipped", "had a step skipped because it was late", "")
"""The column that is there only if some were."""

TREND = (
    (StepOutcome.SENT, "Sent", "purple"),
    (StepOutcome.REPLIED, "Replied", "green"),
    (StepOutcome.OPTED_OUT, "Opted out", "orange"),
)
"""Bars of the trend: outcome, words, tone."""

_USUAL = "30"
_CHOICES = (
    ("7", "Last 7 days"),
    (_USUAL, "Last 30 days"),
    ("90", "Last 90 days"),
    ("all", "All time"),
)


class RangeQuery(DaysQuery):
    """Query of a page with figures: so many days until today, or the days from one to another."""

    days: Literal["7", "30", "90", "all"] | None = None

    @property
    def chosen(self) -> str | None:
        """The ``days`` that count; None if there are others."""
        return None if self.first_day or self.last_day else self.days or _USUAL

    def on(self, page: Page) -> tuple[date | None, date | None]:
        """Give the first day and the last, by the workspace's clock."""
        if self.chosen is None:
            return self.first_day, self.last_day
        if self.chosen == "all":
            return None, None
        return last_days(int(self.chosen), page.clock.zone, page.now)


class Choice(NamedTuple):
    """A range that can be chosen."""

    words: str
    address: str
    is_current: bool


def range_choice(page: Page, query: RangeQuery, part: str, export: str) -> dict[str, Any]:
    """Build what the choice of a range needs, and check the range: its errors are the page's.

    ``part`` is the address of the part with the figures, ``export`` that of a file of them.
    """
    path = page.request.url.path
    first, last = query.on(page)
    with page.refusing():
        DayRange.of(page.clock.zone, first, last)
    return {
        "query": query,
        "first_day": first,
        "last_day": last,
        "choices": [
            Choice(
                words, address(path, days=None if days == _USUAL else days), days == query.chosen
            )
            for days, words in _CHOICES
        ],
        "figures_path": address(part, **query.as_parameters()),
        "export_path": address(export, first_day=first, last_day=last),
    }


@dataclass(frozen=True)
class People:
    """The people of a sequence's Contacts tab whom filters leave."""

    path: str
    filters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_days(cls, path: str, days: DayRange) -> "People":
        """Choose those enrolled on some days."""
        return cls(path, _enrolled(days))

    def of(self, **filters: object) -> "People":
        """Choose some of them."""
        return People(self.path, {**self.filters, **filters})

    def on(self, part: TrendTally, days: DayRange) -> "People":
        """Choose those enrolled in a part of the trend."""
        return self.of(**_enrolled(DayRange(days.zone, part.first_day, part.last_day)))

    def to(self, **filters: object) -> str:
        """Return the address of some of them."""
        return address(self.path, **{**self.filters, **filters})


def _enrolled(days: DayRange) -> dict[str, str]:
    start, until = days.start, days.until
    return {
        **({"enrolled_from": written(start)} if start else {}),
        **({"enrolled_until": written(until)} if until else {}),
    }


def hour_words(page: Page, hour: int) -> str:
    """Write an hour of the day by the workspace's clock: ``1:00 pm`` or ``13:00``."""
    return page.clock.time_of(datetime(2000, 1, 1, hour, tzinfo=UTC), "UTC")


def busy(page: Page) -> Response:
    """Say in place of the figures that they could not be read, and how to get them."""
    response = page.part("reports/_busy.html")
    response.status_code = BUSY.status
    response.headers.update({**BUSY.headers, "HX-Retarget": "#report", "HX-Reswap": "innerHTML"})
    return response


def figures_of(page: Page, report: Report) -> dict[str, Any]:
    """Build what the templates of a report need."""
    most = max((max(hours) for hours in report.reply_hours), default=0)
    return {
        "report": report,
        "outcomes": (*OUTCOMES, SKIPPED) if report.total.skipped else OUTCOMES,
        "trend_bars": TREND,
        "trend": trend_chart(report.trend),
        "weekdays": WEEKDAYS,
        "hours_of_day": [hour_words(page, hour) for hour in range(24)],
        "busiest": most,
        "lasting": lasting,
        "days_words": days_words,
        "written_day": written_day,
    }


# Charts


class Bar(NamedTuple):
    """One bar of a chart."""

    tone: str
    x: float
    y: float
    width: float
    height: float


class Column(NamedTuple):
    """The bars that stand at one place, and what they say."""

    words: str
    bars: Sequence[Bar]


class Chart(NamedTuple):
    """Columns of bars in a box of ``width`` by 100; ``ticks`` are the axis from the top."""

    width: int
    columns: Sequence[Column]
    ticks: Sequence[int]


_COLUMN = 12
_SPACE = 1


def chart(columns: Iterable[tuple[str, Sequence[tuple[str, int]]]]) -> Chart:
    """Lay columns out: each has words, and bars of a tone and a number."""
    given = list(columns)
    top = _round_up(max((number for _, bars in given for _, number in bars), default=0))
    laid = []
    for place, (words, bars) in enumerate(given):
        width = (_COLUMN - 2 * _SPACE) / len(bars)
        shown = []
        for index, (tone, number) in enumerate(bars):
            height = round(100 * number / top, 2)
            x = round(_COLUMN * place + _SPACE + index * width, 2)
            shown.append(Bar(tone, x, 100 - height, round(width * 0.9, 2), height))
        laid.append(Column(words, shown))
    return Chart(_COLUMN * len(given), laid, (top, top // 2, 0))


def _round_up(number: int) -> int:
    """Give the next even number that reads well at the top of an axis."""
    size = 1
    while number > 10 * size:
        size *= 10
    return next(size * one for one in (2, 4, 6, 8, 10) if size * one >= number)


def trend_chart(trend: Sequence[TrendTally]) -> Chart:
    """Lay a trend out."""
    return chart(
        (
            "; ".join(
                [
                    days_words(part),
                    *(f"{words} {getattr(part, one.value):,}" for one, words, _ in TREND),
                ]
            ),
            [(tone, getattr(part, one.value)) for one, _, tone in TREND],
        )
        for part in trend
    )


def days_words(part: TrendTally) -> str:
    """Write the days of a part of a trend: ``Nov 3, 2026`` or ``Nov 3, 2026 to Nov 9, 2026``."""
    if part.first_day == part.last_day:
        return written_day(part.first_day)
    return f"{written_day(part.first_day)} to {written_day(part.last_day)}"


def written_day(day: date) -> str:
    """Write a day: ``Nov 3, 2026``."""
    return f"{day:%b} {day.day}, {day.year}"


def lasting(seconds: float) -> str:
    """Write how long something took, in its two largest units: ``2 hr 5 min``."""
    return in_units(timedelta(seconds=round(seconds)), short=True)
