"""Actions on contacts: the result of each, in the request or in the background, and undo."""

from uuid import UUID, uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from services.jobs.contact_actions import Enrolled, can_be_undone
from services.jobs.jobs import Handler
from storage.contacts.contacts import ContactFilter
from storage.enrollments.list_filter import ListFilter
from storage.jobs.jobs import JobDetails
from tests.kits.sending import SendingKit


def only(*contact_ids: UUID) -> ContactFilter:
    return ContactFilter(contact=contact_ids)


async def members(kit: SendingKit, group_id: UUID) -> set[UUID]:
    found = await kit.world.rows(
        "SELECT contact_id FROM group_members WHERE group_id = :id", id=group_id
    )
    return {row.contact_id for row in found}


async def owners(kit: SendingKit) -> dict[UUID, UUID | None]:
    return {row.id: row.owner_id for row in await kit.world.rows("SELECT * FROM contacts")}


async def work(kit: SendingKit, job: JobDetails) -> JobDetails:
    """Run a job as its workflow does."""
    while (await kit.services.jobs.run_chunk(job.id)).more:
        pass
    return await kit.services.jobs.get(job.id)


async def test_adding_to_a_group_is_undone_for_those_just_added(kit: SendingKit) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    there, first, second = people = await kit.world.contacts(3)
    group_id = await kit.world.group([there])
    done = await actions.add_to_group(only(*people, uuid4()), user_id, group_id=group_id)
    assert (done.state, done.counts) == (JobState.DONE, {"added": 2, "already_member": 1})
    assert await members(kit, group_id) == set(people)
    assert await kit.world.rows("SELECT 1 FROM outbox WHERE kind = 'start_job'") == []

    undone = await actions.undo(done.id, user_id)
    assert (undone.kind, undone.counts) == (JobKind.UNGROUP_CONTACTS, {"removed": 2})
    assert await members(kit, group_id) == {there}

    redone = await actions.undo(undone.id, user_id)
    assert redone.counts == {"added": 2}
    assert await members(kit, group_id) == {there, first, second}


async def test_undo_leaves_what_colleagues_did_since_and_ends_after_an_hour(
    kit: SendingKit,
) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    colleague = await kit.world.user("Zoe")
    mine, hers = people = await kit.world.contacts(2)
    group_id = await kit.world.group()
    done = await actions.add_to_group(only(*people), user_id, group_id=group_id)
    await actions.remove_from_group(only(hers), colleague, group_id=group_id)
    await actions.add_to_group(only(hers), colleague, group_id=group_id)
    undone = await actions.undo(done.id, user_id)
    assert undone.counts == {"removed": 1, "changed_since": 1}
    assert await members(kit, group_id) == {hers}

    late = await actions.add_to_group(only(mine), user_id, group_id=group_id)
    await kit.world.run(
        "UPDATE jobs SET ended_at = ended_at - interval '61 minutes' WHERE id = :id", id=late.id
    )
    assert not can_be_undone(await kit.services.jobs.get(late.id))
    with pytest.raises(ConflictError):
        await actions.undo(late.id, user_id)
    assert await members(kit, group_id) == {mine, hers}


async def test_group_is_created_in_the_same_go_or_not_at_all(kit: SendingKit) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    people = await kit.world.contacts(2)
    done = await actions.add_to_group(
        only(*people), user_id, group_id=None, new_group=" Night shift "
    )
    [group] = (await kit.services.groups.find()).items
    assert (group.name, group.member_count) == ("Night shift", 2)
    assert done.params == {"group_id": str(group.id)}

    with pytest.raises(InvalidFieldError) as nobody:
        await actions.add_to_group(only(uuid4()), user_id, group_id=None, new_group="Days")
    with pytest.raises(ConflictError) as taken:
        await actions.add_to_group(only(*people), user_id, group_id=None, new_group="NIGHT shift")
    with pytest.raises(InvalidFieldError) as both:
        await actions.add_to_group(only(*people), user_id, group_id=group.id, new_group="Days")
    with pytest.raises(InvalidFieldError) as neither:
        await actions.add_to_group(only(*people), user_id, group_id=None)
    assert [one.value.field for one in (nobody, both, neither)] == ["contact", *["group_id"] * 2]
    assert taken.value.conflict == "group_taken"
    assert len((await kit.services.groups.find()).items) == 1
    assert len((await kit.services.jobs.find()).items) == 1


async def test_contacts_of_matching_enrollments_are_added_once_each(kit: SendingKit) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    ann, bob = await kit.world.contacts(2)
    sequence = await kit.sequence()
    enrolled = await kit.services.enrolling.enroll(sequence.id, user_id, contact_ids=[ann, bob])
    await kit.services.finishing.mark_finished([enrolled.enrolled[0].id], user_id)
    await kit.services.enrolling.enroll(sequence.id, user_id, contact_ids=[ann])
    group_id = await kit.world.group()
    finished = ListFilter(status=[EnrollmentStatus.FINISHED_STOPPED])
    whom = Enrolled(sequence.id, finished)
    done = await actions.add_to_group(whom, user_id, group_id=group_id)
    assert (done.counts, await members(kit, group_id)) == ({"added": 1}, {ann})

    # The background's own act has enrollments as rows: two of Ann's, undone as one.
    job = await kit.services.jobs.start_bulk_action(
        sequence.id, JobKind.ADD_TO_GROUP, ListFilter(), user_id, group_id=await kit.world.group()
    )
    job = await work(kit, job)
    assert (job.counts, can_be_undone(job)) == ({"added": 3}, True)
    undone = await actions.undo(job.id, user_id)
    assert undone.counts == {"removed": 2}


