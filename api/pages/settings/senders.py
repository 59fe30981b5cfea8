"""Settings > Senders: the numbers and services that texts go out from, their rates and holds."""

from decimal import Decimal, InvalidOperation
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.platform.errors import InvalidFieldError
from services.messaging.senders import SenderDetails, SenderFields

router = APIRouter()

_MOST = 200
_SERVICE = "MG"


class SenderFormFields(FormFields):
    """A sender; ``identity`` is its number or its Messaging Service's SID."""

    name: str = ""
    identity: str = ""
    segments_per_second: str = "1"


@router.get("/settings/senders")
async def show_senders(page: PageDep) -> Response:
    """Show all senders; the page asks again for new and released holds."""
    senders = (await page.services.senders.find(limit=_MOST)).items
    return page.render("settings/senders.html", part="settings/_senders.html", senders=senders)


@router.get("/settings/senders/new", dependencies=[AdminOnly])
async def new_sender(page: PageDep) -> Response:
    """Show the dialog of a new sender."""
    return _ask(page, SenderFormFields())


@router.post("/settings/senders", dependencies=[AdminOnly])
async def create_sender(page: PageDep, form: InForm[SenderFormFields]) -> Response:
    """Add a sender."""
    identity = form.identity.strip()
    is_service = identity.upper().startswith(_SERVICE)
    with page.refusing(phone="identity", messaging_service_sid="identity"):
        fields: SenderFields = {
            "name": form.name,
            "segments_per_second": _rate(form),
            "phone": None if is_service else identity,
            "messaging_service_sid": identity if is_service else None,
        }
        made = await page.services.senders.create(fields)
        return page.done(f"{made.name} added.", event=PageEvent.SENDERS_CHANGED)
    return _ask(page, form)


@router.get("/settings/senders/{sender_id}/edit", dependencies=[AdminOnly])
async def edit_sender(page: PageDep, sender_id: UUID) -> Response:
    """Show the dialog of a sender."""
    sender = await page.services.senders.get(sender_id)
    rate = f"{sender.segments_per_second.normalize():f}"
    return _ask(page, SenderFormFields(name=sender.name, segments_per_second=rate), sender)


@router.post("/settings/senders/{sender_id}", dependencies=[AdminOnly])
async def change_sender(page: PageDep, sender_id: UUID, form: InForm[SenderFormFields]) -> Response:
    """Change a sender's name or rate."""
    with page.refusing():
        fields: SenderFields = {"name": form.name, "segments_per_second": _rate(form)}
        changed = await page.services.senders.update(sender_id, fields)
        return page.done(f"{changed.name} saved.", event=PageEvent.SENDERS_CHANGED)
    return _ask(page, form, await page.services.senders.get(sender_id))


@router.get("/settings/senders/{sender_id}/release", dependencies=[AdminOnly])
async def confirm_release(page: PageDep, sender_id: UUID) -> Response:
    """Ask before releasing a sender; the dialog says what that does."""
    sender = await page.services.senders.get(sender_id)
    return page.part("settings/_sender_release.html", sender=sender)


@router.post("/settings/senders/{sender_id}/release", dependencies=[AdminOnly])
async def release_sender(page: PageDep, sender_id: UUID) -> Response:
    """Release a sender and what waits for it."""
    sender = await page.services.senders.get(sender_id)
    count = await page.services.holds.release_sender(sender_id, page.user.id)
    goes_on = f"{count:,} enrollment resumes" if count == 1 else f"{count:,} enrollments resume"
    return page.done(f"{sender.name} is off hold; {goes_on}.", event=PageEvent.SENDERS_CHANGED)


def _ask(page: Page, form: SenderFormFields, sender: SenderDetails | None = None) -> Response:
    return page.part("settings/_sender_form.html", form=form, sender=sender)


def _rate(form: SenderFormFields) -> Decimal:
    try:
        rate = Decimal(form.segments_per_second.strip())
    except InvalidOperation:
        rate = Decimal("nan")
    if not rate.is_finite():
        raise InvalidFieldError(
            "segments_per_second", "is not a number; enter one such as 1 or 0.5"
        )
    return rate
