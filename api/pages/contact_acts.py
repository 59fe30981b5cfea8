"""Actions on the contacts ticked in a list, or on all that match: those of a group as well."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.contacts import ContactFilter
from api.dependencies import MembersOnly
from api.pages.addresses import address
from api.pages.forms import FormFields, chosen_id
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.selecting import NAMED, SelectionQuery, add_to_group, answer, ask
from api.paging import InQuery
from domain.contacts.names import called
from domain.platform.errors import InvalidFieldError
from services.contacts.contacts import COUNTED
from storage.contacts import contacts as stored
from storage.jobs.contact_actions import Outlook
from storage.jobs.jobs import JobDetails

router = APIRouter()

_NOBODY = "nobody"


class ContactAct(StrEnum):
    """An action, as addresses name it."""

    ENROLL = "enroll"
    ADD_TO_GROUP = "add-to-group"
    REMOVE_FROM_GROUP = "remove-from-group"
    ASSIGN = "assign"
    OPT_OUT = "opt-out"


class Selection(ContactFilter, SelectionQuery):
    """The contacts to act on.

    Attributes:
        of_group: The group whose page they are ticked on.
        imported: Instead of these, all of an import that is done; for enrolling only.
    """

    of_group: UUID | None = None
    imported: UUID | None = None

    def chosen(self) -> ContactFilter:
        """Return the selection as a filter, without the list's order and position.

        Raises:
            InvalidFieldError: Nobody is ticked.
        """
        found = self.selected(ContactFilter, "contact")
        if self.everyone and self.of_group:
            found.group = [self.of_group]
        return found

    def query(self) -> str:
        """Return the selection as a query string."""
        whom = None if self.imported else self.chosen()
        return self.as_query(whom, of_group=self.of_group, imported=self.imported)

    def enroll_query(self) -> dict[str, object]:
        """Return the selection as the query of the page that enrolls."""
        if self.imported:
            return {"way": "import", "job_id": self.imported}
        whom = self.chosen().as_parameters()
        if not self.everyone:
            return {"way": "contacts", **whom}
        if whom.keys() == {"group"} and len(whom["group"]) == 1:
            return {"way": "group", "group_id": whom["group"][0]}
        return {"way": "list", "matching": urlencode(whom, doseq=True) or "everyone=true"}


class ActFields(FormFields):
    """The action's own fields: a sequence, a group, an owner or a reason.

    ``shown`` is how many contacts the dialog named.
    """

    sequence_id: str = ""
    group_id: str = ""
    new_group: str = ""
    owner_id: str = ""
    reason: str = ""
    shown: int | None = None


@dataclass(frozen=True)
class Matching:
    """How many contacts match a list's filters; in ``words`` "10,000+" where there are more."""

    number: int
    words: str

    @classmethod
    def of(cls, count: int) -> "Matching":
        """Write a count of ``Contacts.count``."""
        if count > COUNTED:
            return cls(COUNTED, f"{COUNTED:,}+")
        return cls(count, f"{count:,}")


@router.get("/contacts/act/{contact_act}", dependencies=[MembersOnly])
async def show_contact_act(
    page: PageDep, contact_act: ContactAct, selection: InQuery[Selection]
) -> Response:
    """Show the dialog of an action: how many people it affects, and what it does."""
    return await _ask(page, contact_act, selection)


@router.post("/contacts/act/{contact_act}")
async def do_contact_act(
    page: PageDep,
    contact_act: ContactAct,
    selection: InQuery[Selection],
    form: InForm[ActFields],
) -> Response:
    """Run the action, in the background on very many; enrolling goes on to its own page."""
    with page.refusing():
        if contact_act is ContactAct.ENROLL:
            sequence_id = chosen_id(form.sequence_id, field="sequence_id")
            path = page.path_to("show_enroll", sequence_id=sequence_id)
            return page.redirect(address(path, **selection.enroll_query()))
        job = await _act(page, contact_act, selection, form)
        return answer(page, job, event=PageEvent.CONTACTS_CHANGED)
    return await _ask(page, contact_act, selection, form)


async def count_matching(
    page: Page, wanted: stored.ContactFilter, shown: int, *, whole: bool
) -> Matching:
    """Count whom a list's filters match; those ``shown`` may be the ``whole`` list."""
    return Matching.of(shown if whole else await page.services.contacts.count(wanted))


async def _act(page: Page, act: ContactAct, selection: Selection, form: ActFields) -> JobDetails:
    actions, user_id = page.services.contact_actions, page.user.id
    wanted = selection.chosen().wanted()
    match act:
        case ContactAct.ADD_TO_GROUP:
            return await add_to_group(
                page, wanted, form.group_id, form.new_group, at_most=form.shown
            )
        case ContactAct.REMOVE_FROM_GROUP:
            if selection.of_group is None:
                raise InvalidFieldError("contact", "is of no group; select on the group's page")
            return await actions.remove_from_group(
                wanted, user_id, group_id=selection.of_group, at_most=form.shown
            )
        case ContactAct.ASSIGN:
            wrong = "is missing; choose someone, or no one"
            owner_id = None
            if form.owner_id != _NOBODY:
                owner_id = chosen_id(form.owner_id, field="owner_id", reason=wrong)
            return await actions.assign(wanted, user_id, owner_id=owner_id, at_most=form.shown)
        case ContactAct.OPT_OUT:
            return await actions.opt_out(wanted, user_id, reason=form.reason, at_most=form.shown)
        case ContactAct.ENROLL:
            raise InvalidFieldError("sequence_id", "is missing; choose one")


async def _ask(
    page: Page, act: ContactAct, selection: Selection, form: ActFields | None = None
) -> Response:
    services = page.services
    names: list[str] = []
    if selection.imported:
        outlook = Outlook(await services.jobs.count_imported(selection.imported), 0, 0)
    else:
        wanted = selection.chosen().wanted()
        outlook = await services.contact_actions.outlook(wanted)
        found = (await services.contacts.find(wanted, limit=NAMED)).items
        names = [called(one.name, one.phone) for one in found]
    sequences = await services.pickers.open_sequences() if act is ContactAct.ENROLL else []
    owners = await page.owner_options() if act is ContactAct.ASSIGN else []
    return await ask(
        page,
        "contacts/_act.html",
        selection.query(),
        names=names,
        adds=act is ContactAct.ADD_TO_GROUP,
        act=act,
        outlook=outlook,
        sequence_options=[(str(one.id), one.name) for one in sequences],
        owner_options=[
            ("", "Choose someone"),
            (_NOBODY, "No one (shared inbox)"),
            *owners,
        ],
        form=form or ActFields(),
    )
