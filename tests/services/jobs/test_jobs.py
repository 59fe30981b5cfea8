"""Jobs: each row is processed once, whatever is killed, and has a result."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.jobs.ports import JobProgress
from domain.messaging.ports import Accepted
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from domain.statuses.messaging import MessageStatus
from services.jobs import jobs as jobs_module
from services.jobs.jobs import Handler, Jobs
from services.maintenance.pruning import Pruning
from services.messaging.holds import Decision
from storage.enrollments.list_filter import ListFilter
from storage.jobs import jobs as rows
from storage.jobs.jobs import JobDetails
from tests.kits.sending import SendingKit

EVERYONE = ListFilter()


async def enroll_many(kit: SendingKit, count: int) -> tuple[UUID, list[UUID]]:
    """Write a sequence with this many enrollments."""
    sequence = await kit.sequence()
    people = await kit.world.contacts(count)
    answer = await kit.services.enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=people)
    return sequence.id, [one.id for one in answer.enrolled]


async def start_bulk(
    kit: SendingKit, sequence_id: UUID, kind: JobKind, wanted: ListFilter = EVERYONE, **more: object
) -> JobDetails:
    return await kit.services.jobs.start_bulk_action(
        sequence_id,
        kind,
        wanted,
        kit.world.user_id,
        **more,  # type: ignore[arg-type]
    )


async def run(jobs: Jobs, job_id: UUID) -> JobProgress:
    """Run a job as its workflow does."""
    async with asyncio.timeout(30):
        while (progress := await jobs.run_chunk(job_id)).more:
            if not progress.acted:
                await asyncio.sleep(0.05)
    return progress


async def codes(kit: SendingKit, job_id: UUID) -> list[str | None]:
    found, _ = await kit.services.jobs.results(job_id, limit=100_000)
    return [row.code for row in found]


async def test_only_matching_enrollments_are_finished(kit: SendingKit) -> None:
    sequence_id, ids = await enroll_many(kit, 120)
    _, others = await enroll_many(kit, 3)
    await kit.services.finishing.mark_finished(ids[:20], kit.world.user_id)
    wanted = ListFilter(status=[EnrollmentStatus.ACTIVE])
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED, wanted)
    assert (job.state, job.total, job.done) == (JobState.QUEUED, 100, 0)
    await kit.services.outbox.drain()
    assert ("job", job.id, None, None) in kit.temporal.told
    await run(kit.services.jobs, job.id)
    ended = await kit.services.jobs.get(job.id)
    assert (ended.state, ended.done, ended.counts) == (JobState.DONE, 100, {"finished": 100})
    assert ended.started_at is not None
    assert ended.ended_at is not None
    found, more = await kit.services.jobs.results(job.id, limit=200)
    assert {row.subject_id for row in found} == set(ids[20:])
    assert [row.position for row in found] == list(range(1, 101))
    assert found[0].detail == {"last_text": "none"}
    assert not more
    still = await kit.world.rows("SELECT id FROM enrollments WHERE status = 'active'")
    assert {row.id for row in still} == set(others)
    [entry] = await kit.world.rows(
        "SELECT count(*) AS count FROM audit_log WHERE action = 'enrollment.finish'"
        " AND user_id = :user_id AND subject_id = ANY(:ids)",
        user_id=kit.world.user_id,
        ids=ids[20:],
    )
    assert entry.count == 100


async def test_each_row_is_acted_on_once_when_workers_are_killed(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed worker never causes a row to be processed twice."""
    monkeypatch.setattr(jobs_module, "CHUNK_SECONDS", 0.05)
    sequence_id, ids = await enroll_many(kit, 600)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    kills = 0
    while (await kit.services.jobs.get(job.id)).done < 600:
        workers = [asyncio.create_task(kit.services.jobs.run_chunk(job.id)) for _ in range(4)]
        await asyncio.sleep(0.02 * (kills % 5 + 1))
        for worker in workers[: 2 if kills < 6 else 0]:
            kills += worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    assert kills >= 4
    await run(kit.services.jobs, job.id)
    assert Counter(await codes(kit, job.id)) == {"finished": 600}
    [signals] = await kit.world.rows(
        "SELECT count(*) AS all, count(DISTINCT subject_id) AS subjects FROM outbox"
        " WHERE kind = 'signal_enrollment' AND payload->>'signal' = 'mark_finished'"
    )
    drained = [one for one in kit.temporal.told if one[2] == "mark_finished"]
    assert signals.all + len(drained) == 600
    acted = await kit.world.rows(
        "SELECT subject_id FROM audit_log WHERE action = 'enrollment.finish'"
    )
    assert Counter(row.subject_id for row in acted) == Counter(ids)


