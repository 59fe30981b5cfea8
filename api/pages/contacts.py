"""Contacts: the list, the form of one, and one with its groups, enrollments and opt-outs."""

from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, field_validator, model_validator
from starlette.responses import Response

from api.contacts import CURSORS, ContactFilter
from api.dependencies import AdminOnly
from api.pages.addresses import PlaceQuery, as_view, listed
from api.pages.contact_acts import count_matching
from api.pages.countries import COUNTRIES
from api.pages.forms import FormErrors, FormFields, chosen, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep
from api.pages.times import TIME_ZONES
from api.pages.values import in_words
from api.paging import FilterQuery, InQuery
from domain.contacts.fields import Value, as_text
from domain.platform.errors import ConflictError, SegueError
from domain.platform.provider_errors import explain
from domain.statuses.contacts import LineType
from services.contacts.values import ContactFields
from services.suppression.suppressions import may_lift
from storage.contacts.contacts import ContactDetails

router = APIRouter()

_LINES = [("", "Unknown"), *((one.value, words) for one, words in LABELS.line_types.items())]
_CONSENTS_MOST = 50
_FIELD = "field."
_COUNTRIES = [("", "Detect from number"), *COUNTRIES]
_ZONES = [("", "Detect from number"), *TIME_ZONES]


class ListQuery(ContactFilter, PlaceQuery):
    """Query of the list."""


class NewContactQuery(FilterQuery):
    """Fields of a new contact that are filled in already."""

    phone: Annotated[str, Field(max_length=50)] = ""


class ContactForm(FormFields):
    """A contact as typed; an empty value means none. ``fields`` are those sent as ``field.KEY``.

    ``edition`` tells the values that the form was filled from; empty for any.
    """

    edition: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    time_zone: str = ""
    country: str = ""
    state: str = ""
    postal_code: str = ""
    line_type: str = ""
    external_id: str = ""
    owner_id: str = ""
    fields: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_fields(cls, given: Any) -> Any:  # noqa: ANN401 - a form, or a contact
        if not isinstance(given, Mapping):
            return given
        own = {
            name.removeprefix(_FIELD): value
            for name, value in given.items()
            if name.startswith(_FIELD) and isinstance(value, str)
        }
        return {**given, "fields": own}

    @field_validator("fields", mode="before")
    @classmethod
    def _write_fields(cls, given: Mapping[str, Value]) -> Mapping[str, str]:
        return {key: as_text(value) for key, value in given.items()}

    @field_validator("owner_id", mode="before")
    @classmethod
    def _write_id(cls, given: object) -> str:
        return str(given) if given else ""

    def written(self) -> ContactFields:
        """Return the values as the service takes them."""
        line_type = chosen(LineType, self.line_type, field="line_type") if self.line_type else None
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "phone": self.phone,
            "time_zone": self.time_zone or None,
            "country": self.country or None,
            "state": self.state.strip() or None,
            "postal_code": self.postal_code.strip() or None,
            "line_type": line_type,
            "external_id": self.external_id.strip() or None,
            "owner_id": chosen_id(self.owner_id, field="owner_id") if self.owner_id else None,
            "fields": {key: value.strip() or None for key, value in self.fields.items()},
        }

    def changes(self, before: ContactFields) -> ContactFields:
        """Return what differs from before."""
        now = self.written()
        own = {
            key: value for key, value in now["fields"].items() if value != before["fields"].get(key)
        }
        changed = {
            name: value
            for name, value in now.items()
            if name != "fields" and value != before.get(name)
        }
        return cast("ContactFields", {**changed, **({"fields": own} if own else {})})

    def require_edition(self, contact: ContactDetails | None) -> None:
        """Refuse to overwrite values that somebody else saved since the form was shown.

        Raises:
            ConflictError: ``contact_outdated``.
        """
        if contact is not None and self.edition not in {"", edition_of(contact)}:
            raise ConflictError(
                "contact_outdated",
                "someone else changed this contact. Look at their changes, or save again to"
                " overwrite them",
            )


def edition_of(contact: ContactDetails) -> str:
    """Name an edition of a contact's values."""
    values = ContactForm.model_validate(contact).model_dump_json()
    return blake2b(values.encode(), digest_size=8).hexdigest()


