"""Routes of senders and their holds."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas.base import Listing
from api.schemas.messaging import NewSender, ReleasedSender, Sender, SenderChanges
from services.messaging.senders import SenderFields

router = APIRouter(prefix="/senders", tags=["senders"])

_SORT = "name"
_CURSORS = Cursors("senders", {_SORT: str})


@router.post("", status_code=201, response_model=Sender, dependencies=[AdminOnly])
async def create_sender(body: NewSender, services: ServicesDep, once: OnceDep) -> Response:
    """Add a sender. 409 `sender_taken` names the sender that has the number or service."""
    fields = cast("SenderFields", body.model_dump())
    return await once.answer(Sender, lambda: services.senders.create(fields), repeatable=True)


@router.get("")
async def list_senders(
    query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[Sender]:
    """List senders by name."""
    after = _CURSORS.read(query.cursor, _SORT)
    page = await services.senders.find(after=after, limit=query.limit)
    return listing(page, Sender, _CURSORS.write(page.next, _SORT))


@router.get("/{sender_id}")
async def get_sender(sender_id: UUID, services: ServicesDep) -> Sender:
    """Give one sender."""
    return Sender.model_validate(await services.senders.get(sender_id))


@router.patch("/{sender_id}", dependencies=[AdminOnly])
async def change_sender(sender_id: UUID, body: SenderChanges, services: ServicesDep) -> Sender:
    """Change a sender's name or rate; the rate holds from now on."""
    fields = cast("SenderFields", body.model_dump(exclude_unset=True))
    return Sender.model_validate(await services.senders.update(sender_id, fields))


@router.post("/{sender_id}/release", response_model=ReleasedSender, dependencies=[AdminOnly])
async def release_sender(
    sender_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Let what waits for this sender go on; one that is not on hold stays as it is."""

    async def release() -> ReleasedSender:
        await services.senders.get(sender_id)
        released = await services.holds.release_sender(sender_id, user.id)
        sender = Sender.model_validate(await services.senders.get(sender_id))
        return ReleasedSender(released=released, **sender.model_dump())

    return await once.answer(ReleasedSender, release, status_code=200, repeatable=True)
