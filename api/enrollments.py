"""Routes of enrollments: enrolling, the Contacts tab, one enrollment, batch actions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import OnceDep
from api.jobs import RESPOND_ASYNC, accepted, prefers_async
from api.paging import Cursors, InQuery
from api.schemas.enrollments import (
    ContactsPage,
    ContactsQuery,
    Enrollment,
    EnrollmentChange,
    EnrollResult,
    Finishing,
    FinishResults,
    GroupAddition,
    GroupResults,
    NewEnrollments,
    OneOffText,
    PauseResults,
    Pausing,
    Releasing,
    ResumeResults,
    TextResults,
)
from api.schemas.jobs import Job

router = APIRouter(tags=["enrollments"])

Prefer = Annotated[
    list[str] | None, Header(description="`respond-async`: answer before the work is done.")
]

CONTACTS_CURSORS = Cursors(
    "contacts",
    "-enrolled_at",
    {"name": str, "enrolled_at": datetime, "next_send_at": datetime, "last_message_at": datetime},
    nullable=frozenset({"next_send_at", "last_message_at"}),
)
"""The cursors of a sequence's Contacts tab, within that sequence."""


@router.post(
    "/sequences/{sequence_id}/enrollments",
    name="enrol",  # the operation's id, which clients are generated from
    response_model=EnrollResult,
    responses={202: {"model": Job, "description": "With `Prefer: respond-async`."}},
    dependencies=[Sends],
)
async def enroll(
    sequence_id: UUID,
    body: NewEnrollments,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
    prefer: Prefer = None,
) -> Response:
    """Enroll contacts, or all members of a group, into the current version of the steps.

    `contacts` gives each contact `variables`, which its texts say before the contact's field of the
    same key; without a fallback, a text that lacks one waits (`held_reason: missing_data`) until it
    is filled in. 422 `unused_variable` names a variable that no text of the sequence says,
    `duplicate_contact` a row whose contact an earlier row has; nobody is enrolled then.

    Suppressed numbers and known landlines are listed under `enrolled` with a final status. Skipped:
    `already_active`, `unknown_contact`, `all_steps_past`. 409 `sequence_not_active` for a draft or
    an archived sequence; a paused one accepts contacts, who wait. 429 `too_many_requests` if one
    user enrolls too many contacts in an hour.

    With `Prefer: respond-async` (RFC 7240) the answer is a job that enrolls in the background,
    whatever the size of a group; `Location` is its address. Its results are `enrolled`, with the
    enrollment, or one of the codes above.
    """
    whom = body.whom()
    if prefers_async(prefer or ()):
        job = await once.answer_within(
            lambda tx: services.jobs.start_enrolling(sequence_id, user.id, **whom, within=tx),
            status=202,
            model=Job,
        )
        answer = accepted(job)
        answer.headers["Preference-Applied"] = RESPOND_ASYNC
        return answer
    return await once.answer_within(
        lambda tx: services.enrolling.enroll(sequence_id, user.id, **whom, within=tx)
    )


@router.get("/sequences/{sequence_id}/contacts")
async def list_contacts(
    sequence_id: UUID, query: InQuery[ContactsQuery], services: ServicesDep
) -> ContactsPage:
    """List everyone who was ever enrolled: the Contacts tab."""
    cursors = CONTACTS_CURSORS.within(sequence_id)
    tab = await services.enrollment_list.page(
        sequence_id,
        query.wanted(),
        sort=query.sort,
        after=cursors.read(query.cursor, query.sort),
        limit=query.limit,
        live=query.live,
    )
    following = cursors.write(tab.page.next, query.sort)
    return ContactsPage.model_validate(
        {"items": tab.page.items, "next_cursor": following, "counts": tab.counts}
    )


@router.get("/enrollments/{enrollment_id}")
async def get_enrollment(enrollment_id: UUID, services: ServicesDep) -> Enrollment:
    """Return one enrollment: its state, its next steps and why then, its timeline."""
    return Enrollment.model_validate(await services.enrollment_detail.get(enrollment_id))


@router.patch("/enrollments/{enrollment_id}", dependencies=[Sends])
async def change_enrollment(
    enrollment_id: UUID, body: EnrollmentChange, services: ServicesDep, user: CurrentUser
) -> Enrollment:
    """Change variables of an active enrollment: the others stay, null removes one.

    Texts that start from now on say them. If it is held for missing data that is there now, it goes
    on by itself. 409 `already_final` once it has ended, 422 `unused_variable` for one that no text
    of its version says.
    """
    await services.variables.change(enrollment_id, body.variables, user.id)
    return Enrollment.model_validate(await services.enrollment_detail.get(enrollment_id))


@router.post("/enrollments/batch/add-to-group", response_model=GroupResults)
async def add_to_group(
    body: GroupAddition, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Add the enrollments' contacts to a group."""
    return await once.answer(
        lambda: services.bulk_actions.add_to_group(body.enrollment_ids, body.group_id, user.id),
        repeatable=True,
    )


@router.post("/enrollments/batch/send-message", response_model=TextResults, dependencies=[Sends])
async def send_message(
    body: OneOffText, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Text up to 10 contacts, each individually and once.

    422 `too_many_recipients` above that, and nothing is sent. Opt-outs apply; the send window does
    not.
    """
    return await once.answer(
        lambda: services.bulk_actions.send_message(body.enrollment_ids, body.body, user.id)
    )


@router.post("/enrollments/batch/mark-finished", response_model=FinishResults)
async def mark_finished(
    body: Finishing, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Mark enrollments finished; by the time of the answer none of their texts can start."""
    return await once.answer(
        lambda: services.finishing.mark_finished(body.enrollment_ids, user.id), repeatable=True
    )


@router.post("/enrollments/batch/pause", response_model=PauseResults)
async def pause(body: Pausing, services: ServicesDep, user: CurrentUser, once: OnceDep) -> Response:
    """Pause enrollments until they are resumed; the rest of their delay is kept.

    `paused`, `already_paused`, `awaiting_reply` (every step went out), `already_final` or
    `not_found`. A text that is already under way may still go out.
    """
    return await once.answer(
        lambda: services.pausing.pause(body.enrollment_ids, user.id), repeatable=True
    )


@router.post("/enrollments/batch/resume", response_model=ResumeResults, dependencies=[Sends])
async def resume(
    body: Pausing, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Resume paused enrollments: `resumed`, `not_paused`, `already_final` or `not_found`.

    One whose sequence is paused too continues with its sequence.
    """
    return await once.answer(
        lambda: services.pausing.resume(body.enrollment_ids, user.id), repeatable=True
    )


@router.post("/enrollments/batch/release", response_model=FinishResults, dependencies=[Sends])
async def release(
    body: Releasing, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Release held enrollments.

    `released`, `finished`, `not_held`, `already_final`, `not_found`, or `outcome_known` if
    `treat_as_sent` is asked for a text that is known not to have been sent.
    """
    return await once.answer(
        lambda: services.bulk_actions.release(body.enrollment_ids, body.decision, user.id)
    )
