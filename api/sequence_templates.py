"""Routes of what new sequences can begin with."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.sequences import NewTemplate, SequenceTemplate

router = APIRouter(prefix="/sequence-templates", tags=["sequences"])

CURSORS = Cursors("sequence-templates", "name", {"name": str})


@router.get("")
async def list_templates(
    query: InQuery[PageQuery], services: ServicesDep
) -> Listing[SequenceTemplate]:
    """List templates by name, those that ship among them.

    To begin a sequence with one, send its `kind`, `steps` and settings, a name and a sender to
    `POST /api/sequences`.
    """
    return await CURSORS.listing(SequenceTemplate, query, services.templates.find)


@router.post("", status_code=201, response_model=SequenceTemplate)
async def create_template(
    body: NewTemplate, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Save a sequence's settings and present steps as a template.

    409 `template_taken` names the template that has the name, `too_many_templates` is for more
    than 100; 404 for no such sequence.
    """
    return await once.answer(
        lambda: services.templates.create(body.sequence_id, body.name, body.description, user.id)
    )


@router.get("/{template_id}")
async def get_template(template_id: UUID, services: ServicesDep) -> SequenceTemplate:
    """Return one template."""
    return SequenceTemplate.model_validate(await services.templates.get(template_id))


@router.delete("/{template_id}", status_code=204)
async def delete_template(template_id: UUID, services: ServicesDep) -> None:
    """Delete a template; sequences that began with it stay as they are.

    409 `template_shipped` for one that ships.
    """
    await services.templates.remove(template_id)
