"""Enroll preview: the results that enrolling would have, before anything is written."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    InvalidRequestError,
    NotFoundError,
)
from domain.statuses.contacts import FieldType, LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobState
from domain.statuses.sequences import SequenceKind
from services.jobs.enroll_preview import EnrollPreview, FilePreview, Prediction
from storage.contacts.contacts import ContactFilter
from tests.kits.contact_import import chunks
from tests.kits.sending import SendingKit
from tests.worlds import scheduled

HEADER = "First name,Last name,Mobile\n"


def counted(preview: EnrollPreview | None) -> dict[str, int]:
    """Keep the outcomes with a count above zero."""
    assert preview is not None
    assert set(preview.counts) == set(Prediction)
    assert preview.total == sum(preview.counts.values())
    return {outcome.value: count for outcome, count in preview.counts.items() if count}


async def person(kit: SendingKit, name: str, phone: str, **values: object) -> UUID:
    return (await kit.world.contacts(1, first_name=name, last_name="", phone=phone, **values))[0]


async def of_file(kit: SendingKit, sequence_id: UUID, text: str, **how: object) -> FilePreview:
    return await kit.services.enroll_previews.of_file(
        sequence_id,
        chunks(text),
        kit.world.user_id,
        **how,  # type: ignore[arg-type]
    )


async def test_preview_matches_the_result_of_enrolling(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    fresh, there, gone = await kit.world.contacts(3)
    landline, nobody = await kit.world.landline(), uuid4()
    await kit.enroll(sequence, there)
    await kit.world.suppress(gone)
    asked = [fresh, there, gone, landline, nobody, fresh]
    preview = await kit.services.enroll_previews.of_contacts(sequence.id, asked)
    assert counted(preview) == {
        "new": 1,
        "already_active": 1,
        "opted_out": 1,
        "landline": 1,
        "unknown_contact": 1,
    }
    assert preview.contact_ids == [fresh, gone, landline]
    assert preview.rows[-1].outcome is Prediction.NEW  # contacts without a remark come last
    assert preview.rows[0].name.startswith("Ann")
    assert [row.status for row in await kit.world.rows("SELECT status FROM enrollments")] == [
        "active"
    ]
    answer = await kit.services.enrolling.enroll(
        sequence.id, kit.world.user_id, contact_ids=preview.contact_ids
    )
    assert [one.status for one in answer.enrolled] == [
        EnrollmentStatus.ACTIVE,
        EnrollmentStatus.OMITTED_OPTED_OUT,
        EnrollmentStatus.OMITTED_LANDLINE,
    ]


async def test_preview_shows_past_dates(kit: SendingKit) -> None:
    sequence = await kit.sequence(
        kind=SequenceKind.SCHEDULED,
        steps=[scheduled("Hi", datetime.now(UTC) + timedelta(days=3))],
    )
    await kit.world.run("UPDATE steps SET send_at = '2020-01-01T09:00'")
    preview = await kit.services.enroll_previews.of_contacts(
        sequence.id, await kit.world.contacts(2)
    )
    assert counted(preview) == {"all_steps_past": 2}
    assert preview.contact_ids == []


async def test_a_group_of_any_size_is_counted(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.jobs.enroll_preview._CHUNK", 2)
    monkeypatch.setattr("services.jobs.enroll_preview.ROWS_MOST", 3)
    sequence = await kit.sequence()
    people = await kit.world.contacts(5)
    await kit.enroll(sequence, people[0])
    preview = await kit.services.enroll_previews.of_group(
        sequence.id, await kit.world.group(people)
    )
    assert counted(preview) == {"new": 4, "already_active": 1}
    assert [row.outcome for row in preview.rows] == ["already_active", "new", "new"]
    empty = await kit.services.enroll_previews.of_group(sequence.id, await kit.world.group())
    assert counted(empty) == {}
    with pytest.raises(InvalidFieldError):
        await kit.services.enroll_previews.of_group(sequence.id, uuid4())


async def test_preview_sorts_pasted_numbers(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    ada = await person(kit, "Ada", "+12125550101")
    bob = await person(kit, "Bob", "+12125550102")
    await kit.enroll(sequence, bob)
    gone = await person(kit, "Gone", "+12125550105")
    await kit.world.suppress(gone)
    await kit.world.run("DELETE FROM contacts WHERE id = :id", id=gone)
    preview = await kit.services.enroll_previews.of_numbers(
        sequence.id,
        "(212) 555-0101, +12125550102\n\n212 555 0103; nonsense\n2125550101\n+12125550105",
    )
    assert counted(preview) == {
        "new": 1,
        "already_active": 1,
        "unknown_number": 1,
        "duplicate": 1,
        "invalid": 1,
        "opted_out": 1,
    }
    assert preview.contact_ids == [ada]
    assert preview.unknown_numbers == ["+12125550103"]
    by_outcome = {row.outcome: row for row in preview.rows}
    assert by_outcome[Prediction.NEW].name == "Ada"
    assert by_outcome[Prediction.NEW].line == 1
    bad = by_outcome[Prediction.INVALID]
    assert (bad.line, bad.phone, bad.errors[0].field) == (3, "nonsense", "phone")
    assert (by_outcome[Prediction.DUPLICATE].line, by_outcome[Prediction.DUPLICATE].phone) == (
        4,
        "+12125550101",
    )


async def test_unknown_numbers_become_contacts_if_asked(kit: SendingKit) -> None:
    sequence = await kit.sequence("Hi {{first_name|there}}, {{full_name|you}}, {{last_name|new}}")
    before = await person(kit, "Ada", "+12125550101")
    added = await kit.services.enroll_previews.add_numbers(
        ["+12125550103", "+12125550101", "+12125550103"]
    )
    assert added[1:] == [before]
    contact = await kit.services.contacts.get(added[0])
    assert (contact.first_name, contact.last_name) == ("", "+12125550103")
    text = "Hi there, you, new"
    [shown] = await kit.services.previews.steps(sequence.id, None, contact_id=added[0])
    assert shown.text == text
    await kit.send(await kit.enroll(sequence, added[0]))
    assert [call.body for call in kit.gateway.calls_to("+12125550103")] == [text]
    with pytest.raises(InvalidFieldError):
        await kit.services.enroll_previews.add_numbers(["12"])


@pytest.mark.parametrize("pasted", ["", " \n;,", "1\n" * 10_001])
async def test_too_many_numbers_or_none_are_refused(kit: SendingKit, pasted: str) -> None:
    sequence = await kit.sequence()
    with pytest.raises(InvalidFieldError) as refused:
        await kit.services.enroll_previews.of_numbers(sequence.id, pasted)
    assert refused.value.field_code == "number_count"


async def test_file_preview_has_a_row_for_each_line(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    await person(kit, "Ada", "+12125550101")
    await kit.enroll(sequence, await person(kit, "Bob", "+12125550102"))
    await person(kit, "Line", "+12125550104", line_type=LineType.LANDLINE)
    text = HEADER + (
        "Ada,B,+12125550101\nBob,B,+12125550102\nCid,C,+12125550103\n"
        "Line,L,+12125550104\nCid,again,212 555 0103\nDee,,12\n"
    )
    shown = await of_file(kit, sequence.id, text)
    assert [(one.text, one.field) for one in shown.headings] == [
        ("First name", "first_name"),
        ("Last name", "last_name"),
        ("Mobile", "phone"),
    ]
    assert shown.columns == {"first_name": 0, "last_name": 1, "phone": 2}
    assert [one[0] for one in shown.samples] == ["Ada", "B", "+12125550101"]
    assert shown.missing == ()
    assert counted(shown.preview) == {
        "new": 1,
        "new_contact": 1,
        "already_active": 1,
        "landline": 1,
        "duplicate": 1,
        "invalid": 1,
    }
    assert shown.preview is not None
    by_outcome = {row.outcome: row for row in shown.preview.rows}
    assert by_outcome[Prediction.NEW_CONTACT].line == 4
    assert by_outcome[Prediction.NEW_CONTACT].name == "Cid C"
    assert by_outcome[Prediction.DUPLICATE].line == 6
    bad = by_outcome[Prediction.INVALID]
    assert (bad.line, bad.errors[0].field_code) == (7, "invalid_phone")
    assert await kit.world.rows("SELECT 1 FROM contacts WHERE phone = '+12125550103'") == []


async def test_duplicates_are_found_across_chunks(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.jobs.enroll_preview._CHUNK", 2)
    sequence = await kit.sequence()
    lines = [f"P,{number},+1212555010{number % 3}\n" for number in range(7)]
    shown = await of_file(kit, sequence.id, HEADER + "".join(lines))
    assert counted(shown.preview) == {"new_contact": 3, "duplicate": 4}


async def test_a_file_is_imported_and_then_enrolled(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    ada = await person(kit, "Ada", "+12125550101")
    text = HEADER + "Ada,,+12125550101\nBo,,+12125550102\nBo,,12\nBo,,+12125550102\n"
    shown = await of_file(kit, sequence.id, text)
    assert shown.job_id is not None
    job = await kit.services.importing.start(shown.job_id, kit.world.user_id)
    with pytest.raises(ConflictError) as refused:
        await kit.services.jobs.start_enrolling(sequence.id, kit.world.user_id, import_id=job.id)
    assert refused.value.conflict == "import_not_done"
    while (await kit.services.jobs.run_chunk(job.id)).more:
        pass
    enrolling = await kit.services.jobs.start_enrolling(
        sequence.id, kit.world.user_id, import_id=job.id
    )
    assert enrolling.total == 2
    while (await kit.services.jobs.run_chunk(enrolling.id)).more:
        pass
    done = await kit.services.jobs.get(enrolling.id)
    assert (done.state, done.counts) == (JobState.DONE, {"enrolled": 2})
    found = await kit.world.rows("SELECT contact_id FROM enrollments")
    assert ada in {row.contact_id for row in found}


async def test_file_is_enrolled_once_after_its_import(
    kit: SendingKit,
) -> None:
    sequence = await kit.sequence()
    text = HEADER + "".join(f"P,{at},+121255501{at:02}\n" for at in range(20)) + "Bad,,12\n"
    shown = await of_file(kit, sequence.id, text)
    assert shown.job_id is not None
    user_id = kit.world.user_id
    job = await kit.services.importing.start(shown.job_id, user_id, enroll_into=sequence.id)
    await asyncio.gather(*(kit.services.jobs.run_chunk(job.id) for _ in range(4)))
    await kit.services.jobs.run_chunk(job.id)
    done = await kit.services.jobs.get(job.id)
    assert (done.state, done.error) == (JobState.DONE, None)
    following = await kit.world.rows("SELECT id, total FROM jobs WHERE kind = 'enrol'")
    assert [(str(row.id), row.total) for row in following] == [(done.about["enrolling_id"], 20)]
    while (await kit.services.jobs.run_chunk(following[0].id)).more:
        pass
    assert await kit.services.jobs.enrolled_by_status(following[0].id) == {
        EnrollmentStatus.ACTIVE: 20
    }


async def test_import_error_says_why_enrolling_failed(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    jobs = []
    for text in ("Ada,,+12125550101\n", "Bad,,12\n"):
        shown = await of_file(kit, sequence.id, HEADER + text)
        assert shown.job_id is not None
        jobs.append(
            await kit.services.importing.start(
                shown.job_id, kit.world.user_id, enroll_into=sequence.id
            )
        )
    await kit.services.jobs.run_chunk(jobs[1].id)
    await kit.services.archiving.archive(sequence.id, kit.world.user_id)
    await kit.services.jobs.run_chunk(jobs[0].id)
    ended = [await kit.services.jobs.get(job.id) for job in jobs]
    assert [job.state for job in ended] == [JobState.DONE, JobState.DONE]
    assert [job.error for job in ended] == ["sequence_not_active", "empty_import"]
    assert await kit.world.rows("SELECT 1 FROM jobs WHERE kind = 'enrol'") == []
    assert len(await kit.world.rows("SELECT 1 FROM contacts WHERE first_name = 'Ada'")) == 1


async def test_job_other_than_an_import_cannot_be_enrolled_from(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    for wrong in (uuid4(), await _other_job(kit, sequence.id)):
        with pytest.raises(NotFoundError):
            await kit.services.jobs.start_enrolling(sequence.id, kit.world.user_id, import_id=wrong)
    shown = await of_file(kit, sequence.id, HEADER + "Ada,,12\n")
    assert shown.job_id is not None
    job = await kit.services.importing.start(shown.job_id, kit.world.user_id)
    while (await kit.services.jobs.run_chunk(job.id)).more:
        pass
    with pytest.raises(InvalidFieldError) as refused:
        await kit.services.jobs.start_enrolling(sequence.id, kit.world.user_id, import_id=job.id)
    assert refused.value.field_code == "empty_import"


async def _other_job(kit: SendingKit, sequence_id: UUID) -> UUID:
    people = await kit.world.contacts(1)
    job = await kit.services.jobs.start_enrolling(
        sequence_id, kit.world.user_id, contact_ids=people
    )
    return job.id


async def test_columns_can_be_given(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    text = "Who,Line,Line\nAda,x,+12125550101\n"
    guessed = await of_file(kit, sequence.id, text)
    assert (guessed.missing, guessed.job_id, guessed.preview) == (
        ("phone", "first_name"),
        None,
        None,
    )
    assert [one.text for one in guessed.headings] == ["Who", "Line", "Line"]
    assert guessed.samples == [["Ada"], ["x"], ["+12125550101"]]
    said = await of_file(kit, sequence.id, text, columns={"first_name": 0, "phone": 2})
    assert counted(said.preview) == {"new_contact": 1}
    for wrong in ({"first_name": 0, "phone": 3}, {"first_name": 0, "phone": 0}, {"fax": 1}):
        columns = {"first_name": 0, "phone": 2, **wrong}
        with pytest.raises(InvalidFieldError):
            await of_file(kit, sequence.id, text, columns=columns)
    kept = await kit.world.rows("SELECT id FROM jobs")
    assert [row.id for row in kept] == [said.job_id]


async def test_first_of_two_columns_with_one_name_is_used(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    text = "First name,Mobile,Phone\nAda,+12125550101,+12125550102\n"
    shown = await of_file(kit, sequence.id, text)
    assert shown.columns == {"first_name": 0, "phone": 1}
    assert [one.field for one in shown.headings] == ["first_name", "phone", None]
    assert counted(shown.preview) == {"new_contact": 1}


async def test_file_larger_than_a_chunk_is_read_whole(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    lines = [f"Person {n},{'x' * 40},+1212{5_000_000 + n}\n" for n in range(2_500)]
    shown = await of_file(kit, sequence.id, HEADER + "".join(lines))
    assert counted(shown.preview) == {"new_contact": 2_500}
    assert {len(one) for one in shown.samples} == {5}


@pytest.mark.parametrize("text", ["", "\n\n"])
async def test_empty_file_shows_its_missing_columns(kit: SendingKit, text: str) -> None:
    sequence = await kit.sequence()
    shown = await of_file(kit, sequence.id, text)
    assert (shown.headings, shown.missing) == ([], ("phone", "first_name"))


async def test_preview_for_a_draft_is_refused_and_keeps_no_file(kit: SendingKit) -> None:
    draft = await kit.world.draft()
    previews = kit.services.enroll_previews
    group = await kit.world.group()
    with pytest.raises(ConflictError):
        await previews.of_contacts(draft.id, await kit.world.contacts(1))
    with pytest.raises(ConflictError):
        await previews.of_group(draft.id, group)
    with pytest.raises(ConflictError):
        await previews.of_numbers(draft.id, "+12125550101")
    with pytest.raises(ConflictError):
        await of_file(kit, draft.id, HEADER)
    with pytest.raises(NotFoundError):
        await previews.of_contacts(uuid4(), await kit.world.contacts(1))
    assert await kit.world.rows("SELECT 1 FROM jobs") == []


async def test_preview_names_what_texts_would_lack(kit: SendingKit) -> None:
    await kit.services.fields.create("city", "City", FieldType.TEXT)
    sequence = await kit.sequence("Hi {{first_name|there}}", "{{job_title}} in {{city}}")
    there, lacking, gone = await kit.world.contacts(3)
    await kit.services.contacts.update(there, {"fields": {"city": "Lyon"}})
    await kit.world.suppress(gone)
    people = [there, lacking, gone]
    previews = kit.services.enroll_previews
    bare = await previews.of_contacts(sequence.id, people)
    assert bare.lacking == {"job_title": 2, "city": 1}
    assert {row.contact_id: row.lacks for row in bare.rows} == {
        there: ("job_title",),
        lacking: ("job_title", "city"),
        gone: (),
    }
    told = await previews.of_contacts(sequence.id, people, {"job_title": "Welder"})
    assert told.lacking == {"city": 1}
    assert told.rows[-1].contact_id == there  # contacts without a remark come last
    file = await previews.of_file(
        sequence.id,
        chunks("First name,Mobile,City\nAda,+12125550101,Lyon\nBo,+12125550102,\n"),
        kit.world.user_id,
        {"job_title": "Welder"},
    )
    assert file.preview is not None
    assert file.preview.lacking == {"city": 1}
    for wrong in ({"jobtitle": "Welder"}, {"job_title": "Line\nbreak"}):
        with pytest.raises(InvalidRequestError) as refused:
            await previews.of_contacts(sequence.id, people, wrong)
        assert refused.value.errors[0].field == f"variables.{next(iter(wrong))}"


async def test_everybody_is_enrolled_with_the_variables_given(kit: SendingKit) -> None:
    sequence = await kit.sequence("{{job_title}}?")
    one, member, listed = await kit.world.contacts(3)
    user_id, values = kit.world.user_id, {"job_title": "Welder"}
    group_id = await kit.world.group([member])
    matching = ContactFilter(contact=[listed])
    preview = await kit.services.enroll_previews.of_list(sequence.id, matching)
    assert (preview.contact_ids, preview.lacking) == ([listed], {"job_title": 1})
    begin = kit.services.jobs.start_enrolling
    jobs = [
        await begin(sequence.id, user_id, contact_ids=[one], variables=values),
        await begin(sequence.id, user_id, group_id=group_id, variables=values),
        await begin(sequence.id, user_id, matching=matching, variables=values),
    ]
    file = await kit.services.enroll_previews.of_file(
        sequence.id, chunks(f"{HEADER}Ada,,+12125550101\n"), user_id, values
    )
    assert file.job_id is not None
    jobs.append(
        await kit.services.importing.start(
            file.job_id, user_id, enroll_into=sequence.id, variables=values
        )
    )
    assert "variables" not in jobs[-1].about
    while open_jobs := await kit.world.rows(
        "SELECT id FROM jobs WHERE state IN ('queued', 'running')"
    ):
        for job in open_jobs:
            await kit.services.jobs.run_chunk(job.id)
    enrolled = await kit.world.rows("SELECT variables FROM enrollments")
    assert [row.variables for row in enrolled] == [values] * 4
    # Nothing personal stays behind with the jobs.
    kept = await kit.world.rows("SELECT params::text || detail::text AS all FROM jobs, job_rows")
    assert not any("Welder" in row.all for row in kept)

    again = await kit.services.enroll_previews.of_import(sequence.id, file.job_id, values)
    assert counted(again) == {"already_active": 1}
    with pytest.raises(InvalidRequestError):
        await begin(sequence.id, user_id, contact_ids=[one], variables={"wage": "30"})


async def test_updated_contacts_of_an_import_are_enrolled_too(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    await person(kit, "Ada", "+12125550101")
    importing = kit.services.importing
    job_id = await importing.receive(
        chunks(f"{HEADER}Ada,Byron,+12125550101\n"), kit.world.user_id, update_existing=True
    )
    await importing.start(job_id, kit.world.user_id)
    while (await kit.services.jobs.run_chunk(job_id)).more:
        pass
    assert await kit.services.jobs.count_imported(job_id) == 1
    assert counted(await kit.services.enroll_previews.of_import(sequence.id, job_id)) == {"new": 1}
