"""Routes of enrollments: enrolling, the Contacts tab, one enrollment, batch actions."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import OnceDep
from api.jobs import RESPOND_ASYNC, accepted, prefers_async
from api.paging import Cursors, InQuery
from api.schemas.base import Listing
from api.schemas.enrollments import (
    ContactsPage,
    ContactsQuery,
    EnrollCheck,
    EnrollForecast,
    Enrollment,
    EnrollmentChange,
    EnrollmentsQuery,
    EnrollResult,
    FinishedRow,
    Finishing,
    FinishResults,
    GroupAddition,
    GroupResults,
    ListedEnrollment,
    NewEnrollments,
    OneOffText,
    OneRelease,
    PauseResults,
    Pausing,
    Releasing,
    ResumeResults,
    RowResult,
    TextResults,
)
from api.schemas.jobs import Job
from domain.platform.errors import InvalidFieldError, NotFoundError
from services.enrollments.selection import EnrollmentResult
from services.jobs.enroll_preview import EnrollPreview

router = APIRouter(tags=["enrollments"])

Prefer = Annotated[
    list[str] | None, Header(description="`respond-async`: answer before the work is done.")
]

_CURSORS = Cursors("enrollments", "-enrolled_at", {"enrolled_at": datetime})

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
    `duplicate_contact` a row whose contact an earlier row has; no one is enrolled then.

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


@router.post("/sequences/{sequence_id}/enrollments/check", response_model=EnrollForecast)
async def check_enrollments(
    sequence_id: UUID, body: EnrollCheck, services: ServicesDep, once: OnceDep
) -> Response:
    """Say what enrolling contacts, a group or numbers would do now; nothing is done.

    422 `unused_variable` and `duplicate_contact` of a row of `contacts`, as for enrolling. 409
    `sequence_not_active` for a draft or an archived sequence.
    """
    previews = services.enroll_previews

    async def check() -> EnrollPreview:
        ways = (body.contact_ids, body.contacts, body.group_id, body.numbers)
        if sum(way is not None for way in ways) != 1:
            raise InvalidFieldError(
                "contact_ids",
                "give exactly one of contact_ids, contacts, group_id and numbers",
                code="one_of_three",
            )
        if body.contact_ids is not None:
            return await previews.of_contacts(sequence_id, body.contact_ids)
        if body.contacts is not None:
            asked = [one.asked() for one in body.contacts]
            return await previews.of_contacts(sequence_id, named=asked)
        if body.group_id is not None:
            return await previews.of_group(sequence_id, body.group_id)
        return await previews.of_numbers(sequence_id, "\n".join(body.numbers or ()))

    return await once.answer(check, repeatable=True)


@router.get("/enrollments")
async def list_enrollments(
    query: InQuery[EnrollmentsQuery], services: ServicesDep
) -> Listing[ListedEnrollment]:
    """List enrollments in whatever sequences, the latest first: all of one person, for example."""
    find = partial(
        services.enrollment_list.find,
        contact_ids=query.contact_id,
        sequence_ids=query.sequence_id,
        statuses=query.status,
    )
    return await _CURSORS.listing(ListedEnrollment, query, find)


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

    422 `too_many_recipients` above that, and nothing is sent; nor is it if the text would lack
    something for one of them: 422 `missing_data` or `empty_body` of each as `enrollment_ids.N`.
    Opt-outs apply; the send window does not.
    """
    return await once.answer(
        lambda: services.bulk_actions.send_message(
            body.enrollment_ids, body.body, user.id, media_urls=body.media_urls
        )
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

    `released`, `finished`, `not_held`, `already_final`, `not_found`, `outcome_known` if
    `treat_as_sent` is asked for a text that is known not to have been sent, or `consent_missing`:
    it stays held until the consent is recorded.
    """
    return await once.answer(
        lambda: services.bulk_actions.release(body.enrollment_ids, body.decision, user.id)
    )


@router.post("/contacts/{contact_id}/finish", response_model=FinishResults)
async def finish_contact(
    contact_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Mark all active enrollments of a contact finished: they are hired, or said no on the phone.

    By the time of the answer no text of any of their enrollments can start. A row for each that was
    active, with `last_text`; none if nothing was. Texts that a person scheduled are not of an
    enrollment: cancel those with `POST /api/messages/{id}/cancel`.
    """
    return await once.answer(
        lambda: services.finishing.finish_contact(contact_id, user.id), repeatable=True
    )


def _one(results: Sequence[EnrollmentResult]) -> EnrollmentResult:
    """Return the result for the one enrollment that was asked about.

    Raises:
        NotFoundError: There is no such enrollment.
    """
    [result] = results
    if result.result == "not_found":
        raise NotFoundError("enrollment", result.enrollment_id)
    return result


@router.post("/enrollments/{enrollment_id}/finish", response_model=FinishedRow)
async def finish_enrollment(
    enrollment_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Mark one enrollment finished, as the batch does: `finished` or `already_final`."""

    async def finish() -> EnrollmentResult:
        return _one(await services.finishing.mark_finished([enrollment_id], user.id))

    return await once.answer(finish, repeatable=True)


@router.post("/enrollments/{enrollment_id}/pause", response_model=RowResult)
async def pause_enrollment(
    enrollment_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Pause one enrollment, as the batch does.

    `paused`, `already_paused`, `awaiting_reply` or `already_final`.
    """

    async def pause() -> EnrollmentResult:
        return _one(await services.pausing.pause([enrollment_id], user.id))

    return await once.answer(pause, repeatable=True)


@router.post("/enrollments/{enrollment_id}/resume", response_model=RowResult, dependencies=[Sends])
async def resume_enrollment(
    enrollment_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Resume one paused enrollment, as the batch does: `resumed`, `not_paused`, `already_final`."""

    async def resume() -> EnrollmentResult:
        return _one(await services.pausing.resume([enrollment_id], user.id))

    return await once.answer(resume, repeatable=True)


@router.post(
    "/enrollments/{enrollment_id}/release", response_model=FinishedRow, dependencies=[Sends]
)
async def release_enrollment(
    enrollment_id: UUID,
    body: OneRelease,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
) -> Response:
    """Release one held enrollment, as the batch does.

    `released`, `finished`, `not_held`, `already_final`, `outcome_known` or `consent_missing`.
    """

    async def release() -> EnrollmentResult:
        return _one(await services.bulk_actions.release([enrollment_id], body.decision, user.id))

    return await once.answer(release)
