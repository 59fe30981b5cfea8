"""Pictures that nothing names any more are deleted, a day after they were last looked at."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from domain.platform.errors import InvalidRequestError
from domain.sequences.steps import StepDraft
from services.maintenance.pruning import Pruning
from services.sequences.duplicating import Duplicating
from services.sequences.sequences import SequenceChange
from storage.sequences import media
from storage.tables.media import Media
from tests.kits.sending import SendingKit

BASE = "https://segue.invalid/media"


async def add(kit: SendingKit, *names: str) -> dict[str, str]:
    """Add pictures last checked long ago, the first the longest; return their addresses."""
    urls = {name: f"{BASE}/{name}.png" for name in names}
    async with kit.world.database.transaction() as tx:
        rows = [
            {
                "token": name,
                "url": url,
                "sha256": name,
                "content": b"x",
                "content_type": "image/png",
                "size": 1,
                "width": 1,
                "height": 1,
                "thumbnail": b"x",
                "created_by": kit.world.user_id,
            }
            for name, url in urls.items()
        ]
        await tx.execute(insert(Media), rows)
    await age(kit)
    return urls


async def age(kit: SendingKit) -> None:
    await kit.world.run("UPDATE media SET checked_at = created_at - interval '2 days'")


async def prune(kit: SendingKit) -> list[str]:
    """Prune; return which pictures are left."""
    await Pruning(kit.world.database, jobs_kept=timedelta(days=30)).prune()
    return [one.token for one in await kit.world.rows("SELECT token FROM media ORDER BY token")]


def step(url: str) -> StepDraft:
    return StepDraft("", (url,), delay_seconds=0)


async def test_only_pictures_that_nothing_names_are_deleted(kit: SendingKit) -> None:
    names = ("draft", "former", "message", "nothing", "seen", "young")
    urls = await add(kit, *names)
    world = kit.world
    draft = await world.draft(steps=[step(urls["former"])])
    await world.sequences.change(
        draft.id, SequenceChange(steps=[step(urls["draft"])]), world.user_id
    )
    seen = await world.draft(steps=[step(urls["seen"])])
    contact_id = (await world.contacts(1))[0]
    await world.run(
        "INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by,"
        " enrolled_at, status, activity, position, step, step_count)"
        " VALUES (:id, :sequence, :version, :contact, :user, now(), 'active', 'waiting', 1, 1, 1)",
        id=uuid4(),
        sequence=seen.id,
        version=seen.version_id,
        contact=contact_id,
        user=world.user_id,
    )
    await world.sequences.change(
        seen.id, SequenceChange(steps=[step("https://x.test/y")]), world.user_id
    )
    message_id = await _text(kit, contact_id, urls["message"])
    await age(kit)
    await world.run("UPDATE media SET checked_at = now() WHERE token = 'young'")

    assert await prune(kit) == ["draft", "message", "seen", "young"]
    assert await prune(kit) == ["draft", "message", "seen", "young"]

    await world.run("DELETE FROM messages WHERE id = :id", id=message_id)
    await age(kit)
    assert await prune(kit) == ["draft", "seen"]


async def test_pictures_of_drafts_and_templates_stay(kit: SendingKit) -> None:
    urls = await add(kit, "nothing", "template", "unsaved")
    world = kit.world
    made = await world.draft(steps=[step(urls["template"])])
    await kit.services.templates.create(made.id, "With a map", "", world.user_id)
    await world.sequences.change(
        made.id, SequenceChange(steps=[step("https://x.test/y")]), world.user_id
    )
    unsaved = {"body": "See", "media": f"https://x.test/y\n{urls['unsaved']}"}
    await kit.services.drafts.save(made.id, world.user_id, 1, [unsaved])
    await age(kit)

    assert await prune(kit) == ["template", "unsaved"]


async def test_picture_that_is_put_into_a_text_meanwhile_stays(kit: SendingKit) -> None:
    urls = await add(kit, "copied", "saved", "saving")
    original = await kit.world.draft(steps=[step(urls["copied"])])
    await age(kit)

    async with kit.world.database.transaction() as tx:
        assert await media.keep(tx, [urls["saving"], f"{BASE}/unknown.png"]) == {urls["saving"]}
        await Duplicating(kit.world.database).duplicate(original.id, kit.world.user_id)
        assert await prune(kit) == ["copied", "saving"]
    assert await prune(kit) == ["copied", "saving"]

    with pytest.raises(InvalidRequestError) as raised:
        await kit.world.draft(steps=[step(urls["saved"])])
    assert [one.field_code for one in raised.value.errors] == ["unknown_picture"]


async def _text(kit: SendingKit, contact_id: UUID, url: str) -> UUID:
    message_id = uuid4()
    await kit.world.run(
        "INSERT INTO messages (id, direction, contact_id, phone, body, media_urls, status) VALUES"
        " (:id, 'outbound', :contact, '+1', '', to_jsonb(CAST(:urls AS text[])), 'delivered')",
        id=message_id,
        contact=contact_id,
        urls=[url],
    )
    return message_id
