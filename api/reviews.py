"""Routes of the review list: texts that may ask for no more texts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas.base import Listing
from api.schemas.suppression import Review, ReviewAnswer

router = APIRouter(prefix="/reviews", tags=["reviews"])

_SORT = "-created_at"
CURSORS = Cursors("reviews", {"created_at": datetime})


class ReviewQuery(PageQuery):
    """The filters of the review list."""

    decided: bool | None = Field(
        default=None, description="`false`: those that wait for a person; `true`: the others."
    )


@router.get("")
async def list_reviews(
    query: Annotated[ReviewQuery, Query()], services: ServicesDep
) -> Listing[Review]:
    """List texts that may ask for no more texts, the newest first.

    Each was taken for a reply: the sequence's reply policy has applied. What is clearly an opt-out
    is not here, as it has taken effect.
    """
    page = await services.reviews.find(
        is_decided=query.decided,
        after=CURSORS.read(query.cursor, _SORT),
        limit=query.limit,
    )
    return listing(page, Review, CURSORS.write(page.next, _SORT))


@router.get("/{message_id}")
async def get_review(message_id: UUID, services: ServicesDep) -> Review:
    """Give one text of the review list."""
    return Review.model_validate(await services.reviews.get(message_id))


@router.post("/{message_id}/decide", response_model=Review)
async def decide_review(
    message_id: UUID, body: ReviewAnswer, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Say what a text meant: `opt_out` or `not_an_opt_out`.

    `opt_out` suppresses the number, with the text as evidence, and ends its active enrollments as a
    STOP does; if the number has texted START since, it stays as it is (`opted_out` of the answer).
    `not_an_opt_out` changes nothing else. The same decision again changes nothing; the other one is
    a 409 `already_decided`.
    """
    return await once.answer(
        Review,
        lambda: services.reviews.decide(message_id, body.decision, user_id=user.id),
        status_code=200,
        repeatable=True,
    )
