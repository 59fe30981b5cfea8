"""What the provider's list of messages proves about a text whose answer was lost."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.messaging.attempts import Attempt, LastAttempt
from domain.messaging.ports import (
    Canary,
    CanaryState,
    ListedMessage,
    Listing,
    NeedsReconciliation,
    ProviderUnavailableError,
    SendingGateway,
)
from domain.platform.rules import SendingRules

LIST_SKEW = timedelta(seconds=60)
"""A listed text may seem this much older than its attempt."""

CANARY_AGE = timedelta(days=30)
"""How old the text may be that a list must show; the provider keeps texts for longer."""

TRIAL_PREFIX = "Sent from your Twilio trial account - "
"""What a trial account puts before every text (Twilio, November 2026)."""


async def list_texts(gateway: SendingGateway, question: NeedsReconciliation) -> Listing | None:
    """Fetch the provider's list for an attempt; None if it could not be had.

    The canary is looked for in a list of its own, by its number: a provider that hides numbers
    answers such a question with an empty list.
    """
    canary = question.canary
    try:
        texts = await gateway.list_outbound(question.to, question.list_from)
        shown = await gateway.list_outbound(canary.to, canary.list_from) if canary else ()
    except ProviderUnavailableError:
        return None
    if canary is None:
        return Listing(question.read_at, texts, CanaryState.NONE)
    return Listing(question.read_at, texts, _state_of(canary, shown), canary.sender_id)


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
    and digits need to be equal. A blanked text matches none.
    """
    sent, shown = sent.strip(), shown.strip().removeprefix(TRIAL_PREFIX)
    return sent == shown or _letters(sent) == _letters(shown) != ""


def _letters(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text) if one.isalnum())


def provable_from(attempt: Attempt | LastAttempt, rules: SendingRules) -> datetime:
    """Return when the provider's list may next prove something about an attempt."""
    first = attempt.call_before + rules.absence_first_list
    if attempt.absent_once_at is None:
        return first
    return max(first, attempt.absent_once_at + rules.absence_second_list)


@dataclass(frozen=True)
class Rival:
    """Another attempt to the number whose text a list may show under an id that no row has."""

    body: str
    started_at: datetime


@dataclass(frozen=True)
class ListEvidence:
    """What the provider's list shows of an attempt, and the rows it is compared with.

    Attributes:
        listing: The list; None if it could not be had.
        claimed: The provider's ids in it that belong to other attempts.
        rivals: The other attempts to the number whose outcome is not known.
    """

    listing: Listing | None
    claimed: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True)
class Absent:
    """The list, asked for at this moment at the latest, would show the text and does not."""

    asked_at: datetime


def weigh(attempt: Attempt, evidence: ListEvidence, now: datetime) -> ListedMessage | Absent | None:
    """Weigh the provider's list as evidence about an attempt.

    A text to the number that may be the attempt's, created since the attempt, whose id no other
    attempt has, is the one, unless it may as well be that of another attempt of unknown outcome.
    The list shows it to be absent if it holds no text of any wording without an attempt of its own,
    and shows texts as they were sent. A list that could not be had proves nothing.

    Returns:
        The text, its absence, or None if the list proves neither.
    """
    listing = evidence.listing
    if listing is None:
        return None
    texts = unclaimed(attempt, listing.texts, evidence.claimed)
    found = find_text(attempt, texts, evidence.rivals)
    if found is not None:
        return found
    if texts or not proves_absence(attempt, listing, now):
        return None
    return Absent(listing.asked_at)


def unclaimed(
    attempt: Attempt, texts: Sequence[ListedMessage], claimed: frozenset[str]
) -> list[ListedMessage]:
    """Return the texts since an attempt that no other attempt accounts for, in any wording."""
    since = attempt.started_at - LIST_SKEW
    return [text for text in texts if text.created_at >= since and text.sid not in claimed]


def find_text(
    attempt: Attempt, texts: Sequence[ListedMessage], rivals: Sequence[Rival]
) -> ListedMessage | None:
    """Return the text that must be an attempt's; None if several may be.

    Of as many texts as there are attempts each has its own, in their order: the provider's clock
    may be wrong. Of more texts than that it is the nearest in time.
    """
    alike = [text for text in texts if may_be_same_text(attempt.body, text.body)]
    rivals = [rival for rival in rivals if may_be_same_text(attempt.body, rival.body)]
    if len(alike) <= len(rivals):
        return None
    if len(alike) == len(rivals) + 1:
        alike.sort(key=lambda text: text.created_at)
        return alike[sum(rival.started_at < attempt.started_at for rival in rivals)]
    return min(alike, key=lambda text: abs(text.created_at - attempt.started_at))


def proves_absence(attempt: Attempt, listing: Listing, now: datetime) -> bool:
    """Whether a text that was handed over would be in a list that does not show it.

    Without a known text to look for, how the provider showed the sender's texts decides, if that
    was seen lately and before the attempt: a text sent since will soon be the known one.
    """
    if attempt.shows_texts is False:
        return False
    if listing.canary is CanaryState.NONE:
        seen_at = attempt.shows_texts_at
        is_recent = seen_at is not None and now - CANARY_AGE <= seen_at < attempt.started_at
        return attempt.shows_texts is True and is_recent
    return listing.canary is CanaryState.INTACT
