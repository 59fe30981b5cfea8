"""Writing a sequence: drafts of steps, activating, tests to oneself, templates."""

import re
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.pages.sequences.activating import window_words
from api.pages.times import Clock
from domain.sequences.placeholders import FIRST_TEXT
from domain.sequences.templates import SHIPPED
from domain.sequences.timing import DEFAULT_WINDOW
from domain.statuses.access import Role
from services.maintenance.workspace import HourCycle
from storage.platform.database import Database
from storage.sequences.sequences import SequenceRecord
from tests.api.pages.conftest import HTMX, Browse
from tests.worlds import World, ongoing

PHONE = "+12125550199"
DASH = "\N{EN DASH}"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def written(*bodies: str, version: int = 1) -> dict[str, Any]:
    """Build the editor's form, a day between the texts."""
    rows = [
        {"key": f"s{at}", "body": body, "delay": "1", "unit": "days", "at_time": "", "media": ""}
        for at, body in enumerate(bodies, 1)
    ]
    return {"version": str(version), **{name: [row[name] for row in rows] for name in rows[0]}}


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def path(sequence: SequenceRecord, rest: str = "") -> str:
    return f"/sequences/{sequence.id}/steps{rest}"


class TestDrafts:
    async def test_what_is_not_saved_is_there_again_until_it_is(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft(steps=[ongoing("Hi", 0)])
        kept = await member.post(
            path(sequence, "/draft"), data=written("Hi you\r\n", "More"), headers=HTMX
        )
        assert re.search(r"Draft saved \d", kept.text)
        page = await member.get(path(sequence))
        assert ">\nHi you\n</textarea>" in page.text
        assert page.text.count("data-step ") == 3, "two, and the one to add"
        assert "Draft saved" in words(page.text)
        assert "data-unsaved" in page.text
        assert (await world.sequences.get(sequence.id)).version == 1

        await member.post(path(sequence), data=written("Hi you\n", "More"))
        page = await member.get(path(sequence))
        assert "Draft saved" not in page.text
        assert "data-unsaved" not in page.text
        assert await world.rows("SELECT 1 FROM sequence_drafts") == []

    async def test_draft_is_its_writers_alone_and_can_be_discarded(
        self, world: World, browse: Browse
    ) -> None:
        sequence = await world.draft(steps=[ongoing("Hi", 0)])
        member, admin = await browse(Role.MEMBER), await browse(Role.ADMIN)
        await member.post(path(sequence, "/draft"), data=written("Mine"))
        assert "Mine" not in (await admin.get(path(sequence))).text
        gone = await member.post(path(sequence, "/draft/discard"))
        assert gone.headers["location"] == path(sequence)
        assert "Mine" not in (await member.get(path(sequence))).text

    async def test_draft_of_an_older_version_says_who_saved_since_and_waits(
        self, world: World, browse: Browse
    ) -> None:
        sequence = await world.active(steps=[ongoing("Hi", 0)])
        member, admin = await browse(Role.MEMBER), await browse(Role.ADMIN)
        await member.post(path(sequence, "/draft"), data=written("Mine"))
        await admin.post(path(sequence), data=written("Theirs {{first_name|you}}"))
        page = await member.get(path(sequence))
        said = words(page.text)
        name = (await world.rows("SELECT name FROM users WHERE email = 'admin@example.com'"))[0]
        assert f"{name.name} saved version 2" in said
        assert "Theirs First name · you" in said
        assert '<input type="hidden" name="version" value="1">' in page.text
        refused = await member.post(path(sequence), data=written("Mine"))
        assert refused.status_code == 409
        assert '<input type="hidden" name="version" value="2">' in refused.text
        assert ">\nMine</textarea>" in refused.text


class TestActivating:
    async def test_summary_says_what_from_where_when_and_to_whom(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        window = DEFAULT_WINDOW.dump()
        steps = [ongoing("Hi {{first_name|there}}", 0), ongoing("Still?", 2 * 86_400, "09:30")]
        sequence = await world.draft(steps=steps, send_window=window)
        asked = await member.get(f"/sequences/{sequence.id}/activate", headers=HTMX)
        said = words(asked.text)
        assert "2 texts over 2 days" in said
        assert "Right away Hi there" in said
        assert "Sender Front desk" in said
        assert "Mon-Sat 9 AM-8 PM, Sun 12 PM-8 PM" in said.replace(DASH, "-")
        assert "0 people enrolled" in said
        assert f'action="/sequences/{sequence.id}/activate"' in asked.text
        assert "Informational texts. No consent is asked for." in words(asked.text)

    async def test_unsaved_edits_are_saved_and_go_live_together(
        self, world: World, browse: Browse
    ) -> None:
        member = await browse()
        sequence = await world.draft(steps=[ongoing(FIRST_TEXT, 0)])
        stored = await member.get(f"/sequences/{sequence.id}/activate", headers=HTMX)
        assert "Step 1 : the text still has only the greeting" in words(stored.text)
        assert f'href="{path(sequence)}#field-s1-body"' in stored.text
        assert 'type="submit"' not in stored.text
        assert (await member.post(f"/sequences/{sequence.id}/activate")).status_code == 303
        assert (await world.sequences.get(sequence.id)).state.value == "draft"

        form = written("Hi, are you free?", "Still?")
        blank = written("Hi from [your name], [company]", "Still?", "")
        refused = await member.post(path(sequence, "/activation"), data=blank, headers=HTMX)
        lacking = "Step 1 : the text still says [your name] and [company]; put your own in their"
        assert lacking in words(refused.text)
        assert "Step 3 : the text is empty" in words(refused.text)
        assert 'href="#field-s3-body" data-close' in refused.text
        asked = await member.post(path(sequence, "/activation"), data=form, headers=HTMX)
        assert "Save and activate" in asked.text
        assert f'formaction="{path(sequence, "/activate")}"' in asked.text
        opened = await member.post(path(sequence, "/activate"), data=form)
        assert opened.headers["location"] == path(sequence)
        after = await world.sequences.get(sequence.id)
        assert (after.state.value, after.version) == ("active", 2)
        assert "activated. Enroll contacts" in (await member.get(path(sequence))).text

    async def test_changes_that_are_not_saved_are_not_forgotten_elsewhere(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft(steps=[ongoing("Hi", 0)])
        asked = f"/sequences/{sequence.id}/activate"
        await member.post(path(sequence, "/draft"), data=written("Better"))
        assert "You have unsaved changes" in (await member.get(asked, headers=HTMX)).text
        same = {**written("Hi"), "delay": ["0"], "unit": ["minutes"]}
        back = await member.post(path(sequence, "/draft"), data=same)
        assert "Draft saved" not in back.text
        assert "You have unsaved changes" not in (await member.get(asked, headers=HTMX)).text

    async def test_neither_is_done_if_a_text_is_unwritten(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft(steps=[ongoing("Hi", 0)])
        form = written("Hi, from [company]")
        refused = await member.post(path(sequence, "/activate"), data=form)
        assert refused.status_code == 422
        assert 'id="error-s1-body"' in refused.text
        assert "The text still says [company]" in words(refused.text)
        after = await world.sequences.get(sequence.id)
        assert (after.state.value, after.version) == ("draft", 1)

    @pytest.mark.parametrize(
        ("window", "cycle", "expected"),
        [
            (None, 12, "At any time"),
            ({"mon": ["09:00", "24:00"]}, 12, "Mon 9 AM-midnight"),
            (
                {"mon": ["00:00", "09:30"], "wed": ["00:00", "09:30"]},
                12,
                "Mon 12 AM-9:30 AM, Wed 12 AM-9:30 AM",
            ),
            ({"sat": ["10:00", "16:00"], "sun": ["10:00", "16:00"]}, 24, "Sat-Sun 10:00-16:00"),
        ],
    )
    def test_send_window_is_written_in_words(
        self, window: dict[str, list[str]] | None, cycle: HourCycle, expected: str
    ) -> None:
        assert window_words(window, Clock("UTC", cycle)).replace(DASH, "-") == expected


class TestTrialTexts:
    async def test_test_goes_out_once_the_user_knows_whose_number_it_is(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft(steps=[ongoing("Hi", 0)])
        [zoe] = await world.contacts(1, first_name="Zoe", last_name="")
        form = {**written("First", "Hi {{first_name|there}}\r\nBye"), "contact_id": str(zoe)}
        asked = await member.post(path(sequence, "/test?step=s2"), data=form, headers=HTMX)
        previewed = re.search(r"\[Test\] Hi (\w+)", asked.text)
        assert previewed is not None
        long = {**written("First", "x" * 1600), "contact_id": str(zoe)}
        too_long = await member.post(path(sequence, "/test?step=s2"), data=long, headers=HTMX)
        assert "shorten it" in words(too_long.text)
        fields = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]*)"', asked.text))
        fields = {name: unescape(value) for name, value in fields.items()}
        to = f"/sequences/{sequence.id}/test"

        wrong = await member.post(to, data={**fields, "phone": "12"}, headers=HTMX)
        assert 'id="error-phone"' in wrong.text
        told = await member.post(to, data={**fields, "phone": PHONE}, headers=HTMX)
        assert "Sending adds one named" in words(told.text)
        assert await world.rows("SELECT 1 FROM messages") == []
        agreed = {**fields, "phone": PHONE, "agreed": PHONE}
        sent = await member.post(to, data=agreed, headers=HTMX)
        assert "The test is on its way to" in sent.text
        [text] = await world.rows("SELECT body, phone, sender_id FROM messages")
        [added] = await world.rows("SELECT first_name FROM contacts WHERE phone = :p", p=PHONE)
        assert (text.body, text.phone) == (f"[Test] Hi {added.first_name}\nBye", PHONE)
        assert previewed[1] == added.first_name
        assert text.sender_id == world.sender_id
        again = await member.post(path(sequence, "/test?step=s1"), data=form, headers=HTMX)
        assert f'value="{PHONE}"' in again.text
        hello = {**written("Hi {{first_name|there}}"), "contact_id": str(zoe)}
        known = await member.post(path(sequence, "/test?step=s1"), data=hello, headers=HTMX)
        assert f"[Test] Hi {added.first_name}<" in known.text, "as the last one was sent to"
        assert "Send test" in known.text
        first = {**fields, "body": "Once more", "message_id": str(UUID(int=7)), "phone": PHONE}
        assert "on its way" in (await member.post(to, data=first, headers=HTMX)).text

    async def test_number_of_somebody_else_and_an_opt_out_are_told(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft()
        [bob] = await world.contacts(1, first_name="Bob", last_name="", phone=PHONE)
        to, form = f"/sequences/{sequence.id}/test", {"body": "Hi", "phone": PHONE}
        told = await member.post(to, data=form, headers=HTMX)
        assert "belongs to Bob . They will get this text." in words(told.text)
        await world.suppress(bob)
        refused = await member.post(to, data={**form, "agreed": PHONE}, headers=HTMX)
        assert refused.status_code == 409
        assert "opted out" in words(refused.text)


class TestTemplates:
    async def test_gallery_previews_templates_and_begins_a_sequence(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        gallery = await member.get("/sequences/new", headers=HTMX)
        for one in SHIPPED:
            assert f'value="{one.id}"' in gallery.text
        assert "{{" not in gallery.text
        assert '<span class="pill">First name · there</span>' in gallery.text
        fields = {
            "name": "Nurses",
            "sender_id": str(world.sender_id),
            "template_id": str(SHIPPED[0].id),
            "kind": "scheduled",
        }
        made = await member.post("/sequences", data=fields, headers=HTMX)
        sequence_id = UUID(made.headers["HX-Redirect"].split("/")[2])
        sequence = await world.sequences.get(sequence_id)
        assert (sequence.name, sequence.kind.value) == ("Nurses", "ongoing")
        bodies = [step.body for step in sequence.steps]
        assert bodies == [step.body for step in SHIPPED[0].content.steps]

    async def test_sequence_is_saved_as_template_and_that_deleted(
        self, world: World, member: httpx.AsyncClient
    ) -> None:
        sequence = await world.draft(name="<b>Nurses</b>")
        dialog = await member.get(f"/sequences/{sequence.id}/template", headers=HTMX)
        assert 'value="&lt;b&gt;Nurses&lt;/b&gt;"' in dialog.text
        to = f"/sequences/{sequence.id}/template"
        saved = await member.post(to, data={"name": "Nurses"}, headers=HTMX)
        assert saved.headers["HX-Trigger"] == "close-dialog, templates-changed"
        taken = await member.post(to, data={"name": "nurses", "description": "D"}, headers=HTMX)
        assert taken.status_code == 409
        assert 'value="D"' in taken.text
        gallery = (await member.get("/sequences/new", headers=HTMX)).text
        [delete] = re.findall(r'hx-post="(/sequences/templates/[^"]+)"', gallery)
        fields = {"name": "Kept", "template_id": delete.split("/")[3]}
        after = await member.post(delete, data=fields, headers=HTMX)
        assert 'value="Kept"' in after.text
        assert delete not in after.text
        assert re.search(r'name="template_id" value="" checked', after.text)


async def test_archived_sequences_are_listed_only_when_asked_for(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active(name="Old drivers")
    await world.archiving.archive(sequence.id, world.user_id)
    assert "Old drivers" not in (await member.get("/sequences")).text
    assert "Old drivers" in (await member.get("/sequences?state=archived")).text
