"""The settings' pages: senders, users, tokens, webhooks, jobs, the audit log."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from api.pages.labels import LABELS
from api.pages.settings.audit import tell
from domain.statuses.access import TokenScope
from services.factory import Services
from services.platform.audit import Act, Entry, Subject
from storage.platform.database import Database
from tests.worlds import World

HTMX = {"HX-Request": "true"}
PASSWORD = "correct horse battery staple"
ROOT = Path(__file__).resolve().parents[3]
SERVICES, REFUSALS = ROOT / "services", ROOT / "api" / "refusals.py"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# Senders


async def test_sender_is_added_by_number_or_service(admin: httpx.AsyncClient) -> None:
    fields = {"name": "Desk", "identity": "+1 415 555 0199", "segments_per_second": "0.5"}
    made = await admin.post("/settings/senders", data=fields, headers=HTMX)
    assert "close-dialog" in made.headers["HX-Trigger"]
    service = {"name": "Pool", "identity": "MG" + "0a" * 16, "segments_per_second": "3"}
    await admin.post("/settings/senders", data=service, headers=HTMX)
    shown = words((await admin.get("/settings/senders")).text)
    assert "+1 415-555-0199" in shown
    assert "0.5 segments per second" in shown
    assert f"Messaging Service {service['identity']}" in shown


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"identity": "12"}, "identity"),
        ({"identity": ""}, "identity"),
        ({"identity": "MG12"}, "identity"),
        ({"segments_per_second": "fast"}, "segments_per_second"),
        ({"segments_per_second": "nan"}, "segments_per_second"),
        ({"segments_per_second": "0"}, "segments_per_second"),
    ],
)
async def test_sender_errors_are_shown_beside_their_fields(
    admin: httpx.AsyncClient, changed: dict[str, str], field: str
) -> None:
    fields = {"name": "<b>", "identity": "+14155550199", "segments_per_second": "1", **changed}
    refused = await admin.post("/settings/senders", data=fields, headers=HTMX)
    assert refused.status_code == 422
    assert f'id="error-{field}"' in refused.text
    assert "<b>" not in refused.text


async def test_number_belongs_to_one_sender_only(world: World, admin: httpx.AsyncClient) -> None:
    sender = (await admin.get("/api/senders")).json()["items"][0]
    fields = {"name": "Other", "identity": sender["phone"], "segments_per_second": "1"}
    refused = await admin.post("/settings/senders", data=fields, headers=HTMX)
    assert refused.status_code == 409
    assert "another sender has this number" in refused.text.lower()


async def test_sender_hold_shows_reason_and_is_released(
    world: World, admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    await world.run(
        "UPDATE senders SET held_at = now(), hold_code = 30032,"
        " next_probe_at = now() + interval '10 minutes' WHERE id = :id",
        id=world.sender_id,
    )
    path = f"/settings/senders/{world.sender_id}"
    shown = words((await member.get("/settings/senders")).text)
    assert "On hold" in shown
    assert "(Error 30032)" in shown
    assert "Fix the problem in Twilio" in shown
    assert "one text is tried in 9 min" in shown
    assert "Release now" not in shown
    assert (await member.post(f"{path}/release")).status_code == 403
    asked = await admin.get(f"{path}/release", headers=HTMX)
    assert "No text is lost or sent twice" in asked.text
    released = await admin.post(f"{path}/release", headers=HTMX)
    assert "0 enrollments resume" in released.text
    assert "On hold" not in words((await admin.get("/settings/senders")).text)


@pytest.mark.parametrize(("shows", "warned"), [(None, False), (True, False), (False, True)])
async def test_altered_texts_of_a_sender_are_explained(
    world: World, member: httpx.AsyncClient, *, shows: bool | None, warned: bool
) -> None:
    await world.run("UPDATE senders SET shows_texts = :shows", shows=shows)
    shown = words((await member.get("/settings/senders")).text)
    assert ("Twilio's records don't show these texts as they were sent." in shown) is warned
    [sender] = (await member.get("/api/senders")).json()["items"]
    assert sender["shows_texts"] is shows


async def test_sender_name_and_rate_are_changed(world: World, admin: httpx.AsyncClient) -> None:
    path = f"/settings/senders/{world.sender_id}"
    assert 'name="identity"' not in (await admin.get(f"{path}/edit", headers=HTMX)).text
    fields = {"name": "Night desk", "segments_per_second": "2.5"}
    await admin.post(path, data=fields, headers=HTMX)
    sender = (await admin.get(f"/api/senders/{world.sender_id}")).json()
    assert (sender["name"], sender["segments_per_second"]) == ("Night desk", 2.5)


# Users


async def added(admin: httpx.AsyncClient, **fields: str) -> httpx.Response:
    given = {"email": "kim@example.com", "name": "Kim", "role": "member", **fields}
    return await admin.post("/settings/users", data=given, headers=HTMX)


async def id_of(services: Services, email: str) -> UUID:
    user = await services.users.by_email(email)
    assert user is not None
    return user.id


async def test_link_is_shown_once_and_sets_a_working_password(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await added(admin)
    assert made.headers["HX-Trigger"] == "users-changed"
    link = link_in(made.text)
    assert link not in (await admin.get("/settings/users")).text
    await sets_password(anonymous, link)
    told = words((await admin.get("/settings/audit")).text)
    assert re.search(r"Kim set [^.]*password", told), told
    signed_in = await anonymous.post(
        "/sign-in",
        data={"email": "kim@example.com", "password": PASSWORD},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert signed_in.headers["location"] == "/"


async def test_new_link_replaces_password_and_old_link(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, services: Services
) -> None:
    first = link_in((await added(admin)).text)
    path = f"/settings/users/{await id_of(services, 'kim@example.com')}"
    assert "The last link is still unused; it expires" in words((await admin.get(path)).text)
    second = link_in((await admin.post(f"{path}/set-up-links")).text)
    assert (await anonymous.get(first)).status_code == 404
    await sets_password(anonymous, second)
    await admin.post(f"{path}/disable")
    refused = await admin.post(f"{path}/set-up-links")
    assert refused.status_code == 409
    assert "this user is disabled" in refused.text.lower()


def link_in(html: str) -> str:
    link = re.search(r'id="token" value="(https://segue.test/set-up[?]token=[^"]+)"', html)
    assert link is not None
    return link[1]


async def sets_password(browser: httpx.AsyncClient, link: str) -> None:
    token = link.partition("token=")[2]
    form = {"token": token, "password": PASSWORD, "repeated": PASSWORD}
    assert (await browser.post("/set-up", data=form)).headers["location"] == "/sign-in"


async def test_users_are_refused_beside_the_field(admin: httpx.AsyncClient) -> None:
    assert 'id="error-email"' in (await added(admin, email="kim")).text
    await added(admin)
    taken = await added(admin)
    assert taken.status_code == 409
    assert "another user has this email address" in taken.text.lower()


async def test_user_without_a_known_role_is_refused_beside_it(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await added(admin)
    path = f"/settings/users/{await id_of(services, 'kim@example.com')}"
    for refused in (
        await added(admin, email="lou@example.com", role="boss"),
        await admin.post(path, data={"name": "Kim"}),
    ):
        assert refused.status_code == 422
        assert "Role is missing; choose one." in refused.text


async def test_user_is_changed_disabled_and_enabled(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await added(admin, name="<script>alert(1)</script>")
    user_id = await id_of(services, "kim@example.com")
    path = f"/settings/users/{user_id}"
    assert "<script>alert" not in (await admin.get(path)).text
    await admin.post(path, data={"name": "Kim", "role": "viewer"})
    await admin.post(f"{path}/disable")
    user = await services.users.get(user_id)
    assert (user.name, user.role, user.disabled_at is None) == ("Kim", "viewer", False)
    assert "Disabled" in (await admin.get("/settings/users")).text
    await admin.post(f"{path}/enable")
    assert (await services.users.get(user_id)).disabled_at is None


async def test_last_admin_cannot_be_demoted(admin: httpx.AsyncClient, services: Services) -> None:
    user_id = await id_of(services, "admin@example.com")
    refused = await admin.post(f"/settings/users/{user_id}", data={"name": "Ada", "role": "member"})
    assert refused.status_code == 409
    assert "this is the last admin" in refused.text.lower()


async def test_users_token_is_shown_once_and_revoked(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await added(admin)
    path = f"/settings/users/{await id_of(services, 'kim@example.com')}"
    without = await admin.post(f"{path}/tokens", data={"name": "", "scopes": ["read"]})
    assert 'id="error-token_name"' in without.text
    made = await admin.post(f"{path}/tokens", data={"name": "Nightly report", "scopes": ["read"]})
    assert "sgt_" in made.text
    again = (await admin.get(path)).text
    assert "sgt_" not in again
    revoke = re.search(r'action="([^"]+/revoke)"', again)
    assert revoke is not None
    await admin.post(revoke[1])
    assert "Nightly report" not in (await admin.get(path)).text


async def test_new_token_only_reads_unless_more_is_ticked(admin: httpx.AsyncClient) -> None:
    form = (await admin.get("/settings/account")).text
    ticked = re.findall(r'name="scopes" value="(\w+)"( checked)?', form)
    assert ticked == [("read", " checked"), ("write", ""), ("send", ""), ("admin", "")]


@pytest.mark.parametrize("days", ["x", "0", "9" * 12])
async def test_token_expires_as_chosen(admin: httpx.AsyncClient, days: str) -> None:
    sent = {"name": "Nightly report", "scopes": ["read"], "days": days}
    answer = await admin.post("/settings/account/tokens", data=sent)
    assert answer.status_code == 422
    assert "Expires must be one of the choices" in words(answer.text)
    assert "sgt_" not in answer.text


# Webhooks


async def test_webhook_secret_is_shown_once_and_log_shows_pending(
    admin: httpx.AsyncClient,
) -> None:
    fields = {"url": "https://example.com/events", "types": ["message.received"]}
    made = await admin.post("/settings/webhooks", data=fields)
    assert "whsec_" in made.text
    path = re.search(r'href="(/settings/webhooks/[0-9a-f-]{36})"', made.text)
    assert path is not None
    tested = await admin.post(f"{path[1]}/test", headers=HTMX)
    assert "deliveries-changed" in tested.headers["HX-Trigger"]
    page = await admin.get(path[1])
    assert "whsec_" not in page.text
    assert "Sending" in page.text
    assert 'value="message.received" checked' in page.text
    log = await admin.get(path[1], params={"state": "given_up"}, headers=HTMX)
    assert "No deliveries match" in log.text
    rotated = await admin.post(f"{path[1]}/secret")
    assert "whsec_" in rotated.text
    await admin.post(f"{path[1]}/disable")
    assert "No events have been sent since" in (await admin.get(path[1])).text
    await admin.post(f"{path[1]}/enable")
    await admin.post(f"{path[1]}/remove")
    assert (await admin.get(path[1])).status_code == 404


async def test_bad_address_shows_its_error_beside_the_field(admin: httpx.AsyncClient) -> None:
    refused = await admin.post("/settings/webhooks", data={"url": "http://example.com"})
    assert refused.status_code == 422
    assert "must begin with https://" in refused.text
    assert 'value="http://example.com"' in refused.text


# Activity, audit log


async def test_background_jobs_are_listed_for_everyone(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(2)]
    await member.post(
        f"/api/sequences/{sequence.id}/enrollments",
        json={"contact_ids": contacts},
        headers={"Prefer": "respond-async"},
    )
    assert "0 of 2" in (await viewer.get("/settings/activity")).text
    mine = await viewer.get("/settings/activity", params={"mine": "true"}, headers=HTMX)
    assert "Nothing here" in mine.text
    going_on = await viewer.get("/settings/activity", params={"running": "true"})
    assert "Enrollment" in words(going_on.text)


async def test_checked_upload_waits_for_confirmation(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    async def file() -> AsyncIterator[bytes]:
        yield b"first_name,phone\nAnn,+12125550101\nBo,+12125550102\n"

    sequence = await world.active()
    found = await services.enroll_previews.of_file(sequence.id, file(), world.user_id)
    assert found.job_id is not None
    shown = words((await member.get("/settings/activity")).text)
    assert "2 rows Waiting for confirmation" in shown
    assert "Uploading" not in shown
    assert "0 of 2" not in shown
    one = words((await member.get(f"/jobs/{found.job_id}/progress", headers=HTMX)).text)
    assert "Waiting for confirmation" in one
    assert "In progress" not in one
    job = await services.importing.start(found.job_id, world.user_id)
    assert "0 of 2 0 Queued" in words((await member.get("/settings/activity")).text)
    assert not job.awaits_confirmation

    again = await services.enroll_previews.of_file(sequence.id, file(), world.user_id)
    assert again.job_id is not None
    await services.importing.discard(again.job_id)
    assert "Waiting" not in words((await member.get("/settings/activity")).text)


async def test_audit_log_shows_who_did_what(
    world: World, admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    answer = await member.post("/api/contacts", json={"first_name": "Ann", "phone": "+12125550101"})
    contact_id = answer.json()["id"]
    await member.patch(f"/api/contacts/{contact_id}", json={"first_name": "Anna"})
    shown = words((await admin.get("/settings/audit")).text)
    assert "member changed Anna" in shown
    assert "Changed: first name" in shown
    assert "member added Anna" in shown
    only = await admin.get("/settings/audit", params={"action": "contact.create"}, headers=HTMX)
    assert "added Anna" in words(only.text)
    assert f'<a href="/contacts/{contact_id}">Anna</a>' in only.text
    assert "changed Anna" not in words(only.text)
    one = await admin.get("/settings/audit", params={"subject_id": contact_id})
    assert one.text.count("<strong>member</strong>") == 2
    nothing = await admin.get("/settings/audit", params={"last_day": "2020-01-01"})
    assert "No entries match" in nothing.text


async def test_audit_log_says_why_and_for_when(
    world: World, admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    [ann] = await world.contacts(1, first_name="Ann", phone="+12125550101")
    later = (datetime.now(UTC) + timedelta(days=30)).replace(hour=12)
    said = {"body": "Hi", "send_at": later.isoformat(), "sender_id": str(world.sender_id)}
    answer = await member.post(f"/api/contacts/{ann}/messages", json=said)
    assert answer.status_code == 201, answer.text
    await member.post(f"/api/messages/{answer.json()['id']}/cancel")
    given = {"contact_id": str(ann), "reason": "Asked <by phone>"}
    opted_out = (await member.post("/api/suppressions", json=given)).json()["id"]
    lifted = {"reason": "Was another person"}
    await member.post(f"/api/suppressions/{opted_out}/lift", json=lifted)
    page = (await admin.get("/settings/audit")).text
    shown = words(page)
    when = f"{later:%b} {later.day}, {later.year}"
    assert re.search(rf"scheduled a text to Ann Lee .* · To be sent: .*{when}", shown)
    assert "canceled a scheduled text to Ann Lee" in shown
    opted_out = f'opted out <a href="/contacts/{ann}">Ann Lee</a>: '
    assert f"{opted_out}“Asked &lt;by phone&gt;”" in page
    assert "Ann Lee</a>: “Was another person”" in page
    await world.run("UPDATE suppressions SET occurred_at = occurred_at - interval '1 day'")
    assert "Asked" not in (await admin.get("/settings/audit")).text  # of another time


async def test_act_on_many_is_one_sentence(
    world: World, admin: httpx.AsyncClient, member: httpx.AsyncClient, services: Services
) -> None:
    """Ana enrolled 60 contacts in Welders, though each has an entry; gone ones read well too."""
    sequence = await world.active(name="Welders, spring")
    others = await world.active(name="Clerks")
    people = [str(one) for one in await world.contacts(60)]
    for at in (sequence.id, others.id):
        path = f"/api/sequences/{at}/enrollments"
        asked = people if at == sequence.id else people[:2]
        enrolled = (await member.post(path, json={"contact_ids": asked})).json()["enrolled"]
        some = [one["id"] for one in enrolled[:2]]
        await member.post("/api/enrollments/batch/pause", json={"enrollment_ids": some})
    group = (await member.post("/api/groups", json={"name": "Callers"})).json()["id"]
    await member.post(f"/api/groups/{group}/members", json={"contact_ids": people[:3]})
    await member.request("DELETE", f"/api/groups/{group}")

    page = (await admin.get("/settings/audit")).text
    shown = words(page)
    for told in (
        "member enrolled 60 contacts in Welders, spring",
        "member paused 2 contacts in Welders, spring",
        "member enrolled 2 contacts in Clerks",
        "member added 3 contacts to a deleted group",
        "member deleted a group",
    ):
        assert told in shown, told
    assert f'<a href="/sequences/{sequence.id}/contacts">Welders, spring</a>' in page
    of_one = {"subject_id": some[0]}
    alone = words((await admin.get("/settings/audit", params=of_one)).text)
    name = (await services.contacts.get(UUID(people[0]))).name
    assert f"member enrolled {name} in Clerks" in alone
    assert f"member paused {name} in Clerks" in alone


@pytest.mark.parametrize("key", LABELS.actions)
def test_every_audited_action_is_told_as_a_sentence(key: str) -> None:
    action, _, variant = key.partition(" ")
    said: dict[str, dict[str, object]] = {
        "": {},
        "copy_of": {"copy_of": str(uuid4())},
        "none": {"owner_id": None},
        "false": {"whole": False, "count": 3},
        "send_at": {"send_at": "2031-01-02T15:04:00.000Z"},
    }
    detail = said.get(variant, {"decision": variant})
    entry = Entry(1, datetime.now(UTC), None, None, action, None, None, detail, None)
    plain = LABELS.actions[key].replace("{", "").replace("}", "")
    about = re.findall(r"{([^}]*)}", LABELS.actions[key])
    assert set(about) <= {called.one for called in LABELS.subjects.values()}

    def told(count: int, subjects: Mapping[str, Subject]) -> str:
        return tell(Act(entry, count, subjects), lambda *_, **__: "/there").words

    assert told(1, {}) == plain
    for name in ("Zoë Brown", None):
        subjects = {kind: Subject(kind, uuid4(), name) for kind in LABELS.subjects}
        sentence = told(1, {**subjects, "job": Subject("job", uuid4(), "enrol")})
        assert sentence.count("Zoë Brown") == (0 if "job" in action or not name else len(about))
        assert "{" not in sentence
    assert not about or "1,200 " in told(1_200, {})


async def test_audit_log_shows_times_by_the_workspace_clock(
    world: World, admin: httpx.AsyncClient, services: Services
) -> None:
    expires_at = datetime(2031, 1, 2, 15, 4, tzinfo=UTC)
    await services.tokens.create(
        world.user_id, name="crm", scopes=[TokenScope.READ], expires_at=expires_at
    )
    shown = words((await admin.get("/settings/audit")).text)
    assert "Expires: Thu, Jan 2, 2031, 10:04 AM (New York)" in shown


async def test_audit_log_has_pages(
    world: World, admin: httpx.AsyncClient, services: Services
) -> None:
    for number in range(60):
        await services.groups.create(f"Group {number}")
    first = (await admin.get("/settings/audit", params={"action": "group.create"})).text
    following = re.search(r'href="([^"]+)"[^>]*>Next', first)
    assert following is not None
    second = (await admin.get(following[1].replace("&amp;", "&"))).text
    assert words(second).count("created Group") == 10


def test_every_audited_action_has_words() -> None:
    found: set[str] = set()
    for path in SERVICES.rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r'audit\.record\(\s*tx,\s*"([a-z_]+\.[a-z_]+)"', text))
        found |= set(re.findall(r'"([a-z]+\.export)"', text))
        found |= set(re.findall(r'\.note\(\s*[^"]+,\s*"([a-z_]+\.[a-z_]+)"', text))
    found |= set(re.findall(r'action, detail = "([a-z_.]+)"', REFUSALS.read_text()))
    assert len(found) > 30
    assert {"session.throttle", "access.throttle"} <= found <= set(LABELS.actions)


@pytest.mark.parametrize("tab", ["users", "webhooks", "audit"])
async def test_admin_pages_are_hidden_from_others(member: httpx.AsyncClient, tab: str) -> None:
    refused = await member.get(f"/settings/{tab}")
    assert refused.status_code == 403
    assert f'href="/settings/{tab}"' not in (await member.get("/settings/senders")).text


async def test_viewer_sees_senders_and_cannot_change_them(
    world: World, viewer: httpx.AsyncClient
) -> None:
    page = (await viewer.get("/settings/senders")).text
    assert "Add sender" not in page
    assert "/edit" not in page
