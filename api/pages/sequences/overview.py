"""A sequence > Overview: how it stands now, and what came of those enrolled in some days."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.composing import merge_labels
from api.pages.figures import People, RangeQuery, busy, chart, figures_of, range_choice
from api.pages.page import PageDep
from api.pages.rendering import status_bar
from api.pages.sequences.frame import render_tab
from api.paging import InQuery
from domain.sequences.texts import pieces
from domain.statuses.enrollments import EnrollmentStatus
from services.platform.group_commit import FullError

router = APIRouter()

POLLED_MOST = 20_000
"""The report of a sequence with more people is loaded anew by hand: it reads all their texts."""


@router.get("/sequences/{sequence_id}")
async def show_overview(page: PageDep, sequence_id: UUID, query: InQuery[RangeQuery]) -> Response:
    """Show the tab at once; its figures, which take longer, load afterwards."""
    sequence = await page.services.sequences.get(sequence_id)
    return await render_tab(
        page,
        sequence,
        "sequences/overview.html",
        is_polled=sequence.total <= POLLED_MOST,
        **range_choice(
            page,
            query,
            page.path_to("show_sequence_report", sequence_id=sequence_id),
            f"/api/sequences/{sequence_id}/report/export",
        ),
    )


@router.get("/sequences/{sequence_id}/figures")
async def show_figures(page: PageDep, sequence_id: UUID) -> Response:
    """Show how the sequence stands now; the page asks again every few seconds."""
    current = await page.services.overview.current(sequence_id)
    return page.part(
        "sequences/_figures.html",
        current=current,
        active=next(one.count for one in current.statuses if one.status is EnrollmentStatus.ACTIVE),
        bar=status_bar((one.status, one.count) for one in current.statuses),
        people=page.path_to("show_sequence_contacts", sequence_id=sequence_id),
        chart=chart(
            (f"{page.clock.time_of(hour.start)}: {hour.count:,}", [("accent", hour.count)])
            for hour in current.hours
        ),
        coming=sum(hour.count for hour in current.hours),
    )


@router.get("/sequences/{sequence_id}/report")
async def show_sequence_report(
    page: PageDep, sequence_id: UUID, query: InQuery[RangeQuery]
) -> Response:
    """Show what came of those enrolled in the range."""
    try:
        report = await page.services.reports.of_sequence(sequence_id, *query.on(page))
    except FullError:
        return busy(page)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    return page.part(
        "sequences/_report.html",
        people=People.of_days(path, report.days),
        pieces=pieces,
        merge_labels=merge_labels(await page.services.pickers.contact_fields()),
        **figures_of(page, report),
    )
