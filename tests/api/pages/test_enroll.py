"""The pages of enrolling: choosing contacts, the preview, the result."""

import re
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.pages.labels import LABELS
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose
from services.contacts.consents import ConsentFields
from services.factory import Services
from storage.platform.database import Database
from storage.sequences.sequences import SequenceRecord
from tests.api.pages.conftest import HTMX
from tests.worlds import World

CSV = "First name,Last name,Mobile\n"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


async def check(member: httpx.AsyncClient, sequence: SequenceRecord, **form: Any) -> httpx.Response:
    return await member.post(f"/sequences/{sequence.id}/enrol/check", data=form, headers=HTMX)


async def upload(
    member: httpx.AsyncClient, sequence: SequenceRecord, text: str, **form: Any
) -> httpx.Response:
    return await member.post(
        "/enrol/file",
        params={"sequence_id": str(sequence.id)},
        files={"file": ("people.csv", text.encode(), "text/csv")},
        data=form,
        headers=HTMX,
    )


async def enroll(member: httpx.AsyncClient, sequence: SequenceRecord, **form: Any) -> str:
    """Confirm; return where the browser is redirected."""
    answer = await member.post(f"/sequences/{sequence.id}/enrol", data=form, headers=HTMX)
    assert answer.status_code == 204, answer.text
    return answer.headers["HX-Redirect"]


async def work(services: Services, world: World) -> None:
    """Run jobs as the worker does, including those that jobs start."""
    while open_jobs := await world.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):
        for job in open_jobs:
            await services.jobs.run_chunk(job.id)


async def test_every_way_is_offered_and_contacts_can_be_preselected(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    contact = (await world.contacts(1, first_name="<script>Zo"))[0]
    for way, sign in [
        ("contacts", 'id="enroll-search"'),
        ("group", "No groups yet"),
        ("numbers", 'name="numbers"'),
        ("file", 'type="file"'),
    ]:
        page = await member.get(f"/sequences/{sequence.id}/enrol", params={"way": way})
        assert page.status_code == 200
        assert sign in page.text
    picked = await member.get(f"/sequences/{sequence.id}/enrol", params={"contact": str(contact)})
    assert f'name="contact_id" value="{contact}"' in picked.text
    assert "<script>Zo" not in picked.text


async def test_found_contacts_are_marked(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.active()
    there, gone = await world.contacts(2)
    landline = await world.landline()
    await world.suppress(gone)
    await enroll(member, sequence, way="contacts", contact_id=[str(there)])
    await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(there)]}
    )
    found = await member.get(
        f"/sequences/{sequence.id}/enrol/people", params={"search": "ann"}, headers=HTMX
    )
    said = words(found.text)
    for mark in ("Already enrolled", "Opted out", "Landline"):
        assert said.count(mark) == 1
    assert f'data-choose="{landline}"' in found.text


