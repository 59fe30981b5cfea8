"""The pages of the Contacts tab, its batch actions, and one enrollment."""

import html
import json
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from api.pages.enrollments import _sentence
from api.pages.labels import LABELS
from api.pages.times import Clock
from domain.sequences.timing import DAYS
from domain.statuses.contacts import ConsentNeeded, FieldType
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from domain.statuses.sequences import Purpose
from services.enrollments.enrollment_detail import TimelineEntry
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import FakeTemporal
from tests.worlds import World, ongoing
from workflows.client import LiveState

HTMX = {"HX-Request": "true"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def enrolled(
    world: World, member: httpx.AsyncClient, count: int = 3, **values: object
) -> tuple[UUID, list[UUID]]:
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(count, **values)]
    answer = await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts}
    )
    return sequence.id, [UUID(one["id"]) for one in answer.json()["enrolled"]]


def rows(html: str) -> list[UUID]:
    return [UUID(one) for one in re.findall(r'<tr id="row-([0-9a-f-]+)"', html)]


async def test_everyone_is_shown_with_status_step_and_counts(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member)
    page = await member.get(f"/sequences/{sequence_id}/contacts")
    assert page.status_code == 200
    assert sorted(rows(page.text)) == sorted(ids)
    assert "0 of 3" in page.text
    assert 'id="count-active">3<' in page.text
    for status in EnrollmentStatus:
        assert f'name="status" value="{status.value}"' in page.text


