"""Actions on the enrollments ticked in a sequence's Contacts tab, or on all that match."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import Sends, reaches
from api.pages.forms import FormFields, chosen, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.sequences.contacts import TabQuery
from api.paging import InQuery
from api.schemas.enrollments import EnrollmentFilter
from domain.platform.errors import InvalidFieldError
from domain.statuses.access import Role
from domain.statuses.jobs import JobKind
from services.access.users import ForbiddenError
from services.enrollments.enrollment_list import ListedEnrollment
from services.enrollments.selection import EnrollmentResult
from services.jobs.bulk_actions import MAX_RECIPIENTS
from services.messaging.holds import Decision

router = APIRouter()

_IDS_MOST = 200
_NAMES = 3


class Act(StrEnum):
    """An action, as addresses name it."""

    ADD_TO_GROUP = "add-to-group"
    SEND_MESSAGE = "send-message"
    MARK_FINISHED = "mark-finished"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"


class Selection(TabQuery):
    """The enrollments to act on: those ticked, or with ``everyone`` all that the filters match."""

    everyone: bool = False

    def chosen(self) -> EnrollmentFilter:
        """Return the selection as a filter, without the list's order and position.

        Raises:
            InvalidFieldError: Nothing is ticked.
        """
        if self.everyone:
            left_out = {"enrollment", "everyone", "sort", "cursor", "trail", "columns", "density"}
            given = self.as_parameters()
            return EnrollmentFilter(
                **{name: value for name, value in given.items() if name not in left_out}
            )
        if not self.enrollment:
            raise InvalidFieldError("enrollment", "names nobody; tick somebody first")
        return EnrollmentFilter(enrollment=self.enrollment)

    def as_query(self) -> str:
        """Return the selection as a query string."""
        filters = self.chosen().as_parameters()
        everyone = {"everyone": "true"} if self.everyone else {}
        return urlencode({**filters, **everyone}, doseq=True)


class ActFields(FormFields):
    """The action's own fields: a group, a text or a decision."""

    group_id: str = ""
    body: str = ""
    send_id: UUID | None = None
    decision: str = Decision.RETRY

    def group(self) -> UUID:
        """Return the group."""
        return chosen_id(self.group_id, field="group_id", reason="is missing; choose a group")

    def chosen_decision(self) -> Decision:
        """Return the decision."""
        return chosen(Decision, self.decision, field="decision")


@dataclass(frozen=True)
class RowWords:
    """The result for one person; the words follow the name."""

    name: str
    words: str
    is_done: bool


@router.get("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[Sends])
async def show_act(
    page: PageDep, sequence_id: UUID, act: Act, selection: InQuery[Selection]
) -> Response:
    """Show the dialog of an action: how many people it affects, and what it does.

    Raises:
        ForbiddenError: The user is a viewer; ``GET`` alone would let them in.
    """
    if not reaches(page.user.role, Role.MEMBER):
        raise ForbiddenError(Role.MEMBER)
    return await _ask(page, sequence_id, act, selection)


@router.post("/sequences/{sequence_id}/contacts/act/{act}", dependencies=[Sends])
async def do_act(
    page: PageDep,
    sequence_id: UUID,
    act: Act,
    selection: InQuery[Selection],
    form: InForm[ActFields],
) -> Response:
    """Run the action: in the background on all that match, at once on those ticked."""
    with page.refusing(enrollment_ids="body"):
        if selection.everyone and act is not Act.SEND_MESSAGE:
            job = await page.services.jobs.start_bulk_action(
                sequence_id,
                JobKind(act.value.replace("-", "_")),  # a job is named as its act
                selection.chosen().wanted(),
                page.user.id,
                group_id=form.group() if act is Act.ADD_TO_GROUP else None,
                decision=form.chosen_decision() if act is Act.RELEASE else None,
            )
            return page.part("sequences/_act_running.html", act=act, job=job)
        rows = await _act(page, sequence_id, act, selection, form)
        event = PageEvent.PEOPLE_CHANGED
        return page.part("sequences/_act_done.html", act=act, rows=rows, event=event)
    return await _ask(page, sequence_id, act, selection, form=form)


async def _ask(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, *, form: ActFields | None = None
) -> Response:
    wanted = selection.chosen().wanted()
    outlook = await page.services.enrollment_list.outlook(sequence_id, wanted)
    return page.part(
        "sequences/_act.html",
        act=act,
        action=f"{page.request.url.path}?{selection.as_query()}",
        outlook=outlook,
        names=[
            person.contact.name or person.contact.phone
            for person in await _first(page, sequence_id, selection, limit=_NAMES)
        ],
        group_options=await page.group_options() if act is Act.ADD_TO_GROUP else [],
        most=MAX_RECIPIENTS,
        form=form or ActFields(send_id=uuid4()),
    )


async def _act(
    page: Page, sequence_id: UUID, act: Act, selection: Selection, form: ActFields
) -> list[RowWords]:
    found = await _first(page, sequence_id, selection, limit=_IDS_MOST)
    if not found:
        raise InvalidFieldError("enrollment", "names nobody who is still here")
    people = {person.enrollment_id: person for person in found}
    ids = list(people)  # sending refuses too many by itself
    services, user_id = page.services, page.user.id
    match act:
        case Act.ADD_TO_GROUP:
            done = await services.bulk_actions.add_to_group(ids, form.group(), user_id)
        case Act.SEND_MESSAGE:
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
    return [_words(people[one.enrollment_id], one) for one in done]


_DONE = frozenset({"added", "accepted", "finished", "paused", "resumed", "released"})


def _words(person: ListedEnrollment, row: EnrollmentResult) -> RowWords:
    words = LABELS.results[row.result]
    if row.last_text is not None:
        words += LABELS.last_texts.get(row.last_text, "")
    return RowWords(person.contact.name or person.contact.phone, words, row.result in _DONE)


async def _first(
    page: Page, sequence_id: UUID, selection: Selection, *, limit: int
) -> Many[ListedEnrollment]:
    wanted = selection.chosen().wanted()
    tab = await page.services.enrollment_list.page(sequence_id, wanted, sort="name", limit=limit)
    return tab.page.items
