"""Contacts: everyone there is, found by name and number."""

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

from api.contacts import CURSORS
from api.exports import ContactsExportQuery
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.forms import NO_ERRORS, FormErrors, FormFields, chosen
from api.pages.group_choices import group_options
from api.pages.page import Page, PageDep
from api.pages.times import TIME_ZONES
from api.paging import FilterQuery
from domain.platform.errors import ConflictError, SegueError
from domain.statuses.contacts import LineType
from services.contacts.contacts import ContactDetails, ContactFields

router = APIRouter()

ROWS = 50
"""How many contacts a page of a list shows."""

LINE_WORDS = {
    LineType.MOBILE: "Mobile",
    LineType.LANDLINE: "Landline",
    LineType.TOLL_FREE: "Toll-free",
    LineType.FIXED_VOIP: "Internet, at a fixed place",
    LineType.NON_FIXED_VOIP: "Internet, anywhere",
    LineType.PERSONAL: "Personal number",
    LineType.PREMIUM: "Premium rate",
    LineType.VOICEMAIL: "Voicemail",
    LineType.SHARED_COST: "Shared cost",
    LineType.UAN: "Company-wide number",
    LineType.PAGER: "Pager",
    LineType.UNKNOWN: "Looked up, and unknown",
}
"""What kind of line a number is, in words."""

_FIRST_SORT = "name"
_LINES = [("", "Not known"), *((one.value, words) for one, words in LINE_WORDS.items())]
_ZONES = [("", "As the number tells"), *TIME_ZONES]


class ListQuery(ContactsExportQuery, PlaceQuery):
    """What the list's address says."""


class NewContactQuery(FilterQuery):
    """What is known of a contact who is to be added."""

    phone: Annotated[str, Field(max_length=50)] = ""


class ContactForm(FormFields):
    """A contact as typed; an empty time zone or line type is not known."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    time_zone: str = ""
    line_type: str = ""

    @classmethod
    def of(cls, contact: ContactDetails) -> "ContactForm":
        """Fill in what is known."""
        return cls(
            first_name=contact.first_name,
            last_name=contact.last_name,
            phone=contact.phone,
            time_zone=contact.time_zone or "",
            line_type=contact.line_type or "",
        )

    def fields(self) -> ContactFields:
        """Give it as services take it.

        Raises:
            InvalidFieldError: There is no such line type.
        """
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "phone": self.phone,
            "time_zone": self.time_zone or None,
            "line_type": chosen(LineType, self.line_type, field="line_type")
            if self.line_type
            else None,
        }


@router.get("/contacts")
async def show_contacts(page: PageDep, query: Annotated[ListQuery, Query()]) -> Response:
    """List contacts, by name if nothing else is asked for."""
    found = await page.services.contacts.find(
        search=query.search,
        group_ids=query.group,
        sort=query.sort,
        after=CURSORS.read(query.cursor, query.sort),
        limit=ROWS,
    )
    address = Addresses(page.path_to("show_contacts"), query, first_sort=_FIRST_SORT)
    return page.render(
        "contacts/index.html",
        part="contacts/_list.html",
        query=query,
        filtered=bool(query.search or query.group),
        contacts=found.items,
        address=address,
        following=address.following(CURSORS.write(found.next, query.sort)),
        group_options=[] if page.wants_part else await group_options(page),
        line_words=LINE_WORDS,
    )


@router.get("/contacts/new")
async def new_contact(page: PageDep, query: Annotated[NewContactQuery, Query()]) -> Response:
    """Ask who is to be added."""
    return render_form(page, ContactForm(phone=query.phone))


@router.post("/contacts/new")
async def add_contact(page: PageDep, form: Annotated[ContactForm, Form()]) -> Response:
    """Add a contact."""
    try:
        added = await page.services.contacts.create(form.fields())
    except SegueError as error:
        return refuse(page, form, error)
    path = page.path_to("show_contact", contact_id=added.id)
    return page.redirect(path, f"{added.name} is added.")


def refuse(
    page: Page, form: ContactForm, error: SegueError, contact: ContactDetails | None = None
) -> Response:
    """Say what is wrong with a contact; whose a number is already, with the way there."""
    if isinstance(error, ConflictError) and error.conflict == "phone_taken":
        errors = FormErrors({"phone": "is another contact's"}, status=409)
        holder = cast("str | None", error.facts.get("contact_id"))
        return render_form(page, form, contact, errors=errors, holder=holder)
    return render_form(page, form, contact, errors=FormErrors.of(error))


def render_form(
    page: Page,
    form: ContactForm,
    contact: ContactDetails | None = None,
    *,
    errors: FormErrors = NO_ERRORS,
    holder: UUID | str | None = None,
) -> Response:
    """Show the form of a contact.

    Args:
        page: The request.
        form: What it holds.
        contact: Whose it is; None for a new one.
        errors: What is wrong.
        holder: The contact who has the number already.
    """
    context: dict[str, Any] = {"form": form, "contact": contact, "holder": holder}
    return page.render("contacts/form.html", errors=errors, zones=_ZONES, lines=_LINES, **context)
