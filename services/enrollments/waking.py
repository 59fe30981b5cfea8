"""Wakes enrollments whose blocker is gone: in the background, page by page.

The values of deleted fields of contacts go the same way.
"""

import asyncio
import logging
from uuid import UUID

from services.platform import audit
from storage.contacts import fields
from storage.enrollments import enrollments, variables, waking
from storage.platform import wakes
from storage.platform.database import Database, Transaction
from storage.platform.locks import wait_for_sender
from storage.platform.wakes import Wake, WakeKind

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1
_AT_ONCE = 10


class Waking:
    """Wakes the enrollments that a change is about, or deletes what it took from contacts.

    Who may send is right without it: an enrollment that is looked at goes by its row, woken or not.
    A process that dies leaves the rest of the pages to the others.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Do all wakes, every second; runs until canceled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.wake()
            except Exception as error:  # noqa: BLE001 - a background task's top
                _logger.warning("enrollments were not woken", extra={"error": type(error).__name__})

    async def wake(self) -> int:
        """Do all wakes; return how many enrollments were woken, or contacts changed."""
        total = 0
        while (woken := await self._page()) is not None:
            total += woken
        return total

    async def begin(self) -> int:
        """Wake a page or a few small ones; return how many. ``run`` wakes the rest.

        Runs after each commit that wrote wakes, so a change that concerns few enrollments has woken
        them all when it is answered.
        """
        total = 0
        for _ in range(_AT_ONCE):
            woken = await self._page()
            total += woken or 0
            if woken is None or total >= waking.PAGE:
                break
        return total

    async def mend(self) -> int:
        """Wake also enrollments that no wake is about, a few pages at once; return how many."""
        async with self._database.transaction() as tx:
            await waking.add_forgotten(tx)
        return await self.begin()

    async def _page(self) -> int | None:
        """Do a page of the oldest wake; return how many were woken, None if there is no wake."""
        async with self._database.transaction() as tx:
            wake = await wakes.take(tx)
            if wake is None:
                return None
            return await _go_on(tx, wake)


async def _go_on(tx: Transaction, wake: Wake) -> int:
    match wake.kind:
        case WakeKind.OFF_HOLD:
            # An enrollment that was just finding it on hold is then among those that wait for it.
            # Nothing else is locked meanwhile, so nothing can wait in a circle.
            await wait_for_sender(tx, wake.subject_id)
            sequences = await waking.waiting_for(tx, wake.subject_id)
            await wakes.replace(tx, wake, WakeKind.UNBLOCKED, sequences)
            return 0
        case WakeKind.UNBLOCKED:
            after = wake.place["after"] if wake.place else None
            woken = await enrollments.release_next(
                tx, wake.subject_id, after=after, limit=waking.PAGE
            )
            is_full = len(woken) == waking.PAGE
            await wakes.go_on_from(tx, wake, {"after": str(woken[-1])} if is_full else None)
            return len(woken)
        case WakeKind.DATA_FILLED:
            woken_at_once = await variables.release_filled(tx, wake.subject_id)
            await wakes.go_on_from(tx, wake, None)
            return woken_at_once
        case WakeKind.REPLY_WINDOW | WakeKind.SEND_WINDOW:
            walked = await waking.walk(tx, wake.subject_id, wake.place)
            is_reply = wake.kind is WakeKind.REPLY_WINDOW
            apply = enrollments.set_reply_window if is_reply else waking.apply_send_window
            told = await apply(tx, walked.active)
            await wakes.go_on_from(tx, wake, walked.place)
            return told
        case WakeKind.FIELD_REMOVED:
            place = wake.place or {"after": None, "cleared": 0}
            seen = UUID(place["after"]) if place["after"] else None
            cleared, last = await fields.clear_page(tx, wake.subject_id, seen)
            # A page before may be of a release that did not count.
            total = place.get("cleared", 0) + cleared
            if last is None and total:
                await audit.record_later(
                    tx,
                    "field.clear",
                    "field",
                    wake.subject_id,
                    since="field.delete",
                    contacts=total,
                )
            going_on = {"after": str(last), "cleared": total} if last else None
            await wakes.go_on_from(tx, wake, going_on)
            return cleared