async def test_rows_of_a_dead_worker_are_taken_by_the_next(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 60)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    async with kit.world.database.transaction() as tx:
        await rows.begin(tx, job.id)
    async with kit.world.database.transaction() as tx:
        assert len(await rows.take(tx, job.id, 50)) == 50
        async with asyncio.timeout(5):
            first = await kit.services.jobs.run_chunk(job.id)
            second = await kit.services.jobs.run_chunk(job.id)
    assert (first.acted, first.more) == (10, True)
    assert (second.acted, second.more, second.done) == (0, True, 10)
    ended = await run(kit.services.jobs, job.id)
    assert (ended.state, ended.done) == ("done", 60)


async def test_job_waits_for_the_outcome_of_last_texts(kit: SendingKit) -> None:
    """The answer says whether a last text was ``none``, ``sent`` or ``unknown``."""
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    call = await kit.open_call(enrollment)
    job = await start_bulk(kit, sequence.id, JobKind.MARK_FINISHED)
    await kit.services.jobs.run_chunk(job.id)
    progress = await kit.services.jobs.run_chunk(job.id)
    assert (progress.more, progress.done) == (True, 1)
    [row], _ = await kit.services.jobs.results(job.id)
    assert (row.code, row.detail) == ("finished", {})
    await kit.services.sending.record_answer(call.attempt_id, Accepted("SM1", MessageStatus.QUEUED))
    assert (await run(kit.services.jobs, job.id)).state == "done"
    [row], _ = await kit.services.jobs.results(job.id)
    assert (row.code, row.detail) == ("finished", {"last_text": "sent"})


async def test_canceled_job_leaves_remaining_rows_alone(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "CHUNK_SECONDS", 0)
    sequence_id, _ = await enroll_many(kit, 120)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    await kit.services.jobs.run_chunk(job.id)
    canceled = await kit.services.jobs.cancel(job.id, kit.world.user_id)
    assert canceled.state is JobState.CANCELED
    assert canceled.counts == {"finished": 50, "canceled": 70}
    again = await kit.services.jobs.cancel(job.id, kit.world.user_id)
    assert again.state is JobState.CANCELED
    progress = await kit.services.jobs.run_chunk(job.id)
    assert (progress.state, progress.more) == ("canceled", False)
    [left] = await kit.world.rows(
        "SELECT count(*) AS count FROM enrollments WHERE status = 'active'"
    )
    assert left.count == 70


async def test_canceled_job_completes_rows_under_way(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 5)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    async with kit.world.database.transaction() as tx:
        await rows.begin(tx, job.id)
    async with kit.world.database.transaction() as tx:
        taken = await rows.take(tx, job.id, 2)
        canceling = await kit.services.jobs.cancel(job.id, kit.world.user_id)
        assert (canceling.state, canceling.done) == (JobState.CANCELING, 3)
        await rows.store_results(
            tx, job.id, [rows.RowResult(row.position, "finished") for row in taken]
        )
    assert (await kit.services.jobs.run_chunk(job.id)).state == "canceled"
    ended = await kit.services.jobs.get(job.id)
    assert (ended.done, ended.counts) == (5, {"finished": 2, "canceled": 3})


async def test_ended_job_cannot_be_canceled(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 1)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    await run(kit.services.jobs, job.id)
    with pytest.raises(ConflictError) as raised:
        await kit.services.jobs.cancel(job.id, kit.world.user_id)
    assert raised.value.conflict == "job_ended"
    with pytest.raises(NotFoundError):
        await kit.services.jobs.cancel(uuid4(), kit.world.user_id)


async def test_job_without_rows_is_done_at_once(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 1)
    wanted = ListFilter(search="nobody is called so")
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED, wanted)
    assert (job.state, job.total) == (JobState.DONE, 0)
    await kit.services.outbox.drain()
    assert not [one for one in kit.temporal.told if one[0] == "job"]


async def test_matching_contacts_are_added_to_a_group(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 3)
    group_id = await kit.world.group()
    job = await start_bulk(kit, sequence_id, JobKind.ADD_TO_GROUP, group_id=group_id)
    await run(kit.services.jobs, job.id)
    assert await codes(kit, job.id) == ["added"] * 3
    job = await start_bulk(kit, sequence_id, JobKind.ADD_TO_GROUP, group_id=group_id)
    await kit.services.groups.remove(group_id)
    await run(kit.services.jobs, job.id)
    ended = await kit.services.jobs.get(job.id)
    assert (ended.state, ended.error) == (JobState.DONE, "unknown_group")
    assert ended.counts == {"unknown_group": 3}


