"""Noting a consent of a contact by hand."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import MembersOnly
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.contacts.consents import moment_of
from domain.contacts.names import called

router = APIRouter()


class ConsentForm(FormFields):
    """A consent as typed; an empty day means now. ``stay`` leads back to the page it began on."""

    source: str = ""
    wording: str = ""
    written: bool = False
    given_at: str = ""
    stay: bool = False


@router.get("/contacts/{contact_id}/consent", dependencies=[MembersOnly])
async def ask_consent(page: PageDep, contact_id: UUID, *, stay: bool = False) -> Response:
    """Ask what a contact agreed to."""
    return await _ask(page, contact_id, ConsentForm(stay=stay))


@router.post("/contacts/{contact_id}/consent")
async def add_consent(page: PageDep, contact_id: UUID, form: InForm[ConsentForm]) -> Response:
    """Note a consent of a contact."""
    with page.refusing():
        day = form.given_at
        await page.services.consents.add(
            contact_id,
            {
                "source": form.source,
                "wording": form.wording,
                "written": form.written,
                "given_at": moment_of(day, datetime.now(UTC)) if day.strip() else None,
            },
            page.user.id,
        )
        if form.stay:
            words = "Consent recorded. If it was all that was missing, sending resumes by itself."
            return page.done(words, event=PageEvent.PEOPLE_CHANGED)
        return page.redirect_to("show_contact", "Consent recorded.", contact_id=contact_id)
    return await _ask(page, contact_id, form)


async def _ask(page: Page, contact_id: UUID, form: ConsentForm) -> Response:
    contact = await page.services.contacts.get(contact_id)
    return page.part("contacts/_consent.html", who=called(contact.name, contact.phone), form=form)
