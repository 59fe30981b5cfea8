"""Preview of a text as one contact would receive it."""

from uuid import uuid4

import pytest

from domain.platform.errors import InvalidFieldError, NotFoundError
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
