"""Routes of enrollments: enrolling, the Contacts tab, one enrollment, batch actions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from api import paging
from api.dependencies import CurrentUser, ServicesDep, SettingsDep
from api.enrollment_schemas import (
    ContactsPage,
    ContactsQuery,
    Enrollment,
    Enrolment,
    FinishedRow,
    Finishing,
    FinishResults,
    GroupAddition,
    GroupResults,
    NewEnrollments,
    OneOffText,
    Releasing,
    RowResult,
    TextedRow,
    TextResults,
)
from api.idempotency import OnceDep
from services.batch import Batch
from services.contact_list import ContactList
from services.enrollment_detail import EnrollmentDetail
from storage.contact_list import ListFilter

router = APIRouter(tags=["enrollments"])

_SORT_KINDS: dict[str, type[str] | type[datetime]] = {
    "name": str,
    "enrolled_at": datetime,
    "next_send_at": datetime,
    "last_message_at": datetime,
}


def _contact_list(services: ServicesDep, settings: SettingsDep) -> ContactList:
    return ContactList(services.database, services.temporal, live_deadline=settings.live_query)


def _detail(services: ServicesDep, settings: SettingsDep) -> EnrollmentDetail:
    shown_in = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
    return EnrollmentDetail(
        services.database,
        services.temporal,
        live_deadline=settings.live_query,
        workspace_zone=services.config.rules.workspace_zone,
        workflows_url=shown_in,
    )


def _batch(services: ServicesDep) -> Batch:
    return Batch(services.database, services.outbox, services.endings, services.holds)


ContactListDep = Annotated[ContactList, Depends(_contact_list)]
DetailDep = Annotated[EnrollmentDetail, Depends(_detail)]
BatchDep = Annotated[Batch, Depends(_batch)]


@router.post("/sequences/{sequence_id}/enrollments", status_code=202, response_model=Enrolment)
async def enrol(
    sequence_id: UUID,
    body: NewEnrollments,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
) -> Response:
    """Enrol contacts, or all members of a group, into the current version of the steps.

    Suppressed numbers and known landlines are listed under `enrolled` with a final status. Skipped:
    `already_active`, `unknown_contact`, `all_steps_past`. 409 `sequence_not_active` for a draft or
    an archived sequence; a paused one takes contacts, who wait.
    """

    async def work() -> Enrolment:
        answer = await services.enrolling.enrol(
            sequence_id, user.id, contact_ids=body.contact_ids, group_id=body.group_id
        )
        return Enrolment.model_validate(answer)

    return await once.answer(work, status_code=202, repeatable=True)


@router.get("/sequences/{sequence_id}/contacts")
async def list_contacts(
    sequence_id: UUID, query: Annotated[ContactsQuery, Query()], contact_list: ContactListDep
) -> ContactsPage:
    """List everyone who was ever enrolled: the Contacts tab."""
    tab = await contact_list.page(
        sequence_id,
        ListFilter(
            steps=query.step,
            enrolled_by=query.enrolled_by,
            statuses=query.status,
            group_ids=query.group,
            search=query.search,
        ),
        sort=query.sort,
        after=paging.decode(query.cursor, query.sort, _SORT_KINDS),
        limit=query.limit,
        live=query.live,
    )
    cursor = paging.encode(tab.page.next, query.sort) if tab.page.next else None
    return ContactsPage.of(tab, cursor)


@router.get("/enrollments/{enrollment_id}")
async def get_enrollment(enrollment_id: UUID, detail: DetailDep) -> Enrollment:
    """Give one enrollment: where it stands, what comes next and why then, what happened."""
    return Enrollment.of(await detail.get(enrollment_id))


@router.post("/enrollments/batch/add-to-group")
async def add_to_group(body: GroupAddition, batch: BatchDep, user: CurrentUser) -> GroupResults:
    """Put the enrollments' contacts into a group."""
    done = await batch.add_to_group(body.enrollment_ids, body.group_id, user.id)
    return GroupResults(results=[RowResult.model_validate(one) for one in done])


@router.post("/enrollments/batch/send-message", response_model=TextResults)
async def send_message(
    body: OneOffText, batch: BatchDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Text at most 10 contacts, each individually and once.

    422 `too_many_recipients` above, and nothing is sent. Not bound by the send window; always by
    opt-outs.
    """

    async def work() -> TextResults:
        done = await batch.send_message(body.enrollment_ids, body.body, user.id)
        return TextResults(results=[TextedRow.model_validate(one) for one in done])

    return await once.answer(work, status_code=200)


@router.post("/enrollments/batch/mark-finished")
async def mark_finished(body: Finishing, batch: BatchDep, user: CurrentUser) -> FinishResults:
    """Mark enrollments finished; answers only when no text of theirs can still start."""
    done = await batch.mark_finished(body.enrollment_ids, user.id)
    return FinishResults(results=[FinishedRow.model_validate(one) for one in done])


@router.post("/enrollments/batch/release")
async def release(body: Releasing, batch: BatchDep, user: CurrentUser) -> FinishResults:
    """Let held enrollments go on.

    `released`, `finished`, `not_held`, `already_final`, `not_found`, or `outcome_known` where
    `treat_as_sent` is asked of a text that is known not to have been sent.
    """
    done = await batch.release(body.enrollment_ids, body.decision, user.id)
    return FinishResults(results=[FinishedRow.model_validate(one) for one in done])
