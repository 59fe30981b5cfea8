"""What the provider's list of messages proves about a text whose answer was lost."""

import unicodedata
from collections.abc import Sequence
from datetime import timedelta

from domain.messaging.ports import (
    Canary,
    CanaryState,
    ListedMessage,
    Listing,
    NeedsReconciliation,
    ProviderUnavailableError,
    SendingGateway,
)

LIST_SKEW = timedelta(seconds=60)
"""A listed text may seem this much older than its attempt."""

TRIAL_PREFIX = "Sent from your Twilio trial account - "
"""What a trial account puts before every text (Twilio, November 2026)."""


async def list_texts(gateway: SendingGateway, unsettled: NeedsReconciliation) -> Listing | None:
    """Ask the provider for what may prove something; None if it could not be had.

    The canary is looked for in a list of its own, by its number: a provider that hides numbers
    answers such a question with an empty list.
    """
    canary = unsettled.canary
    try:
        texts = await gateway.list_outbound(unsettled.to, unsettled.list_from)
        shown = await gateway.list_outbound(canary.to, canary.list_from) if canary else ()
    except ProviderUnavailableError:
        return None
    if canary is None:
        return Listing(unsettled.read_at, texts, CanaryState.NONE)
    return Listing(unsettled.read_at, texts, _state_of(canary, shown), canary.sender_id)


def _state_of(canary: Canary, shown: Sequence[ListedMessage]) -> CanaryState:
    for message in shown:
        if message.sid == canary.sid:
            is_intact = shows_as_sent(message.to, message.body, canary.to, canary.body)
            return CanaryState.INTACT if is_intact else CanaryState.ALTERED
    return CanaryState.MISSING


def shows_as_sent(shown_to: str | None, shown_body: str | None, to: str, body: str) -> bool:
    """Whether the provider shows recipient and text as they were handed over to it."""
    return shown_to == to and (shown_body or "").strip() == body.strip()


def may_be_same_text(sent: str, shown: str) -> bool:
    """Whether a text that the provider shows may be one that was handed over to it.

    A trial account puts a sentence before it; Smart Encoding swaps quotes, dashes and the like for
    characters of the GSM alphabet (Twilio, November 2026), so only letters
    and digits need to be equal. A text that was blanked is none that can be told.
    """
    sent, shown = sent.strip(), shown.strip().removeprefix(TRIAL_PREFIX)
    return sent == shown or _letters(sent) == _letters(shown) != ""


def _letters(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text) if one.isalnum())