async def test_names_are_escaped(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, _ = await enrolled(world, member, 1, first_name="<script>alert(1)</script>")
    page = await member.get(f"/sequences/{sequence_id}/contacts")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


async def test_filters_are_in_the_address_and_blank_ones_filter_nothing(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member)
    path = f"/sequences/{sequence_id}/contacts"
    found = await member.get(path, params={"search": "ann1", "step": "", "status": "active"})
    assert len(rows(found.text)) == 1
    assert 'value="ann1"' in found.text
    nobody = await member.get(path, params={"status": "failed"})
    assert rows(nobody.text) == []
    assert "No one in this sequence matches" in nobody.text
    everyone = await member.get(path, params={"search": "", "sort": "name"})
    assert rows(everyone.text) == ids


async def test_missing_data_is_filled_in_from_the_list(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient, services: Services
) -> None:
    await services.fields.create("city", "Town", FieldType.TEXT)
    sequence = await world.active(steps=[ongoing("{{job_title}}, {{city}}", 0)])
    people = f"/sequences/{sequence.id}/contacts"
    contacts = [str(one) for one in await world.contacts(2)]
    answer = await member.post(f"/api{people[:-9]}/enrollments", json={"contact_ids": contacts})
    held, other = (UUID(one["id"]) for one in answer.json()["enrolled"])
    await services.sending.decide_step(held)

    page = await member.get(people, params={"held_reason": "missing_data"})
    assert rows(page.text) == [held]
    assert "Held: missing data: Job title, Town" in page.text
    assert "missing data: Job title, Town" in (await member.get(f"/enrollments/{held}")).text
    ask = f"/enrollments/{held}/missing"
    assert ask in page.text
    assert f"/enrollments/{other}/missing" not in (await member.get(people)).text
    assert "waiting for missing data" in (await member.get(f"{people[:-9]}/figures")).text
    assert ask not in (await viewer.get(people)).text
    assert (await viewer.get(ask)).status_code == 403
    dialog = (await member.get(ask, headers=HTMX)).text
    assert re.findall(r'name="(variables\.\w+)"', dialog) == [
        "variables.job_title",
        "variables.city",
    ]

    assert "Town</label>" in dialog
    wrong = {"variables.job_title": "C" * 501, "variables.city": "Rome"}
    again = await member.post(ask, data=wrong, headers=HTMX | OWN_PAGE)
    assert (again.status_code, 'value="Rome"' in again.text) == (422, True)
    assert 'id="error-variables.job_title"' in again.text
    await services.fields.create("start", "Start", FieldType.DATE)
    half = {"variables.job_title": "Cook", "variables.city": "C" * 501, "variables.start": "soon"}
    again = await member.post(ask, data=half, headers=HTMX | OWN_PAGE)
    assert re.findall(r'id="error-([^"]+)"', again.text) == ["variables.city", "variables.start"]
    assert await world.rows("SELECT id FROM enrollments WHERE variables <> '{}'") == []
    both = {"variables.job_title": "C" * 501, "variables.start": "soon"}
    again = await member.post(ask, data=both, headers=HTMX | OWN_PAGE)
    assert again.text.count('id="error-') == 2
    right = {"variables.job_title": "Cook", "variables.city": "Rome"}
    done = await member.post(ask, data=right, headers=HTMX | OWN_PAGE)
    assert done.headers["HX-Trigger"] == "close-dialog, people-changed"
    [contact] = await world.rows("SELECT fields FROM contacts WHERE fields <> '{}'")
    assert contact.fields == {"city": "Rome"}
    shown = (await member.get(f"/enrollments/{held}")).text
    assert "<dt>Job title</dt><dd>Cook</dd>" in shown
    assert "Held: missing data: job title, city" in shown, "in the timeline"
    assert rows((await member.get(people, params={"held_reason": "missing_data"})).text) == []


async def test_htmx_gets_the_list_alone_with_fresh_counts(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, _ = await enrolled(world, member)
    part = await member.get(f"/sequences/{sequence_id}/contacts", headers=HTMX)
    assert "<html" not in part.text
    assert len(rows(part.text)) == 3
    assert 'id="count-active" hx-swap-oob="true">3<' in part.text


async def test_pages_lead_there_and_back(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, ids = await enrolled(world, member, 120)
    path = f"/sequences/{sequence_id}/contacts?sort=name"
    seen: list[UUID] = []
    addresses = []
    while path:
        html = (await member.get(path)).text
        addresses.append(rows(html))
        seen += rows(html)
        following = re.search(r'href="([^"]+)"[^>]*>Next<svg', html)
        path = following[1].replace("&amp;", "&") if following else ""
        previous = re.search(r'href="([^"]+)"[^>]*><svg[^>]*><use[^>]*></svg>Previous', html)
    assert sorted(seen) == sorted(ids)
    assert [len(one) for one in addresses] == [50, 50, 20]
    assert previous is not None
    back = await member.get(previous[1].replace("&amp;", "&"))
    assert rows(back.text) == addresses[1]
    assert "120 people" in back.text


async def test_live_states_come_for_the_active_ones(
    world: World, member: httpx.AsyncClient, temporal: FakeTemporal
) -> None:
    sequence_id, ids = await enrolled(world, member, 2)
    temporal.live[ids[0]] = LiveState("waiting", 1, None)
    part = await member.get(f"/sequences/{sequence_id}/contacts/live", headers=HTMX)
    assert f'id="live-{ids[0]}" class="live is-there"' in part.text
    assert f'id="live-{ids[1]}" class="live is-away"' in part.text


async def test_machine_view_is_for_admins(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    _, [one] = await enrolled(world, member, 1)
    for_admins, for_members = [
        (await client.get(f"/enrollments/{one}")).text for client in (admin, member)
    ]
    behind = for_admins.partition("Details for operators")[2]
    assert "View workflow" in behind
    assert "<dt>Workflow</dt>" in behind
    for word in ("Details for operators", "orkflow", "Temporal"):
        assert word not in for_members


async def test_dialog_says_what_will_not_be_sent(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, ids = await enrolled(world, member)
    await world.run(
        "UPDATE enrollments SET status = 'failed', activity = NULL, ended_at = now()"
        " WHERE id = :id",
        id=ids[2],
    )
    path = f"/sequences/{sequence_id}/contacts/act/mark-finished"
    asked = await member.get(path, params={"everyone": "true"}, headers=HTMX)
    words = " ".join(re.sub(r"<[^>]+>", "", asked.text).split())
    assert "2 active contacts will be marked Finished, stopped, and 6 upcoming texts" in words
    assert "1 already finished (unchanged)." in words


@pytest.mark.parametrize(
    ("reason", "what_to_do", "choices"),
    [
        (
            HeldReason.OUTCOME_UNKNOWN,
            "Look for it in Twilio's message log",
            ["retry", "treat_as_sent", "finish"],
        ),
        (HeldReason.SENDER_ON_HOLD, "once the sender works again", ["retry", "finish"]),
        (HeldReason.DESTINATION_NOT_ALLOWED, "Allow it in Twilio", ["retry", "finish"]),
        (HeldReason.MISSING_DATA, "sending resumes by itself", ["retry", "finish"]),
    ],
)
async def test_held_enrollment_shows_remedy_and_actions(
    world: World,
    member: httpx.AsyncClient,
    reason: HeldReason,
    what_to_do: str,
    choices: list[str],
) -> None:
    sequence_id, ids = await enrolled(world, member)
    await world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = :reason WHERE id = :id",
        id=ids[0],
        reason=reason.value,
    )
    page = (await member.get(f"/enrollments/{ids[0]}")).text
    assert what_to_do in html.unescape(page)
    sender = f'href="/settings/senders#sender-{world.sender_id}"'
    assert (sender in page) == (reason is HeldReason.SENDER_ON_HOLD)
    path = f"/sequences/{sequence_id}/contacts/act/release"
    asked = await member.get(path, params={"enrollment": str(ids[0])}, headers=HTMX)
    assert re.findall(r'name="decision" value="(\w+)"', asked.text) == choices
    done = await member.post(
        f"{path}?enrollment={ids[0]}", data={"decision": "retry"}, headers=HTMX | OWN_PAGE
    )
    assert f"1 {LABELS.results['released']}." in done.text
    assert re.search(
        r"Released by [\w ]+, to send the text", (await member.get(f"/enrollments/{ids[0]}")).text
    )


@pytest.mark.parametrize(("count", "texts"), [(1, "a text"), (2, "2 texts")])
async def test_timeline_shows_texts_found_after_restore(
    world: World, member: httpx.AsyncClient, count: int, texts: str
) -> None:
    _, ids = await enrolled(world, member)
    await world.run(
        "INSERT INTO enrollment_events (enrollment_id, at, kind, detail)"
        " VALUES (:id, now(), 'reconciled', CAST(:detail AS jsonb))",
        id=ids[0],
        detail=json.dumps({"sids": [f"SM{at}" for at in range(count)]}),
    )
    page = (await member.get(f"/enrollments/{ids[0]}")).text
    told = f"Held after a restore: the provider has {texts} that this backup is missing"
    assert told in page


async def test_ticked_enrollments_are_finished_with_results(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member)
    path = f"/sequences/{sequence_id}/contacts/act/mark-finished"
    ticked = {"enrollment": [str(ids[0]), str(ids[1])]}
    done = await member.post(path, params=ticked, headers={**HTMX, **OWN_PAGE})
    assert "2 marked as finished." in done.text
    assert done.headers["HX-Trigger"] == "close-dialog, people-changed"
    found = await world.rows("SELECT status FROM enrollments WHERE status = 'finished_stopped'")
    assert len(found) == 2
    again = await member.post(path, params=ticked, headers={**HTMX, **OWN_PAGE})
    assert "Nothing changed. Left out: " in again.text
    assert f"Ann0 Lee ({LABELS.results['already_final']})" in again.text


async def test_action_on_all_matches_runs_in_the_background(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, _ = await enrolled(world, member)
    path = f"/sequences/{sequence_id}/contacts/act/pause"
    begun = await member.post(path, params={"everyone": "true", "search": "ann1"}, headers=HTMX)
    assert "in the background" in begun.text
    jobs = (await member.get("/api/jobs")).json()["items"]
    assert [(job["kind"], job["total"]) for job in jobs] == [("pause", 1)]
    for act in ("pause", "add-to-group"):
        of_all = f"/sequences/{sequence_id}/contacts/act/{act}?everyone=true"
        assert 'name="shown" value="3"' in (await member.get(of_all, headers=HTMX)).text
        fewer = {"shown": "2", "new_group": "Nights"}
        refused = await member.post(of_all, data=fewer, headers=HTMX | OWN_PAGE)
        assert refused.status_code == 409
        assert "shown: 3 instead of 2. Nothing was done" in refused.text
        assert 'name="shown" value="3"' in refused.text
    assert len((await member.get("/api/jobs")).json()["items"]) == 1


async def test_one_off_sent_twice_goes_once(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, ids = await enrolled(world, member, 2)
    path = f"/sequences/{sequence_id}/contacts/act/send-message"
    asked = await member.get(path, params={"enrollment": [str(one) for one in ids]}, headers=HTMX)
    assert "<textarea" in asked.text
    fields = {"body": "Hello {{first_name|there}}", "send_id": str(uuid4())}
    ticked = {"enrollment": [str(one) for one in ids]}
    for _ in range(2):
        done = await member.post(path, params=ticked, data=fields, headers=HTMX)
        assert "2 texted." in done.text
    texts = await world.rows("SELECT body FROM messages WHERE step IS NULL ORDER BY body")
    assert [row.body for row in texts] == ["Hello Ann0", "Hello Ann1"]

    await world.run("INSERT INTO workspace (id, texts_per_day) VALUES (1, 1)")
    await world.run(
        "INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before)"
        " SELECT gen_random_uuid(), id, 1, 'accepted', now(), now() FROM messages"
    )
    form = {"to": str(ids[1]), "body": "Hi"}
    seen = await member.post("/enrollments/preview-message", data=form, headers=HTMX)
    assert "Has reached the limit of texts in 24 hours. You can still text them." in seen.text
    fields["send_id"] = str(uuid4())
    done = await member.post(path, params=ticked, data=fields, headers=HTMX)
    assert "2 texted. More than the limit of texts in 24 hours: Ann0 " in done.text
    [contact] = await world.rows("SELECT contact_id AS id FROM messages LIMIT 1")
    box = await member.get(f"/conversations/{contact.id}/hours", headers=HTMX)
    assert "has reached the limit of texts in 24 hours. You can still text them." in box.text


async def test_message_is_written_with_fields_a_preview_and_its_sender(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    await services.fields.create("city", "Town", FieldType.TEXT)
    sequence_id, ids = await enrolled(world, member, 2)
    ticked = {"enrollment": [str(one) for one in ids]}
    path = f"/sequences/{sequence_id}/contacts/act/send-message"
    asked = (await member.get(path, params=ticked, headers=HTMX)).text
    assert "data-pills" in asked
    assert '<option value="first_name" data-fallback="there" data-own>First name</option>' in asked
    assert '<option value="city" data-fallback="">Town</option>' in asked
    for one in ids:
        assert f'<option value="{one}"' in asked
    form = {"to": str(ids[1]), "body": "Hi {{first_name|there}}, still in {{city}}?"}
    seen = await member.post("/enrollments/preview-message", data=form, headers=HTMX)
    assert "From <strong>Front desk</strong>" in seen.text
    assert "Hi Ann1, still in [city]?" in seen.text
    assert "Blank for this person: city." in seen.text
    wrong = await member.post(
        "/enrollments/preview-message", data={**form, "body": "{{}}"}, headers=HTMX
    )
    assert wrong.status_code == 200
    assert await world.rows("SELECT id FROM messages") == []


async def test_the_eleventh_contact_is_refused_with_the_reason(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, _ = await enrolled(world, member, 11)
    path = f"/sequences/{sequence_id}/contacts/act/send-message"
    everyone = {"everyone": "true"}
    asked = await member.get(path, params=everyone, headers=HTMX)
    assert "You can message up to 10 contacts at once; you selected 11" in asked.text
    assert "<textarea" not in asked.text
    done = await member.post(path, params=everyone, data={"body": "Hello"}, headers=HTMX)
    assert done.status_code == 422
    assert await world.rows("SELECT id FROM messages") == []


async def test_refused_one_off_keeps_the_typed_text(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member, 1)
    path = f"/sequences/{sequence_id}/contacts/act/send-message"
    fields = {"body": "Hello {{nickname}}", "send_id": str(uuid4())}
    refused = await member.post(path, params={"enrollment": str(ids[0])}, data=fields, headers=HTMX)
    assert refused.status_code == 422
    assert "Hello {{nickname}}" in refused.text
    assert "cannot go to Ann0 Lee: the body says {{nickname}}" in refused.text
    assert 'id="error-body"' in refused.text


async def test_adding_to_a_group_asks_which(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, ids = await enrolled(world, member, 2)
    group_id = await world.group()
    path = f"/sequences/{sequence_id}/contacts/act/add-to-group"
    ticked = {"enrollment": [str(one) for one in ids]}
    asked = await member.get(path, params=ticked, headers=HTMX)
    assert str(group_id) in asked.text
    without = await member.post(path, params=ticked, data={"group_id": ""}, headers=HTMX)
    assert without.status_code == 422
    done = await member.post(path, params=ticked, data={"group_id": str(group_id)}, headers=HTMX)
    assert "2 added to the group." in done.text
    assert len(await world.rows("SELECT contact_id FROM group_members")) == 2
    undo = re.search(r'hx-post="(/jobs/[^"]+/undo)"', done.text)
    assert undo is not None
    undone = await member.post(undo[1], headers=HTMX)
    assert "2 removed from the group." in undone.text
    assert await world.rows("SELECT contact_id FROM group_members") == []
    made = await member.post(path, params=ticked, data={"new_group": "Nights"}, headers=HTMX)
    assert made.headers["HX-Trigger"] == "close-dialog, people-changed"
    [group] = await world.rows("SELECT name FROM groups WHERE id <> :id", id=group_id)
    assert group.name == "Nights"


async def test_action_on_nobody_says_so(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, _ = await enrolled(world, member, 1)
    path = f"/sequences/{sequence_id}/contacts/act/mark-finished"
    assert (await member.post(path, headers=HTMX)).status_code == 422


async def test_viewer_sees_no_actions_and_is_refused(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member, 1)
    page = await viewer.get(f"/sequences/{sequence_id}/contacts")
    assert rows(page.text) == ids
    assert 'type="checkbox" class="form-check-input" name="enrollment"' not in page.text
    assert 'id="toolbar"' not in page.text
    path = f"/sequences/{sequence_id}/contacts/act/mark-finished"
    ticked = {"enrollment": str(ids[0])}
    assert (await viewer.get(path, params=ticked)).status_code == 403
    assert (await viewer.post(path, params=ticked)).status_code == 403
    panel = await viewer.get(f"/enrollments/{ids[0]}")
    assert panel.status_code == 200
    assert "Mark finished" not in panel.text


async def test_overdue_text_shows_as_due_everywhere(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, ids = await enrolled(world, member, 1)
    await world.run("UPDATE enrollments SET next_send_at = now() - interval '24 seconds'")
    [contact] = await world.rows("SELECT contact_id FROM enrollments")
    paths = (
        f"/enrollments/{ids[0]}",
        f"/sequences/{sequence_id}/contacts",
        f"/contacts/{contact.contact_id}",
    )
    for path in paths:
        page = (await member.get(path)).text
        assert re.search(r'data-past="due"[^>]*>due</time>', page), path
        assert "24 sec ago" not in page


async def test_enrollment_shows_next_texts_and_reasons(
    world: World, member: httpx.AsyncClient
) -> None:
    _, ids = await enrolled(world, member, 1)
    page = await member.get(f"/enrollments/{ids[0]}")
    assert "Upcoming" in page.text
    assert "Local time" in page.text
    assert "right after enrollment" in page.text
    assert "Enrolled by" in page.text
    part = await member.get(f"/enrollments/{ids[0]}", headers={**HTMX, "HX-Target": "panel"})
    assert "<html" not in part.text
    assert "dialog-head" in part.text


@pytest.mark.parametrize(
    ("hour_cycle", "at", "opens", "nine_to_five"),
    [(12, "9:05 PM", "10:00 PM", "9:00 AM to 5:00 PM"), (24, "21:05", "22:00", "09:00 to 17:00")],
)
async def test_times_use_the_workspace_hour_cycle(
    world: World,
    member: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    hour_cycle: int,
    at: str,
    opens: str,
    nine_to_five: str,
) -> None:
    changed = await admin.patch("/api/settings", json={"hour_cycle": hour_cycle})
    assert changed.status_code == 200
    late = {day: ["22:00", "23:00"] for day in DAYS}
    steps = [ongoing("Hello", 0), ongoing("Still there?", at_time="21:05")]
    sequence = await world.active(steps=steps, send_window=late)
    contacts = [str(one) for one in await world.contacts(1)]
    path = f"/api/sequences/{sequence.id}/enrollments"
    [one] = (await member.post(path, json={"contact_ids": contacts})).json()["enrolled"]
    page = (await member.get(f"/enrollments/{one['id']}")).text
    assert f"1 day after the previous text, at {at};" in page
    settings = (await member.get(f"/sequences/{sequence.id}/settings")).text
    assert f"Weekdays {nine_to_five}" in settings
    assert re.search(rf"moved into the send window, from \w{{3}}, [^;]+, {opens} \(", page)


async def test_fifty_people_weigh_less_than_100_kb(world: World, member: httpx.AsyncClient) -> None:
    sequence_id, _ = await enrolled(world, member, 60)
    page = await member.get(f"/sequences/{sequence_id}/contacts")
    assert len(rows(page.text)) == 50
    assert len(page.content) < 100_000


def test_doubled_text_is_shown_in_words() -> None:
    entry = TimelineEntry(datetime(2026, 11, 25, tzinfo=UTC), "doubled", step=2)
    words = _sentence(entry, Clock("UTC", 24), None)
    assert words == "Step 2 was sent twice: the first one had gone out after all"


async def test_consent_hold_offers_to_record_it_and_no_release(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence_id, [one] = await enrolled(world, member, 1)
    asked = {Purpose.INFORMATIONAL: ConsentNeeded.ANY}
    await services.workspace.change({"require_consent": asked}, world.user_id)
    await world.run("UPDATE enrollments SET activity = 'held', held_reason = 'consent_missing'")
    page = (await member.get(f"/enrollments/{one}")).text
    record = re.search(r'hx-get="(/contacts/[^"]+/consent\?stay=true)"', page)
    assert record is not None
    assert "/act/release" not in page
    release = f"/sequences/{sequence_id}/contacts/act/release?enrollment={one}"
    dialog = (await member.get(release, headers=HTMX)).text
    assert '<button type="submit" class="btn btn-primary" disabled>Release' in dialog
    refused = await member.post(release, data={"decision": "retry"}, headers=HTMX | OWN_PAGE)
    assert "(still waits for consent)" in refused.text
    assert "Released" not in (await member.get(f"/enrollments/{one}")).text

    form = await member.get(record[1], headers=HTMX)
    assert 'name="stay" value="true"' in form.text
    noted = await member.post(
        record[1].partition("?")[0], data={"source": "A call", "stay": "true"}, headers=HTMX
    )
    assert noted.headers["HX-Trigger"] == "close-dialog, people-changed"
    # Whether or not it was woken yet: it goes on.
    await member.post(release, data={"decision": "retry"}, headers=HTMX | OWN_PAGE)
    assert [row.activity for row in await world.rows("SELECT activity FROM enrollments")] == [
        "waiting"
    ]


async def test_badge_by_the_name_changes_with_what_is_below_it(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence_id, [one] = await enrolled(world, member, 1)
    path = f"/enrollments/{one}"
    panel = await member.get(path, headers={**HTMX, "HX-Target": "panel"})
    assert '<span id="enrollment-standing">' in panel.text
    await member.post(
        f"/sequences/{sequence_id}/contacts/act/mark-finished?enrollment={one}",
        headers=HTMX | OWN_PAGE,
    )
    for target in ("enrollment", ""):
        part = await member.get(path, headers={**HTMX, "HX-Target": target})
        badge = re.search(
            r'<span id="enrollment-standing" hx-swap-oob="true">(.*?)</span>\n',
            part.text,
            re.DOTALL,
        )
        assert badge is not None
        assert "Finished, stopped" in badge[1]
        assert "Marked finished by " in part.text
