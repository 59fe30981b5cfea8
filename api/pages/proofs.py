"""The proof of one text, to read and to download."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.page import PageDep
from domain.statuses.messaging import MESSAGE_LABELS

router = APIRouter()


@router.get("/messages/{message_id}/proof")
async def show_proof(page: PageDep, message_id: UUID) -> Response:
    """Show all that is known of one text of ours."""
    bundle = await page.services.proofs.of(message_id)
    return page.render(
        "messages/proof.html",
        proof=bundle["proof"],
        signature=bundle["signature"],
        moment=datetime.fromisoformat,
        message_labels=MESSAGE_LABELS,
    )
