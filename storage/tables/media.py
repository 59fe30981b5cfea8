"""The table of pictures."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment, reference


class Media(SQLModel, table=True):
    """A picture that texts can have; whoever knows its ``token`` may see it.

    ``url`` is its address, as texts name it; ``sha256`` the digest of the file that it was made of,
    in hexadecimal. ``checked_at`` is when it was last uploaded, put into a text, or found in use.
    """

    __tablename__: ClassVar[Any] = "media"
    __table_args__ = (
        UniqueConstraint("token"),
        UniqueConstraint("url"),
        Index("ix_media_sha256", "sha256"),
        Index("ix_media_checked", "checked_at"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    token: str
    url: str
    sha256: str
    content: bytes
    content_type: str
    size: int
    width: int
    height: int
    thumbnail: bytes
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)
    checked_at: datetime = moment(default_now=True)
