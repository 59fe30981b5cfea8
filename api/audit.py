"""The route of the audit log."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.dependencies import AdminOnly, ServicesDep
from api.paging import Cursors, PageQuery
from api.schemas.base import Listing, Moment
from api.schemas.platform import AuditEntry
from domain.platform.errors import InvalidFieldError
from domain.platform.filling import filled
from domain.platform.paging import Position
from storage.platform.audit import AuditFilter

router = APIRouter(prefix="/audit", tags=["audit"], dependencies=[AdminOnly])

_SORT = "-id"
_CURSORS = Cursors("audit", {}, nullable={"id"})
_ID_MOST = 2**63 - 1


class AuditQuery(PageQuery):
    """The filters of the audit log."""

    user_id: UUID | None = Field(default=None, description="Only what this user did.")
    action: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[a-z_.]*$",
        description="Only this.",
        examples=["enrollment.finish"],
    )
    subject_id: UUID | None = Field(default=None, description="Only what was done to this.")
    since: Moment | None = Field(
        default=None, alias="from", description="Only from this moment on."
    )
    until: Moment | None = Field(default=None, alias="to", description="Only before this moment.")


@router.get("")
async def list_audit_entries(
    query: Annotated[AuditQuery, Query()], services: ServicesDep
) -> Listing[AuditEntry]:
    """List who did what to whom, the newest first.

    Entries are only ever added. `detail` holds codes, ids and counts; what an action on many was
    done to is one entry each.
    """
    entries, before_id = await services.audit.find(
        filled(AuditFilter, query),
        before_id=_before(query.cursor),
        limit=query.limit,
    )
    return Listing(
        items=[AuditEntry.model_validate(entry) for entry in entries],
        next_cursor=_CURSORS.write(
            Position(None, UUID(int=before_id)) if before_id else None, _SORT
        ),
    )


def _before(cursor: str | None) -> int | None:
    """Read the number of an entry from where a cursor has an id."""
    position = _CURSORS.read(cursor, _SORT)
    if position is None:
        return None
    if position.id.int > _ID_MOST:
        raise InvalidFieldError(
            "cursor", "does not belong to this list; leave it out", code="invalid_cursor"
        )
    return position.id.int
