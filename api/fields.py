"""Routes of the fields of contacts."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import AdminOnly, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.contacts import ContactField, FieldChanges, NewField

router = APIRouter(prefix="/fields", tags=["fields"])

CURSORS = Cursors("fields", "key", {"key": str})


@router.post("", status_code=201, response_model=ContactField)
async def create_field(body: NewField, services: ServicesDep, once: OnceDep) -> Response:
    """Add a field that contacts can have a value of.

    409 `field_taken` names the field that already has the key, `field_limit` is for more than
    50, `field_being_deleted` for a key whose old values are not all deleted yet. 422 `reserved_key`
    for a key that has a meaning of its own, such as `first_name`.
    """
    return await once.answer(
        lambda: services.fields.create(body.key, body.label, body.type), repeatable=True
    )


@router.get("")
async def list_fields(query: InQuery[PageQuery], services: ServicesDep) -> Listing[ContactField]:
    """List the workspace's fields by key; there are at most 50."""
    return await CURSORS.listing(ContactField, query, services.fields.find)


@router.get("/{field_id}")
async def get_field(field_id: UUID, services: ServicesDep) -> ContactField:
    """Return one field."""
    return ContactField.model_validate(await services.fields.get(field_id))


@router.patch("/{field_id}")
async def change_field(field_id: UUID, body: FieldChanges, services: ServicesDep) -> ContactField:
    """Change a field's label; its key and type never change."""
    changed = await services.fields.update(field_id, body.as_changes())
    return ContactField.model_validate(changed)


@router.delete("/{field_id}", status_code=204, dependencies=[AdminOnly])
async def delete_field(field_id: UUID, services: ServicesDep) -> None:
    """Delete a field, and its value of every contact.

    Nothing shows the values from the answer on; those of very many contacts are deleted in the
    background.

    409 `field_in_use`: current steps of sequences that are not archived, or steps of an older
    version in which somebody is active, contain it as `{{key}}`; `sequences` says how many
    sequences. Contacts do not count as changed by this.
    """
    await services.fields.remove(field_id)
