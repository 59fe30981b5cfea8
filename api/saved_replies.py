"""Routes of saved replies."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.messaging import NewSavedReply, SavedReply, SavedReplyChanges
from storage.platform.database import Transaction

router = APIRouter(prefix="/saved-replies", tags=["saved-replies"])

_CURSORS = Cursors("saved-replies", "name", {"name": str})


@router.get("")
async def list_saved_replies(
    query: InQuery[PageQuery], services: ServicesDep, user: CurrentUser
) -> Listing[SavedReply]:
    """List the workspace's saved replies and your own, by name."""
    find = partial(services.saved_replies.find, user.id)
    return await _CURSORS.listing(SavedReply, query, find)


@router.post("", status_code=201, response_model=SavedReply)
async def create_saved_reply(
    body: NewSavedReply, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Save a reply for the whole workspace, or with `own` for yourself.

    409 `saved_reply_taken` for a name that another one has, `too_many_saved_replies` for more than
    500.
    """

    async def save(tx: Transaction) -> object:
        return await services.saved_replies.create(
            body.name, body.body, user.id, own=body.own, within=tx
        )

    return await once.answer_within(save)


@router.get("/{saved_reply_id}")
async def get_saved_reply(
    saved_reply_id: UUID, services: ServicesDep, user: CurrentUser
) -> SavedReply:
    """Return one saved reply of the workspace or of your own."""
    return SavedReply.model_validate(await services.saved_replies.get(saved_reply_id, user.id))


@router.patch("/{saved_reply_id}")
async def change_saved_reply(
    saved_reply_id: UUID, body: SavedReplyChanges, services: ServicesDep, user: CurrentUser
) -> SavedReply:
    """Change the name or the text of a saved reply; whose it is never changes.

    409 `saved_reply_taken` for a name that another one has.
    """
    changed = await services.saved_replies.change(saved_reply_id, body.as_changes(), user.id)
    return SavedReply.model_validate(changed)


@router.delete("/{saved_reply_id}", status_code=204)
async def delete_saved_reply(
    saved_reply_id: UUID, services: ServicesDep, user: CurrentUser
) -> None:
    """Delete a saved reply; texts that it was inserted into stay."""
    await services.saved_replies.remove(saved_reply_id, user.id)
