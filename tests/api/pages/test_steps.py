"""The page of a sequence's steps: editing, saving versions, the preview."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from domain.statuses.sequences import SequenceKind
from storage.platform.database import Database
from storage.sequences.sequences import SequenceRecord
from tests.api.pages.conftest import HTMX, Browse
from tests.worlds import World, ongoing, scheduled


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def written(*steps: dict[str, str], version: int = 1) -> dict[str, Any]:
    """Build the form as a browser sends it: each field once for each step, in order."""
    blank = {"body": "", "delay": "1", "unit": "days", "at_time": "", "send_at": "", "media": ""}
    blank |= {"anchor": "", "late": "send", "late_hours": ""}
    rows = [{**blank, "key": f"s{at}", **step} for at, step in enumerate(steps, 1)]
    return {"version": str(version), **{name: [row[name] for row in rows] for name in rows[0]}}


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def path(sequence: SequenceRecord) -> str:
    return f"/sequences/{sequence.id}/steps"


async def test_steps_are_shown_with_their_timing_and_size(
    world: World, member: httpx.AsyncClient
) -> None:
    steps = [ongoing("Hi {{first_name|there}}", 0), ongoing("Still?", 2 * 86_400, "09:30")]
    sequence = await world.draft(steps=steps)
    page = await member.get(path(sequence))
    assert page.status_code == 200
    assert "Hi {{first_name|there}}</textarea>" in page.text
    said = words(page.text)
    assert "Right away Hi there" in said
    assert "2 days later at 9:30 AM Still?" in said
    assert "8 characters 1 segment" in said
    assert "Version 1" in said


async def test_steps_are_saved_in_the_order_of_the_page(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft()
    form = written(
        {"key": "s2", "body": "First\r\nline", "delay": "0", "unit": "minutes"},
        {"key": "nnew1", "body": "Second", "delay": "3", "at_time": "10:00"},
        {"key": "s1", "body": "Third", "delay": "2", "unit": "hours", "at_time": "10:00"},
        {"body": "", "media": "https://example.com/a.png\r\n\r\nhttps://example.com/b.png"},
        {"body": "By", "anchor": "before:interview_at", "at_time": "10:00", "late": "skip"},
        {"body": "Ex", "anchor": "after:interview_at", "late": "expire", "late_hours": "6"},
    )
    form["key"] = ["s2", "nnew1", "s1", "s4", "nnew2", "nnew3"]
    await world.run(
        "INSERT INTO contact_fields (id, key, label, type)"
        " VALUES (gen_random_uuid(), 'interview_at', 'Interview', 'date')"
    )
    saved = await member.post(path(sequence), data=form)
    assert saved.status_code == 303
    now = await world.sequences.get(sequence.id)
    assert now.version == 2
    assert [step.body for step in now.steps] == ["First\nline", "Second", "Third", "", "By", "Ex"]
    assert [step.delay_seconds for step in now.steps] == [0, 259_200, 7_200, 86_400, None, None]
    assert [str(step.at_time) for step in now.steps[:4]] == ["None", "10:00:00", "None", "None"]
    assert [
        (step.anchor_key, step.anchor_offset_seconds, str(step.at_time), step.late, step.late_hours)
        for step in now.steps[4:]
    ] == [
        ("interview_at", -86_400, "10:00:00", "skip", None),
        ("interview_at", 86_400, "None", "expire", 6),
    ]
    assert now.steps[3].media_urls == ("https://example.com/a.png", "https://example.com/b.png")
    shown = await member.get(path(sequence))
    assert '<option value="before:interview_at" selected>before Interview</option>' in shown.text
    assert "1 day before interview_at at 10:00 AM By" in words(shown.text)
    again = await member.post(path(sequence), data=_as_shown(shown))
    assert again.status_code == 303
    assert (await world.sequences.get(sequence.id)).version == 2


def _as_shown(page: httpx.Response) -> dict[str, Any]:
    """Read the form of a page as a browser sends it untouched."""
    html = page.text.partition('id="steps-form"')[2].partition("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input[^>]* name="([a-z_]+)" value="([^"]*)"', html):
        fields.setdefault(name, []).append(unescape(value))
    for name, value in re.findall(r'<textarea[^>]* name="([a-z_]+)"[^>]*>\n([^<]*)<', html):
        fields.setdefault(name, []).append(unescape(value).replace("\n", "\r\n"))
    selects = r'<select[^>]* name="(unit|anchor|late)".*?</select>'
    for found in re.finditer(selects, html, re.DOTALL):
        chosen = re.search(r'value="([a-z_:]+)" selected', found[0])
        fields.setdefault(found[1], []).append(chosen[1] if chosen else "")
    return fields


async def test_step_errors_are_shown_beside_their_step_and_input_stays(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft()
    form = written(
        {"key": "s1", "body": "Fine", "delay": "soon"},
        {"key": "nb", "body": "Hi {{fristname}}", "at_time": "09:30"},
        {"key": "nc", "body": "See", "media": "https://example.com/a\nnowhere"},
        {"key": "nd", "body": "Late", "late": "expire", "late_hours": "x"},
        {"key": "ne", "body": "When", "anchor": "before:birthday", "late": "never"},
    )
    refused = await member.post(path(sequence), data=form)
    assert refused.status_code == 422
    places = ("s1-delay", "nb-body", "nc-media", "nd-late_hours", "ne-anchor", "ne-late")
    for place in places:
        assert f'id="error-{place}"' in refused.text
        assert f'id="field-{place}" aria-invalid="true"' in refused.text
    said = words(refused.text)
    assert "The delay must be a whole number" in said
    assert "unknown merge field {{fristname}}" in said
    assert "line 2 is not a web address" in said
    assert 'value="soon"' in refused.text
    assert "Hi {{fristname}}</textarea>" in refused.text
    assert "data-unsaved" in refused.text
    assert (await world.sequences.get(sequence.id)).version == 1


async def test_delay_without_a_whole_unit_stays_in_seconds(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft(steps=[ongoing("A", 90), ongoing("B", 0, "09:30")])
    page = await member.get(path(sequence))
    assert "The next 9:30 AM" in words(page.text)
    await member.post(path(sequence), data=_as_shown(page))
    now = await world.sequences.get(sequence.id)
    assert (now.version, now.steps[0].delay_seconds) == (1, 90)


async def test_dates_are_on_the_contacts_clock(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.draft(
        kind=SequenceKind.SCHEDULED, steps=[scheduled("A", "2028-12-01T09:30:00")]
    )
    page = await member.get(path(sequence))
    assert 'value="2028-12-01T09:30"' in page.text
    assert "Fri, Dec 1, 2028, 9:30 AM" in words(page.text)
    early = written({"send_at": "2028-12-01T09:30", "body": "A"}, {"send_at": "", "body": "B"})
    refused = await member.post(path(sequence), data=early)
    assert refused.status_code == 422
    assert 'id="error-s2-send_at"' in refused.text
    right = written(
        {"send_at": "2028-12-01T09:30", "body": "A"}, {"send_at": "2028-12-02T10:00", "body": "B"}
    )
    assert (await member.post(path(sequence), data=right)).status_code == 303
    assert (await world.sequences.get(sequence.id)).step_count == 2


async def test_new_version_of_active_sequence_asks_first(world: World, browse: Browse) -> None:
    member = await browse()
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(2)]
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts})
    page = await member.get(path(sequence))
    said = words(page.text)
    assert "Publish changes?" in said
    assert "2 people who are enrolled now stay on the steps they started with" in said
    saved = await member.post(path(sequence), data=written({"body": "New"}))
    assert saved.status_code == 303
    after = await member.get(saved.headers["location"])
    assert "Version 2 published" in words(after.text)
    kept = await world.rows(
        "SELECT v.number FROM enrollments e JOIN sequence_versions v ON v.id = e.version_id"
    )
    assert [row.number for row in kept] == [1, 1]


async def test_stale_edit_does_not_overwrite_a_newer_version(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft()
    assert (await member.post(path(sequence), data=written({"body": "Mia"}))).status_code == 303
    refused = await member.post(path(sequence), data=written({"body": "Ben"}))
    assert refused.status_code == 409
    assert "Someone saved version 2 of the steps meanwhile" in words(refused.text)
    assert ">\nBen</textarea>" in refused.text
    knowing = await member.post(path(sequence), data=written({"body": "Ben"}, version=2))
    assert knowing.status_code == 303
    assert (await world.sequences.get(sequence.id)).steps[0].body == "Ben"


async def test_the_preview_fills_texts_in_and_measures_them(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft()
    contact = (await world.contacts(1, first_name="<script>Zo"))[0]
    form = written(
        {"key": "a", "body": "Hi {{first_name|there}}", "delay": "0", "unit": "minutes"},
        {"key": "b", "body": "It\N{RIGHT SINGLE QUOTATION MARK}s \N{SNOWMAN}"},
        {"key": "c", "body": "Hi {{first"},
    )
    part = await member.post(
        f"{path(sequence)}/preview", data={**form, "contact_id": str(contact)}, headers=HTMX
    )
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "Hi &lt;script&gt;Zo" in part.text
    for key in "abc":
        assert f'id="segments-{key}" for="field-{key}-body" hx-swap-oob="true"' in part.text
    said = words(part.text)
    assert "6 characters 1 segment \N{RIGHT SINGLE QUOTATION MARK} \N{SNOWMAN} shorten each" in said
    assert part.text.count("data-plain ") == 1
    assert "The text has stray braces" in said
    nobody = await member.post(f"{path(sequence)}/preview", data=form, headers=HTMX)
    assert "Hi there" in words(nobody.text)


async def test_editor_offers_fields_and_names_variables_and_what_is_missing(
    world: World, member: httpx.AsyncClient
) -> None:
    await world.run(
        "INSERT INTO contact_fields (id, key, label, type)"
        " VALUES (gen_random_uuid(), 'start_date', 'Start date', 'date')"
    )
    sequence = await world.draft(steps=[ongoing("{{job}} from {{start_date:short}}", 0)])
    page = (await member.get(path(sequence))).text
    assert '<option value="start_date" data-fallback="" data-dated>Start date</option>' in page
    assert "filled in when you enroll people: job." in words(page)
    [contact] = await world.contacts(1, fields={"start_date": "2026-12-01"})
    form = written({"body": "{{job}} from {{start_date:short}} {{x|y}}"})
    part = await member.post(
        f"{path(sequence)}/preview", data={**form, "contact_id": str(contact)}, headers=HTMX
    )
    assert "from Dec 1 y Waits until filled in: job" in words(part.text)
    assert "filled in when you enroll people: job, x." in words(part.text)


async def test_contacts_for_the_preview_are_found(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.draft()
    contact = (await world.contacts(1, first_name="Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"))[0]
    found = await member.get(f"{path(sequence)}/people", params={"search": "zo"}, headers=HTMX)
    assert f'data-see-as="{contact}"' in found.text


async def test_the_contact_of_the_preview_is_remembered(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sequence, other = await world.draft(), await world.draft()
    ann, bob = await world.contacts(2)
    assert "Sample contact</span>" in (await member.get(path(sequence))).text
    for client, contact in ((member, ann), (viewer, bob)):
        to, form = "/sequences/preview-contact", {"contact_id": str(contact)}
        assert (await client.post(to, data=form, headers=HTMX)).status_code == 204
    seen = await member.get(path(other))
    assert "Hi Ann0" in words(seen.text)
    assert f'id="see-as" value="{ann}"' in seen.text
    assert "Hi Ann1" in words((await viewer.get(path(other))).text)
    await member.post("/sequences/preview-contact", data={"contact_id": ""}, headers=HTMX)
    assert "Hi there" in words((await member.get(path(other))).text)
    await world.run("DELETE FROM contacts WHERE id = :id", id=bob)
    assert "Hi there" in words((await viewer.get(path(other))).text)


async def test_viewers_and_archived_sequences_get_no_editor(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    contact = (await world.contacts(1))[0]
    seen = await viewer.get(path(sequence))
    assert seen.status_code == 200
    assert seen.text.count('class="step-read"') == len(sequence.steps)
    assert "<textarea" not in seen.text
    assert "Publish" not in seen.text
    assert "Right away" in words(seen.text)
    assert (await viewer.post(path(sequence), data=written({"body": "X"}))).status_code == 403
    as_ann = await viewer.get(path(sequence), params={"contact_id": str(contact)}, headers=HTMX)
    assert "Hi Ann0" in words(as_ann.text)
    await world.archiving.archive(sequence.id, world.user_id)
    archived = await member.get(path(sequence))
    assert "<textarea" not in archived.text
    assert "This sequence is archived" in archived.text
    assert (await member.post(path(sequence), data=written({"body": "X"}))).status_code == 409
