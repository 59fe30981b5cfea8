"""Pictures of texts: what is taken, where they are served, which addresses a text may name."""

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Many
from typing import NamedTuple

from domain.platform.errors import Problems
from domain.sequences.texts import MAX_MEDIA_URL, is_media_url

MAX_PICTURE_BYTES = 5_000_000
"""Largest picture (Twilio, Messages API, ``MediaUrl``: 5 MB of JPEG, PNG or GIF; November 2026)."""

MAX_PICTURE_PIXELS = 40_000_000
"""Most pixels of a picture, all frames of an animation together; 120 MB once decoded."""

MAX_MEDIA = 10
"""Media of one text (Twilio, Messages API, ``MediaUrl``; November 2026)."""

PATH = "/media"
"""Where pictures are served, below ``PUBLIC_BASE_URL``."""

THUMBNAIL = "thumbnail.webp"
"""The last part of a thumbnail's address."""

THUMBNAIL_TYPE = "image/webp"


class Kind(NamedTuple):
    """A kind of picture: how a file of it begins, and how its address ends."""

    beginnings: tuple[bytes, ...]
    extension: str


KINDS: Mapping[str, Kind] = {
    "image/jpeg": Kind((b"\xff\xd8\xff",), "jpg"),
    "image/png": Kind((b"\x89PNG\r\n\x1a\n",), "png"),
    "image/gif": Kind((b"GIF87a", b"GIF89a"), "gif"),
}
"""By content type: what every phone shows and the provider passes on as it is."""


def type_of(content: bytes) -> str | None:
    """Tell a picture's content type by how the file begins, whatever it is called.

    None if it is none of ``KINDS``.
    """
    return next((one for one, kind in KINDS.items() if content.startswith(kind.beginnings)), None)


def address(base_url: str, token: str, content_type: str) -> str:
    """Write the address of one of our pictures."""
    return f"{base_url}{PATH}/{token}.{KINDS[content_type].extension}"


def thumbnail_of(url: str, base_url: str) -> str | None:
    """Return the path of the thumbnail of one of our pictures; None for any other address."""
    if not is_ours(url, base_url):
        return None
    return f"{PATH}/{url.rpartition('/')[2].partition('.')[0]}/{THUMBNAIL}"


def is_ours(url: str, base_url: str) -> bool:
    """Whether an address is one that our pictures have."""
    return url.startswith(f"{base_url}{PATH}/")


class OwnPictures(NamedTuple):
    """What tells our pictures from others: the known addresses of ours, and how all begin."""

    urls: Collection[str]
    base_url: str


def check_media_urls(urls: Many[str], ours: OwnPictures, *, field: str, problems: Problems) -> None:
    """Let through the pictures of one text; ours may be at plain HTTP, as this site is.

    Args:
        urls: As a request has them.
        ours: At least those of them that are pictures of ours.
        field: Their path in the request.
        problems: Gets ``too_many_media``, ``unknown_picture`` and ``bad_media_url``.
    """
    if len(urls) > MAX_MEDIA:
        problems.add(
            field,
            f"has {len(urls)} addresses; at most {MAX_MEDIA} fit one text",
            code="too_many_media",
        )
    for index, url in enumerate(urls):
        if url in ours.urls:
            continue
        if is_ours(url, ours.base_url):
            problems.add(
                f"{field}.{index}",
                "names a picture that is not here, or no longer; upload it again",
                code="unknown_picture",
            )
        elif not is_media_url(url):
            problems.add(
                f"{field}.{index}",
                f"is no web address of at most {MAX_MEDIA_URL} characters; write one that starts"
                " with https:// and that anyone can open",
                code="bad_media_url",
            )
