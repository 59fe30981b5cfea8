"""Preview of a text as one contact would receive it."""

import asyncio
from uuid import uuid4

import pytest

from domain.platform.errors import InvalidFieldError, NotFoundError
from services.enrollments.previews import Previews, StepText
from tests.kits.sending import SendingKit


async def test_preview_merges_fields_and_counts_segments(kit: SendingKit) -> None:
    [contact_id] = await kit.world.contacts(1, first_name="Zoë", last_name="Quinn")
    body = "Hi {{first_name|there}} {{last_name}}, it\u2019s us 👋"
    shown = await kit.services.previews.text(body, contact_id=contact_id)
    assert shown.text == "Hi Zoë Quinn, it\u2019s us 👋"
    assert (shown.segments.encoding, shown.segments.count) == ("UCS-2", 1)
    assert shown.segments.ucs2_characters == ("ë", "\u2019", "👋")


async def test_preview_without_a_contact_uses_fallbacks(kit: SendingKit) -> None:
    shown = await kit.services.previews.text("Hi {{first_name|there}}" + "x" * 160)
    assert shown.text.startswith("Hi there")
    assert (shown.segments.encoding, shown.segments.count) == ("GSM-7", 2)


async def test_preview_of_invalid_body_is_refused(kit: SendingKit) -> None:
    with pytest.raises(InvalidFieldError):
        await kit.services.previews.text("{{fistname}}")
    with pytest.raises(NotFoundError):
        await kit.services.previews.text("Hi", contact_id=uuid4())
    shown = await kit.services.previews.text("", media_urls=["https://example.com/cat.jpg"])
    assert shown.segments.count == 0


async def test_preview_changes_no_picture_and_waits_for_nobody(kit: SendingKit) -> None:
    url = "https://segue.test/media/one.png"
    await kit.world.run(
        "INSERT INTO media (id, token, url, content_type, sha256, content, thumbnail, size, width,"
        " height, created_by, checked_at) VALUES (gen_random_uuid(), 'one', :url, 'image/png', '',"
        " '', '', 0, 1, 1, :user_id, now() - interval '1 day')",
        url=url,
        user_id=kit.world.user_id,
    )
    sequence = await kit.sequence()
    async with kit.world.database.transaction() as tx:
        await tx.run("SELECT FROM media FOR UPDATE")
        previews = Previews(kit.world.database, public_base_url="https://segue.test")
        written = [StepText("Look", media_urls=(url,))]
        [shown] = await asyncio.wait_for(previews.steps(sequence.id, written), 10)
    assert shown.media_urls == (url,)
    [row] = await kit.world.rows("SELECT checked_at < now() - interval '1 hour' AS old FROM media")
    assert row.old
