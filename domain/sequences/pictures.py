"""Pictures of texts: what is taken, and where they are served."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

MAX_PICTURE_BYTES = 5_000_000
"""Largest picture (Twilio, Messages API, ``MediaUrl``: 5 MB of JPEG, PNG or GIF; November 2026)."""

MAX_PICTURE_PIXELS = 40_000_000
"""Most pixels of a picture, all frames of an animation together; 120 MB once decoded."""

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

    urls: Collection[str] = ()
    base_url: str = ""
