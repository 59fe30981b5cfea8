"""What must be proven about an attempt of unknown outcome."""

from datetime import datetime, timedelta

from domain.messaging.absence import CANARY_AGE, LIST_SKEW
from domain.messaging.attempts import Attempt, LastAttempt
from domain.messaging.ports import NeedsReconciliation
from domain.platform.rules import SendingRules
from storage.messaging import attempts
from storage.platform.database import Transaction

_CANARY_FRESH = timedelta(hours=1)
"""For how long a text to the same number tells more than a later one to another."""


async def question(
    tx: Transaction,
    attempt: Attempt | LastAttempt,
    at: datetime,
    now: datetime,
    rules: SendingRules,
) -> NeedsReconciliation:
    """Say what must be proven about an attempt, and what the provider's list must show for it.

    The transaction holds the number's lock. Before ``at`` a list proves nothing; ``now`` is by the
    clock that dates attempts.
    """
    canary = None
    if at <= now:
        until = now - rules.absence_first_list
        canary = await attempts.canary(
            tx,
            attempt.phone,
            attempt.sender_id,
            since=now - CANARY_AGE,
            fresh_from=until - _CANARY_FRESH,
            until=until,
        )
    return NeedsReconciliation(
        attempt_id=attempt.id,
        to=attempt.phone,
        list_from=attempt.started_at - LIST_SKEW,
        wait=max(at - now, timedelta(0)),
        read_at=now,
        canary=canary,
    )