async def test_removing_from_a_group_is_undone(kit: SendingKit) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    first, second, other = await kit.world.contacts(3)
    group_id = await kit.world.group([first, second])
    whom = only(first, other)
    done = await actions.remove_from_group(whom, user_id, group_id=group_id)
    assert done.counts == {"not_member": 1, "removed": 1}
    assert await members(kit, group_id) == {second}
    assert (await actions.undo(done.id, user_id)).counts == {"added": 1}
    assert await members(kit, group_id) == {first, second}
    with pytest.raises(ConflictError) as twice:
        await actions.undo(done.id, user_id)
    assert twice.value.conflict == "not_undoable"
    done = await actions.remove_from_group(whom, user_id, group_id=group_id)
    await kit.services.groups.remove(group_id)
    with pytest.raises(InvalidFieldError) as gone:
        await actions.undo(done.id, user_id)
    assert gone.value.field_code == "unknown_group"


async def test_undone_assignment_gives_back_the_owner_of_before(kit: SendingKit) -> None:
    actions, me = kit.services.contact_actions, kit.world.user_id
    zoe, left = await kit.world.user("Zoe"), await kit.world.user("Left")
    mine, hers, theirs, nobodys, moved = people = await kit.world.contacts(5)
    await actions.assign(only(mine), me, owner_id=me)
    await actions.assign(only(hers, moved), me, owner_id=zoe)
    await actions.assign(only(theirs), me, owner_id=left)
    done = await actions.assign(only(*people), me, owner_id=me)
    assert done.counts == {"already_assigned": 1, "assigned": 4}
    assert set((await owners(kit)).values()) == {me}
    [told] = await kit.world.rows(
        "SELECT count(*) FROM audit_log WHERE action = 'contact.assign' AND subject_id = :id"
        " AND detail->>'owner_id' = :me",
        id=nobodys,
        me=str(me),
    )
    assert told.count == 1

    await actions.assign(only(moved), me, owner_id=None)  # reassigned since: stays so
    await kit.world.run("UPDATE users SET disabled_at = now() WHERE id = :id", id=left)
    undone = await actions.undo(done.id, me)
    assert undone.counts == {"assigned": 2, "changed_since": 1, "unknown_user": 1}
    assert await owners(kit) == {mine: me, hers: zoe, theirs: me, nobodys: None, moved: None}


async def test_nobody_who_cannot_sign_in_is_given_contacts(kit: SendingKit) -> None:
    [contact_id] = await kit.world.contacts(1)
    left = await kit.world.user("Left")
    await kit.world.run("UPDATE users SET disabled_at = now() WHERE id = :id", id=left)
    for owner_id in (left, uuid4()):
        with pytest.raises(InvalidFieldError) as refused:
            await kit.services.contact_actions.assign(
                only(contact_id), kit.world.user_id, owner_id=owner_id
            )
        assert refused.value.field_code == "unknown_user"
    assert await owners(kit) == {contact_id: None}


async def test_opting_out_ends_enrollments_and_keeps_earlier_evidence(kit: SendingKit) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    active, gone = await kit.world.contacts(2)
    await kit.world.suppress(gone)
    await kit.enroll(await kit.sequence(), active)
    outlook = await actions.outlook(ContactFilter(search="ann"))
    assert (outlook.people, outlook.opted_out, outlook.active) == (2, 1, 1)
    done = await actions.opt_out(ContactFilter(search="ann"), user_id, reason="Asked by phone")
    assert done.counts == {"already_suppressed": 1, "suppressed": 1}
    [job] = await kit.world.rows("SELECT params FROM jobs")
    assert job.params == {}  # the reason is a person's words
    kept = await kit.world.rows("SELECT source, reason FROM suppressions ORDER BY source")
    assert [(row.source, row.reason) for row in kept] == [
        ("by_hand", "Asked by phone"),
        ("keyword", None),
    ]
    [row] = await kit.world.rows("SELECT status FROM enrollments")
    assert row.status == EnrollmentStatus.OMITTED_OPTED_OUT
    assert not can_be_undone(done)
    with pytest.raises(ConflictError) as refused:
        await actions.undo(done.id, user_id)
    assert refused.value.conflict == "not_undoable"
    with pytest.raises(InvalidFieldError):
        await actions.opt_out(only(active), user_id, reason="  ")


async def test_many_are_acted_on_in_the_background(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions, user_id = kit.services.contact_actions, kit.world.user_id
    few = {kind: Handler(2, handler.run) for kind, handler in actions._handlers.items()}
    monkeypatch.setattr(actions, "_handlers", few)
    people = await kit.world.contacts(3)
    group_id = await kit.world.group()
    begun = await actions.add_to_group(only(*people), user_id, group_id=group_id)
    assert (begun.state, begun.total, can_be_undone(begun)) == (JobState.QUEUED, 3, False)
    assert await members(kit, group_id) == set()
    with pytest.raises(ConflictError):
        await actions.undo(begun.id, user_id)
    done = await work(kit, begun)
    assert (done.counts, await members(kit, group_id)) == ({"added": 3}, set(people))
    undone = await work(kit, await actions.undo(begun.id, user_id))
    assert (undone.counts, await members(kit, group_id)) == ({"removed": 3}, set())


async def test_only_ones_own_job_is_undone(kit: SendingKit) -> None:
    actions = kit.services.contact_actions
    people = await kit.world.contacts(1)
    group_id = await kit.world.group()
    done = await actions.add_to_group(only(*people), kit.world.user_id, group_id=group_id)
    other = await kit.world.user("Zoe")
    for job_id, user_id in ((done.id, other), (uuid4(), kit.world.user_id)):
        with pytest.raises(NotFoundError):
            await actions.undo(job_id, user_id)
    assert await members(kit, group_id) == set(people)
