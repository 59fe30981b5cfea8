"""Reports: what came of those enrolled in some days, in all sequences side by side."""

from collections.abc import Sequence
from functools import partial
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.addresses import address
from api.pages.figures import OUTCOMES, People, RangeQuery, busy, figures_of, range_choice
from api.pages.page import Page, PageDep
from api.paging import InQuery
from domain.enrollments.day_range import DayRange
from services.enrollments.reports import NamedTally
from services.platform.group_commit import FullError

router = APIRouter()

_ROWS = 200
"""So many sequences are shown; the file has all."""

COLUMNS = (
    ("name", "Sequence", ""),
    ("people", "People", "Everyone who was enrolled."),
    *((outcome.value, words, f"Those who {whom}.") for outcome, words, whom, _ in OUTCOMES),
    ("median_reply_seconds", "Time to reply", "Half of the replies came sooner than this."),
    ("median_answer_seconds", "Time to answer", "Half of our first answers came sooner than this."),
)
"""Columns of the table: what it is sorted by, heading, meaning."""

_Sort = Literal[
    "name",
    "-name",
    "people",
    "-people",
    "due",
    "-due",
    "sent",
    "-sent",
    "delivered",
    "-delivered",
    "failed",
    "-failed",
    "replied",
    "-replied",
    "opted_out",
    "-opted_out",
    "median_reply_seconds",
    "-median_reply_seconds",
    "median_answer_seconds",
    "-median_answer_seconds",
]


class ReportsQuery(RangeQuery):
    """Query of the page."""

    sort: _Sort = "-people"


@router.get("/reports")
async def show_reports(page: PageDep, query: InQuery[ReportsQuery]) -> Response:
    """Show the page at once; its figures, which take longer, load afterwards."""
    part, export = page.path_to("show_all_figures"), "/api/reports/sequences/export"
    return page.render("reports/index.html", **range_choice(page, query, part, export))


@router.get("/reports/figures")
async def show_all_figures(page: PageDep, query: InQuery[ReportsQuery]) -> Response:
    """Show what came of those enrolled in the range, sequence by sequence."""
    try:
        report = await page.services.reports.of_all(*query.on(page))
    except FullError:
        return busy(page)
    return page.part(
        "reports/_figures.html",
        rows=_sorted(report.sequences, query.sort)[:_ROWS],
        more=max(len(report.sequences) - _ROWS, 0),
        columns=[
            (*one, _sorting(page, query, one[0]), _direction(query, one[0])) for one in COLUMNS
        ],
        people_of=partial(_people_of, page, report.days),
        **figures_of(page, report),
    )


def _people_of(page: Page, days: DayRange, sequence_id: UUID) -> People:
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    return People.of_days(path, days)


def _sorted(rows: Sequence[NamedTally], sort: str) -> list[NamedTally]:
    """Sort rows; those without a value come last either way."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    known = [one for one in rows if getattr(one, name) is not None]
    if name == "name":
        known.sort(key=lambda one: one.name.casefold(), reverse=down)
    else:
        known.sort(key=lambda one: getattr(one, name), reverse=down)
    return known + [one for one in rows if getattr(one, name) is None]


def _sorting(page: Page, query: ReportsQuery, name: str) -> str:
    """Return the page's address sorted by a column, reversed if it already is."""
    first, other = (name, f"-{name}") if name == "name" else (f"-{name}", name)
    sort = other if query.sort == first else first
    shown = {**query.as_parameters(), "sort": sort}
    return address(page.path_to("show_reports"), **shown)


def _direction(query: ReportsQuery, name: str) -> str:
    return {name: "ascending", f"-{name}": "descending"}.get(query.sort, "")
