"""Routes of reports: figures of one sequence and of all, for a range of days."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api.dependencies import ServicesDep
from api.exports import CsvFile, described
from api.paging import InQuery
from api.schemas.reports import DaysQuery, SequenceReport, WorkspaceReport
from services.jobs.report_export import REPORT_COLUMNS, report_file

router = APIRouter(tags=["reports"])


@router.get("/sequences/{sequence_id}/report")
async def get_sequence_report(
    sequence_id: UUID, query: InQuery[DaysQuery], services: ServicesDep
) -> SequenceReport:
    """Report on those who were enrolled in a sequence on these days.

    Each step with its failures, the trend, replies by weekday and hour, senders and users.
    """
    found = services.reports.of_sequence(sequence_id, query.first_day, query.last_day)
    return SequenceReport.model_validate(await found)


@router.get(
    "/sequences/{sequence_id}/report/export",
    response_class=CsvFile,
    responses=described(REPORT_COLUMNS),
)
async def export_sequence_report(
    sequence_id: UUID, query: InQuery[DaysQuery], services: ServicesDep
) -> StreamingResponse:
    """Export the report of a sequence as CSV; `section` says what a row is of."""
    report = await services.reports.of_sequence(sequence_id, query.first_day, query.last_day)
    return CsvFile.named("report", report_file(report))


@router.get("/reports/sequences")
async def get_report(query: InQuery[DaysQuery], services: ServicesDep) -> WorkspaceReport:
    """Report on those who were enrolled in any sequence on these days, by sequence and in all."""
    found = services.reports.of_all(query.first_day, query.last_day)
    return WorkspaceReport.model_validate(await found)


@router.get(
    "/reports/sequences/export", response_class=CsvFile, responses=described(REPORT_COLUMNS)
)
async def export_report(query: InQuery[DaysQuery], services: ServicesDep) -> StreamingResponse:
    """Export the report of all sequences as CSV; `section` says what a row is of."""
    report = await services.reports.of_all(query.first_day, query.last_day)
    return CsvFile.named("report", report_file(report))
