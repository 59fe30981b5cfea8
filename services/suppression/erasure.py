"""Erase contacts with all their data; an opt-out stays as a keyed hash of the number."""

import hmac
from collections.abc import Iterable, Mapping
from uuid import UUID

from domain.platform.errors import ConflictError, required
from domain.platform.rules import SendingRules
from domain.statuses.enrollments import EnrollmentStatus
from services.platform import audit
from storage.enrollments import enrollments
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_numbers
from storage.suppression import erasure as rows


async def recall(tx: Transaction, phones: Iterable[str]) -> int:
    """Suppress numbers (E.164) that come back as they were before their contact was erased.

    Call it in the transaction that writes a contact's number, after writing it (then it waits for
    an erasure of the same number that is under way), and before a text of a number is applied.
    Returns how many suppressions have their number again.
    """
    named = await erased_among(tx, phones)
    if not named:
        return 0
    await lock_numbers(tx, list(named))
    return await rows.name_suppressions(tx, {hashed: phone for phone, hashed in named.items()})


async def erased_among(tx: Transaction, phones: Iterable[str]) -> Mapping[str, str]:
    """Find numbers whose suppressions are hashed, each with its hash."""
    known = set(phones)
    key = await rows.erasure_key(tx) if known else None
    if key is None:
        return {}
    hashes = {phone: _hash(key, phone) for phone in known}
    found = await rows.hashed(tx, list(hashes.values()))
    return {phone: one for phone, one in hashes.items() if one in found}


class Erasure:
    """Erases contacts."""

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def erase(self, contact_id: UUID, user_id: UUID) -> None:
        """Erase a contact in one transaction; see docs/decisions/0007-erasure.md for what stays.

        Raises:
            NotFoundError: There is no such contact.
            ConflictError: ``text_under_way``: the outcome of a text to them is not known yet, or a
                text from them has not been applied.
        """
        numbers: set[str] = set()
        while not await self._erased(contact_id, user_id, numbers):
            pass

    async def _erased(self, contact_id: UUID, user_id: UUID, numbers: set[str]) -> bool:
        """Erase if ``numbers`` are all of theirs once those are locked; else add the rest to them.

        Numbers are locked before the contact, all in one order, as everywhere: so a number that
        turns up afterwards takes another transaction.
        """
        async with self._database.transaction() as tx:
            numbers |= await rows.numbers_of(tx, contact_id)
            await lock_numbers(tx, numbers)
            found = await rows.phone_of(tx, contact_id, lock=True)
            phone = required(found, "contact", contact_id)
            if not await rows.numbers_of(tx, contact_id) <= numbers:
                return False
            what = await rows.known(tx, contact_id, phone)
            await self._require_known_outcomes(tx, what, numbers)
            status = EnrollmentStatus.FINISHED_STOPPED
            await enrollments.end(tx, what.active, status, signal="mark_finished", user_id=user_id)
            key = await rows.erasure_key(tx, create=True)
            assert key is not None  # noqa: S101 - made a statement ago
            unclaimed = await rows.nobodys(tx, sorted(numbers), contact_id)
            await rows.hash_suppressions(tx, {one: _hash(key, one) for one in unclaimed})
            await rows.delete_consents(tx, unclaimed)
            await rows.delete_all(tx, contact_id, phone, numbers, what)
            await audit.record(
                tx,
                "contact.erase",
                "contact",
                [contact_id],
                user_id=user_id,
                enrollments=len(what.enrollments),
                messages=len(what.messages),
            )
        return True

    async def _require_known_outcomes(
        self, tx: Transaction, what: rows.Known, numbers: Iterable[str]
    ) -> None:
        if await rows.unsettled_texts(tx, what.messages, self._rules.reconciliation_timeout):
            raise ConflictError(
                "text_under_way",
                "a text to them may be on its way; try again in a minute, and decide about what is"
                " held with POST /api/enrollments/batch/release first",
            )
        if await rows.texts_not_applied(tx, list(numbers)):
            raise ConflictError(
                "text_under_way",
                "a text from them has come in and is not applied yet; try again in a minute",
            )


def _hash(key: str, phone: str) -> str:
    """Hash by HMAC-SHA-256: without the key, trying every number there is tells nothing."""
    return hmac.new(key.encode(), phone.encode(), "sha256").hexdigest()
