"""What must be proven about an attempt of unknown outcome, and what the provider's list proves."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.messaging.absence import LIST_SKEW, may_be_same_text
from domain.messaging.ports import CanaryState, ListedMessage, Listing, NeedsReconciliation
from domain.platform.rules import SendingRules
from storage.messaging import outcomes
from storage.messaging.outcomes import AttemptRow
from storage.messaging.sending import LastAttempt
from storage.platform.database import Transaction

_CANARY_AGE = timedelta(days=30)
"""How old the text may be that a list must show; the provider keeps texts for longer."""
_CANARY_FRESH = timedelta(hours=1)
"""For how long a text to the same number tells more than a later one to another."""


def provable_from(attempt: AttemptRow | LastAttempt, rules: SendingRules) -> datetime:
    """When the provider's list may next prove something about an attempt."""
    first = attempt.call_before + rules.absence_first_list
    if attempt.absent_once_at is None:
        return first
    return max(first, attempt.absent_once_at + rules.absence_second_list)


async def question(
    tx: Transaction,
    attempt_id: UUID,
    attempt: AttemptRow | LastAttempt,
    rules: SendingRules,
    *,
    phone: str,
    sender_id: UUID,
    now: datetime,
    not_before: datetime | None = None,
) -> NeedsReconciliation:
    """Say what must be proven about an attempt, and what the provider's list must show for it.

    Args:
        tx: Holds the number's lock.
        attempt_id: Which attempt.
        attempt: Its moments.
        rules: The timings.
        phone: Its recipient.
        sender_id: Its sender.
        now: By the database's clock.
        not_before: When to ask again, if later than the list may prove something.
    """
    wait = max(provable_from(attempt, rules), not_before or now) - now
    canary = None
    if not wait:
        until = now - rules.absence_first_list
        canary = await outcomes.canary(
            tx,
            phone,
            sender_id,
            since=now - _CANARY_AGE,
            fresh_from=until - _CANARY_FRESH,
            until=until,
        )
    return NeedsReconciliation(
        attempt_id=attempt_id,
        to=phone,
        list_from=attempt.started_at - LIST_SKEW,
        wait=wait,
        read_at=now,
        canary=canary,
    )


async def unclaimed(
    tx: Transaction, row: AttemptRow, texts: Sequence[ListedMessage]
) -> list[ListedMessage]:
    """The listed texts since an attempt that no other attempt answers for, whatever they say."""
    since = [text for text in texts if text.created_at >= row.started_at - LIST_SKEW]
    taken = await outcomes.sids_taken(tx, [text.sid for text in since], row.attempt_id)
    return [text for text in since if text.sid not in taken]


async def the_one(
    tx: Transaction, row: AttemptRow, texts: Sequence[ListedMessage]
) -> ListedMessage | None:
    """The text that must be an attempt's, the nearest in time; None if that cannot be told."""
    alike = [text for text in texts if may_be_same_text(row.body, text.body)]
    rivals = [body for body in await outcomes.rivals(tx, row) if may_be_same_text(row.body, body)]
    if len(alike) <= len(rivals):
        return None
    return min(alike, key=lambda text: abs(text.created_at - row.started_at))


def proves_absence(row: AttemptRow, listing: Listing) -> bool:
    """Whether a text that was handed over would stand in a list that does not show it.

    Without a text to look for, what the provider made of the sender's texts of late decides.
    """
    if row.sender_shows_texts is False:
        return False
    if listing.canary is CanaryState.NONE:
        seen_at = row.sender_shows_texts_at
        is_known = seen_at is not None and row.read_at - seen_at <= _CANARY_AGE
        return row.sender_shows_texts is True and is_known
    return listing.canary is CanaryState.INTACT
