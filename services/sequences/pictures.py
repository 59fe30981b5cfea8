"""Pictures for texts: taking them in, serving them."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from domain.platform.filling import filled
from domain.sequences.pictures import (
    MAX_PICTURE_BYTES,
    PATH,
    THUMBNAIL_TYPE,
    OwnPictures,
    address,
    thumbnail_of,
    type_of,
)
from services.platform import audit, rate_limits
from services.sequences.reencoding import reencode, refused
from storage.platform.database import Database, Transaction
from storage.sequences import media
from storage.sequences.media import PictureRecord

UPLOADS_PER_HOUR = 300
"""Most pictures that one user may send in an hour."""

_AT_ONCE = 2
_TOKEN_BYTES = 24
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class PictureDetails:
    """A picture that texts can have.

    Attributes:
        url: Its address, which texts name; the provider fetches it there without signing in.
        size: In bytes, as it is served.
        width: In pixels, upright.
        height: In pixels, upright.
    """

    id: UUID
    url: str
    thumbnail_url: str
    content_type: str
    size: int
    width: int
    height: int


@dataclass(frozen=True)
class ServedPicture:
    """A picture's bytes, for whoever knows its address."""

    content: bytes
    content_type: str


async def own_pictures(tx: Transaction, urls: Collection[str], base_url: str) -> OwnPictures:
    """Find the pictures of ours among those of texts, and keep them from being pruned."""
    return OwnPictures(await media.keep(tx, urls), base_url)


async def known_pictures(tx: Transaction, urls: Collection[str], base_url: str) -> OwnPictures:
    """Find the pictures of ours among those of texts that are only looked at."""
    return OwnPictures(await media.known(tx, urls), base_url)


class Pictures:
    """Keeps pictures in the database and serves them at addresses that cannot be guessed.

    ``public_base_url`` is where the provider reaches this site.
    """

    def __init__(self, database: Database, *, public_base_url: str) -> None:
        self._database = database
        self._base_url = public_base_url
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def add(self, content: bytes, user_id: UUID) -> PictureDetails:
        """Take a picture in, made anew from its pixels; the same file again is the same picture.

        It is pruned if no text names it within a day.

        Raises:
            InvalidFieldError: Of ``file``: ``not_a_picture``, ``picture_too_large``,
                ``picture_too_slow``.
            TooManyRequestsError: The user has sent too many in this hour.
        """
        if len(content) > MAX_PICTURE_BYTES:
            raise refused("picture_too_large")
        if type_of(content) is None:
            raise refused("not_a_picture")
        key = f"picture:{user_id}"
        await rate_limits.take(self._database, key, 1, UPLOADS_PER_HOUR, _HOUR)
        sha256 = hashlib.sha256(content).hexdigest()
        async with self._database.transaction() as tx:
            known = await media.same(tx, sha256, f"{self._base_url}{PATH}/")
        if known is not None:
            return self._details(known)
        async with self._turn:
            made = await asyncio.to_thread(reencode, content)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        record = PictureRecord(
            id=uuid4(),
            url=address(self._base_url, token, made.content_type),
            content_type=made.content_type,
            size=len(made.content),
            width=made.width,
            height=made.height,
        )
        values = {
            **asdict(record),
            "token": token,
            "sha256": sha256,
            "content": made.content,
            "thumbnail": made.thumbnail,
            "created_by": user_id,
        }
        async with self._database.transaction() as tx:
            await media.insert_picture(tx, values)
            await audit.record(tx, "picture.create", "picture", [record.id], user_id=user_id)
        return self._details(record)

    async def content(self, name: str) -> ServedPicture | None:
        """Read a picture by the last part of its address; None if there is none."""
        token = name.partition(".")[0]
        if not _TOKEN.fullmatch(token):
            return None
        async with self._database.transaction() as tx:
            found = await media.content(tx, token, f"{PATH}/{name}")
        return ServedPicture(*found) if found else None

    async def thumbnail(self, token: str) -> ServedPicture | None:
        """Read a picture's thumbnail; None if there is none."""
        if not _TOKEN.fullmatch(token):
            return None
        async with self._database.transaction() as tx:
            found = await media.thumbnail(tx, token)
        return ServedPicture(found, THUMBNAIL_TYPE) if found else None

    def _details(self, record: PictureRecord) -> PictureDetails:
        path = thumbnail_of(record.url, self._base_url)
        return filled(PictureDetails, record, thumbnail_url=f"{self._base_url}{path}")
