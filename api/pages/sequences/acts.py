"""What a person does to the people ticked in a sequence's Contacts tab, or to all that match."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.dependencies import Sends, reaches
from api.pages.forms import NO_ERRORS, FormErrors, FormFields, chosen
from api.pages.group_choices import group_options
from api.pages.jobs import RESULT_WORDS
from api.pages.page import Page, PageDep
from api.pages.sequences.contacts import TabQuery
from api.schemas.enrollments import EnrollmentFilter
from domain.platform.errors import InvalidFieldError, SegueError
from domain.statuses.access import Role
from domain.statuses.jobs import JobKind
from domain.statuses.messaging import LastText
from services.access.users import ForbiddenError
from services.enrollments.enrollment_list import ListedEnrollment
from services.enrollments.selection import EnrollmentResult
from services.jobs.bulk_actions import MAX_RECIPIENTS
from services.messaging.holds import Decision
from storage.jobs.jobs import JobDetails

router = APIRouter()

PEOPLE_CHANGED = "people-changed"
"""What the browser is told when something was done to people, for lists to load anew."""

_IDS_MOST = 200


class Act(StrEnum):
    """What can be done to several people at once, as addresses name it."""

    ADD_TO_GROUP = "add-to-group"
    SEND_MESSAGE = "send-message"
    MARK_FINISHED = "mark-finished"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"


class Selection(TabQuery):
    """Whom to do it to: those ticked, or with ``everyone`` all that the filters let through."""

    everyone: bool = False

    def chosen(self) -> EnrollmentFilter:
        """Say it as a filter; the order and place of the list are no part of it.

        Raises:
            InvalidFieldError: Nobody is ticked.
        """
        if self.everyone:
            left_out = {"enrollment", "everyone", "sort", "cursor", "trail"}
            return EnrollmentFilter(**self.model_dump(exclude=left_out))
        if not self.enrollment:
            raise InvalidFieldError("enrollment", "names nobody; tick somebody first")
        return EnrollmentFilter(enrollment=self.enrollment)

    def as_query(self) -> str:
        """Write it as the query of an address."""
        told = self.chosen().model_dump(mode="json", exclude_defaults=True)
        return urlencode({**told, **({"everyone": "true"} if self.everyone else {})}, doseq=True)


class ActFields(FormFields):
    """What an act asks for: a group, a text or a decision."""

    group_id: str = ""
    body: str = ""
    send_id: UUID | None = None
    decision: str = Decision.RETRY


@dataclass(frozen=True)
class RowWords:
    """What came of one person.

    Attributes:
        name: Who.
        words: What; reads on from the name.
        is_done: Whether it is what was asked for.
    """

    name: str
    words: str
    is_done: bool


@router.get("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[Sends])
async def choose_act(
    page: PageDep, sequence_id: UUID, act: Act, selection: Annotated[Selection, Query()]
) -> Response:
    """Ask before it is done: for how many, what it will change, what else has to be known.

    Raises:
        ForbiddenError: Whoever asks may not do it; reading alone would let viewers get here.
    """
    if not reaches(page.user.role, Role.MEMBER):
        raise ForbiddenError(Role.MEMBER)
    return await _ask(page, sequence_id, act, selection)


@router.post("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[Sends])
async def do_act(
    page: PageDep,
    sequence_id: UUID,
    act: Act,
    selection: Annotated[Selection, Query()],
    form: Annotated[ActFields, Form()],
) -> Response:
    """Do it: to all that match in the background, to those ticked at once."""
    try:
        if selection.everyone and act is not Act.SEND_MESSAGE:
            job = await _start(page, sequence_id, act, selection, form)
            return page.part("sequences/_act_running.html", act=act, job=job)
        rows = await _act(page, sequence_id, act, selection, form)
    except SegueError as error:
        errors = FormErrors.of(error, enrollment_ids="body")
        return await _ask(page, sequence_id, act, selection, form=form, errors=errors)
    return page.part("sequences/_act_done.html", act=act, rows=rows, events=[PEOPLE_CHANGED])


async def _ask(
    page: Page,
    sequence_id: UUID,
    act: Act,
    selection: Selection,
    *,
    form: ActFields | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    wanted = selection.chosen().wanted()
    outlook = await page.services.enrollment_list.outlook(sequence_id, wanted)
    return page.part(
        "sequences/_act.html",
        act=act,
        action=f"{page.request.url.path}?{selection.as_query()}",
        outlook=outlook,
        names=await _names(page, sequence_id, selection),
        group_options=await group_options(page) if act is Act.ADD_TO_GROUP else [],
        most=MAX_RECIPIENTS,
        form=form or ActFields(send_id=uuid4()),
        errors=errors,
    )


async def _start(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, form: ActFields
) -> JobDetails:
    return await page.services.jobs.start_bulk_action(
        sequence_id,
        JobKind(act.value.replace("-", "_")),
        selection.chosen().wanted(),
        page.user.id,
        group_id=_group(form) if act is Act.ADD_TO_GROUP else None,
        decision=chosen(Decision, form.decision, field="decision") if act is Act.RELEASE else None,
    )


async def _act(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, form: ActFields
) -> list[RowWords]:
    people = await _people(page, sequence_id, selection)
    ids = list(people)
    services, user_id = page.services, page.user.id
    match act:
        case Act.ADD_TO_GROUP:
            done = await services.bulk_actions.add_to_group(ids, _group(form), user_id)
        case Act.SEND_MESSAGE:
            done = await services.bulk_actions.send_message(
                ids, form.body, user_id, send_id=form.send_id
            )
        case Act.MARK_FINISHED:
            done = await services.endings.mark_finished(ids, user_id)
        case Act.PAUSE:
            done = await services.pausing.pause(ids, user_id)
        case Act.RESUME:
            done = await services.pausing.resume(ids, user_id)
        case Act.RELEASE:
            done = await services.bulk_actions.release(
                ids, chosen(Decision, form.decision, field="decision"), user_id
            )
    return [_words(people[one.enrollment_id], one) for one in done]


_DONE = frozenset({"added", "accepted", "finished", "paused", "resumed", "released"})
_LAST_TEXT = {
    LastText.SENT: "; a last text had just gone",
    LastText.UNKNOWN: "; whether a last text went is not known yet",
}


def _words(person: ListedEnrollment, row: EnrollmentResult) -> RowWords:
    words = RESULT_WORDS[row.result]
    if row.last_text is not None:
        words += _LAST_TEXT.get(row.last_text, "")
    return RowWords(person.contact.name or person.contact.phone, words, row.result in _DONE)


async def _people(
    page: Page, sequence_id: UUID, selection: Selection
) -> dict[UUID, ListedEnrollment]:
    """Read whom it is about; too many for a text by hand are refused when it is sent."""
    tab = await page.services.enrollment_list.page(
        sequence_id, selection.chosen().wanted(), sort="name", limit=_IDS_MOST
    )
    if not tab.page.items:
        raise InvalidFieldError("enrollment", "names nobody who is still here")
    return {one.enrollment_id: one for one in tab.page.items}


_NAMES = 3


async def _names(page: Page, sequence_id: UUID, selection: Selection) -> list[str]:
    """Name a few of them, so that one sees whom it is about."""
    tab = await page.services.enrollment_list.page(
        sequence_id, selection.chosen().wanted(), sort="name", limit=_NAMES
    )
    return [one.contact.name or one.contact.phone for one in tab.page.items]


def _group(form: ActFields) -> UUID:
    try:
        return UUID(form.group_id)
    except ValueError:
        raise InvalidFieldError("group_id", "is missing; choose a group") from None
