"""What must hold in every state and of every step: the promise, and that nothing gets stuck.

The promise is docs/design.md, "Never twice, never after".
"""

from collections.abc import Iterator
from functools import cache
from itertools import chain

from domain.messaging.ports import NotCalled
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.sequences import ReplyPolicy
from tests.model.moves import Moves
from tests.model.protocol import is_unique
from tests.model.rows import Attempt, Rows, Text
from tests.model.state import IDLE, NO_LIST, Finish, Inbound, Stage, State
from tests.model.worlds import World

TWICE = "a text was sent twice"
REFUSED = "the index of live attempts refuses what follows"
AFTER_STOP = "an attempt was committed after a STOP was answered"
AFTER_REPLY = "an attempt was committed after a reply that ends or pauses the enrollment"
AFTER_PAUSE = "an attempt was committed while its enrollment was paused"
AFTER_END = "an attempt was committed after the enrollment ended"
AFTER_FINISH = "a text started after a finish was answered"
REOPENED = "a final status changed"
SKIPPED = "an enrollment ended as completed although a step was not sent"
NO_NEXT_EVENT = "an active enrollment has no next event"
STUCK = "an enrollment never ends although nothing fails any more"


class Promise:
    """Asks of every step whether it breaks the promise.

    What rows alone tell is found once for each pair: most steps share theirs with others.

    Args:
        world: Where the steps are taken.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._texts = cache(_texts)
        self._enrollments = cache(_enrollments)

    def broken(self, before: State, after: State) -> str | None:
        """Return which part of the promise a step breaks, if any."""
        was, now = before.rows, after.rows
        found = None
        if now.texts is not was.texts:
            found = self._by_texts(before, after)
        if found is None and now.enrollments is not was.enrollments:
            found = self._enrollments(was, now)
        if found is None and Finish.ANSWERED in before.finishes:
            called = (now.step_of(attempt)[0] for attempt in _called(before, after))
            if any(before.finishes[one] is Finish.ANSWERED for one in called):
                return AFTER_FINISH
        return found

    def _by_texts(self, before: State, after: State) -> str | None:
        found = self._texts(before.rows, after.rows)
        return _committed(before, found, self._world) if isinstance(found, int) else found


def _texts(was: Rows, now: Rows) -> str | int | None:
    """Return what is broken by what the provider took; else whose attempt was committed."""
    both = enumerate(zip(now.texts, was.texts, strict=True))
    changed = [(index, text, then) for index, (text, then) in both if text is not then]
    if not all(is_unique(text) for _, text, _ in changed):
        return REFUSED
    for index, text, then in changed:
        if len(text.attempts) > len(then.attempts):
            return index // now.steps
        if text.attempts is not then.attempts and _is_twice(then.attempts, text.attempts):
            return TWICE
    return None


def _committed(before: State, enrollment: int, world: World) -> str | None:
    """Return what is broken by an attempt that was committed."""
    if before.stop is not None:
        return AFTER_STOP
    row = before.rows.enrollments[enrollment]
    if row.status.is_final:
        return AFTER_END
    if row.is_paused:
        return AFTER_PAUSE
    is_kept = before.reply is Inbound.KEPT
    goes_on = world.on_reply is ReplyPolicy.CONTINUE
    if is_kept and not goes_on and before.rows.is_sent(enrollment):
        return AFTER_REPLY
    return None


def _is_twice(then: tuple[Attempt, ...], now: tuple[Attempt, ...]) -> bool:
    """Whether the provider took a text that it had already and that nobody reported failed."""
    took = [
        at
        for at, (one, was) in enumerate(zip(now, then, strict=True))
        if one.handed is not None and was.handed is None
    ]
    return bool(took) and any(
        at not in took and one.handed is not None and not one.was_failed
        for at, one in enumerate(now)
    )


def _called(before: State, after: State) -> Iterator[int]:
    """Yield the attempts whose call left with this step."""
    calling = {one.of for one in before.workers if one.stage is Stage.CALLING}
    for one in after.workers:
        has_heard = one.stage is Stage.HEARD and one.of in calling
        if has_heard and not isinstance(one.answers[0], NotCalled):
            yield one.of


def _enrollments(was: Rows, now: Rows) -> str | None:
    for index, (row, then) in enumerate(zip(now.enrollments, was.enrollments, strict=True)):
        if then.status.is_final and row.status is not then.status:
            return REOPENED
        is_completed = row.status is EnrollmentStatus.FINISHED_NO_RESPONSE
        is_sent = all(map(_is_at_provider, now.texts_of(index)))
        if is_completed and not then.status.is_final and not is_sent:
            return SKIPPED
        if not has_next_event(now, index):
            return NO_NEXT_EVENT
    return None


def _is_at_provider(text: Text) -> bool:
    return any(one.handed is not None for one in text.attempts)


def has_next_event(rows: Rows, index: int) -> bool:
    """Whether an enrollment is over, waits for a moment, a proof or a person."""
    row = rows.enrollments[index]
    match row.phase:
        case None:
            return row.status.is_final
        case EnrollmentPhase.WAITING:
            return row.is_scheduled
        case EnrollmentPhase.AWAITING_REPLY:
            return row.reply_until is not None
        case EnrollmentPhase.PAUSED:
            return row.is_paused
        case EnrollmentPhase.HELD:
            is_senders = row.held is HeldReason.SENDER_ON_HOLD
            return rows.sender.held is not None if is_senders else row.held is not None
        case EnrollmentPhase.SENDING:
            return any(not one.outcome.is_known for one in rows.of_enrollment(index))


def is_at_rest(state: State, moves: Moves) -> bool:
    """Whether every enrollment is over, or waits for a person, or for more than is searched."""
    return all(
        row.status.is_final
        or row.is_paused
        or (row.phase is EnrollmentPhase.HELD and row.held is not HeldReason.SENDER_ON_HOLD)
        or moves.is_cut_off(state.rows, index)
        for index, row in enumerate(state.rows.enrollments)
    )


def when_nothing_fails(state: State, moves: Moves) -> State:
    """Return the next state if from now on nothing fails, and time passes only when all is done."""
    for worker in state.workers:
        if worker != IDLE:
            return next(moves.works(state, worker))[1]
    for one in state.reconcilers:
        if one != NO_LIST:
            return moves.records_list(state, one)
    if state.is_inbound_kept:
        return moves.applies(state, is_stop=state.stop is Inbound.KEPT)
    asked = (after for _, after in moves.asks(state))
    done = (after for after in chain(moves.reconciles(state), asked) if after != state)
    return next(done, None) or moves.minute(state)
