"""The worlds that are searched: how much there is in each, and what goes wrong."""

from dataclasses import dataclass, replace
from enum import StrEnum

from domain.statuses.sequences import ReplyPolicy
from tests.model.protocol import Reported


class Act(StrEnum):
    """What people do."""

    REPLY = "reply"
    STOP = "STOP"
    FINISH = "finish"
    PAUSE = "pause"
    RELEASE = "release"


class Fault(StrEnum):
    """What goes wrong."""

    CRASH = "crash"
    CLOCKS = "clocks"
    LOST = "lost"
    NO_CONNECTION = "no_connection"
    BLANK = "blank"
    LISTS = "lists"


@dataclass(frozen=True)
class World:
    """How much there is of everything: what makes the search small or deep.

    Attributes:
        name: What it is about.
        enrollments: Of one person, each in a sequence of the same sender.
        steps: Of each sequence.
        workers: How many sends may be under way at a time.
        reconcilers: How many lists may be held at a time.
        faults: What goes wrong: a process crashes; of a call's clocks some stand still; a call or
            its answer is lost; no connection comes about; the provider shows a text blanked; its
            list cannot be had, lags or shows nothing.
        acts: What people do.
        most_acts: How often they do anything.
        on_reply: The reply policy.
        knows_a_text: The account sent a text long ago; a new account has sent none.
        refusals: HTTP status and code of the provider's refusals.
        reports: What the provider reports.
        most_attempts: At each text; where there would be more, the search is cut off.
        farthest: After how many steps the search ends; None if it ends where nothing is new.
        has_locks: A transaction holds the number's lock from reading to writing.
    """

    name: str
    enrollments: int = 1
    steps: int = 1
    workers: int = 2
    reconcilers: int = 1
    faults: frozenset[Fault] = frozenset(Fault)
    acts: tuple[Act, ...] = tuple(Act)
    most_acts: int = 1
    on_reply: ReplyPolicy = ReplyPolicy.FINISH
    knows_a_text: bool = True
    refusals: tuple[tuple[int, int], ...] = ()
    reports: tuple[Reported, ...] = (Reported("sent"),)
    most_attempts: int = 2
    farthest: int | None = None
    has_locks: bool = True


_REPORTS = (
    Reported("sent"),
    Reported("delivered"),
    Reported("failed", 30022),
    Reported("failed", 30007),
    Reported("undelivered", 30008),
    Reported("failed", 21610),
)
_REFUSALS = ((400, 21610), (400, 30022), (401, 20003))
_GO_ON = ReplyPolicy.CONTINUE
_NONE = frozenset[Fault]()
_TWO_STEPS = World("two steps", steps=2, workers=1, faults=_NONE, reports=())
_PAUSING = replace(_TWO_STEPS, name="a reply pauses", on_reply=ReplyPolicy.PAUSE, acts=(Act.REPLY,))
_TWO_TEXTS = World("two texts alike", enrollments=2, faults=_NONE, reports=(), acts=())
_FAILING = World(
    "failures and every fault", workers=1, acts=(), reports=_REPORTS, refusals=_REFUSALS
)

SHORT = (
    World("one text and a person", workers=1, faults=frozenset(Fault) - {Fault.NO_CONNECTION}),
    World("one text, two workers", acts=()),
    World("a new account", workers=1, knows_a_text=False, acts=(Act.STOP, Act.RELEASE)),
    replace(_FAILING, name="failures", faults=frozenset({Fault.LOST})),
    replace(_TWO_STEPS, acts=(Act.FINISH, Act.PAUSE)),
    replace(_TWO_STEPS, name="the steps go on after a reply", on_reply=_GO_ON, acts=(Act.REPLY,)),
    _PAUSING,
    replace(_TWO_TEXTS, name="two texts alike, the first steps", farthest=14),
)
"""Searched with the other tests."""

DEEP = (
    World("one text, two workers, two acts", most_acts=2),
    World("one text, two reconcilers", workers=1, reconcilers=2),
    World("one text, three attempts", workers=1, most_attempts=3),
    _FAILING,
    replace(_TWO_STEPS, name="two steps and every fault", faults=frozenset(Fault), acts=()),
    replace(
        _TWO_STEPS,
        name="the steps go on after a reply, some fail",
        on_reply=_GO_ON,
        reports=(Reported("failed", 30022),),
    ),
    replace(
        _PAUSING,
        name="a reply pauses, a person decides",
        acts=(Act.REPLY, Act.PAUSE, Act.FINISH),
        most_acts=2,
    ),
    replace(
        _TWO_TEXTS,
        name="two texts alike and a person",
        acts=(Act.REPLY, Act.STOP, Act.FINISH, Act.RELEASE),
    ),
    replace(
        _TWO_TEXTS,
        name="two texts alike of a new account",
        knows_a_text=False,
        faults=frozenset({Fault.LOST, Fault.LISTS}),
    ),
    replace(_TWO_TEXTS, name="two texts alike, one blank", faults=frozenset({Fault.BLANK})),
    replace(_TWO_TEXTS, name="two texts of a sender on hold", refusals=((401, 20003),)),
)
"""Searched by ``make model``."""
