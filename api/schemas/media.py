"""Schemas of pictures."""

from uuid import UUID

from pydantic import Field

from api.schemas.base import Schema
from domain.sequences.pictures import KINDS, MAX_PICTURE_BYTES


class Picture(Schema):
    """A picture that texts can have."""

    id: UUID
    url: str
    """For `media_urls` of a step or a text. Anyone who knows it can open it, without signing in."""
    thumbnail_url: str
    """A small copy, in WebP, for pages."""
    content_type: str = Field(json_schema_extra={"enum": list(KINDS)})
    size: int = Field(ge=1, le=MAX_PICTURE_BYTES)
    """In bytes, as it is served: it was made anew from the pixels of what was sent."""
    width: int = Field(ge=1)
    """In pixels, upright."""
    height: int = Field(ge=1)
    """In pixels, upright."""