@router.get("/contacts")
async def show_contacts(page: PageDep, query: InQuery[ListQuery]) -> Response:
    """List contacts, by name unless another order is asked for."""
    find = partial(page.services.contacts.find, query.wanted(), sort=query.sort)
    contacts, address = await listed(page.path_to("show_contacts"), query, CURSORS, find)
    whole = not address.following and query.cursor is None
    return page.render(
        "contacts/index.html",
        part="contacts/_list.html",
        query=query,
        filtered=query.wanted() != ContactFilter().wanted(),
        contacts=contacts,
        matching=await count_matching(page, query.wanted(), len(contacts), whole=whole),
        address=address,
        shown_query=as_view(query),
        owners=await page.services.users.names_of(
            {one.owner_id for one in contacts if one.owner_id}
        ),
        group_options=[] if page.wants_part else await page.group_options(),
        own=[] if page.wants_part else await page.services.fields.all(),
    )


@router.get("/contacts/new")
async def new_contact(page: PageDep, query: InQuery[NewContactQuery]) -> Response:
    """Show the form of a new contact."""
    return await _render_form(page, ContactForm(phone=query.phone))


@router.post("/contacts/new")
async def add_contact(page: PageDep, form: InForm[ContactForm]) -> Response:
    """Add a contact."""
    try:
        added = await page.services.contacts.create(form.written())
    except SegueError as error:
        return await _refuse(page, form, error)
    return page.redirect_to("show_contact", f"{added.name} added.", contact_id=added.id)


@router.get("/contacts/{contact_id}")
async def show_contact(page: PageDep, contact_id: UUID) -> Response:
    """Show one contact."""
    services = page.services
    contact = await services.contacts.get(contact_id)
    groups = await services.groups.of_contact(contact_id)
    trail = await services.suppressions.of_contact(contact_id)
    return page.render(
        "contacts/contact.html",
        contact=contact,
        groups=groups,
        own=[
            (one, in_words(one.type, contact.fields[one.key]))
            for one in await services.fields.all()
            if one.key in contact.fields
        ],
        owner=(await services.users.names_of([contact.owner_id])).get(contact.owner_id)
        if contact.owner_id
        else None,
        enrollments=await services.enrollment_list.of_contact(contact_id),
        consents=(await services.consents.find(contact_id, limit=_CONSENTS_MOST)).items,
        trail=trail,
        liftable={one.id for one in trail if may_lift(one, page.user.role)},
        explain=explain,
    )


@router.get("/contacts/{contact_id}/edit")
async def edit_contact(page: PageDep, contact_id: UUID) -> Response:
    """Show the form of a contact."""
    contact = await page.services.contacts.get(contact_id)
    return await _render_form(page, ContactForm.model_validate(contact), contact)


@router.post("/contacts/{contact_id}/edit")
async def change_contact(page: PageDep, contact_id: UUID, form: InForm[ContactForm]) -> Response:
    """Change the fields of a contact that differ from before."""
    contact = await page.services.contacts.get(contact_id)
    before = ContactForm.model_validate(contact).written()
    try:
        changed = await page.services.contacts.update(
            contact_id, form.changes(before), only_if=form.require_edition
        )
    except SegueError as error:
        return await _refuse(page, form, error, contact)
    return page.redirect_to("show_contact", f"{changed.name} saved.", contact_id=contact_id)


@router.post("/contacts/{contact_id}/erase", dependencies=[AdminOnly])
async def erase_contact(page: PageDep, contact_id: UUID) -> Response:
    """Erase a contact for good."""
    await page.services.erasure.erase(contact_id, page.user.id)
    return page.redirect_to("show_contacts", "Contact erased.")


async def _refuse(
    page: Page, form: ContactForm, error: SegueError, contact: ContactDetails | None = None
) -> Response:
    """Show the form again with its errors; a taken number gets a link to the contact who has it."""
    if isinstance(error, ConflictError) and error.conflict == "phone_taken":
        page.errors = FormErrors({"phone": "belongs to another contact"}, status=409)
        return await _render_form(page, form, contact, holder=error.facts.get("contact_id"))
    page.refuse(error)
    return await _render_form(page, form, contact)


async def _render_form(
    page: Page, form: ContactForm, contact: ContactDetails | None = None, *, holder: object = None
) -> Response:
    """Show the form of a contact; ``holder`` is the contact who already has its number."""
    return page.render(
        "contacts/form.html",
        form=form,
        contact=contact,
        edition=edition_of(contact) if contact is not None else "",
        holder=holder,
        zones=_ZONES,
        countries=_COUNTRIES,
        lines=_LINES,
        own=await page.services.fields.all(),
        owners=[
            ("", "Unassigned"),
            *await page.owner_options(contact.owner_id if contact is not None else None),
        ],
    )
