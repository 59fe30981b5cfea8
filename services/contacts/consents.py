"""The ledger of consents: what people agreed to, for their numbers; kept, never changed."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypedDict
from uuid import UUID

from domain.contacts.consents import checked
from domain.platform.errors import required
from domain.platform.paging import Page, Position, cut
from services.contacts.merging import ContactHooks
from services.platform import audit
from storage.contacts import consents, contacts
from storage.contacts.consents import ConsentRow, NewConsent
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers


class ConsentFields(TypedDict, total=False):
    """What is said of a consent, as ``domain.contacts.consents.checked`` takes it."""

    source: str
    wording: str | None
    written: bool
    given_at: datetime | None
    address: str | None


class Consents:
    """Notes consents, and lists them. Enrollments that waited for one go on by themselves."""

    def __init__(self, database: Database, hooks: ContactHooks) -> None:
        self._database = database
        self._hooks = hooks

    async def add(
        self, contact_id: UUID, given: ConsentFields, user_id: UUID
    ) -> tuple[ConsentRow, bool]:
        """Note a consent of a contact for the number that they have, now unless they say when.

        Returns:
            The consent, and whether it is new: what is on record is not written again.

        Raises:
            InvalidRequestError: See ``domain.contacts.consents.checked``.
            NotFoundError: There is no such contact.
        """
        now = datetime.now(UTC)
        agreed = checked(
            given["source"],
            given.get("given_at") or now,
            wording=given.get("wording"),
            written=given.get("written", False),
            address=given.get("address"),
            now=now,
        )
        while True:
            with suppress(MovedError):
                async with self._database.transaction() as tx:
                    phone = await _number_of(tx, contact_id)
                    await lock_numbers(tx, [phone])
                    if await _number_of(tx, contact_id) != phone:
                        raise MovedError
                    consent = NewConsent(**vars(agreed), phone=phone, user_id=user_id)
                    added = await self.keep(tx, [consent])
                    known = added[0] if added else await consents.same(tx, consent)
                    consent_id = required(known, "consent", contact_id)
                    row = required(await consents.get(tx, consent_id), "consent", consent_id)
                    return row, bool(added)

    async def keep(self, tx: Transaction, given: Sequence[NewConsent]) -> list[UUID]:
        """Add consents that are not on record, and wake who waited for them; give their ids."""
        added = await consents.add(tx, given) if given else {}
        if added:
            known = await contacts.by_phone(tx, sorted(set(added.values())))
            await self._hooks.data_changed(tx, list(known.values()))
            told = {
                known[phone]: {"consent_id": str(one)}
                for one, phone in added.items()
                if phone in known  # a file may say another number than the contact keeps
            }
            await audit.record_each(tx, "contact.add_consent", "contact", told)
        return list(added)

    async def get(self, contact_id: UUID, consent_id: UUID) -> ConsentRow:
        """Read a consent of the number that a contact has.

        Raises:
            NotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            phone = await _number_of(tx, contact_id)
            found = await consents.get(tx, consent_id)
        of_number = found if found is not None and found.phone == phone else None
        return required(of_number, "consent", consent_id)

    async def find(
        self, contact_id: UUID, *, after: Position | None = None, limit: int = 50
    ) -> Page[ConsentRow]:
        """List the consents of the number that a contact has, the latest first.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            phone = await _number_of(tx, contact_id)
            rows = await consents.find(tx, phone, after=after, limit=limit + 1)
        return cut(rows, limit, lambda row: Position(row.given_at, row.id))


async def _number_of(tx: Transaction, contact_id: UUID) -> str:
    return required(await contacts.get(tx, contact_id), "contact", contact_id).phone