async def test_picked_contacts_are_previewed_then_enrolled(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    fresh, gone = [str(one) for one in await world.contacts(2)]
    await world.suppress(UUID(gone))
    shown = await check(member, sequence, way="contacts", contact_id=[fresh, gone])
    said = words(shown.text)
    assert "1 person will be texted The first text goes out right away" in said
    assert f"1 {LABELS.left_out['opted_out']}" in said
    assert "Enroll 1 person" in said
    assert await world.rows("SELECT 1 FROM enrollments") == []
    address = await enroll(member, sequence, way="contacts", contact_id=[fresh, gone])
    assert "You can leave this page" in (await member.get(address)).text
    await work(services, world)
    done = await member.get(address, headers=HTMX)
    assert "<html" not in done.text
    assert f"/sequences/{sequence.id}/contacts?status=omitted_opted_out" in done.text
    assert "1 Active 1 Omitted Opted Out" in words(done.text)


async def test_group_is_enrolled(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    group_id = str(await world.group(await world.contacts(3)))
    page = await member.get(f"/sequences/{sequence.id}/enrol", params={"way": "group"})
    assert group_id in page.text
    without = await check(member, sequence, way="group", group_id="")
    assert without.status_code == 422
    assert "The group is missing; choose one." in words(without.text)
    shown = await check(member, sequence, way="group", group_id=group_id)
    assert "3 people will be texted" in words(shown.text)
    await enroll(member, sequence, way="group", group_id=group_id)
    await work(services, world)
    assert len(await world.rows("SELECT 1 FROM enrollments")) == 3


async def test_those_who_wait_for_consent_are_told_before_and_after_enrolling(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    await services.workspace.change(
        {"require_consent": {Purpose.MARKETING: ConsentNeeded.WRITTEN}}, world.user_id
    )
    sequence = await world.active(purpose=Purpose.MARKETING)
    agreed, other, gone = people = await world.contacts(3)
    form: ConsentFields = {"source": "A form", "wording": "Text me", "written": True}
    await services.consents.add(agreed, form, world.user_id)
    await services.consents.add(other, {"source": "A call"}, world.user_id)
    await world.suppress(gone)
    group_id = str(await world.group(people))
    said = words((await check(member, sequence, way="group", group_id=group_id)).text)
    assert "1 person will be texted, 1 will wait for consent" in said
    assert "the legal hours where each contact lives" in said
    assert "1 without consent: nothing is sent to this person until" in said
    assert "Enroll 2 people" in said
    assert said.count("will be enrolled, waits for consent") == 1
    file = await upload(
        member,
        sequence,
        "Phone,Last name,Consent source,Consent date,Consent wording,Consent written\n"
        "+12125559101,A,A form,2026-01-05,Text me,yes\n"
        "+12125559102,B,A call,2026-01-05,,no\n",
    )
    assert "1 person will be texted, 1 will wait for consent" in words(file.text)
    address = await enroll(member, sequence, way="group", group_id=group_id)
    await work(services, world)
    said = words((await member.get(address, headers=HTMX)).text)
    assert "2 Active 1 Omitted Opted Out" in said
    assert "1 of the active ones waits for consent" in said

    await services.workspace.change(
        {"require_consent": {Purpose.MARKETING: ConsentNeeded.NONE}}, world.user_id
    )
    assert "consent" not in words((await member.get(address, headers=HTMX)).text)


async def test_pasted_numbers_become_contacts_only_if_asked(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    await world.contacts(1, phone="+12125550101")
    pasted = "+1 212 555 0101\n+1 212 555 0102, +1 212 555 0102\nnonsense"
    shown = await check(member, sequence, way="numbers", numbers=pasted)
    said = words(shown.text)
    assert "2 people will be texted" in said
    assert "Add 1 new number as contacts" in said
    assert "4 nonsense" not in said
    assert "nonsense" in said
    assert len(await world.rows("SELECT 1 FROM contacts")) == 1
    await enroll(member, sequence, way="numbers", numbers=pasted)
    await work(services, world)
    assert len(await world.rows("SELECT 1 FROM enrollments")) == 1
    await enroll(member, sequence, way="numbers", numbers=pasted, add_unknown="true")
    await work(services, world)
    assert len(await world.rows("SELECT 1 FROM enrollments")) == 2
    empty = await check(member, sequence, way="numbers", numbers="  ")
    assert empty.status_code == 422
    assert "What you pasted has 0 numbers" in words(empty.text)


async def test_file_is_previewed_then_imported_and_enrolled(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    await world.contacts(1, phone="+12125550101", first_name="Ada", last_name="")
    lines = "Ada,,+12125550101\nBo,<b>,+12125550102\nCy,,12\nBo,,+12125550102\n"
    shown = await upload(member, sequence, CSV + lines)
    assert shown.status_code == 200
    said = words(shown.text)
    assert "2 people will be texted" in said
    assert "1 is a new contact" in said
    assert f"1 {LABELS.left_out['duplicate']}" in said
    assert f"1 {LABELS.left_out['invalid']}" in said
    assert "phone is" in said
    assert "<b>" not in shown.text
    upload_id = re.search(r'name="previous" value="([0-9a-f-]{36})"', shown.text)
    assert upload_id is not None
    assert len(await world.rows("SELECT 1 FROM contacts")) == 1
    address = await enroll(member, sequence, way="file", job_id=upload_id[1])
    await work(services, world)
    done = words((await member.get(address)).text)
    assert "Adding contacts Done 4 of 4" in done
    assert "Enrolling Done 2 of 2" in done
    assert "2 Active" in done
    assert len(await world.rows("SELECT 1 FROM enrollments")) == 2
    again = await member.post(
        f"/sequences/{sequence.id}/enrol",
        data={"way": "file", "job_id": upload_id[1]},
        headers=HTMX,
    )
    follow = await member.get(again.headers["HX-Redirect"])
    assert follow.status_code == 200
    await work(services, world)
    assert len(await world.rows("SELECT 1 FROM enrollments")) == 2
    about = (await member.get(f"/api/jobs/{upload_id[1]}")).json()["about"]
    assert about["enrol_into"] == str(sequence.id)
    following = (await member.get(f"/api/jobs/{about['enrolling_id']}")).json()["about"]
    assert following["import_id"] == upload_id[1]


async def test_columns_can_be_mapped_by_hand(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.active()
    text = "Who,Line\nAda,+12125550101\n"
    asked = await upload(member, sequence, text)
    assert "Choose the column for phone and first name" in words(asked.text)
    assert "will be texted" not in asked.text
    told = await upload(member, sequence, text, column=["first_name", "phone"])
    assert "1 person will be texted" in words(told.text)
    previous = re.search(r'name="previous" value="([^"]+)"', told.text)
    assert previous is not None
    await upload(member, sequence, text, column=["last_name", "phone"], previous=previous[1])
    kept = await world.rows("SELECT id FROM jobs WHERE state = 'receiving'")
    assert len(kept) == 1
    assert str(kept[0].id) != previous[1]
    twice = await upload(member, sequence, text, column=["phone", "phone"])
    assert twice.status_code == 422
    assert "The columns have Phone twice" in words(twice.text)


async def test_wrong_file_is_refused_with_reason(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.active()
    broken = await upload(member, sequence, 'First name,Phone\n"Ada,+12125550101\n')
    assert broken.status_code == 422
    assert "The file" in words(broken.text)
    empty = await member.post("/enrol/file", params={"sequence_id": str(sequence.id)}, headers=HTMX)
    assert empty.status_code in {200, 422}
    assert await world.rows("SELECT 1 FROM jobs") == []


async def test_too_large_file_is_refused_before_it_is_read(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    refused = await member.post(
        "/enrol/file",
        params={"sequence_id": str(sequence.id)},
        content=b"x",
        headers={**HTMX, "Content-Length": "9000000000"},
    )
    assert refused.status_code == 413
    assert refused.headers["HX-Retarget"] == "#flashes"
    assert "too large" in words(refused.text)


async def test_sequence_archived_meanwhile_enrolls_nobody_and_says_so(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    shown = await upload(member, sequence, CSV + "Ada,,+12125550101\n")
    upload_id = re.search(r'name="previous" value="([^"]+)"', shown.text)
    assert upload_id is not None
    address = await enroll(member, sequence, way="file", job_id=upload_id[1])
    await world.archiving.archive(sequence.id, world.user_id)
    await work(services, world)
    said = words((await member.get(address)).text)
    assert (
        f"No one from the file was enrolled: {LABELS.not_enrolled['sequence_not_active']}." in said
    )
    assert len(await world.rows("SELECT 1 FROM contacts")) == 1
    assert await world.rows("SELECT 1 FROM enrollments") == []


async def test_draft_and_archived_say_what_to_do_instead(
    world: World, member: httpx.AsyncClient
) -> None:
    draft = await world.draft()
    page = await member.get(f"/sequences/{draft.id}/enrol")
    assert "Activate it first" in page.text
    refused = await check(member, draft, way="numbers", numbers="+12125550101")
    assert refused.status_code == 409
    await world.archiving.archive(draft.id, world.user_id)
    assert "archived" in (await member.get(f"/sequences/{draft.id}/enrol")).text


async def test_other_users_upload_and_other_jobs_are_not_found(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    sequence, other = await world.active(), await world.active()
    shown = await upload(admin, sequence, CSV + "Ada,,+12125550101\n")
    upload_id = re.search(r'name="previous" value="([^"]+)"', shown.text)
    assert upload_id is not None
    path = f"/sequences/{sequence.id}/enrol"
    theirs = await member.post(path, data={"way": "file", "job_id": upload_id[1]}, headers=HTMX)
    assert theirs.status_code == 404
    await upload(member, sequence, CSV, previous=upload_id[1])
    kept = await world.rows("SELECT id FROM jobs WHERE state = 'receiving'")
    assert UUID(upload_id[1]) in [one.id for one in kept]
    contact = str((await world.contacts(1))[0])
    job_id = (await enroll(member, sequence, way="contacts", contact_id=contact)).rpartition("/")[2]
    assert (await member.get(f"/sequences/{other.id}/enrol/{job_id}")).status_code == 404
    assert (await member.get(f"{path}/{uuid4()}")).status_code == 404


async def test_viewers_enroll_nobody(world: World, viewer: httpx.AsyncClient) -> None:
    sequence = await world.active()
    page = await viewer.get(f"/sequences/{sequence.id}/enrol")
    assert page.status_code == 200
    assert "Members enroll contacts" in page.text
    assert "enroll-form" not in page.text
    assert "Review</button>" not in page.text
    assert (await check(viewer, sequence, way="numbers", numbers="1")).status_code == 403
    assert (await upload(viewer, sequence, CSV)).status_code == 403
