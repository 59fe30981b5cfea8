"""Actions on many enrollments at once; every enrollment gets its own result."""

import asyncio
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

from domain.platform.errors import InvalidFieldError, Problems, required
from domain.sequences.texts import check_body, check_media, merge_values, missing, outline
from services.contacts.groups import require_group
from services.enrollments.selection import EnrollmentResult, ResultCode, checked
from services.messaging import one_offs
from services.messaging.holds import Decision, Holds
from services.platform import audit
from services.sequences.pictures import own_pictures
from storage.contacts import groups
from storage.messaging import recipients
from storage.platform import outbox
from storage.platform.database import Database, Transaction

MAX_RECIPIENTS = 10

_PAGE = 500


@dataclass(frozen=True)
class MessagePreview:
    """A text as one recipient would get it.

    Attributes:
        text: Empty if nothing is written yet.
        missing: The names that it cannot go without, which it shows as ``[name]``.
        refusal: ``opted_out`` or ``landline`` if they get none.
        over_cap: They had as many texts in 24 hours as the workspace lets one person have.
    """

    sender: str
    text: str
    missing: tuple[str, ...]
    refusal: str | None
    over_cap: bool


class BulkActions:
    """Actions of the Contacts tab; results are in the order asked.

    ``public_base_url`` is where our pictures are.
    """

    def __init__(self, database: Database, holds: Holds, *, public_base_url: str) -> None:
        self._database = database
        self._holds = holds
        self._base_url = public_base_url

    async def add_to_group(
        self,
        enrollment_ids: Many[UUID],
        group_id: UUID,
        user_id: UUID,
        *,
        within: Transaction | None = None,
    ) -> list[EnrollmentResult]:
        """Add the enrollments' contacts to a group: ``added``, ``already_member``, ``not_found``.

        Raises:
            InvalidFieldError: There is no such group, too many enrollments or none.
        """
        asked = checked(enrollment_ids)
        async with self._database.within(within) as tx:
            await require_group(tx, group_id)
            owners = await recipients.contacts_of(tx, asked)
            added = await groups.add_members(tx, group_id, list(set(owners.values())), user_id)
            if added:
                await audit.record(
                    tx, "group.add", "contact", added, user_id=user_id, group_id=str(group_id)
                )
        results: dict[UUID, ResultCode] = {
            enrollment_id: "added" if contact_id in added else "already_member"
            for enrollment_id, contact_id in owners.items()
        }
        return [EnrollmentResult(one, results.get(one, "not_found")) for one in enrollment_ids]

    async def send_message(
        self,
        enrollment_ids: Many[UUID],
        body: str,
        user_id: UUID,
        *,
        send_id: UUID | None = None,
        media_urls: Many[str] = (),
    ) -> list[EnrollmentResult]:
        """Text the enrollments' contacts, at most 10, each individually and once.

        ``accepted`` (with the text's id; enrollments of one contact share it, and whether it is
        more than the workspace's cap, which forbids no one-off anything), ``opted_out``,
        ``landline`` or ``not_found``. Final enrollments may be texted too. ``send_id`` is a random
        id from a form: with the same id a contact is texted once, however often the form is sent.

        Raises:
            InvalidRequestError: Pictures that cannot be sent; ``missing_data`` or ``empty_body``,
                each as ``enrollment_ids.N``: a text that would lack something.
            InvalidFieldError: ``too_many_recipients``, and nothing was sent; a body that cannot be
                sent; too many enrollments or none.
        """
        asked = checked(enrollment_ids)
        check_body(body, field="body", has_media=bool(media_urls))
        async with self._database.transaction() as tx:
            found = await recipients.of_enrollments(tx, asked)
            ours = await own_pictures(tx, media_urls, self._base_url)
            check_media(media_urls, ours, field="media_urls")
            contacts = {one.contact_id for one in found.values()}
            if len(contacts) > MAX_RECIPIENTS:
                raise InvalidFieldError(
                    "enrollment_ids",
                    f"has {len(contacts)} contacts; you can message up to {MAX_RECIPIENTS} at once",
                    code="too_many_recipients",
                )
            results: dict[UUID, EnrollmentResult] = {}
            messages: dict[UUID, dict[str, Any]] = {}
            problems = Problems()
            for enrollment_id in asked:
                recipient = found.get(enrollment_id)
                refusal = one_offs.refusal(recipient) if recipient is not None else "not_found"
                if recipient is None or refusal is not None:
                    results[enrollment_id] = EnrollmentResult(enrollment_id, refusal or "not_found")
                    continue
                contact_id = recipient.contact_id
                if contact_id not in messages:
                    message_id = uuid5(send_id, str(contact_id)) if send_id else uuid4()
                    messages[contact_id] = {"id": message_id}
                    try:
                        messages[contact_id] = one_offs.message(
                            recipient,
                            body,
                            user_id,
                            enrollment_id=enrollment_id,
                            message_id=message_id,
                            media_urls=media_urls,
                        )
                    except InvalidFieldError as error:
                        place = f"enrollment_ids.{enrollment_ids.index(enrollment_id)}"
                        problems.add(place, f"the body {error.reason}", code=error.field_code)
                results[enrollment_id] = EnrollmentResult(
                    enrollment_id,
                    "accepted",
                    message_id=messages[contact_id]["id"],
                    over_cap=recipient.over_cap,
                )
            problems.raise_any()
            await recipients.insert_messages(tx, list(messages.values()))
            texted = [one["enrollment_id"] for one in messages.values()]
            if texted:
                await audit.record(
                    tx, "enrollment.send_message", "enrollment", texted, user_id=user_id
                )
            await outbox.add_message_starts(tx, [one["id"] for one in messages.values()])
        return [results[enrollment_id] for enrollment_id in enrollment_ids]

    async def preview_message(self, enrollment_id: UUID, body: str) -> MessagePreview:
        """Fill in a text as ``send_message`` would for one enrollment.

        Raises:
            NotFoundError: There is no such enrollment.
            InvalidFieldError: The body cannot be sent to anyone.
        """
        async with self._database.transaction() as tx:
            found = await recipients.of_enrollments(tx, [enrollment_id])
        to = required(found.get(enrollment_id), "enrollment", enrollment_id)
        text, lacking = "", tuple[str, ...]()
        if body.strip():
            check_body(body, field="body")
            name = to.first_name, to.last_name
            values = merge_values(*name, to.phone, to.fields, to.variables)
            text, lacking = outline(body, values), missing(body, values)
        return MessagePreview(to.sender_name, text, lacking, one_offs.refusal(to), to.over_cap)

    async def release(
        self, enrollment_ids: Many[UUID], decision: Decision, user_id: UUID
    ) -> list[EnrollmentResult]:
        """Release held enrollments; see ``Holds.release``.

        Raises:
            InvalidFieldError: Too many enrollments or none.
        """
        asked = checked(enrollment_ids)
        # In parallel: a page that waits for a text under way does not delay the others.
        pages = await asyncio.gather(
            *(
                self._holds.release(asked[first : first + _PAGE], decision, user_id)
                for first in range(0, len(asked), _PAGE)
            )
        )
        results = {one.enrollment_id: one for page in pages for one in page}
        return [results[enrollment_id] for enrollment_id in enrollment_ids]
