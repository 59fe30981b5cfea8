"""The list of contacts, and the form of one."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.contacts import CURSORS, ContactFilter
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.choices import group_options
from api.pages.forms import FormErrors, FormFields, chosen
from api.pages.labels import LABELS
from api.pages.page import InForm, InQuery, Page, PageDep
from api.pages.times import TIME_ZONES
from api.paging import FilterQuery
from domain.platform.errors import ConflictError, SegueError
from domain.statuses.contacts import LineType
from services.contacts.contacts import ContactFields
from storage.contacts.contacts import ContactDetails

router = APIRouter()

ROWS = 50
"""How many contacts a page shows."""


_LINES = [("", "Not known"), *((one.value, words) for one, words in LABELS.line_types.items())]
_ZONES = [("", "As the number tells"), *TIME_ZONES]


class ListQuery(ContactFilter, PlaceQuery):
    """Query of the list."""


class NewContactQuery(FilterQuery):
    """Fields of a new contact that are filled in already."""

    phone: Annotated[str, Field(max_length=50)] = ""


class ContactForm(FormFields):
    """A contact as typed; an empty time zone or line type means unknown."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    time_zone: str = ""
    line_type: str = ""

    def fields(self) -> ContactFields:
        """Return the fields as the service takes them."""
        line_type = chosen(LineType, self.line_type, field="line_type") if self.line_type else None
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "phone": self.phone,
            "time_zone": self.time_zone or None,
            "line_type": line_type,
        }


@router.get("/contacts")
async def show_contacts(page: PageDep, query: InQuery[ListQuery]) -> Response:
    """List contacts, by name unless another order is asked for."""
    found = await page.services.contacts.find(
        search=query.search,
        group_ids=query.group,
        sort=query.sort,
        after=CURSORS.read(query.cursor, query.sort),
        limit=ROWS,
    )
    address = Addresses(
        page.path_to("show_contacts"),
        query,
        CURSORS.write(found.next, query.sort),
        first_sort="name",
    )
    return page.render(
        "contacts/index.html",
        part="contacts/_list.html",
        query=query,
        filtered=bool(query.search or query.group),
        contacts=found.items,
        address=address,
        group_options=[] if page.wants_part else await group_options(page),
    )


@router.get("/contacts/new")
async def new_contact(page: PageDep, query: InQuery[NewContactQuery]) -> Response:
    """Show the form of a new contact."""
    return render_form(page, ContactForm(phone=query.phone))


@router.post("/contacts/new")
async def add_contact(page: PageDep, form: InForm[ContactForm]) -> Response:
    """Add a contact."""
    try:
        added = await page.services.contacts.create(form.fields())
    except SegueError as error:
        return refuse(page, form, error)
    return page.redirect_to("show_contact", f"{added.name} is added.", contact_id=added.id)


def refuse(
    page: Page, form: ContactForm, error: SegueError, contact: ContactDetails | None = None
) -> Response:
    """Show the form again with its errors; a taken number gets a link to the contact who has it."""
    if isinstance(error, ConflictError) and error.conflict == "phone_taken":
        page.errors = FormErrors({"phone": "is another contact's"}, status=409)
        return render_form(page, form, contact, holder=error.facts.get("contact_id"))
    page.refuse(error)
    return render_form(page, form, contact)


def render_form(
    page: Page, form: ContactForm, contact: ContactDetails | None = None, *, holder: object = None
) -> Response:
    """Show the form of a contact; ``holder`` is the contact who already has its number."""
    return page.render(
        "contacts/form.html", form=form, contact=contact, holder=holder, zones=_ZONES, lines=_LINES
    )
