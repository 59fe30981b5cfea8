"""Apply the provider's later words on a text: delivered, failed, or sent twice."""

import logging

from domain.platform.phones import is_toll_free
from domain.platform.provider_errors import Effect, ProviderError, classify_report
from domain.platform.rules import SendingRules
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import DELIVERIES, FAILURES, higher
from services.messaging.consequences import (
    Learned,
    advance,
    failed,
    lock_for,
    off_hold_if_later,
    refused_as_opted_out,
)
from storage.enrollments import timeline
from storage.event_webhooks import events
from storage.messaging import outcomes
from storage.messaging.outcomes import AttemptRow
from storage.platform.database import Transaction

_logger = logging.getLogger(__name__)


async def reported(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    *,
    status: MessageStatus,
    code: int | None,
) -> None:
    """Apply the provider's later word on a message it has; states only move up.

    A text that was delivered stays so, whatever comes after: between two last words the better
    one stands. Only a wish not to be texted counts in any order.
    """
    await expect(tx, row, status, code)
    error = _error_in(row, status, code)
    top = higher(row.provider_status, status)
    if top is not row.provider_status:
        await outcomes.set_attempt(tx, row.attempt_id, provider_status=top.value)
        if row.latest or top in DELIVERIES:
            await outcomes.set_message(
                tx, row.message_id, status=top.value, error_code=code if top is status else None
            )
    if error is not None:
        if top not in DELIVERIES and not row.reported_failed:
            await failed(tx, row, rules, learned, error)
        elif error.effect is Effect.OPTED_OUT:
            await refused_as_opted_out(tx, row, error.code)
        return
    if status not in DELIVERIES:
        return
    if row.hold_from_report:  # `sent` proves nothing: 30034 and its like come after it
        await off_hold_if_later(tx, row)
    if row.provider_status not in DELIVERIES:
        await events.message_delivered(tx, row.message_id)
    if row.reported_failed and not await outcomes.stands_anew(tx, row):
        await _arrived_after_all(tx, row, rules, learned)


async def expect(tx: Transaction, row: AttemptRow, status: MessageStatus, code: int | None) -> None:
    """Lock what a report may change, in the order of ``storage.platform.locks``.

    Call it before anything else is done about a text that a report is the first news of.
    """
    is_first_news = row.outcome is not AttemptOutcome.ACCEPTED
    moves_on = is_first_news or (row.reported_failed and status in DELIVERIES)
    await lock_for(tx, row, _error_in(row, status, code), moves_on=moves_on)


async def tell_if_doubled(tx: Transaction, row: AttemptRow) -> None:
    """Tell of a broken promise: an attempt declared absent is there, and so is another one.

    Args:
        tx: Has written down that an attempt is at the provider, and what is reported of it.
        row: The attempt as it was before.
    """
    could_be = row.outcome is AttemptOutcome.ABSENT or row.contradicted
    if not could_be or not await outcomes.note_doubled(tx, row.message_id):
        return
    _logger.error("a text went out twice", extra={"message_id": str(row.message_id)})
    if row.enrollment_id is not None:
        message_id = str(row.message_id)
        await timeline.note(
            tx, [row.enrollment_id], "doubled", at=row.read_at, message_id=message_id, step=row.step
        )
    await events.message_doubled(tx, row.message_id)


async def _arrived_after_all(
    tx: Transaction, row: AttemptRow, rules: SendingRules, learned: Learned
) -> None:
    """A text reported failed was delivered: it is not sent again."""
    await outcomes.set_attempt(tx, row.attempt_id, reported_failed=False)
    await outcomes.set_message(tx, row.message_id, error_code=None, next_try_at=None)
    last_sent_at = await outcomes.last_sent_at(tx, row.enrollment_id) if row.step else None
    await advance(tx, row, rules, learned, last_sent_at or row.started_at)


def _error_in(row: AttemptRow, status: MessageStatus, code: int | None) -> ProviderError | None:
    """What went wrong, if a report says that something did."""
    if status not in FAILURES:
        return None
    toll_free = row.sender_phone is not None and is_toll_free(row.sender_phone)
    return classify_report(status.value, code, toll_free_sender=toll_free)
