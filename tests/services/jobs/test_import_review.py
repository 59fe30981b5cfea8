"""Files that a person looks through before they are imported."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.contacts.fields import FieldSpec
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.contacts import FieldType, OtherName
from domain.statuses.jobs import JobKind, JobState
from services.jobs import import_review
from services.jobs.contact_import import headings
from services.jobs.import_review import Choices
from storage.jobs import jobs
from storage.jobs.import_review import BadRow, NamedRow
from storage.jobs.jobs import RowResult
from tests.kits.contact_import import chunks
from tests.kits.sending import SendingKit

US = Choices(region="US")
FILE = (
    "Full Name;Cell;Team;Notes\n"
    "Ann Lee;(212) 555-0101;Nurses;tea\n"
    '"Ray, Bo";12;"Nurses; Drivers";\n'
    ";212 555 0103;;\n"
    "Cy Doe;212 555 0104;;;too many\n"
)
COLUMNS = {"full_name": 0, "phone": 1, "groups": 2}


async def stored(
    kit: SendingKit, text: str = FILE, kind: JobKind = JobKind.IMPORT_CONTACTS
) -> UUID:
    return await kit.services.import_review.receive(kind, chunks(text), kit.world.user_id)


async def run(kit: SendingKit, job_id: UUID) -> Mapping[str, int]:
    while (await kit.services.jobs.run_chunk(job_id)).more:
        pass
    return (await kit.services.jobs.get(job_id)).counts


async def confirmed(kit: SendingKit, job_id: UUID, columns: Mapping[str, int]) -> None:
    """Check a file, and start its import."""
    review, user_id = kit.services.import_review, kit.world.user_id
    check = await review.check(job_id, user_id, columns, US)
    await run(kit, check.id)
    await review.confirm(job_id, user_id, columns, US, check_id=check.id)


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("Full Name,Mobile,E-mail", ["full_name", "phone", "fields.email"]),
        ("NAME,Cell phone,Job Title", ["full_name", "phone", "fields.job_title"]),
        ("First name,Name,Tel.", ["first_name", "last_name", "phone"]),
        ("First,Last,Full name,Phone 1,Phone 2", ["first_name", "last_name", None, "phone", None]),
        (
            "external_id,Owner email,Time zone,Groups",
            ["external_id", "owner", "time_zone", "groups"],
        ),
        (
            "Email Address,job_title,Position,Company",
            ["fields.email", "fields.job_title", None, None],
        ),
    ],
)
def test_columns_are_guessed_by_their_names(header: str, fields: list[str | None]) -> None:
    own = [
        FieldSpec("email", "Email", FieldType.TEXT),
        FieldSpec("job_title", "Position", FieldType.TEXT),
    ]
    assert [one.field for one in headings(header.split(","), own)] == fields


async def test_file_is_matched_checked_corrected_and_imported(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    file = await review.get(job_id, user_id)
    assert [(one.text, one.field) for one in file.headings] == [
        ("Full Name", "full_name"),
        ("Cell", "phone"),
        ("Team", None),
        ("Notes", None),
    ]
    assert file.samples[0] == ["Ann Lee", "Ray, Bo", ""]
    assert (file.delimiter, file.job.total) == (";", 4)

    check = await review.check(job_id, user_id, COLUMNS, US)
    with pytest.raises(ConflictError) as early:
        await review.correct(job_id, user_id, 3, {"phone": "+12125550102"})
    assert early.value.conflict == "not_checked"
    assert await run(kit, check.id) == {"created": 1, "invalid": 3}
    bad, more = await review.bad_rows(job_id, user_id)
    assert not more
    assert [(row.line, row.cells["full_name"], row.errors[0]["field"]) for row in bad] == [
        (3, "Ray, Bo", "phone"),
        (4, "", "first_name"),
        (5, "Cy Doe", "row"),
    ]
    still = await review.correct(job_id, user_id, 3, {"phone": "34"})
    assert isinstance(still, BadRow)
    assert (still.cells["phone"], still.errors[0]["field"]) == ("34", "phone")
    assert await review.correct(job_id, user_id, 3, {"phone": "212 555 0102"}) is None
    assert await review.correct(job_id, user_id, 4, {"full_name": "Di Fox"}) is None
    assert (await kit.services.jobs.get(check.id)).counts == {"created": 3, "invalid": 1}
    assert await kit.world.rows("SELECT id FROM contacts") == []
    assert await kit.world.rows("SELECT id FROM groups") == []

    chosen = Choices("US", new_group="Everyone")
    job = await review.confirm(job_id, user_id, COLUMNS, chosen, check_id=check.id)
    assert job.about["ignored_columns"] == ["Notes"]
    assert await run(kit, job_id) == {"created": 3, "invalid": 1}
    people = await kit.world.rows(
        "SELECT first_name, last_name, phone FROM contacts ORDER BY phone"
    )
    assert [tuple(one) for one in people] == [
        ("Ann", "Lee", "+12125550101"),
        ("Bo", "Ray", "+12125550102"),
        ("Di", "Fox", "+12125550103"),
    ]
    members = await kit.world.rows(
        "SELECT g.name, string_agg(c.first_name, ',' ORDER BY c.first_name) AS who FROM groups g"
        " JOIN group_members m ON m.group_id = g.id JOIN contacts c ON c.id = m.contact_id"
        " GROUP BY g.name ORDER BY g.name"
    )
    assert {one.name: one.who for one in members} == {
        "Drivers": "Bo",
        "Everyone": "Ann,Bo,Di",
        "Nurses": "Ann,Bo",
    }
    kept = await kit.world.rows(
        "SELECT CAST(job_rows AS text) AS row FROM job_rows UNION ALL"
        " SELECT CAST(jobs AS text) FROM jobs"
    )
    for personal in ("Ann", "2125550101", "555 0102", "Cy Doe", "tea"):
        assert personal not in " ".join(one.row for one in kept)


async def test_another_check_takes_the_place_of_the_one_before(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit, "Who,Cell,Old\nAnn,020 7946 0018,+12125550109\n")
    first = await review.check(job_id, user_id, {"full_name": 0, "phone": 1}, US)
    second = await review.check(job_id, user_id, {"full_name": 0, "phone": 1}, Choices(region="gb"))
    assert not (await kit.services.jobs.run_chunk(first.id)).more
    assert await run(kit, second.id) == {"created": 1}
    third = await review.check(job_id, user_id, {"full_name": 0, "phone": 2}, US)
    assert await run(kit, third.id) == {"created": 1}
    assert len(await kit.world.rows("SELECT id FROM jobs")) == 2


async def test_another_check_can_begin_while_rows_of_the_one_before_are_acted_on(
    kit: SendingKit,
) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    first = await review.check(job_id, user_id, COLUMNS, US)
    async with kit.world.database.transaction() as chunk:
        await jobs.begin(chunk, first.id)
    async with kit.world.database.transaction() as chunk:
        [taken] = await jobs.take(chunk, first.id, 1)
        second = await asyncio.wait_for(review.check(job_id, user_id, COLUMNS, US), 20)
        await jobs.store_results(chunk, first.id, [RowResult(taken.position, "created")])
    assert await run(kit, first.id) == {"canceled": 3, "created": 1}
    assert (await kit.services.jobs.get(first.id)).state is JobState.CANCELED
    assert await run(kit, second.id) == {"created": 1, "invalid": 3}


@pytest.mark.parametrize(
    ("columns", "choices"),
    [
        ({"full_name": 0, "phone": 1}, US),
        ({**COLUMNS, "external_id": 3}, US),
        (COLUMNS, Choices("GB")),
        (COLUMNS, Choices("US", update_existing=True)),
    ],
)
async def test_what_was_not_checked_cannot_be_confirmed(
    kit: SendingKit, columns: Mapping[str, int], choices: Choices
) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    check = await review.check(job_id, user_id, COLUMNS, US)
    await run(kit, check.id)
    with pytest.raises(ConflictError) as refused:
        await review.confirm(job_id, user_id, columns, choices, check_id=check.id)
    assert refused.value.conflict == "not_checked"


async def test_only_the_last_check_can_be_confirmed_once_it_is_done(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id, other_id = await stored(kit), await stored(kit)
    before = await review.check(job_id, user_id, COLUMNS, US)
    others = await review.check(other_id, user_id, COLUMNS, US)
    await run(kit, before.id)
    await run(kit, others.id)
    last = await review.check(job_id, user_id, COLUMNS, US)
    for check_id in (before.id, others.id, job_id, last.id):
        with pytest.raises(ConflictError) as refused:
            await review.confirm(job_id, user_id, COLUMNS, US, check_id=check_id)
        assert refused.value.conflict == "not_checked"
    await run(kit, last.id)
    await review.confirm(job_id, user_id, COLUMNS, US, check_id=last.id)


async def test_check_is_neither_listed_nor_told_nor_audited(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    check = await review.check(job_id, user_id, COLUMNS, US)
    assert (await kit.services.jobs.cancel(check.id, user_id)).state is JobState.CANCELED
    check = await review.check(job_id, user_id, COLUMNS, US)
    await run(kit, check.id)
    assert [job.id for job in (await kit.services.jobs.find()).items] == [job_id]
    assert "check_of" not in (await kit.services.jobs.get(check.id)).about
    ended, logged = (
        "SELECT subject_id FROM events WHERE type = 'job.finished'",
        ("SELECT subject_id FROM audit_log WHERE action LIKE 'job.%'"),
    )
    assert await kit.world.rows(ended) == await kit.world.rows(logged) == []
    await review.confirm(job_id, user_id, COLUMNS, US, check_id=check.id)
    await run(kit, job_id)
    assert [row.subject_id for row in await kit.world.rows(ended)] == [job_id]
    assert [row.subject_id for row in await kit.world.rows(logged)] == [job_id]


async def test_columns_are_remembered_for_this_user_and_first_line(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    text = "Wer,Nummer,Bo\nAnn,+12125550101,x\n"
    job_id = await stored(kit, text)
    assert [one.field for one in (await review.get(job_id, user_id)).headings] == [None] * 3
    await confirmed(kit, job_id, {"first_name": 0, "phone": 1})

    again = await review.get(await stored(kit, text.replace("Ann", "Cy")), user_id)
    assert [one.field for one in again.headings] == ["first_name", "phone", None]
    other = await review.get(await stored(kit, text.replace("Wer", "Who")), user_id)
    assert [one.field for one in other.headings] == [None] * 3
    colleague = await kit.world.user("Bo")
    theirs = await review.receive(JobKind.IMPORT_CONTACTS, chunks(text), colleague)
    assert [one.field for one in (await review.get(theirs, colleague)).headings] == [None] * 3


async def test_file_is_its_users_alone_until_it_is_imported(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    colleague = await kit.world.user("Bo")
    with pytest.raises(NotFoundError):
        await review.get(job_id, colleague)
    with pytest.raises(NotFoundError):
        await review.confirm(job_id, colleague, COLUMNS, US, check_id=job_id)
    with pytest.raises(NotFoundError):
        await review.bad_rows(job_id, user_id)  # not checked yet
    await review.check(job_id, user_id, COLUMNS, US)
    with pytest.raises(NotFoundError):
        await review.correct(job_id, colleague, 3, {"phone": "+12125550102"})
    await confirmed(kit, job_id, COLUMNS)
    with pytest.raises(NotFoundError):
        await review.check(job_id, user_id, COLUMNS, US)


@pytest.mark.parametrize(
    ("columns", "choices", "code"),
    [
        ({"full_name": 0}, US, "missing_column"),
        ({"phone": 1}, US, "missing_column"),
        ({"full_name": 0, "phone": 9}, US, "unknown_column"),
        ({"full_name": 1, "phone": 1}, US, "duplicate_column"),
        ({**COLUMNS, "fields.shoe": 3}, US, "unknown_column"),
        (COLUMNS, Choices(region="zz"), "unknown_region"),
        (COLUMNS, Choices("US", group_id=UUID(int=1)), "unknown_group"),
        (COLUMNS, Choices("US", new_group="x" * 101), "too_long"),
    ],
)
async def test_invalid_choice_imports_nothing(
    kit: SendingKit, columns: Mapping[str, int], choices: Choices, code: str
) -> None:
    job_id = await stored(kit)
    check = await kit.services.import_review.check(job_id, kit.world.user_id, COLUMNS, US)
    await run(kit, check.id)
    with pytest.raises(InvalidFieldError) as raised:
        await kit.services.import_review.confirm(
            job_id, kit.world.user_id, columns, choices, check_id=check.id
        )
    assert raised.value.field_code == code
    assert (await kit.services.jobs.get(job_id)).state is JobState.RECEIVING
    assert await kit.world.rows("SELECT id FROM groups") == []


async def test_group_and_a_new_one_are_refused(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    check = await review.check(job_id, user_id, COLUMNS, US)
    await run(kit, check.id)
    chosen = Choices("US", group_id=await kit.world.group([]), new_group="Nurses")
    with pytest.raises(InvalidFieldError) as raised:
        await review.confirm(job_id, user_id, COLUMNS, chosen, check_id=check.id)
    assert raised.value.field == "group_id"
    assert len(await kit.world.rows("SELECT id FROM groups")) == 1


async def test_group_that_is_deleted_at_this_moment_is_an_error(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object) -> Mapping[str, UUID]:
        return {}

    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    check = await review.check(job_id, user_id, COLUMNS, US)
    await run(kit, check.id)
    monkeypatch.setattr(import_review, "named_groups", none)
    chosen = Choices("US", new_group="Nurses")
    with pytest.raises(InvalidFieldError) as raised:
        await review.confirm(job_id, user_id, COLUMNS, chosen, check_id=check.id)
    assert raised.value.field == "new_group"


async def test_values_that_fit_no_field_are_errors_only_where_they_are_imported(
    kit: SendingKit,
) -> None:
    text = (
        "Name,Phone,Notes,Groups\n"
        f"Ann,+12125550101,{'x' * 3000},\n"
        f"Bo\x00,+12125550102,\x00,\n"
        f"Cy,+12125550103,,{';'.join(map(str, range(21)))}\n"
    )
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit, text)
    columns = {"full_name": 0, "phone": 1, "groups": 3}
    await run(kit, (await review.check(job_id, user_id, columns, US)).id)
    bad, _ = await review.bad_rows(job_id, user_id)
    assert [(row.line, row.errors[0]["code"]) for row in bad] == [
        (3, "invalid_text"),
        (4, "too_many_groups"),
    ]


async def test_number_with_another_name_is_skipped_unless_a_person_decides(
    kit: SendingKit,
) -> None:
    """Neither person is lost or taken for the other: by row, or for all rows of a file."""
    review, user_id, world = kit.services.import_review, kit.world.user_id, kit.world
    for at, (first, last) in enumerate(
        (("Zoë", "Alba"), ("Sean", "O\u2019Brien"), ("Cy", "Doe"), ("Di", "Fox")), start=1
    ):
        phone, given = f"+1212555010{at}", f"id-{at}"
        await kit.services.contacts.create(
            {"first_name": first, "last_name": last, "phone": phone, "external_id": given}
        )
    await kit.services.contacts.create(
        {"first_name": "+12125550105", "last_name": "", "phone": "+12125550105"}
    )
    text = (
        "First,Last,Phone,ID,Team\n"
        "Ann,,+12125550101,,Nurses\n"  # 2: another person, as far as the name tells
        "SEAN,OBrien,+12125550102,,\n"  # 3: the same name in other letters
        "Cyrus,Dow,+12125550103,,\n"  # 4
        "Diana,Fox-Lee,+12125550104,id-4,\n"  # 5: known by the external id, so renamed
        "Ed,Eel,+12125550105,,\n"  # 6: had no name yet
        "Zoë,Alba,+12125550101,,\n"  # 7: whose number row 2 claims
    )
    columns = {"first_name": 0, "last_name": 1, "phone": 2, "external_id": 3, "groups": 4}
    chosen = Choices("US", update_existing=True)
    job_id = await stored(kit, text)
    check = await review.check(job_id, user_id, columns, chosen)
    assert await run(kit, check.id) == {"changed": 3, "other_name": 2, "unchanged": 1}
    named, more = await review.named_rows(job_id, user_id)
    assert not more
    assert [(one.line, one.contact.name, one.cells["first_name"]) for one in named] == [
        (2, "Zoë Alba", "Ann"),
        (4, "Cy Doe", "Cyrus"),
    ]
    assert {one.choice for one in named} == {OtherName.SKIP}
    for choice in (OtherName.TAKE, OtherName.KEEP):
        row = await review.choose_name(job_id, user_id, 4, choice)
        assert row is not None
        assert (row.choice, row.contact.phone) == (choice, "+12125550103")
    counts = (await kit.services.jobs.get(check.id)).counts
    assert counts == {"changed": 3, "other_name": 1, "unchanged": 2}
    [_, again] = (await review.named_rows(job_id, user_id))[0]
    assert again.choice is OtherName.KEEP

    for_all = replace(chosen, other_names=OtherName.TAKE)
    with pytest.raises(ConflictError) as unseen:
        await review.confirm(job_id, user_id, columns, for_all, check_id=check.id)
    assert unseen.value.conflict == "not_checked"
    everyone = replace(chosen, new_group="Everyone")
    await review.confirm(job_id, user_id, columns, everyone, check_id=check.id)
    assert await run(kit, job_id) == {"changed": 3, "other_name": 1, "unchanged": 2}
    names = "SELECT first_name || ' ' || last_name AS name FROM contacts ORDER BY phone"
    kept = ["Zoë Alba", "SEAN OBrien", "Cy Doe", "Diana Fox-Lee", "Ed Eel"]
    assert [one.name for one in await world.rows(names)] == kept
    members = await world.rows(
        "SELECT g.name, c.phone FROM group_members m JOIN groups g ON g.id = m.group_id"
        " JOIN contacts c ON c.id = m.contact_id ORDER BY c.phone"
    )
    assert [tuple(one) for one in members] == [
        ("Everyone", f"+1212555010{at}") for at in range(1, 6)
    ]

    second = await stored(kit, text)
    taking = Choices("US", other_names=OtherName.TAKE)
    check = await review.check(second, user_id, columns, taking)
    await run(kit, check.id)
    await review.confirm(second, user_id, columns, taking, check_id=check.id)
    # The names alone are taken, as contacts who exist are not to be updated.
    assert await run(kit, second) == {"changed": 2, "duplicate_in_file": 1, "unchanged": 3}
    taken = ["Ann ", "SEAN OBrien", "Cyrus Dow", "Diana Fox-Lee", "Ed Eel"]
    assert [one.name for one in await world.rows(names)] == taken


async def test_corrected_number_of_someone_else_asks_whose_it_is(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    await kit.services.contacts.create(
        {"first_name": "Zoë", "last_name": "Alba", "phone": "+12125550102"}
    )
    job_id = await stored(kit)
    check = await review.check(job_id, user_id, COLUMNS, US)
    await run(kit, check.id)
    row = await review.correct(job_id, user_id, 3, {"phone": "212 555 0102"})
    assert isinstance(row, NamedRow)
    assert (row.line, row.contact.name, row.choice) == (3, "Zoë Alba", OtherName.SKIP)
    assert await review.correct(job_id, user_id, 3, {"full_name": "zoe alba"}) is None
    assert await review.choose_name(job_id, user_id, 3, OtherName.TAKE) is None


async def test_opt_outs_go_through_the_same_steps(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    text = "Mobile,Why\n+12125550101,Wrote a letter\n12,\n"
    job_id = await stored(kit, text, JobKind.IMPORT_SUPPRESSIONS)
    columns = {"phone": 0, "reason": 1}
    check = await review.check(job_id, user_id, columns, Choices("US", reason="Old list"))
    assert await run(kit, check.id) == {"invalid": 1, "suppressed": 1}
    assert await review.correct(job_id, user_id, 3, {"phone": "+12125550102"}) is None
    assert await kit.world.rows("SELECT phone FROM suppressions") == []
    chosen = Choices("US", reason="Old list")
    await review.confirm(job_id, user_id, columns, chosen, check_id=check.id)
    assert await run(kit, job_id) == {"suppressed": 2}
    found = await kit.world.rows("SELECT phone, reason FROM suppressions ORDER BY phone")
    assert [tuple(one) for one in found] == [
        ("+12125550101", "Wrote a letter"),
        ("+12125550102", "Old list"),
    ]


async def test_file_waits_a_day_for_its_user(kit: SendingKit) -> None:
    review, user_id = kit.services.import_review, kit.world.user_id
    job_id = await stored(kit)
    await kit.pass_time(timedelta(hours=23))
    await kit.services.sweep.sweep()
    await review.check(job_id, user_id, COLUMNS, US)  # begins the day anew
    await kit.pass_time(timedelta(hours=23))
    await kit.services.sweep.sweep()
    assert (await review.get(job_id, user_id)).job.total == 4
    await kit.pass_time(timedelta(hours=2))
    await kit.services.sweep.sweep()
    with pytest.raises(NotFoundError):
        await review.get(job_id, user_id)


async def test_too_many_columns_are_refused(kit: SendingKit) -> None:
    with pytest.raises(InvalidFieldError) as raised:
        await stored(kit, ",".join(f"c{one}" for one in range(201)) + "\n")
    assert raised.value.field_code == "too_many_columns"
    with pytest.raises(InvalidFieldError):
        await stored(kit, "")
    assert await kit.world.rows("SELECT id FROM jobs") == []
