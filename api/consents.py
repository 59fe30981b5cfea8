"""Routes of the consents of contacts."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.contacts import Consent, NewConsent

router = APIRouter(prefix="/contacts/{contact_id}/consents", tags=["contacts"])

_CURSORS = Cursors("consents", "-given_at", {"given_at": datetime})


@router.get("")
async def list_consents(
    contact_id: UUID, query: InQuery[PageQuery], services: ServicesDep
) -> Listing[Consent]:
    """List the consents of the number that a contact has, the latest first; revoked ones too."""
    find = partial(services.consents.find, contact_id)
    return await _CURSORS.within(contact_id).listing(Consent, query, find)


@router.post(
    "",
    status_code=201,
    response_model=Consent,
    responses={200: {"model": Consent, "description": "It was on record already."}},
)
async def add_consent(
    contact_id: UUID, body: NewConsent, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Note that a contact agreed to be texted at the number that they have.

    A consent is never changed or deleted, but erased with the contact; an opt-out after it revokes
    it for good. Enrollments that wait for it (`held_reason: consent_missing`) go on by themselves.
    200 if the same is on record. 422 `missing` if a written consent has no `wording`,
    `in_the_future`.
    """
    known = False

    async def add() -> object:
        nonlocal known
        consent, is_new = await services.consents.add(contact_id, body.as_fields(), user.id)
        known = not is_new
        return consent

    return await once.answer(add, status_code=lambda: 200 if known else 201)


@router.get("/{consent_id}")
async def get_consent(contact_id: UUID, consent_id: UUID, services: ServicesDep) -> Consent:
    """Return one consent of the number that a contact has."""
    return Consent.model_validate(await services.consents.get(contact_id, consent_id))
