"""Routes of suppressions: opting out by hand, lifting, the list with its evidence."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, FilterQuery, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.suppression import Lifting, NewSuppression, Suppression
from domain.platform.names import SEARCH_LENGTH
from domain.statuses.suppression import OptOutSource

router = APIRouter(prefix="/suppressions", tags=["suppressions"])

CURSORS = Cursors("suppressions", "-created_at", {"created_at": datetime})


class SuppressionFilter(FilterQuery):
    """The filters of the list of suppressions."""

    search: str = Field(default="", max_length=SEARCH_LENGTH)
    """Digits of the number, or any part of its contact's name."""
    source: list[OptOutSource] = Field(default_factory=list, max_length=10)
    """Any of these."""
    standing: bool | None = None
    """`true`: those that hold now; `false`: those that were lifted."""


class SuppressionQuery(SuppressionFilter, PageQuery):
    """The filters of the list of suppressions, and its page."""


@router.post(
    "",
    status_code=201,
    response_model=Suppression,
    responses={200: {"model": Suppression, "description": "The number was already suppressed."}},
)
async def create_suppression(
    body: NewSuppression, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Opt out a number by hand, with a reason.

    Its active enrollments end as with a STOP: `opted_out` if anything was sent, else
    `omitted_opted_out`; waiting one-off texts are canceled. 200 if the number was already
    suppressed. 422 `one_of_two` unless exactly one of `contact_id` and `phone` is given,
    `unknown_sender`; 404 for an unknown contact.
    """
    known = False

    async def create() -> object:
        nonlocal known
        row, is_new = await services.suppressions.suppress(
            contact_id=body.contact_id,
            phone=body.phone,
            sender_id=body.sender_id,
            reason=body.reason,
            user_id=user.id,
        )
        known = not is_new
        return row

    return await once.answer(create, status_code=lambda: 200 if known else 201, repeatable=True)


@router.get("")
async def list_suppressions(
    query: InQuery[SuppressionQuery], services: ServicesDep
) -> Listing[Suppression]:
    """List opted-out numbers with their evidence, newest first; lifted ones too."""
    find = partial(
        services.suppressions.find,
        search=query.search,
        sources=query.source,
        is_standing=query.standing,
    )
    return await CURSORS.listing(Suppression, query, find)


@router.get("/{suppression_id}")
async def get_suppression(suppression_id: UUID, services: ServicesDep) -> Suppression:
    """Return one suppression."""
    return Suppression.model_validate(await services.suppressions.get(suppression_id))


@router.post("/{suppression_id}/lift", response_model=Suppression)
async def lift_suppression(
    suppression_id: UUID, body: Lifting, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Lift a suppression, with a reason; it stays as evidence, and nothing resumes by itself.

    Members can lift what was done by hand; only an admin can lift what the person asked for or the
    provider reported (403 `forbidden`). 409 `already_lifted`.
    """
    return await once.answer(
        lambda: services.suppressions.lift(
            suppression_id, reason=body.reason, user_id=user.id, role=user.role
        ),
        repeatable=True,
    )
