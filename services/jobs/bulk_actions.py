"""What is done to many enrollments at once; every row gets a result of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid5

from domain.platform.errors import InvalidFieldError
from domain.sequences.texts import check_body
from domain.statuses.messaging import LastText
from services.contacts.groups import require_group
from services.enrollments.finishing import MarkedFinished
from services.enrollments.selection import checked
from services.messaging import one_offs
from services.messaging.holds import Decision, Released
from services.platform import audit
from storage.jobs import bulk_actions as rows
from storage.platform import outbox
from storage.platform.database import Database, Transaction

MAX_RECIPIENTS = 10

_PAGE = 500
_T = TypeVar("_T")


class Finisher(Protocol):
    """Marks enrollments finished."""

    async def mark_finished(
        self, enrollment_ids: Many[UUID], user_id: UUID
    ) -> list[MarkedFinished]:
        """Answer only when no text of theirs can still start; in the order asked."""
        ...


class Releaser(Protocol):
    """Lets held enrollments go on."""

    async def release(
        self, enrollment_ids: Many[UUID], decision: Decision, user_id: UUID
    ) -> list[Released]:
        """Do as a person decided; results in the order asked."""
        ...


@dataclass(frozen=True)
class RowResult:
    """What came of one enrollment.

    Attributes:
        result: A code; which ones there are depends on what was done.
        last_text: If it was finished: the fate of a text that was under way.
        message_id: If a text was accepted: the text.
    """

    enrollment_id: UUID
    result: str
    last_text: LastText | None = None
    message_id: UUID | None = None


class Batch:
    """The use cases of the list's batch actions; results are in the order asked.

    Args:
        database: PostgreSQL.
        finisher: Marks enrollments finished.
        releaser: Lets held enrollments go on.
    """

    def __init__(
        self,
        database: Database,
        finisher: Finisher,
        releaser: Releaser,
    ) -> None:
        self._database = database
        self._finisher = finisher
        self._releaser = releaser

    async def add_to_group(
        self, enrollment_ids: Many[UUID], group_id: UUID, user_id: UUID
    ) -> list[RowResult]:
        """Put the enrollments' contacts into a group: ``added``, ``already_member``, ``not_found``.

        Raises:
            InvalidFieldError: There is no such group, too many enrollments or none.
        """
        asked = checked(enrollment_ids)
        async with self._database.transaction() as tx:
            results = await self.add_to_group_in(tx, asked, group_id, user_id)
        return [RowResult(one, results.get(one, "not_found")) for one in enrollment_ids]

    async def add_to_group_in(
        self, tx: Transaction, asked: Many[UUID], group_id: UUID, user_id: UUID
    ) -> dict[UUID, str]:
        """Put contacts into a group in a transaction of the caller's; unknown ones are left out.

        Raises:
            InvalidFieldError: There is no such group.
        """
        await require_group(tx, group_id)
        owners = await rows.contacts_of(tx, asked)
        added = await rows.add_members(tx, group_id, list(set(owners.values())), user_id)
        if added:
            await audit.record(
                tx, "group.add", "contact", added, user_id=user_id, group_id=str(group_id)
            )
        return {
            enrollment_id: "added" if contact_id in added else "already_member"
            for enrollment_id, contact_id in owners.items()
        }

    async def send_message(
        self,
        enrollment_ids: Many[UUID],
        body: str,
        user_id: UUID,
        *,
        send_id: UUID | None = None,
    ) -> list[RowResult]:
        """Text the enrollments' contacts, each individually and once.

        ``accepted`` (with the text's id; enrollments of one contact share it), ``opted_out``,
        ``landline`` or ``not_found``. Whether an enrollment is active makes no difference.

        Args:
            enrollment_ids: Of at most 10 contacts.
            body: As a step's: merge fields are filled in now.
            user_id: Who writes.
            send_id: A new random id that a form brings along: with the same one a contact is
                texted once, however often it is sent.

        Raises:
            InvalidFieldError: ``too_many_recipients``, and nothing was sent; a body that cannot be
                sent; too many enrollments or none.
        """
        asked = checked(enrollment_ids)
        check_body(body, field="body")
        async with self._database.transaction() as tx:
            found = await rows.recipients(tx, asked)
            contacts = {one.contact_id for one in found.values()}
            if len(contacts) > MAX_RECIPIENTS:
                raise InvalidFieldError(
                    "enrollment_ids",
                    f"name {len(contacts)} contacts; text at most {MAX_RECIPIENTS} at once",
                    code="too_many_recipients",
                )
            results: dict[UUID, RowResult] = {}
            messages: dict[UUID, dict[str, Any]] = {}
            for enrollment_id in asked:
                recipient = found.get(enrollment_id)
                refusal = one_offs.refusal(recipient) if recipient is not None else "not_found"
                if recipient is None or refusal is not None:
                    results[enrollment_id] = RowResult(enrollment_id, refusal or "not_found")
                    continue
                message = messages.setdefault(
                    recipient.contact_id,
                    one_offs.message(
                        recipient,
                        body,
                        user_id,
                        enrollment_id=recipient.enrollment_id,
                        message_id=uuid5(send_id, str(recipient.contact_id)) if send_id else None,
                    ),
                )
                results[enrollment_id] = RowResult(
                    enrollment_id, "accepted", message_id=message["id"]
                )
            await rows.insert_messages(tx, list(messages.values()))
            texted = [one["enrollment_id"] for one in messages.values()]
            if texted:
                await audit.record(
                    tx, "enrollment.send_message", "enrollment", texted, user_id=user_id
                )
            await outbox.add_message_starts(tx, [one["id"] for one in messages.values()])
        return [results[enrollment_id] for enrollment_id in enrollment_ids]

    async def mark_finished(self, enrollment_ids: Many[UUID], user_id: UUID) -> list[RowResult]:
        """Mark enrollments finished: ``finished``, ``already_final`` or ``not_found``.

        Answers only when no text of theirs can still start.

        Raises:
            InvalidFieldError: Too many enrollments or none.
        """
        done = await _in_pages(
            checked(enrollment_ids), lambda page: self._finisher.mark_finished(page, user_id)
        )
        results = {
            one.enrollment_id: RowResult(one.enrollment_id, one.result, one.last_text)
            for one in done
        }
        return [results[enrollment_id] for enrollment_id in enrollment_ids]

    async def release(
        self, enrollment_ids: Many[UUID], decision: Decision, user_id: UUID
    ) -> list[RowResult]:
        """Let held enrollments go on; the codes are those of ``services.messaging.holds.Released``.

        Raises:
            InvalidFieldError: Too many enrollments or none.
        """
        done = await _in_pages(
            checked(enrollment_ids),
            lambda page: self._releaser.release(page, decision, user_id),
        )
        results = {
            one.enrollment_id: RowResult(one.enrollment_id, one.result, one.last_text)
            for one in done
        }
        return [results[enrollment_id] for enrollment_id in enrollment_ids]


async def _in_pages(
    asked: Many[UUID], work: Callable[[Many[UUID]], Awaitable[list[_T]]]
) -> list[_T]:
    """Do the work page by page, the pages side by side: one that waits holds up no other."""
    pages = [asked[first : first + _PAGE] for first in range(0, len(asked), _PAGE)]
    done = await asyncio.gather(*(work(page) for page in pages))
    return [one for page in done for one in page]
