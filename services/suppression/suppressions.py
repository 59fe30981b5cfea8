"""Suppress numbers by hand, lift suppressions and list them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.platform import names, phones
from domain.platform.errors import ConflictError, InvalidFieldError, required
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.access import Role
from domain.statuses.suppression import OptOutSource
from services.access.users import ForbiddenError
from services.platform import audit
from services.suppression.erasure import recall
from services.suppression.opt_outs import opt_out_by_hand
from storage.contacts import contacts
from storage.event_webhooks import events
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers
from storage.sequences.sequences import has_sender
from storage.suppression import suppressions
from storage.suppression.suppressions import SuppressionRow

REASON_LENGTH = 500
"""Most characters of the reason for an opt-out by hand, and for lifting one."""


class Suppressions:
    """Suppresses numbers by hand, lifts suppressions and lists them with their evidence."""

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    async def suppress(
        self,
        *,
        contact_id: UUID | None,
        phone: str | None,
        sender_id: UUID | None,
        reason: str,
        user_id: UUID,
    ) -> tuple[SuppressionRow, bool]:
        """Opt a contact's number, or one as typed, out by hand: for one sender, or (None) for all.

        Its active enrollments end as by a STOP, its one-off texts that wait are canceled. A
        suppression that a text could lift becomes one that only a person lifts.

        Returns:
            What suppresses the number now, and whether that is new.

        Raises:
            InvalidFieldError: Not exactly one of contact and phone, or a field is invalid.
            NotFoundError: There is no such contact.
        """
        said = names.clean(reason, field="reason", most=REASON_LENGTH)
        if (contact_id is None) == (phone is None):
            raise InvalidFieldError(
                "phone", "or contact_id must be given, one of the two", code="one_of_two"
            )
        while True:
            try:
                async with self._database.transaction() as tx:
                    number = await self._lock_number(tx, contact_id, phone)
                    await _check_sender(tx, sender_id)
                    await recall(tx, [number])
                    known = await suppressions.standing(tx, number, sender_id)
                    row = await _suppress(
                        tx, number, known, sender_id=sender_id, reason=said, user_id=user_id
                    )
            except MovedError:
                continue
            return row, known is None

    async def suppress_unless_standing(
        self, tx: Transaction, reasons: Mapping[str, str], *, user_id: UUID
    ) -> set[str]:
        """Opt out by hand, for all senders, the numbers that are not suppressed; return those.

        Active suppressions keep their evidence. The numbers, in E.164, are locked all at once.
        """
        phones = list(reasons)
        await lock_numbers(tx, phones)
        await recall(tx, phones)
        known = await suppressions.standing_everywhere(tx, phones)
        new = {phone: reason for phone, reason in reasons.items() if phone not in known}
        if not new:
            return set()
        ended = await opt_out_by_hand(tx, new, sender_id=None, user_id=user_id)
        standing = await suppressions.standing_everywhere(tx, list(new))
        await audit.record_each(
            tx,
            "suppression.create",
            "suppression",
            {one.id: _told(one.contact_id, None, ended[phone]) for phone, one in standing.items()},
            user_id=user_id,
        )
        return set(new)

    async def get(self, suppression_id: UUID) -> SuppressionRow:
        """Read one suppression.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return await _found(tx, suppression_id)

    async def of_contact(self, contact_id: UUID) -> list[SuppressionRow]:
        """List all suppressions, also lifted ones, of a contact's number, newest first.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            return await suppressions.all_of(tx, await _number_of(tx, contact_id))

    async def find(
        self,
        *,
        search: str = "",
        sources: Sequence[OptOutSource] = (),
        is_standing: bool | None = None,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[SuppressionRow]:
        """List suppressions, the newest first: active ones, lifted ones, or (None) both.

        ``search`` is some of the number's digits, or of its contact's name.

        Raises:
            InvalidFieldError: The search cannot match anything.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            rows = await suppressions.find(
                tx,
                search=sought,
                sources=sources,
                is_standing=is_standing,
                after=after,
                limit=limit + 1,
            )
        return cut(rows, limit, by_creation)

    async def lift(
        self, suppression_id: UUID, *, reason: str, user_id: UUID, role: Role
    ) -> SuppressionRow:
        """Lift a suppression; it stays as evidence, and nothing resumes by itself.

        Members lift what was done by hand. What the person asked for, or the provider said, only
        an admin lifts.

        Raises:
            InvalidFieldError: There is no reason.
            NotFoundError: There is none with this id.
            ForbiddenError: It takes an admin.
            ConflictError: ``already_lifted``.
        """
        said = names.clean(reason, field="reason", most=REASON_LENGTH)
        async with self._database.transaction() as tx:
            row = await _found(tx, suppression_id)
            if row.phone is not None:
                await lock_numbers(tx, [row.phone])
                row = await _found(tx, suppression_id)
            if not may_lift(row, role):
                raise ForbiddenError(Role.ADMIN)
            lifted = await suppressions.lift_by_hand(
                tx, suppression_id, user_id=user_id, reason=said
            )
            if not lifted:
                raise ConflictError(
                    "already_lifted",
                    "the suppression is lifted already; whether another one suppresses the number"
                    " is in GET /api/suppressions?standing=true",
                )
            await audit.record(
                tx,
                "suppression.lift",
                "suppression",
                [suppression_id],
                user_id=user_id,
                source=row.source.value,
                contact_id=str(row.contact_id) if row.contact_id else None,
            )
            if row.phone is not None:
                await events.contacts_opted_in(
                    tx, [row.phone], source=OptOutSource.BY_HAND.value, sender_id=row.sender_id
                )
            return await _found(tx, suppression_id)

    async def _lock_number(
        self, tx: Transaction, contact_id: UUID | None, phone: str | None
    ) -> str:
        """Lock the number of a contact or as typed, and return it.

        Raises:
            MovedError: The contact got another number meanwhile.
        """
        if contact_id is None:
            number = phones.normalize(phone or "", default_region=self._default_region)
            await lock_numbers(tx, [number])
            return number
        number = await _number_of(tx, contact_id)
        await lock_numbers(tx, [number])
        if await _number_of(tx, contact_id) != number:
            raise MovedError
        return number


