"""Previews of texts: as one contact would get them, with their size."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import required
from domain.sequences.segments import Segments, measure
from domain.sequences.texts import Value, check_body, merge_values, missing, outline
from storage.contacts import contacts
from storage.platform.database import Database


@dataclass(frozen=True)
class TextPreview:
    """A text as it would arrive, merge fields filled in, and its size.

    ``missing`` are the names that it cannot go without, which the text shows as ``[name]``.
    """

    text: str
    segments: Segments
    missing: tuple[str, ...]


class Previews:
    """Previews texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def text(
        self, body: str, *, contact_id: UUID | None = None, media_urls: Many[str] = ()
    ) -> TextPreview:
        """Fill in a text for a contact, or for one without any values, and measure it.

        With media, the body may be empty.

        Raises:
            InvalidFieldError: See ``texts.check_body``.
            NotFoundError: There is no such contact.
        """
        check_body(body, field="body", has_media=bool(media_urls))
        values: dict[str, Value] = {}
        if contact_id is not None:
            async with self._database.transaction() as tx:
                contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
            name = contact.first_name, contact.last_name
            values = merge_values(*name, contact.phone, contact.fields, {})
        has_media = bool(media_urls)
        text = outline(body, values, has_media=has_media)
        return TextPreview(text, measure(text), missing(body, values, has_media=has_media))
