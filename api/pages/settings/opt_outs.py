"""Settings > Opt-outs: opted-out numbers with their evidence; opting out by hand, and lifting."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.addresses import PlaceQuery, listed
from api.pages.forms import FormFields
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, own_path
from api.paging import InQuery
from api.suppressions import CURSORS, SuppressionFilter
from domain.contacts.names import called
from domain.platform.phones import readable
from domain.platform.provider_errors import explain
from services.suppression.suppressions import may_lift
from storage.suppression.suppressions import SuppressionRow

router = APIRouter()


class ListQuery(SuppressionFilter, PlaceQuery):
    """Query of the list."""


class ReasonFields(FormFields):
    """The reason, and the number if it is not a contact's."""

    phone: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """A dialog that asks for a reason; ``confirm`` is the label of its button."""

    title: str
    words: str
    confirm: str
    asks_phone: bool = False
    is_danger: bool = True


_STOPS = (
    "Sequences stop texting this number. Its active enrollments end now, scheduled messages are"
    " canceled, and it stays opted out until someone removes the opt-out."
)


@router.get("/settings/opt-outs")
async def show_opt_outs(page: PageDep, query: InQuery[ListQuery]) -> Response:
    """List opted-out numbers with their evidence, newest first."""
    find = partial(
        page.services.suppressions.find,
        search=query.search,
        sources=query.source,
        is_standing=query.standing,
    )
    trail, address = await listed(page.path_to("show_opt_outs"), query, CURSORS, find)
    return page.render(
        "settings/opt_outs.html",
        part="opt_outs/_list.html",
        query=query,
        filtered=bool(query.search or query.source or query.standing is not None),
        trail=trail,
        liftable={one.id for one in trail if may_lift(one, page.user.role)},
        address=address,
        explain=explain,
        source_options=list(LABELS.opt_out_sources.items()),
    )


@router.get("/settings/opt-outs/add")
async def ask_opt_out(page: PageDep) -> Response:
    """Ask for a number to opt out and the reason."""
    return ask_reason(page, _OF_NUMBER)


@router.post("/settings/opt-outs/add")
async def opt_out_number(page: PageDep, form: InForm[ReasonFields]) -> Response:
    """Opt a number out by hand."""
    with page.refusing():
        row, is_new = await _suppress(page, form)
        number = readable(row.phone or form.phone)
        words = "opted out." if is_new else "was already opted out; your reason was saved."
        return page.redirect_to("show_opt_outs", f"{number} {words}")
    return ask_reason(page, _OF_NUMBER, form)


@router.get("/contacts/{contact_id}/opt-out")
async def ask_contact_opt_out(page: PageDep, contact_id: UUID) -> Response:
    """Ask for the reason to opt out a contact."""
    return ask_reason(page, await _of_contact(page, contact_id))


@router.post("/contacts/{contact_id}/opt-out")
async def opt_out_contact(page: PageDep, contact_id: UUID, form: InForm[ReasonFields]) -> Response:
    """Opt a contact out by hand."""
    with page.refusing():
        await _suppress(page, form, contact_id)
        back = own_path(page.request.headers.get("hx-current-url"))
        contact = page.path_to("show_contact", contact_id=contact_id)
        return page.redirect(back if back != "/" else contact, "Contact opted out.")
    return ask_reason(page, await _of_contact(page, contact_id), form)


@router.get("/settings/opt-outs/{suppression_id}/lift")
async def ask_lift(page: PageDep, suppression_id: UUID) -> Response:
    """Ask for the reason to lift an opt-out."""
    return ask_reason(page, await _of_lifting(page, suppression_id))


@router.post("/settings/opt-outs/{suppression_id}/lift")
async def lift_opt_out(page: PageDep, suppression_id: UUID, form: InForm[ReasonFields]) -> Response:
    """Lift an opt-out; the service checks the user's role."""
    with page.refusing():
        await page.services.suppressions.lift(
            suppression_id, reason=form.reason, user_id=page.user.id, role=page.user.role
        )
        back = own_path(page.request.headers.get("hx-current-url"))
        words = "Opt-out removed. Nothing resumes by itself; enroll them again to continue."
        return page.redirect(back if back != "/" else page.path_to("show_opt_outs"), words)
    return ask_reason(page, await _of_lifting(page, suppression_id), form)


async def _suppress(
    page: Page, form: ReasonFields, contact_id: UUID | None = None
) -> tuple[SuppressionRow, bool]:
    return await page.services.suppressions.suppress(
        contact_id=contact_id,
        phone=None if contact_id else form.phone,
        sender_id=None,
        reason=form.reason,
        user_id=page.user.id,
    )


_OF_NUMBER = Question("Opt out a number", _STOPS, "Opt out", asks_phone=True)


def question_of(who: str) -> Question:
    """Make the question whether to opt somebody out."""
    return Question(f"Opt out {who}?", _STOPS, "Opt out")


async def _of_contact(page: Page, contact_id: UUID) -> Question:
    contact = await page.services.contacts.get(contact_id)
    return question_of(called(contact.name, contact.phone))


async def _of_lifting(page: Page, suppression_id: UUID) -> Question:
    row = await page.services.suppressions.get(suppression_id)
    who = called(row.contact_name, row.phone) if row.phone else "An erased number"
    words = (
        f"{who} can be texted again. The opt-out stays on record with your name and reason."
        " Make sure they agreed. A carrier that blocks texts to them keeps doing so until they"
        " text START."
    )
    return Question("Remove the opt-out?", words, "Remove opt-out", is_danger=False)


def ask_reason(page: Page, question: Question, form: ReasonFields | None = None) -> Response:
    """Ask for a reason in a dialog, whose form is sent to the address that it is at."""
    return page.part("opt_outs/_ask.html", question=question, form=form or ReasonFields())
