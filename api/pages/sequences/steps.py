"""A sequence > Steps: its texts and their times, edited beside a preview."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import OwnAccount, Sends
from api.pages.composing import merge_fields, merge_labels
from api.pages.forms import FormErrors, FormFields
from api.pages.page import InForm, Page, PageDep
from api.pages.sequences.frame import OPEN_STATES, render_tab
from api.pages.sequences.written import StepFields, WrittenStep, errors_beside, is_same
from api.pages.times import Clock
from api.paging import InQuery
from domain.access.preferences import Preference
from domain.contacts.fields import MAX_FIELDS
from domain.contacts.names import ContactName
from domain.platform.durations import UNITS
from domain.platform.errors import InvalidFieldError, NotFoundError, SegueError
from domain.sequences.placeholders import BLANKS
from domain.sequences.segments import Segments
from domain.sequences.texts import keys_in, pieces
from domain.statuses.contacts import FieldType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from services.sequences.drafts import Draft
from services.sequences.sequences import SequenceChange
from services.sequences.step_checks import MAX_STEPS
from storage.sequences.sequences import SequenceRecord

router = APIRouter()

PLAIN: Mapping[str, str] = {
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
    "\N{HYPHEN}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{BULLET}": "-",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{ZERO WIDTH SPACE}": "",
    "\t": " ",
}
"""Characters of word processors, and the GSM-7 characters that mean the same."""


@dataclass(frozen=True)
class SeenStep:
    """A step as a contact would get it.

    Attributes:
        text: With merge fields filled in; as written where it cannot be sent.
        segments: Its size; None where it cannot be sent.
        wrong: Why it cannot be sent; follows "The text".
        has_plain: Whether plain characters could replace some that force UCS-2.
        missing: What the contact it is shown for has not, so that the text would wait.
    """

    key: str
    timing: str
    text: str
    media_urls: tuple[str, ...]
    segments: Segments | None
    wrong: str
    has_plain: bool
    missing: tuple[str, ...]


class PreviewFields(FormFields):
    """The contact to preview the texts for; None for nobody in particular."""

    contact_id: UUID | None = None


@router.get("/sequences/{sequence_id}/steps")
async def show_steps(page: PageDep, sequence_id: UUID, query: InQuery[PreviewFields]) -> Response:
    """Show the steps; members edit them, going on from what they have not saved yet."""
    sequence = await page.services.sequences.get(sequence_id)
    draft = await unsaved(page, sequence)
    if draft is not None:
        steps = [WrittenStep.from_draft(one) for one in draft.steps]
    else:
        steps = [WrittenStep.of(step) for step in sequence.steps]
    if page.wants_part:
        return await _preview(page, sequence, steps, query.contact_id)
    return await _render(page, sequence, steps, draft=draft)


@router.post("/sequences/{sequence_id}/steps")
async def save_steps(page: PageDep, sequence_id: UUID, form: InForm[StepFields]) -> Response:
    """Save the steps as a new version, if anything changed."""
    return await _save(page, sequence_id, form)


@router.post("/sequences/{sequence_id}/steps/activate", dependencies=[Sends])
async def save_and_activate_steps(
    page: PageDep, sequence_id: UUID, form: InForm[StepFields]
) -> Response:
    """Save the steps and open the sequence, both or nothing."""
    return await _save(page, sequence_id, form, activate=True)


@router.post("/sequences/{sequence_id}/steps/draft")
async def save_draft(page: PageDep, sequence_id: UUID, form: InForm[StepFields]) -> Response:
    """Keep what is not saved yet; the page sends it whenever one stops typing."""
    steps = form.steps()
    saved_at = await page.services.drafts.save(
        sequence_id,
        page.user.id,
        form.version,
        [asdict(step) for step in steps],
        page=form.draft,
        is_saved=lambda sequence: is_same(steps, sequence.steps, sequence.kind),
    )
    words = _saved_words(page, saved_at) if saved_at else ""
    return page.part("sequences/_draft_saved.html", saved=words)


@router.post("/sequences/{sequence_id}/steps/draft/discard")
async def discard_draft(page: PageDep, sequence_id: UUID) -> Response:
    """Go back to the steps as they are saved."""
    await page.services.drafts.discard(sequence_id, page.user.id)
    return page.redirect_to("show_steps", "Draft discarded.", sequence_id=sequence_id)


@router.post("/sequences/{sequence_id}/steps/preview")
async def preview_steps(page: PageDep, sequence_id: UUID, form: InForm[StepFields]) -> Response:
    """Preview the texts as a contact would get them, with their sizes."""
    sequence = await page.services.sequences.get(sequence_id)
    return await _preview(page, sequence, form.steps(), form.contact_id)


@router.get("/sequences/{sequence_id}/steps/people")
async def find_preview_people(page: PageDep, sequence_id: UUID, search: str = "") -> Response:
    """Find contacts to preview the texts for."""
    found = await page.services.pickers.contacts(search, sequence_id=sequence_id, limit=8)
    return page.part("sequences/_preview_people.html", people=found)


@router.post("/sequences/preview-contact", dependencies=[OwnAccount])
async def choose_preview_contact(page: PageDep, form: InForm[PreviewFields]) -> Response:
    """Remember the contact for whom the user wants texts filled in, whatever the sequence."""
    value = {"contact_id": str(form.contact_id) if form.contact_id else None}
    await page.services.preferences.put(page.user.id, Preference.PREVIEW_CONTACT, value)
    return Response(status_code=204)


async def _preview_contact(page: Page) -> ContactName | None:
    """Read for whom the user wants texts filled in; None for nobody in particular."""
    kept = await page.services.preferences.get(page.user.id, Preference.PREVIEW_CONTACT)
    if kept.get("contact_id"):
        with suppress(NotFoundError):
            contact = await page.services.contacts.get(UUID(kept["contact_id"]))
            return ContactName(contact.id, contact.name, contact.phone)
    return None


async def _preview(
    page: Page, sequence: SequenceRecord, steps: Many[WrittenStep], contact_id: UUID | None
) -> Response:
    seen = await seen_steps(page, sequence, steps, contact_id)
    variables = _variables(steps, await page.services.pickers.contact_fields())
    return page.part("sequences/_preview.html", seen=seen, variables=variables, plain=PLAIN)


async def _save(
    page: Page, sequence_id: UUID, form: StepFields, *, activate: bool = False
) -> Response:
    sequence = await page.services.sequences.get(sequence_id)
    steps = form.steps()
    change = SequenceChange(steps=[step.draft(sequence.kind) for step in steps])
    try:
        saved = await page.services.sequences.change(
            sequence_id,
            change,
            page.user.id,
            based_on=form.version,
            activate=activate,
            from_draft=True,
        )
    except SegueError as error:
        page.errors = errors_beside(FormErrors.of(error), steps)
        return await _render(page, sequence, steps, page_id=form.draft)
    words = f"“{saved.name}” activated. Enroll contacts to start texting."
    message = words if activate else _message(sequence, saved)
    return page.redirect_to("show_steps", message, sequence_id=sequence_id)


async def unsaved(page: Page, sequence: SequenceRecord) -> Draft | None:
    """Read what the user has not saved yet, if that differs from what is saved."""
    if sequence.state is SequenceState.ARCHIVED:
        return None
    draft = await page.services.drafts.get(sequence.id, page.user.id)
    if draft is None:
        return None
    written = [WrittenStep.from_draft(one) for one in draft.steps]
    return None if is_same(written, sequence.steps, sequence.kind) else draft


async def _render(
    page: Page,
    sequence: SequenceRecord,
    steps: Many[WrittenStep],
    *,
    draft: Draft | None = None,
    page_id: UUID | None = None,
) -> Response:
    fields = (await page.services.fields.find(limit=MAX_FIELDS)).items
    labels = {one.key: one.label for one in fields}
    contact = await _preview_contact(page)
    return await render_tab(
        page,
        sequence,
        "sequences/steps.html",
        steps=steps,
        preview_contact=contact,
        seen=await seen_steps(page, sequence, steps, contact.id if contact else None),
        blank=WrittenStep(key="KEY"),
        draft=draft,
        page_id=page_id or (draft.page if draft else uuid4()) or "",
        draft_saved=_saved_words(page, draft.saved_at) if draft else "",
        is_ongoing=sequence.kind is SequenceKind.ONGOING,
        is_open=sequence.state in OPEN_STATES,
        is_archived=sequence.state is SequenceState.ARCHIVED,
        active=sequence.counts.get(EnrollmentStatus.ACTIVE, 0),
        units=[unit for unit in UNITS if unit != "seconds"],
        merge_fields=merge_fields(fields),
        merge_labels=merge_labels(labels),
        dates=[(one.key, one.label) for one in fields if one.type is FieldType.DATE],
        pieces=pieces,
        variables=_variables(steps, labels),
        plain=PLAIN,
        blanks=BLANKS,
        most=MAX_STEPS,
    )


async def seen_steps(
    page: Page, sequence: SequenceRecord, steps: Many[WrittenStep], contact_id: UUID | None = None
) -> list[SeenStep]:
    """Show steps as a contact would get them."""
    found = []
    for index, step in enumerate(steps):
        timing = step.timing(sequence.kind, page.clock, first=index == 0)
        text, segments, wrong = step.body, None, ""
        missing: tuple[str, ...] = ()
        try:
            shown = await page.services.previews.text(
                step.body, contact_id=contact_id, media_urls=step.media_urls
            )
            text, segments = shown.text, shown.segments
            missing = shown.missing if contact_id is not None else ()
        except InvalidFieldError as error:
            wrong = error.reason
        outside = segments.ucs2_characters if segments else ()
        has_plain = any(char in PLAIN and char in step.body for char in outside)
        found.append(
            SeenStep(step.key, timing, text, step.media_urls, segments, wrong, has_plain, missing)
        )
    return found


def _variables(steps: Many[WrittenStep], fields: Mapping[str, str]) -> list[str]:
    """List the names in the texts that are no field's: variables, which enrolling gives."""
    return [key for key in keys_in(*(step.body for step in steps)) if key not in fields]


def _saved_words(page: Page, saved_at: datetime) -> str:
    """Write when a draft was saved: the time of day, with the date if that is not today."""
    clock: Clock = page.clock
    today, day = clock.date_of(page.now), clock.date_of(saved_at)
    at = clock.time_of(saved_at)
    return at if day == today else f"{day}, {at}"


def _message(before: SequenceRecord, after: SequenceRecord) -> str:
    if after.version == before.version:
        return "Nothing changed."
    if after.state not in OPEN_STATES:
        return f"Steps saved as version {after.version}."
    return (
        f"Version {after.version} published. People you enroll from now on get it; people"
        " already enrolled stay on theirs."
    )
