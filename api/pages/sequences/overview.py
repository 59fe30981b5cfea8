"""A sequence > Overview: its funnel, its enrollments by status, its next day."""

from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.page import PageDep
from api.pages.rendering import status_bar
from api.pages.sequences.frame import render_tab
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from services.enrollments.overview import Hour, Overview
from storage.enrollments.list_filter import ListFilter

router = APIRouter()

OUTCOMES = (
    (StepOutcome.DUE, "Due", "wait at this step now", "blue"),
    (StepOutcome.SENT, "Sent", "were sent this step", "purple"),
    (StepOutcome.DELIVERED, "Delivered", "had it delivered, or have texted since", "green"),
    (StepOutcome.FAILED, "Failed", "could not be reached with it", "red"),
    (StepOutcome.REPLIED, "Replied", "gave their first reply after it", "green"),
    (StepOutcome.OPTED_OUT, "Opted out", "opted out after it", "orange"),
)
"""Columns of the funnel: outcome, heading, the people it counts (after "those who"), tone."""

_CHART_HEIGHT = 40


class Column(NamedTuple):
    """One hour of the chart: its left edge, and its height up to ``_CHART_HEIGHT``."""

    hour: Hour
    x: int
    height: float


@router.get("/sequences/{sequence_id}")
async def show_overview(page: PageDep, sequence_id: UUID) -> Response:
    """Show the tab at once; its figures, which take longer, load afterwards."""
    return await render_tab(page, sequence_id, "sequences/overview.html")


@router.get("/sequences/{sequence_id}/figures")
async def show_figures(page: PageDep, sequence_id: UUID) -> Response:
    """Show the figures; the page asks again every few seconds."""
    figures = await page.services.overview.get(sequence_id)
    active = ListFilter(status=[EnrollmentStatus.ACTIVE])
    outlook = await page.services.enrollment_list.outlook(sequence_id, active)
    return page.part(
        "sequences/_figures.html",
        figures=figures,
        outlook=outlook,
        outcomes=OUTCOMES,
        bar=status_bar((one.status, one.count) for one in figures.statuses),
        people=page.path_to("show_sequence_contacts", sequence_id=sequence_id),
        chart=_chart(figures),
        coming=sum(hour.count for hour in figures.hours),
    )


def _chart(figures: Overview) -> list[Column]:
    most = max((hour.count for hour in figures.hours), default=0) or 1
    return [
        Column(hour, 10 * number, round(_CHART_HEIGHT * hour.count / most, 2))
        for number, hour in enumerate(figures.hours)
    ]
