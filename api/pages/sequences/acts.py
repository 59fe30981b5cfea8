"""Actions on the enrollments ticked in a sequence's Contacts tab, or on all that match."""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as Many
from contextlib import contextmanager
from enum import StrEnum
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import MembersOnly, Sends
from api.pages.composing import merge_fields
from api.pages.flash import Flash, Kind
from api.pages.forms import FormErrors, FormFields, chosen
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.selecting import NAMED, SelectionQuery, add_to_group, answer, ask
from api.pages.sequences.contacts import TabQuery
from api.paging import InQuery
from api.schemas.enrollments import EnrollmentFilter
from domain.contacts.names import called
from domain.platform.errors import InvalidFieldError, InvalidRequestError
from domain.statuses.jobs import JobKind
from services.enrollments.enrollment_list import ListedEnrollment
from services.enrollments.selection import EnrollmentResult
from services.jobs.bulk_actions import MAX_RECIPIENTS
from services.jobs.contact_actions import Enrolled
from services.messaging.holds import Decision

router = APIRouter()

_IDS_MOST = 200


class Act(StrEnum):
    """An action, as addresses name it."""

    ADD_TO_GROUP = "add-to-group"
    SEND_MESSAGE = "send-message"
    MARK_FINISHED = "mark-finished"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"


class Selection(TabQuery, SelectionQuery):
    """The enrollments to act on."""

    def chosen(self) -> EnrollmentFilter:
        """Return the selection as a filter, without the list's order and position.

        Raises:
            InvalidFieldError: Nobody is ticked.
        """
        return self.selected(EnrollmentFilter, "enrollment")


class ActFields(FormFields):
    """The action's own fields: a group, a text or a decision.

    ``to`` is the enrollment that a text is previewed for, ``shown`` how many the dialog named.
    """

    group_id: str = ""
    new_group: str = ""
    body: str = ""
    to: UUID | None = None
    send_id: UUID | None = None
    decision: str = Decision.RETRY
    shown: int | None = None

    def chosen_decision(self) -> Decision:
        """Return the decision."""
        return chosen(Decision, self.decision, field="decision")