async def _number_of(tx: Transaction, contact_id: UUID) -> str:
    return required(await contacts.get(tx, contact_id), "contact", contact_id).phone


async def _suppress(
    tx: Transaction,
    number: str,
    known: SuppressionRow | None,
    *,
    sender_id: UUID | None,
    reason: str,
    user_id: UUID,
) -> SuppressionRow:
    """Opt a locked number out by hand and audit it; ``known`` is the suppression before."""
    ended = await opt_out_by_hand(tx, {number: reason}, sender_id=sender_id, user_id=user_id)
    row = await suppressions.standing(tx, number, sender_id)
    assert row is not None  # noqa: S101 - it was written a statement ago
    await audit.record(
        tx,
        "suppression.create" if known is None else "suppression.repeat",
        "suppression",
        [row.id],
        user_id=user_id,
        **_told(row.contact_id, sender_id, ended[number]),
    )
    return row


def _told(
    contact_id: UUID | None, sender_id: UUID | None, ended: int
) -> dict[str, str | int | None]:
    """Return the audit entry's facts; ``ended`` is how many enrollments ended."""
    return {
        "contact_id": str(contact_id) if contact_id else None,
        "sender_id": str(sender_id) if sender_id else None,
        "ended": ended,
    }


def may_lift(row: SuppressionRow, role: Role) -> bool:
    """Tell whether a role may lift a suppression; a member only one made by hand alone."""
    by_hand = row.source is OptOutSource.BY_HAND and not row.asked
    return role is Role.ADMIN or (by_hand and role is Role.MEMBER)


async def _check_sender(tx: Transaction, sender_id: UUID | None) -> None:
    if sender_id is not None and not await has_sender(tx, sender_id):
        raise InvalidFieldError(
            "sender_id",
            "does not exist; use an id from GET /api/senders, or leave it out for all of them",
            code="unknown_sender",
        )


async def _found(tx: Transaction, suppression_id: UUID) -> SuppressionRow:
    return required(await suppressions.get(tx, suppression_id), "suppression", suppression_id)
