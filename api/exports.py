"""Routes of exports; they stand before those that take an id in the same place."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api.contacts import ContactFilter
from api.dependencies import CurrentUser, ServicesDep
from api.paging import InQuery
from api.schemas.enrollments import EnrollmentFilter, EnrollmentSort
from api.suppressions import SuppressionFilter
from services.jobs.exports import CONTACT_COLUMNS, ENROLLMENT_COLUMNS, SUPPRESSION_COLUMNS

router = APIRouter(tags=["exports"])


def described(columns: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    """Describe the answer of a route that exports these columns."""
    return {
        200: {
            "description": f"A CSV file with the columns {', '.join(columns)}.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    }


class EnrollmentsExportQuery(EnrollmentFilter):
    """The filters of the Contacts tab; each repeats for "any of"."""

    sort: EnrollmentSort = "-enrolled_at"


class CsvFile(StreamingResponse):
    """A CSV file as it is being written."""

    media_type = "text/csv"

    @classmethod
    def named(cls, name: str, pieces: AsyncIterator[bytes]) -> "CsvFile":
        """Send it to be saved under a name."""
        return cls(
            pieces,
            headers={
                "Content-Disposition": f'attachment; filename="{name}.csv"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )


@router.get("/contacts/export", response_class=CsvFile, responses=described(CONTACT_COLUMNS))
async def export_contacts(
    query: InQuery[ContactFilter], services: ServicesDep, user: CurrentUser
) -> StreamingResponse:
    """Export contacts as CSV, in the columns that an import reads again.

    The workspace's fields follow by key. `owner` is the owner's email address.
    """
    pieces = await services.exporting.contacts(user.id, query.wanted(), sort=query.sort)
    return CsvFile.named("contacts", pieces)


@router.get(
    "/sequences/{sequence_id}/contacts/export",
    response_class=CsvFile,
    responses=described(ENROLLMENT_COLUMNS),
)
async def export_enrollments(
    sequence_id: UUID,
    query: InQuery[EnrollmentsExportQuery],
    services: ServicesDep,
    user: CurrentUser,
) -> StreamingResponse:
    """Export the Contacts tab of a sequence as CSV."""
    pieces = await services.exporting.enrollments(
        sequence_id, query.wanted(), user.id, sort=query.sort
    )
    return CsvFile.named("enrollments", pieces)


@router.get(
    "/suppressions/export", response_class=CsvFile, responses=described(SUPPRESSION_COLUMNS)
)
async def export_suppressions(
    query: InQuery[SuppressionFilter], services: ServicesDep, user: CurrentUser
) -> StreamingResponse:
    """Export opted-out numbers with their evidence as CSV; of erased ones the number is blank."""
    pieces = await services.exporting.suppressions(
        user.id, search=query.search, sources=query.source, is_standing=query.standing
    )
    return CsvFile.named("suppressions", pieces)
