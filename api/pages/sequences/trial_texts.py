"""Sending a step's text to oneself, from the Steps editor."""

from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import Sends
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.sequences.written import StepFields
from domain.platform.errors import InvalidFieldError
from domain.platform.phones import readable
from services.enrollments.previews import TextPreview
from services.messaging.trial_texts import TrialRecipient

router = APIRouter()


class TrialFields(FormFields):
    """The dialog's form.

    Attributes:
        agreed: The number that the user has been told about.
    """

    body: str = ""
    media: str = ""
    phone: str = ""
    agreed: str = ""
    message_id: UUID | None = None

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses without blank lines."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())


@router.post("/sequences/{sequence_id}/steps/test")
async def ask_test(
    page: PageDep, sequence_id: UUID, form: InForm[StepFields], step: str = ""
) -> Response:
    """Show the dialog that sends one text of the editor to oneself."""
    written = next((one for one in form.steps() if one.key == step), None)
    if written is None:
        raise InvalidFieldError("step", "is none of those on the page; load it again")
    last = await page.services.trial_texts.remembered(page.user.id)
    fields = TrialFields(
        body=written.body,
        media=written.media,
        phone=last.phone if last else "",
        message_id=uuid4(),
    )
    return await _ask(page, sequence_id, fields, last)


@router.post("/sequences/{sequence_id}/test", dependencies=[Sends])
async def send_test(page: PageDep, sequence_id: UUID, form: InForm[TrialFields]) -> Response:
    """Send the text, once the user knows whose number it is."""
    form.body = form.body.replace("\r\n", "\n")
    recipient = None
    with page.refusing():
        recipient = await page.services.trial_texts.recipient(page.user.id, form.phone)
        if recipient.is_remembered or recipient.phone == form.agreed:
            await page.services.trial_texts.send(
                form.message_id or uuid4(),
                sequence_id,
                page.user,
                form.phone,
                form.body,
                media_urls=form.media_urls,
            )
            words = f"The test is on its way to {readable(recipient.phone)}."
            return page.done(words, event=PageEvent.TEXTS_CHANGED)
    return await _ask(page, sequence_id, form, recipient)


async def _ask(
    page: Page, sequence_id: UUID, form: TrialFields, recipient: TrialRecipient | None = None
) -> Response:
    sequence = await page.services.sequences.get(sequence_id, counted=False)
    shown: TextPreview | None = None
    wrong = ""
    try:
        shown = await page.services.trial_texts.preview(
            form.body,
            page.user,
            recipient,
            media_urls=form.media_urls,
        )
    except InvalidFieldError as error:
        wrong = error.reason
    return page.part(
        "sequences/_test.html",
        sequence=sequence,
        form=form,
        shown=shown,
        wrong=wrong,
        recipient=None if page.errors else recipient,
    )
