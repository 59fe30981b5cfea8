"""All there is at a moment of the search, in plain values."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from domain.messaging.ports import CanaryState, SendResult
from tests.model.protocol import Listed
from tests.model.rows import Enrollment, Rows, Text, mirrored, with_places_changed
from tests.model.worlds import World


class Inbound(StrEnum):
    """What became of a text from the person, once it was answered."""

    KEPT = "kept"
    APPLIED = "applied"


class Finish(StrEnum):
    """How far a person's finish has come."""

    SET = "set"
    ANSWERED = "answered"


NO_ATTEMPT = 99


class Stage(StrEnum):
    """How far a worker is with a text."""

    IDLE = "idle"
    DECIDED = "decided"
    CALLING = "calling"
    HEARD = "heard"


Clock = tuple[int, int, int]
"""Seconds by the monotonic, the boot and the wall clock."""


class Worker(NamedTuple):
    """A process that sends.

    Attributes:
        stage: How far it is; ``DECIDED`` only without locks.
        of: The attempt; in ``DECIDED`` the enrollment.
        left: Until the deadline.
        answers: What it has heard and not recorded.
    """

    stage: Stage = Stage.IDLE
    of: int = 0
    left: Clock = (0, 0, 0)
    answers: tuple[SendResult, ...] = ()


class Reconciler(NamedTuple):
    """A process with a list about an attempt in hand; idle without one."""

    attempt: int = NO_ATTEMPT
    listed: Listed = Listed(0, (), CanaryState.NONE)


class State(NamedTuple):
    """All there is at a moment."""

    rows: Rows
    workers: tuple[Worker, ...]
    reconcilers: tuple[Reconciler, ...]
    reply: Inbound | None = None
    stop: Inbound | None = None
    finishes: tuple[Finish | None, ...] = ()
    acts_left: int = 0

    def with_rows(self, rows: Rows) -> "State":
        """Return the state with other rows."""
        return State(rows, *self[1:])

    def with_work(self, rows: Rows, before: Worker, after: Worker) -> "State":
        """Return the state with other rows and one worker changed."""
        done = State(rows, *self[1:])
        return done if before == after else done.with_worker(before, after)

    def with_worker(self, before: Worker, after: Worker) -> "State":
        """Return the state with one worker changed."""
        workers = list(self.workers)
        workers[workers.index(before)] = after
        return self._replace(workers=in_order(workers))

    def with_reconciler(self, before: Reconciler, after: Reconciler) -> "State":
        """Return the state with one reconciler changed."""
        reconcilers = list(self.reconcilers)
        reconcilers[reconcilers.index(before)] = after
        return self._replace(reconcilers=tuple(sorted(reconcilers)))

    def with_finish(self, index: int, finish: Finish) -> "State":
        """Return the state with the finish of one enrollment changed."""
        finishes = (*self.finishes[:index], finish, *self.finishes[index + 1 :])
        return self._replace(finishes=finishes)

    def with_inbound(self, inbound: Inbound, *, is_stop: bool) -> "State":
        """Return the state with the reply or the STOP changed."""
        return self._replace(stop=inbound) if is_stop else self._replace(reply=inbound)

    def inbound(self, *, is_stop: bool) -> Inbound | None:
        """Return what became of the reply, or of the STOP; None if there is none."""
        return self.stop if is_stop else self.reply

    @property
    def is_inbound_kept(self) -> bool:
        """Whether a text from the person is not applied yet."""
        return Inbound.KEPT in {self.reply, self.stop}


IDLE = Worker()
NO_LIST = Reconciler()


def beginning(world: World) -> State:
    """Return the state in which everyone is enrolled and nothing has happened."""
    enrollments = (Enrollment(),) * world.enrollments
    return State(
        Rows(enrollments, (Text(),) * (world.enrollments * world.steps)),
        (IDLE,) * world.workers,
        (NO_LIST,) * world.reconcilers,
        finishes=(None,) * world.enrollments,
        acts_left=world.most_acts,
    )


def in_order(workers: Sequence[Worker]) -> tuple[Worker, ...]:
    """Put workers in an order: which of them does something makes no difference."""
    return tuple(workers if len(workers) == 1 else sorted(workers, key=hash))


def alike(state: State) -> State:
    """Return the state in which two enrollments have changed places; it behaves alike."""
    rows = state.rows
    workers = [
        one if one.stage is Stage.IDLE else one._replace(of=_of_other(one, rows))
        for one in state.workers
    ]
    reconcilers = [
        one
        if one == NO_LIST
        else Reconciler(
            mirrored(one.attempt, rows),
            one.listed._replace(shown=tuple(sorted(mirrored(at, rows) for at in one.listed.shown))),
        )
        for one in state.reconcilers
    ]
    return state._replace(
        rows=with_places_changed(rows),
        workers=in_order(workers),
        reconcilers=tuple(sorted(reconcilers)),
        finishes=state.finishes[::-1],
    )


def _of_other(worker: Worker, rows: Rows) -> int:
    return 1 - worker.of if worker.stage is Stage.DECIDED else mirrored(worker.of, rows)