async def test_matching_enrollments_are_paused_resumed_and_released(kit: SendingKit) -> None:
    sequence_id, ids = await enroll_many(kit, 3)
    await kit.services.finishing.mark_finished(ids[:1], kit.world.user_id)
    for kind, result in ((JobKind.PAUSE, "paused"), (JobKind.RESUME, "resumed")):
        job = await start_bulk(kit, sequence_id, kind)
        await run(kit.services.jobs, job.id)
        assert Counter(await codes(kit, job.id)) == {"already_final": 1, result: 2}
    await kit.world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'destination_not_allowed',"
        " held_code = 21408, next_send_at = NULL WHERE id = :id",
        id=ids[1],
    )
    job = await start_bulk(kit, sequence_id, JobKind.RELEASE, decision=Decision.FINISH)
    await run(kit.services.jobs, job.id)
    assert Counter(await codes(kit, job.id)) == {"already_final": 1, "not_held": 1, "finished": 1}


@pytest.mark.parametrize(
    ("kind", "more", "field", "code"),
    [
        (JobKind.ADD_TO_GROUP, {}, "group_id", "missing"),
        (JobKind.RELEASE, {}, "decision", "missing"),
        (JobKind.PAUSE, {"group_id": uuid4()}, "group_id", "not_for_this_action"),
        (JobKind.ADD_TO_GROUP, {"group_id": uuid4()}, "group_id", "unknown_group"),
    ],
)
async def test_missing_action_parameter_is_refused(
    kit: SendingKit, kind: JobKind, more: dict[str, object], field: str, code: str
) -> None:
    sequence_id, _ = await enroll_many(kit, 1)
    with pytest.raises(InvalidFieldError) as raised:
        await start_bulk(kit, sequence_id, kind, EVERYONE, **more)
    assert (raised.value.field, raised.value.field_code) == (field, code)
    assert await kit.world.rows("SELECT id FROM jobs") == []


async def test_a_whole_group_is_enrolled_in_the_background(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    people = await kit.world.contacts(1_100)
    landline = await kit.world.landline()
    group_id = await kit.world.group([*people, landline])
    await kit.services.enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=people[:1])
    job = await kit.services.jobs.start_enrolling(sequence.id, kit.world.user_id, group_id=group_id)
    await run(kit.services.jobs, job.id)
    ended = await kit.services.jobs.get(job.id)
    assert ended.counts == {"already_active": 1, "enrolled": 1_100}
    assert ended.about == {"sequence_id": str(sequence.id), "group_id": str(group_id)}
    found, _ = await kit.services.jobs.results(job.id, codes=["enrolled"], limit=2_000)
    details = {row.subject_id: row.detail for row in found}
    assert details[landline]["status"] == "omitted_landline"
    assert details[people[1]]["status"] == "active"
    written = await kit.world.rows("SELECT id, contact_id FROM enrollments")
    assert len(written) == 1_101
    by_contact = {row.contact_id: str(row.id) for row in written}
    assert all(detail["enrollment_id"] == by_contact[one] for one, detail in details.items() if one)


