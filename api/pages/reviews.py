"""Opt-out reviews: texts that may ask for no more texts, for a person to decide."""

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.addresses import PlaceQuery, listed
from api.pages.flash import Flash
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.paging import InQuery
from api.reviews import CURSORS
from domain.contacts.names import called
from domain.statuses.suppression import ReviewDecision

router = APIRouter()


class ReviewsQuery(PlaceQuery):
    """Query of the list: open reviews, or decided ones."""

    decided: bool = False


@router.get("/reviews")
async def show_reviews(page: PageDep, query: InQuery[ReviewsQuery]) -> Response:
    """List the texts without a decision, or those with one."""
    return await _render(page, query)


@router.get("/reviews/count")
async def count_reviews(page: PageDep) -> Response:
    """Count open reviews for the menu."""
    shown = await page.menu_count("count_reviews")
    return page.part(shown.template, shown=shown)


@router.post("/reviews/{message_id}/decide")
async def decide_review(
    page: PageDep, message_id: UUID, decision: InForm[ReviewDecision]
) -> Response:
    """Record what a text meant."""
    row = await page.services.reviews.decide(message_id, decision, user_id=page.user.id)
    who = called(row.contact_name, row.phone)
    if decision is ReviewDecision.NOT_AN_OPT_OUT:
        flash = Flash(f"{who} can still be texted.")
    elif row.opted_out:
        flash = Flash(f"{who} opted out.")
    else:
        flash = Flash(f"{who} has texted START since then and stays opted in.", "info")
    if page.wants_part:
        return await _render(page, ReviewsQuery(), flash)
    return page.redirect_to("show_reviews", flash)


async def _render(page: Page, query: ReviewsQuery, done: Flash | None = None) -> Response:
    find = partial(page.services.reviews.find, is_decided=query.decided)
    reviews, address = await listed(page.path_to("show_reviews"), query, CURSORS, find)
    context: dict[str, Any] = {"query": query, "reviews": reviews, "address": address}
    if done is not None:
        return page.part(
            "reviews/_list.html", flash=done, event=PageEvent.REVIEWS_CHANGED, **context
        )
    return page.render("reviews/index.html", part="reviews/_list.html", **context)
