"""The route of the audit log."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from api.dependencies import AdminOnly, ServicesDep
from api.paging import Cursors, InQuery, PageQuery, invalid_cursor
from api.schemas.base import Listing, Moment
from api.schemas.platform import AuditEntry
from domain.platform.filling import filled
from domain.platform.paging import Position
from storage.platform.audit import AuditFilter

router = APIRouter(prefix="/audit", tags=["audit"], dependencies=[AdminOnly])

_CURSORS = Cursors("audit", "-id", {}, nullable={"id"})
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
    since: Moment | None = Field(default=None, alias="from")
    """Only from this moment on."""
    until: Moment | None = Field(default=None, alias="to", description="Only before this moment.")


@router.get("")
async def list_audit_entries(
    query: InQuery[AuditQuery], services: ServicesDep
) -> Listing[AuditEntry]:
    """List who did what to whom, newest first.

    Entries are only ever added. `detail` holds codes, ids and counts; an action on many has an
    entry for each.
    """
    entries, before_id = await services.audit.find(
        filled(AuditFilter, query), before_id=_before(query.cursor), limit=query.limit
    )
    following = Position(None, UUID(int=before_id)) if before_id else None
    items = [AuditEntry.model_validate(entry) for entry in entries]
    return Listing(items=items, next_cursor=_CURSORS.write(following))


def _before(cursor: str | None) -> int | None:
    """Read the number of an entry from where a cursor has an id."""
    position = _CURSORS.read(cursor)
    if position is None:
        return None
    if position.id.int > _ID_MOST:
        raise invalid_cursor()
    return position.id.int
