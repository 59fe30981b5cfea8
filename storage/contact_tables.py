"""The table of numbers that contacts had before."""

from typing import Any, ClassVar
from uuid import UUID

from sqlmodel import Field, SQLModel


class FormerPhone(SQLModel, table=True):
    """A number that was a contact's before another: what is kept of it is erased with them."""

    __tablename__: ClassVar[Any] = "former_phones"
    contact_id: UUID = Field(foreign_key="contacts.id", primary_key=True)
    phone: str = Field(primary_key=True)