async def test_contacts_are_enrolled_in_the_background(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    people, nobody = await kit.world.contacts(2), uuid4()
    job = await kit.services.jobs.start_enrolling(
        sequence.id, kit.world.user_id, contact_ids=[people[1], nobody, people[0], people[1]]
    )
    await run(kit.services.jobs, job.id)
    found, _ = await kit.services.jobs.results(job.id)
    assert [(row.subject_id, row.code) for row in found] == [
        (people[1], "enrolled"),
        (nobody, "unknown_contact"),
        (people[0], "enrolled"),
    ]


async def test_sequence_archived_meanwhile_enrolls_no_one(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    job = await kit.services.jobs.start_enrolling(
        sequence.id, kit.world.user_id, contact_ids=await kit.world.contacts(2)
    )
    await kit.world.run("UPDATE sequences SET state = 'archived'")
    await run(kit.services.jobs, job.id)
    ended = await kit.services.jobs.get(job.id)
    assert (ended.error, ended.counts) == ("sequence_not_active", {"sequence_not_active": 2})


async def test_job_fails_after_ten_failed_tries(kit: SendingKit) -> None:
    async def breaks(*_: object) -> list[rows.RowResult]:
        raise ZeroDivisionError

    sequence_id, _ = await enroll_many(kit, 2)
    job = await start_bulk(kit, sequence_id, JobKind.PAUSE)
    broken = Jobs(
        kit.world.database,
        kit.services.finishing,
        {JobKind.PAUSE: Handler(1, breaks)},
    )
    with pytest.raises(ZeroDivisionError):
        await broken.run_chunk(job.id, tries=9)
    progress = await broken.run_chunk(job.id, tries=10)
    assert (progress.state, progress.more) == ("failed", False)
    ended = await kit.services.jobs.get(job.id)
    assert (ended.error, ended.counts) == ("ZeroDivisionError", {"failed": 2})


async def test_sweep_restarts_lost_jobs(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 2)
    job = await start_bulk(kit, sequence_id, JobKind.PAUSE)
    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    await kit.services.sweep.sweep()
    assert ("job", job.id, None, None) not in kit.temporal.told
    await kit.pass_time(timedelta(minutes=11))
    report = await kit.services.sweep.sweep()
    assert report.failures == []
    assert kit.temporal.told.count(("job", job.id, None, None)) == 1
    await run(kit.services.jobs, job.id)
    await kit.services.sweep.sweep()
    assert kit.temporal.told.count(("job", job.id, None, None)) == 1


async def test_jobs_are_listed_newest_first(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 1)
    made = [(await start_bulk(kit, sequence_id, JobKind.PAUSE)).id for _ in range(3)]
    first = await kit.services.jobs.find(limit=2)
    assert [job.id for job in first.items] == made[:0:-1]
    rest = await kit.services.jobs.find(after=first.next, limit=2)
    assert [job.id for job in rest.items] == made[:1]
    assert rest.next is None
    assert (await kit.services.jobs.find(user_id=uuid4())).items == []
    assert (await kit.services.jobs.find(states=[JobState.DONE])).items == []


async def test_rows_released_while_a_job_fails_get_a_result(
    kit: SendingKit,
) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def breaks_late(*_: object) -> list[rows.RowResult]:
        at_work.set()
        await go_on.wait()
        raise ZeroDivisionError

    async def breaks(*_: object) -> list[rows.RowResult]:
        raise ZeroDivisionError

    def jobs(handler: Handler) -> Jobs:
        return Jobs(kit.world.database, kit.services.finishing, {JobKind.PAUSE: handler})

    sequence_id, _ = await enroll_many(kit, 5)
    job = await start_bulk(kit, sequence_id, JobKind.PAUSE)
    slow = asyncio.create_task(jobs(Handler(2, breaks_late)).run_chunk(job.id))
    await at_work.wait()
    failing = asyncio.create_task(jobs(Handler(2, breaks)).run_chunk(job.id, tries=10))
    await asyncio.sleep(0.2)
    go_on.set()
    with pytest.raises(ZeroDivisionError):
        await slow

    assert (await failing).state == "failed"
    ended = await kit.services.jobs.get(job.id)
    assert (ended.done, ended.counts) == (5, {"failed": 5})


async def test_chunk_wakes_an_endpoint_once(kit: SendingKit) -> None:
    await kit.world.run(
        "INSERT INTO event_endpoints (id, url, description, secret, types, created_by) VALUES"
        " (gen_random_uuid(), 'https://x.example', '', 'x', to_jsonb(CAST(:of AS text[])), :by)",
        of=["enrollment.finished"],
        by=kit.world.user_id,
    )
    sequence_id, ids = await enroll_many(kit, 5)
    job = await start_bulk(kit, sequence_id, JobKind.MARK_FINISHED)
    await kit.world.run("DELETE FROM outbox")

    await kit.services.jobs.run_chunk(job.id)

    woken = await kit.world.rows("SELECT id FROM outbox WHERE kind = 'wake_events'")
    written = await kit.world.rows("SELECT id FROM events WHERE type = 'enrollment.finished'")
    assert (len(woken), len(written)) == (1, len(ids))


async def test_old_jobs_are_deleted_with_their_rows(kit: SendingKit) -> None:
    sequence_id, _ = await enroll_many(kit, 2)
    old, young, running = [await start_bulk(kit, sequence_id, JobKind.PAUSE) for _ in range(3)]
    for job in (old, young):
        await run(kit.services.jobs, job.id)
    await kit.world.run(
        "UPDATE jobs SET ended_at = now() - interval '31 days' WHERE id = :id", id=old.id
    )
    await kit.world.run("UPDATE jobs SET created_at = now() - interval '31 days'")

    await Pruning(kit.world.database, jobs_kept=timedelta(days=30)).prune()

    left = await kit.world.rows("SELECT id FROM jobs")
    assert {row.id for row in left} == {young.id, running.id}
    of_rows = await kit.world.rows("SELECT DISTINCT job_id FROM job_rows")
    assert {row.job_id for row in of_rows} == {young.id, running.id}