@router.get("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[MembersOnly, Sends])
async def show_act(
    page: PageDep, sequence_id: UUID, act: Act, selection: InQuery[Selection]
) -> Response:
    """Show the dialog of an action: how many people it affects, and what it does."""
    return await _ask(page, sequence_id, act, selection)


@router.post("/enrollments/preview-message")
async def preview_message(page: PageDep, form: InForm[ActFields]) -> Response:
    """Show a message as one of its recipients would get it, and from whom."""
    seen = None
    with page.refusing():
        if form.to is not None:
            seen = await page.services.bulk_actions.preview_message(form.to, form.body)
    page.errors = FormErrors()  # the count of segments says what is wrong
    return page.part("sequences/_message_preview.html", seen=seen)


@router.post("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[Sends])
async def do_act(
    page: PageDep,
    sequence_id: UUID,
    act: Act,
    selection: InQuery[Selection],
    form: InForm[ActFields],
) -> Response:
    """Run the action: in the background on all that match, at once on those ticked."""
    with page.refusing(enrollment_ids="body", contact="enrollment"):
        wanted = selection.chosen().wanted()
        if act is Act.ADD_TO_GROUP:
            enrolled = Enrolled(sequence_id, wanted)
            job = await add_to_group(
                page, enrolled, form.group_id, form.new_group, at_most=form.shown
            )
            return answer(page, job, event=PageEvent.PEOPLE_CHANGED)
        if selection.everyone and act is not Act.SEND_MESSAGE:
            job = await page.services.jobs.start_bulk_action(
                sequence_id,
                JobKind(act.value.replace("-", "_")),  # a job is named as its act
                wanted,
                page.user.id,
                decision=form.chosen_decision() if act is Act.RELEASE else None,
                at_most=form.shown,
            )
            return answer(page, job, event=PageEvent.PEOPLE_CHANGED)
        rows = await _act(page, sequence_id, act, selection, form)
        return page.done(_said(rows), event=PageEvent.PEOPLE_CHANGED)
    return await _ask(page, sequence_id, act, selection, form=form)


async def _ask(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, *, form: ActFields | None = None
) -> Response:
    wanted = selection.chosen().wanted()
    outlook = await page.services.enrollment_list.outlook(sequence_id, wanted)
    sends = act is Act.SEND_MESSAGE
    people = await _first(page, sequence_id, selection, limit=MAX_RECIPIENTS if sends else NAMED)
    return await ask(
        page,
        "sequences/_act.html",
        selection.as_query(selection.chosen()),
        names=[_name(person) for person in people],
        adds=act is Act.ADD_TO_GROUP,
        act=act,
        outlook=outlook,
        most=MAX_RECIPIENTS,
        recipients=[(str(one.enrollment_id), _name(one)) for one in people] if sends else [],
        merge_fields=merge_fields(await page.services.fields.all()) if sends else [],
        form=form or ActFields(send_id=uuid4()),
    )


async def _act(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, form: ActFields
) -> list[tuple[str, EnrollmentResult]]:
    """Act on the enrollments ticked; return each result with the person's name."""
    found = await _first(page, sequence_id, selection, limit=_IDS_MOST)
    if not found:
        raise InvalidFieldError("enrollment", "selects no one who still exists")
    people = {person.enrollment_id: person for person in found}
    ids = list(people)  # sending refuses too many by itself
    services, user_id = page.services, page.user.id
    match act:
        case Act.SEND_MESSAGE:
            with _naming(found):
                done = await services.bulk_actions.send_message(
                    ids, form.body, user_id, send_id=form.send_id
                )
        case Act.MARK_FINISHED:
            done = await services.finishing.mark_finished(ids, user_id)
        case Act.PAUSE:
            done = await services.pausing.pause(ids, user_id)
        case Act.RESUME:
            done = await services.pausing.resume(ids, user_id)
        case Act.RELEASE:
            done = await services.bulk_actions.release(ids, form.chosen_decision(), user_id)
        case Act.ADD_TO_GROUP:
            raise InvalidFieldError("group_id", "is missing; choose a group")
    return [(_name(people[one.enrollment_id]), one) for one in done]


@contextmanager
def _naming(people: Many[ListedEnrollment]) -> Iterator[None]:
    """Say of whom a text lacks something, instead of where they stand in the request."""
    try:
        yield
    except InvalidRequestError as error:
        lacking = {one.field for one in error.errors}
        names = [
            _name(person)
            for number, person in enumerate(people)
            if f"enrollment_ids.{number}" in lacking
        ]
        if not names:
            raise
        first = error.errors[0]
        reason = f"cannot go to {', '.join(names)}: {first.reason}"
        raise InvalidFieldError("body", reason, code=first.field_code) from None


_DONE = frozenset({"accepted", "finished", "paused", "resumed", "released"})


def _said(rows: Many[tuple[str, EnrollmentResult]]) -> Flash:
    """Say how many of those ticked it was done to, and to whom not, and why."""
    done = Counter(_words(row) for _, row in rows if row.result in _DONE)
    left = [f"{name} ({_words(row)})" for name, row in rows if row.result not in _DONE]
    said = ", ".join(f"{number:,} {words}" for words, number in done.items()) or "Nothing changed"
    if over := [name for name, row in rows if row.over_cap]:
        more = f" and {len(over) - NAMED:,} more" if len(over) > NAMED else ""
        said += f". More than the limit of texts in 24 hours: {', '.join(over[:NAMED])}{more}"
    if not left:
        return Flash(f"{said}.")
    more = f" and {len(left) - NAMED:,} more" if len(left) > NAMED else ""
    kind: Kind = "warning" if done else "info"
    return Flash(f"{said}. Left out: {', '.join(left[:NAMED])}{more}.", kind)


def _words(row: EnrollmentResult) -> str:
    words = LABELS.results[row.result]
    return words if row.last_text is None else words + LABELS.last_texts.get(row.last_text, "")


def _name(person: ListedEnrollment) -> str:
    return called(person.contact.name, person.contact.phone)


async def _first(
    page: Page, sequence_id: UUID, selection: Selection, *, limit: int
) -> Many[ListedEnrollment]:
    wanted = selection.chosen().wanted()
    tab = await page.services.enrollment_list.page(sequence_id, wanted, sort="name", limit=limit)
    return tab.page.items
