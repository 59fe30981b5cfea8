"""Marking enrollments finished, and answering only when no text of theirs can still start."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.platform.errors import required
from domain.platform.rules import SendingRules
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import LastText
from services.enrollments.selection import EnrollmentResult, checked
from services.platform import audit
from storage.contacts import contacts
from storage.enrollments import all_enrollments, enrollments, finishing
from storage.platform.database import Database, Transaction

_POLL_SECONDS = 0.1
_SIDE_BY_SIDE = 8


class Finishing:
    """Ends enrollments by a person's hand."""

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules
        self._slots = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def mark_finished(
        self, enrollment_ids: Sequence[UUID], user_id: UUID
    ) -> list[EnrollmentResult]:
        """Mark enrollments finished: ``finished``, ``already_final`` or ``not_found``, in order.

        Each row is committed by itself. Returns once every text that was under way has an outcome
        or can no longer start, after at most ``call_before`` and a margin.

        Raises:
            InvalidFieldError: Too many enrollments or none.
        """
        unique = checked(enrollment_ids)
        under_way: dict[UUID, list[UUID]] = {}
        results = await asyncio.gather(*(self._finish(one, user_id, under_way) for one in unique))
        found = await self.last_texts(under_way)
        by_id = {
            one.enrollment_id: replace(one, last_text=found.get(one.enrollment_id, one.last_text))
            for one in results
        }
        return [by_id[enrollment_id] for enrollment_id in enrollment_ids]

    async def finish_contact(self, contact_id: UUID, user_id: UUID) -> list[EnrollmentResult]:
        """Mark all active enrollments of a contact finished, as ``mark_finished``.

        Returns once no text of any of their enrollments can start: those that end otherwise, while
        a text is under way, are waited for too, and one-offs written after an end are canceled.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            # Locked: whoever enrolls or texts them just now is waited for, and found.
            required(await contacts.get(tx, contact_id, lock=True), "contact", contact_id)
            known = await all_enrollments.ids_of_contact(tx, contact_id)
        active = [one for one, status in known.items() if not status.is_final]
        results = await self.mark_finished(active, user_id) if active else []
        async with self._database.transaction() as tx:
            await finishing.cancel_one_offs(tx, list(known))
            under_way = await finishing.attempts_under_way(tx, list(known))
        await self.last_texts(under_way)
        return results

    async def _finish(
        self, enrollment_id: UUID, user_id: UUID, under_way: dict[UUID, list[UUID]]
    ) -> EnrollmentResult:
        async with self._slots, self._database.transaction() as tx:
            return await self.finish(tx, enrollment_id, user_id, under_way)

    async def finish(
        self, tx: Transaction, enrollment_id: UUID, user_id: UUID, under_way: dict[UUID, list[UUID]]
    ) -> EnrollmentResult:
        """Mark one finished within a transaction.

        Its attempts without an outcome are added to ``under_way`` before anyone else can see it
        finished; see ``last_texts`` and ``last_text_of``.
        """
        status = EnrollmentStatus.FINISHED_STOPPED
        if await enrollments.end(
            tx, [enrollment_id], status, signal="mark_finished", user_id=user_id
        ):
            under_way |= await finishing.attempts_under_way(tx, [enrollment_id])
            await audit.record(
                tx, "enrollment.finish", "enrollment", [enrollment_id], user_id=user_id
            )
            return EnrollmentResult(enrollment_id, "finished", LastText.NONE)
        reached = await enrollments.status_of(tx, enrollment_id)
        return EnrollmentResult(enrollment_id, "already_final" if reached else "not_found")

    async def last_text_of(self, tx: Transaction, attempt_ids: Sequence[UUID]) -> LastText | None:
        """Tell what became of attempts under way; None while one may still make its call."""
        return await finishing.last_text(tx, attempt_ids, self._rules.call_margin)

    async def last_texts(self, under_way: dict[UUID, list[UUID]]) -> dict[UUID, LastText]:
        """Wait until every attempt has an outcome or can no longer begin."""
        found: dict[UUID, LastText] = {}
        while under_way:
            async with self._slots, self._database.transaction() as tx:
                for enrollment_id, attempt_ids in list(under_way.items()):
                    last_text = await self.last_text_of(tx, attempt_ids)
                    if last_text is not None:
                        found[enrollment_id] = last_text
                        del under_way[enrollment_id]
            if under_way:
                await asyncio.sleep(_POLL_SECONDS)
        return found
