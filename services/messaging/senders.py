"""The numbers and Messaging Services that texts go out from."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from domain.platform import names, phones
from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.platform.filling import filled
from domain.platform.paging import Page, Position, cut
from domain.platform.provider_errors import explain
from services.platform import audit
from storage.messaging import senders
from storage.platform import outbox as entries
from storage.platform.database import Database
from storage.tables.messaging import Sender

NAME_LENGTH = 100
"""Most characters of a sender's name."""

RATE_LEAST = Decimal("0.001")
RATE_MOST = Decimal(1000)
"""Bounds of segments per second, both possible."""

_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class Hold:
    """Why nothing goes out from a sender: the provider's error code, if it gave one, in words.

    ``next_probe_at`` is when one text is let through to see whether it works again, UTC.
    """

    since: datetime
    code: int | None
    meaning: str
    next_probe_at: datetime | None


@dataclass(frozen=True)
class SenderDetails:
    """A sender as it is shown.

    Attributes:
        phone: E.164; None for a Messaging Service.
        messaging_service_sid: None for a number.
        hold: Set while it is on hold.
        shows_texts: Whether the provider shows its texts as they were handed over; None before it
            took any. Where it does not, a text whose answer is lost waits for a person.
    """

    id: UUID
    name: str
    phone: str | None
    messaging_service_sid: str | None
    segments_per_second: Decimal
    hold: Hold | None
    shows_texts: bool | None
    created_at: datetime

    @classmethod
    def of(cls, sender: Sender) -> "SenderDetails":
        """Read a row."""
        hold = None
        if sender.held_at is not None:
            hold = Hold(
                sender.held_at, sender.hold_code, explain(sender.hold_code), sender.next_probe_at
            )
        return filled(cls, sender, hold=hold)


class SenderFields(TypedDict, total=False):
    """The fields of a sender; the last two only when it is made, and only one of them."""

    name: str
    segments_per_second: Decimal
    phone: str | None
    messaging_service_sid: str | None


class Senders:
    """Adds, changes and lists senders."""

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    async def create(self, fields: SenderFields) -> SenderDetails:
        """Add a sender.

        Raises:
            InvalidRequestError: Fields are invalid.
            ConflictError: ``sender_taken``, naming the sender that has the number or service.
        """
        values = self._cleaned({"phone": None, "messaging_service_sid": None, **fields})
        async with self._database.transaction() as tx:
            sender = await senders.add(tx, values)
            if sender is None:
                holder = await senders.id_of(
                    tx, phone=values["phone"], service_sid=values["messaging_service_sid"]
                )
                raise ConflictError(
                    "sender_taken",
                    "another sender has this number or Messaging Service; change that one",
                    **({"sender_id": str(holder)} if holder else {}),
                )
            await entries.add_paces(tx, [sender.id])
            await audit.record(tx, "sender.create", "sender", [sender.id])
        return SenderDetails.of(sender)

    async def get(self, sender_id: UUID) -> SenderDetails:
        """Give one sender.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return SenderDetails.of(required(await senders.get(tx, sender_id), "sender", sender_id))

    async def update(self, sender_id: UUID, fields: SenderFields) -> SenderDetails:
        """Change a sender's name or rate.

        Raises:
            InvalidRequestError: Fields are invalid.
            NotFoundError: There is no sender with this id.
        """
        values = self._cleaned(dict(fields))
        if not values:
            return await self.get(sender_id)
        async with self._database.transaction() as tx:
            sender = required(await senders.change(tx, sender_id, values), "sender", sender_id)
            if "segments_per_second" in values:
                await entries.add_paces(tx, [sender_id])
            await audit.record(
                tx, "sender.change", "sender", [sender_id], fields=" ".join(sorted(values))
            )
        return SenderDetails.of(sender)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[SenderDetails]:
        """List senders by name."""
        async with self._database.transaction() as tx:
            rows = await senders.find(tx, after=after, limit=limit + 1)
        page = cut(rows, limit, lambda sender: Position(sender.name, sender.id))
        return page.showing(SenderDetails.of)

    def _cleaned(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Check all fields that are given, and collect their errors."""
        cleaners: dict[str, Callable[[Any], Any]] = {
            "name": lambda name: names.clean(name, field="name", most=NAME_LENGTH),
            "phone": lambda phone: phones.normalize(phone, default_region=self._default_region),
            "messaging_service_sid": _clean_sid,
            "segments_per_second": _clean_rate,
        }
        values: dict[str, Any] = {}
        problems = Problems()
        for field, value in fields.items():
            with problems.collect():
                values[field] = None if value is None else cleaners[field](value)
        identities = ("phone", "messaging_service_sid")
        if "phone" in fields and sum(fields[field] is not None for field in identities) != 1:
            problems.add(
                "phone",
                "or messaging_service_sid is needed; give one of them",
                code="one_of_two",
            )
        problems.raise_any()
        return values


def _clean_sid(sid: str) -> str:
    if not _SERVICE_SID.fullmatch(sid):
        raise InvalidFieldError(
            "messaging_service_sid",
            "is not a Messaging Service SID; it is MG and 32 hexadecimal digits, as Twilio shows",
        )
    return sid


def _clean_rate(rate: Decimal) -> Decimal:
    if not RATE_LEAST <= rate <= RATE_MOST:
        raise InvalidFieldError(
            "segments_per_second", f"must be {RATE_LEAST} to {RATE_MOST}", code="out_of_range"
        )
    return rate.quantize(RATE_LEAST)
