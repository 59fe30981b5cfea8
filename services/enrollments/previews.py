"""Previews of texts: as one contact would get them, with their size."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from domain.platform.errors import Problems, required
from domain.platform.filling import filled
from domain.sequences.segments import Segments, measure
from domain.sequences.texts import Value, check_body, check_media, merge_values, missing, outline
from services.sequences.pictures import known_pictures
from storage.contacts import contacts
from storage.platform.database import Database, Transaction
from storage.sequences import sequences
from storage.sequences.sequences import StepRecord


@dataclass(frozen=True)
class TextPreview:
    """A text as it would arrive, merge fields filled in, and its size.

    ``missing`` are the names that it cannot go without, which the text shows as ``[name]``.
    """

    text: str
    segments: Segments
    missing: tuple[str, ...]


class Stranger(NamedTuple):
    """What is known of a person before there is a contact; ``phone`` may be empty."""

    first_name: str
    last_name: str
    phone: str


@dataclass(frozen=True)
class StepText:
    """A step's text as written."""

    body: str
    media_urls: Many[str] = ()


@dataclass(frozen=True)
class StepPreview(TextPreview):
    """A step's text as it would arrive; ``position`` is from 1."""

    position: int
    media_urls: Many[str]


class Previews:
    """Previews texts; ``public_base_url`` is where our pictures are."""

    def __init__(self, database: Database, *, public_base_url: str) -> None:
        self._database = database
        self._base_url = public_base_url

    async def text(
        self,
        body: str,
        *,
        contact_id: UUID | None = None,
        stranger: Stranger | None = None,
        media_urls: Many[str] = (),
        within: Transaction | None = None,
    ) -> TextPreview:
        """Fill in a text for a contact, or for one without any values, and measure it.

        ``stranger`` is one who is no contact yet. With media, the body may be empty.

        Raises:
            InvalidFieldError: See ``texts.check_body``.
            NotFoundError: There is no such contact.
        """
        check_body(body, field="body", has_media=bool(media_urls))
        values: dict[str, Value] = merge_values(*stranger, {}, {}) if stranger else {}
        if contact_id is not None:
            async with self._database.within(within) as tx:
                contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
            name = contact.first_name, contact.last_name
            values = merge_values(*name, contact.phone, contact.fields, {})
        has_media = bool(media_urls)
        text = outline(body, values, has_media=has_media)
        return TextPreview(text, measure(text), missing(body, values, has_media=has_media))

    async def steps(
        self, sequence_id: UUID, written: Many[StepText] | None, *, contact_id: UUID | None = None
    ) -> list[StepPreview]:
        """Preview a sequence's steps, or others written for it, as ``text``.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidRequestError: ``unknown_contact``; all texts that cannot be sent.
        """
        problems = Problems()
        async with self._database.transaction() as tx:
            record = required(
                await sequences.find(tx, sequence_id, counted=False), "sequence", sequence_id
            )
            if contact_id is not None and await contacts.get(tx, contact_id) is None:
                problems.add(
                    "contact_id",
                    "does not exist; use an id from GET /api/contacts",
                    code="unknown_contact",
                )
            texts: Many[StepText | StepRecord] = record.steps if written is None else written
            urls = {url for step in texts for url in step.media_urls}
            ours = await known_pictures(tx, urls, self._base_url)
        for index, step in enumerate(texts):
            with problems.collect():
                check_media(step.media_urls, ours, field=f"steps.{index}.media_urls")
                check_body(step.body, field=f"steps.{index}.body", has_media=bool(step.media_urls))
        problems.raise_any()
        shown = []
        for position, step in enumerate(texts, start=1):
            one = await self.text(step.body, contact_id=contact_id, media_urls=step.media_urls)
            shown.append(filled(StepPreview, one, position=position, media_urls=step.media_urls))
        return shown
