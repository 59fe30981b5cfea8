"""New sequences: an empty one, or one that begins with a template; saving templates."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.composing import merge_labels
from api.pages.flash import Flash
from api.pages.forms import FormFields, chosen, chosen_id
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.sequences.frame import consents_taken
from api.pages.sequences.written import WrittenStep
from api.pages.times import Clock
from domain.sequences.placeholders import FIRST_TEXT
from domain.sequences.steps import StepDraft
from domain.sequences.texts import Merged, pieces
from domain.statuses.sequences import Purpose, SequenceKind
from services.sequences.sequences import SequenceDraft
from services.sequences.templates import TemplateDetails

router = APIRouter()


class NewSequenceFields(FormFields):
    """Fields of a new sequence."""

    name: str = ""
    kind: str = SequenceKind.ONGOING
    purpose: str = Purpose.INFORMATIONAL
    sender_id: str = ""
    template_id: str = ""


class TemplateFields(FormFields):
    """Fields of a template to save."""

    name: str = ""
    description: str = ""


@router.post("/sequences")
async def create_sequence(page: PageDep, form: InForm[NewSequenceFields]) -> Response:
    """Create a draft, with one text or with a template's, and redirect to its steps."""
    with page.refusing():
        draft = await _draft(page, form)
        made = await page.services.sequences.create(draft, page.user.id)
        return page.redirect_to("show_steps", sequence_id=made.id)
    return page.part("sequences/_new.html", **await _new_form(page, form))


@router.get("/sequences/new")
async def show_new_sequence(page: PageDep) -> Response:
    """Show the dialog of a new sequence."""
    return page.part("sequences/_new.html", **await _new_form(page))


@router.post("/sequences/templates/{template_id}/delete")
async def delete_template(
    page: PageDep, template_id: UUID, form: InForm[NewSequenceFields]
) -> Response:
    """Delete a template, and show the dialog of a new sequence again as it was."""
    await page.services.templates.remove(template_id)
    if form.template_id == str(template_id):
        form.template_id = ""
    flash = Flash("Template deleted. Sequences that began with it stay.")
    return page.part("sequences/_new.html", flash=flash, **await _new_form(page, form))


@router.get("/sequences/{sequence_id}/template")
async def show_new_template(page: PageDep, sequence_id: UUID) -> Response:
    """Show the dialog that saves a sequence as a template."""
    sequence = await page.services.sequences.get(sequence_id, counted=False)
    form = TemplateFields(name=sequence.name)
    return page.part("sequences/_new_template.html", sequence=sequence, new=form)


@router.post("/sequences/{sequence_id}/template")
async def create_template(
    page: PageDep, sequence_id: UUID, form: InForm[TemplateFields]
) -> Response:
    """Save a sequence's settings and steps as a template."""
    with page.refusing():
        await page.services.templates.create(sequence_id, form.name, form.description, page.user.id)
        words = f"“{form.name.strip()}” is a template. Choose it when you create a sequence."
        return page.done(words, event=PageEvent.TEMPLATES_CHANGED)
    sequence = await page.services.sequences.get(sequence_id, counted=False)
    return page.part("sequences/_new_template.html", sequence=sequence, new=form)


async def _draft(page: Page, form: NewSequenceFields) -> SequenceDraft:
    zone = ZoneInfo(page.clock.zone)
    tomorrow = (page.now + timedelta(days=1)).astimezone(zone).date()
    sender_id = chosen_id(form.sender_id, field="sender_id")
    if form.template_id:
        template_id = chosen_id(form.template_id, field="template_id")
        template = await page.services.templates.get(template_id)
        return template.draft(form.name, sender_id, first_day=tomorrow)
    kind = chosen(SequenceKind, form.kind, field="kind")
    purpose = chosen(Purpose, form.purpose, field="purpose")
    if kind is SequenceKind.ONGOING:
        first = StepDraft(FIRST_TEXT, delay_seconds=0)
    else:
        first = StepDraft(FIRST_TEXT, send_at=f"{tomorrow:%Y-%m-%d}T10:00")
    return SequenceDraft(form.name, sender_id, kind, [first], purpose=purpose)


@dataclass(frozen=True)
class GalleryCard:
    """A template in the gallery: when each of its texts goes, and what it says."""

    template: TemplateDetails
    texts: Many[tuple[str, Many[str | Merged]]]

    @classmethod
    def of(cls, template: TemplateDetails, clock: Clock) -> "GalleryCard":
        """Show a template."""
        steps = [WrittenStep.of_template(step) for step in template.steps]
        return cls(
            template,
            [
                (step.timing(template.kind, clock, first=index == 0), list(pieces(step.body)))
                for index, step in enumerate(steps)
            ],
        )


async def _new_form(page: Page, form: NewSequenceFields | None = None) -> dict[str, Any]:
    options = await page.sender_options()
    only = options[0][0] if len(options) == 1 else ""
    fields = await page.services.pickers.contact_fields()
    return {
        "new": form or NewSequenceFields(sender_id=only),
        "sender_options": options,
        "consents": await consents_taken(page),
        "gallery": [GalleryCard.of(one, page.clock) for one in await page.services.templates.all()],
        "merge_labels": merge_labels(fields),
    }
