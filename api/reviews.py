"""Routes of the review list: texts that may be opt-outs."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.suppression import Review, ReviewAnswer

router = APIRouter(prefix="/reviews", tags=["reviews"])

CURSORS = Cursors("reviews", "-created_at", {"created_at": datetime})


class ReviewQuery(PageQuery):
    """The filters of the review list."""

    decided: bool | None = None
    """`false`: those that wait for a decision; `true`: the others."""


@router.get("")
async def list_reviews(query: InQuery[ReviewQuery], services: ServicesDep) -> Listing[Review]:
    """List texts that may be opt-outs, newest first.

    Each was treated as a reply, by the sequence's reply policy. Clear opt-outs are not listed: they
    take effect at once.
    """
    find = partial(services.reviews.find, is_decided=query.decided)
    return await CURSORS.listing(Review, query, find)


@router.get("/{message_id}")
async def get_review(message_id: UUID, services: ServicesDep) -> Review:
    """Return one text of the review list."""
    return Review.model_validate(await services.reviews.get(message_id))


@router.post("/{message_id}/decide", response_model=Review)
async def decide_review(
    message_id: UUID, body: ReviewAnswer, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Decide what a text meant: `opt_out` or `not_an_opt_out`.

    `opt_out` suppresses the number, with the text as evidence, and ends its active enrollments as a
    STOP does, unless the number has texted START since (see `opted_out` of the answer).
    `not_an_opt_out` changes nothing else. Repeating a decision changes nothing; the opposite one is
    a 409 `already_decided`.
    """
    return await once.answer(
        lambda: services.reviews.decide(message_id, body.decision, user_id=user.id), repeatable=True
    )
