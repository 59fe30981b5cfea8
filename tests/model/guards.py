"""The guards of the protocol, each of which can be taken out to see what it is there for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from domain.messaging import absence, deciding, interpreting
from domain.messaging.absence import Rival
from domain.messaging.attempts import Attempt
from domain.messaging.deadline import Deadline
from domain.messaging.deciding import Decision, StepFacts
from domain.messaging.effects import Effects
from domain.messaging.ports import ListedMessage
from domain.platform.rules import SendingRules
from domain.sequences.departures import Departure
from domain.statuses.sequences import ReplyPolicy
from tests.model import promise, protocol
from tests.model.worlds import Act, Fault, World


@dataclass(frozen=True)
class Guard:
    """A guard, and what becomes of the promise without it.

    Attributes:
        name: As its test names it.
        about: What it does.
        world: The smallest one in which it is missed.
        breach: What is broken there without it.
        where: The module or class that it is part of; None for what a world says.
        attribute: What is replaced there.
        replacement: What it is replaced by.
    """

    name: str
    about: str
    world: World
    breach: str
    where: Any = None
    attribute: str = ""
    replacement: Any = None

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        """Replace the guard by nothing."""
        if self.where is None:
            yield
        else:
            with patch.object(self.where, self.attribute, self.replacement):
                yield


_UNCLAIMED, _NOT_LISTED, _NOT_YET, _WAITING, _FIND_TEXT, _PROVES_ABSENCE = (
    absence.unclaimed,
    interpreting._not_listed,
    deciding._not_yet,
    deciding._waiting,
    absence.find_text,
    absence.proves_absence,
)


def _never_late(_: Deadline) -> bool:
    return False


def _late_by_monotonic_clock(deadline: Deadline) -> bool:
    return deadline.clocks.monotonic() > deadline.moments[0]


def _absent_by_one_list(
    attempt: Attempt, asked_at: datetime, now: datetime, rules: SendingRules
) -> Effects:
    known = replace(attempt, absent_once_at=attempt.absent_once_at or attempt.call_before)
    return _NOT_LISTED(known, asked_at, now, rules)


def _word_for_word(
    attempt: Attempt, texts: Sequence[ListedMessage], claimed: frozenset[str]
) -> list[ListedMessage]:
    return [one for one in _UNCLAIMED(attempt, texts, claimed) if one.body == attempt.body]


def _whatever_came_in(facts: StepFacts, now: datetime, found: Departure) -> Decision | None:
    return _NOT_YET(replace(facts, inbound_pending=False), now, found)


def _whether_paused_or_not(facts: StepFacts, now: datetime) -> Decision | None:
    return _WAITING(replace(facts, paused=False), now)


def _nearest_in_time(
    attempt: Attempt, texts: Sequence[ListedMessage], rivals: Sequence[Rival]
) -> ListedMessage | None:
    if _FIND_TEXT(attempt, texts, rivals) is None:
        return None
    alike = [one for one in texts if absence.may_be_same_text(attempt.body, one.body)]
    return min(alike, key=lambda one: abs(one.created_at - attempt.started_at))


def _whenever_seen(attempt: Attempt, *rest: Any) -> bool:
    seen_at = None if attempt.shows_texts_at is None else attempt.started_at - absence.LIST_SKEW
    return _PROVES_ABSENCE(replace(attempt, shows_texts_at=seen_at), *rest)


_ONE = World("one text", workers=1, acts=(), reports=())
_TWO = replace(_ONE, enrollments=2, workers=2, faults=frozenset())

GUARDS = (
    Guard(
        "deadline",
        "a call never begins after its deadline",
        replace(_ONE, acts=(Act.FINISH,), faults=frozenset()),
        promise.AFTER_FINISH,
        Deadline,
        "is_late",
        property(_never_late),
    ),
    Guard(
        "boot_and_wall_clock",
        "late is what any clock calls late",
        replace(_ONE, acts=(Act.FINISH,), faults=frozenset({Fault.CLOCKS})),
        promise.AFTER_FINISH,
        Deadline,
        "is_late",
        property(_late_by_monotonic_clock),
    ),
    Guard(
        "second_list",
        "two lists prove absence, not one",
        replace(_ONE, faults=frozenset({Fault.CRASH, Fault.LISTS})),
        promise.TWICE,
        interpreting,
        "_not_listed",
        _absent_by_one_list,
    ),
    Guard(
        "canary",
        "a list that does not show a known text proves nothing",
        replace(_ONE, faults=frozenset({Fault.CRASH, Fault.LISTS})),
        promise.TWICE,
        absence,
        "proves_absence",
        lambda *_: True,
    ),
    Guard(
        "any_outbound_text",
        "a text in any wording keeps a list from proving absence",
        replace(_ONE, faults=frozenset({Fault.CRASH, Fault.BLANK})),
        promise.TWICE,
        absence,
        "unclaimed",
        _word_for_word,
    ),
    Guard(
        "lock",
        "the number's lock is held from reading to writing",
        replace(_ONE, acts=(Act.STOP,), faults=frozenset(), has_locks=False),
        promise.AFTER_STOP,
    ),
    Guard(
        "unapplied_inbound",
        "a text from the person that is not applied yet blocks sends",
        replace(_ONE, acts=(Act.STOP,), faults=frozenset()),
        promise.AFTER_STOP,
        deciding,
        "_not_yet",
        _whatever_came_in,
    ),
    Guard(
        "pause",
        "a pause holds the next text back, a reply's too",
        World(
            "a reply pauses",
            steps=2,
            workers=1,
            faults=frozenset(),
            reports=(),
            acts=(Act.REPLY,),
            on_reply=ReplyPolicy.PAUSE,
        ),
        promise.AFTER_PAUSE,
        deciding,
        "_waiting",
        _whether_paused_or_not,
    ),
    Guard(
        "order_of_texts_alike",
        "of texts alike each attempt has its own, in their order",
        _TWO,
        promise.TWICE,
        absence,
        "find_text",
        _nearest_in_time,
    ),
    Guard(
        "seen_before_the_attempt",
        "without a known text, what was seen before the attempt decides",
        replace(_TWO, knows_a_text=False, faults=frozenset({Fault.LISTS})),
        promise.TWICE,
        absence,
        "proves_absence",
        _whenever_seen,
    ),
    Guard(
        "texts_assumed_sent",
        "a text that is assumed sent is taken for no other",
        replace(_TWO, acts=(Act.RELEASE,), most_acts=1),
        promise.SKIPPED,
        protocol,
        "_is_assumed_sent",
        lambda *_: False,
    ),
)
