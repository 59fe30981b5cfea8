"""Routes of senders and their holds."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.messaging import NewSender, ReleasedSender, Sender, SenderChanges

router = APIRouter(prefix="/senders", tags=["senders"])

_CURSORS = Cursors("senders", "name", {"name": str})


@router.post("", status_code=201, response_model=Sender, dependencies=[AdminOnly])
async def create_sender(body: NewSender, services: ServicesDep, once: OnceDep) -> Response:
    """Add a sender. 409 `sender_taken` names the sender that already has the number or service."""
    return await once.answer(lambda: services.senders.create(body.as_fields()), repeatable=True)


@router.get("")
async def list_senders(query: InQuery[PageQuery], services: ServicesDep) -> Listing[Sender]:
    """List senders by name."""
    return await _CURSORS.listing(Sender, query, services.senders.find)


@router.get("/{sender_id}")
async def get_sender(sender_id: UUID, services: ServicesDep) -> Sender:
    """Return one sender."""
    return Sender.model_validate(await services.senders.get(sender_id))


@router.patch("/{sender_id}", dependencies=[AdminOnly])
async def change_sender(sender_id: UUID, body: SenderChanges, services: ServicesDep) -> Sender:
    """Change a sender's name or rate; a new rate applies at once."""
    return Sender.model_validate(await services.senders.update(sender_id, body.as_changes()))


@router.post("/{sender_id}/release", response_model=ReleasedSender, dependencies=[AdminOnly])
async def release_sender(
    sender_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Release a sender and what waits for it; one that is not on hold stays as it is."""

    async def release() -> ReleasedSender:
        await services.senders.get(sender_id)
        released = await services.holds.release_sender(sender_id, user.id)
        sender = Sender.model_validate(await services.senders.get(sender_id))
        return ReleasedSender(released=released, **sender.model_dump())

    return await once.answer(release, repeatable=True)
