"""Every step that anyone can take: workers, a reconciler, the provider, people, and time.

Two steps are apart where a crash, a stopped machine or somebody else can come between them. What
holds a number's lock is one step. A process that is stopped just takes no step for a while.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

from domain.messaging import deciding
from domain.messaging.deadline import Clocks, Deadline
from domain.messaging.interpreting import PersonDecision
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendResult,
)
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from tests.model.protocol import (
    BY_PERSON,
    Listed,
    Protocol,
    a_list_later,
    ended,
    paused,
)
from tests.model.rows import LIST_LAG, MINUTE, RULES, Attempt, Enrollment, Rows, newest_at
from tests.model.state import (
    IDLE,
    NO_LIST,
    Clock,
    Finish,
    Inbound,
    Reconciler,
    Stage,
    State,
    Worker,
    in_order,
)
from tests.model.worlds import Act, Fault, World

Move = tuple[str, State]

Work = tuple[str, Rows, Worker]
"""What happens in words, the rows after it, and the worker that did it."""

A_MINUTE = "a minute passes"
_CALL_BEFORE = int(RULES.call_before.total_seconds())
_FULL = (_CALL_BEFORE, _CALL_BEFORE, _CALL_BEFORE)
_OVER = -MINUTE
_NONE_LEFT = (_OVER, _OVER, _OVER)
_AT_ZERO = Clocks(lambda: 0, lambda: 0, lambda: 0)
_MARGIN = _CALL_BEFORE + int(RULES.call_margin.total_seconds())
_CLOCK_STEPS = (
    ("", (MINUTE, MINUTE, MINUTE)),
    ("; the machine of the call was suspended for this minute", (0, MINUTE, MINUTE)),
    ("; the machine of the call was paused for this minute", (0, 0, MINUTE)),
    ("; the wall clock of the call was set back by this minute", (MINUTE, MINUTE, 0)),
)
TAKEN = Accepted("SM", MessageStatus.QUEUED)
_TAKEN_BLANK = Accepted("SM", MessageStatus.QUEUED, is_intact=False)
_LOST, _LATE, _NO_CONNECTION = OutcomeUnknown(), NotCalled(), Refused(0, None)
_WORDS = {
    Accepted: "accepted",
    Refused: "refused",
    OutcomeUnknown: "unknown",
    NotCalled: "too late",
}


class Moves:
    """What can happen next in a world.

    What follows from the rows alone is found once for each: most states share theirs with others.

    Args:
        world: Its size.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.protocol = Protocol(knows_a_text=world.knows_a_text, on_reply=world.on_reply)
        self._asked = cache(self._ask)
        self._worked = cache(self._work)
        self._listed = cache(self._list)
        self._reconciled = cache(self._reconcile)
        self._reported = cache(self._report)
        self._decided = cache(self._decide)

    def all(self, state: State) -> Iterator[Move]:
        """Yield every next state, with what happens in words; some may be the same state."""
        yield from self.asks(state)
        if all(row.status.is_final for row in state.rows.enrollments) and not any(
            one.stage in {Stage.DECIDED, Stage.CALLING} for one in state.workers
        ):
            return  # nothing that could still happen can break anything
        yield from self._worker_moves(state)
        yield from self._reconciler_moves(state)
        yield from self._reports(state)
        yield from self._people(state)
        yield from self._finishes(state)
        yield from self._minutes(state)

    # Workers

    def _worker_moves(self, state: State) -> Iterator[Move]:
        for worker in dict.fromkeys(state.workers):
            if worker == IDLE:
                continue
            yield from self.works(state, worker)
            if Fault.CRASH in self.world.faults:
                yield "a worker crashes", state.with_worker(worker, IDLE)

    def works(self, state: State, worker: Worker) -> Iterator[Move]:
        """Yield what a worker that is not idle does next, first what it does if nothing fails."""
        for says, rows, then in self._worked(state.rows, worker):
            yield says, state.with_work(rows, worker, then)

    def _work(self, rows: Rows, worker: Worker) -> Sequence[Work]:
        match worker.stage:
            case Stage.IDLE:
                return ()
            case Stage.DECIDED:
                # What was decided before, whatever has happened since: there was no lock.
                return tuple(self._commits(rows, worker.of, worker.left, is_probing=False))
            case Stage.CALLING:
                return tuple(self._calls(rows, worker))
            case Stage.HEARD:
                return (self._records(rows, worker),)

    def asks(self, state: State) -> Iterator[Move]:
        """A worker asks what is next and writes it down, or commits an attempt."""
        if IDLE in state.workers:
            for says, rows, then in self._asked(state.rows, is_inbound_kept=state.is_inbound_kept):
                yield says, state.with_work(rows, IDLE, then)

    def _ask(self, rows: Rows, *, is_inbound_kept: bool) -> Sequence[Work]:
        found = list[Work]()
        for index, row in enumerate(rows.enrollments):
            is_probing = self._may_probe(rows, row)
            decision = self.protocol.decide(
                rows, index, is_inbound_kept=is_inbound_kept, is_probing=is_probing
            )
            step = f"step {row.position} of enrollment {index + 1}"
            if isinstance(decision, deciding.Close):
                closed = ended(rows, index, EnrollmentStatus.FINISHED_NO_RESPONSE)
                found.append((f"enrollment {index + 1} is closed", closed, IDLE))
            if not isinstance(decision, deciding.Go):
                obeyed = self.protocol.obey(rows, index, decision)
                found.append((f"a worker writes down that {step} waits", obeyed, IDLE))
            elif not self.world.has_locks:
                decided = Worker(Stage.DECIDED, index, _FULL)
                found.append((f"a worker decides to send {step}", rows, decided))
            elif not self.is_cut_off(rows, index):
                found += self._commits(rows, index, _FULL, is_probing=is_probing)
        return found

    def _may_probe(self, rows: Rows, row: Enrollment) -> bool:
        is_waiting = row.held is HeldReason.SENDER_ON_HOLD or row.phase is EnrollmentPhase.WAITING
        return is_waiting and rows.sender.held is not None and rows.sender.probe == 0

    def is_cut_off(self, rows: Rows, index: int) -> bool:
        """Whether an enrollment's next text has as many attempts as are searched."""
        row = rows.enrollments[index]
        if row.position > rows.steps:
            return False
        attempts = rows.texts[rows.text_of(index, row.position)].attempts
        return len(attempts) >= self.world.most_attempts

    def _commits(self, rows: Rows, index: int, left: Clock, *, is_probing: bool) -> Iterator[Work]:
        step = f"step {rows.enrollments[index].position} of enrollment {index + 1}"
        if is_probing:
            rows = rows.with_sender(rows.sender._replace(probe=MINUTE))
        committed = self.protocol.commit(rows, index)
        if committed is None:
            return
        text = rows.text_of(index, rows.enrollments[index].position)
        calling = Worker(Stage.CALLING, newest_at(text, committed.texts[text]), left)
        yield f"a worker commits an attempt at {step}", committed, calling

    def _calls(self, rows: Rows, worker: Worker) -> Iterator[Work]:
        """The call leaves, unless it is late; the provider takes the text or does not."""

        def heard(*answers: SendResult) -> Worker:
            return Worker(Stage.HEARD, worker.of, answers=answers)

        of = rows.name_of(worker.of)
        if is_late(worker.left):
            yield f"the worker is too late to call for {of}", rows, heard(_LATE)
            return
        faults = self.world.faults
        for is_intact in (True, False) if Fault.BLANK in faults else (True,):
            attempt = rows.attempt(worker.of)._replace(handed=0, is_intact=is_intact)
            after = rows.with_attempt(worker.of, attempt)
            taken = TAKEN if is_intact else _TAKEN_BLANK
            says = f"the provider takes {of}" + ("" if is_intact else " and shows a blank")
            yield says, after, heard(taken)
            if Fault.LOST in faults:
                yield f"{says}; the answer takes too long", after, heard(_LOST, taken)
        if Fault.LOST in faults:
            yield f"the call for {of} is lost on its way", rows, heard(_LOST)
        if Fault.NO_CONNECTION in faults:
            yield f"no connection comes about for {of}", rows, heard(_NO_CONNECTION)
        for http_status, code in self.world.refusals:
            yield f"the provider refuses {of} ({code})", rows, heard(Refused(http_status, code))

    def _records(self, rows: Rows, worker: Worker) -> Work:
        answer, *more = worker.answers
        rest = worker._replace(answers=tuple(more)) if more else IDLE
        says = f"the worker records the answer for {rows.name_of(worker.of)}"
        learned = self.protocol.learn(rows, worker.of, answer)
        return f"{says}: {_WORDS[type(answer)]}", learned, rest

    # The reconciler and the provider's list

    def _reconciler_moves(self, state: State) -> Iterator[Move]:
        if NO_LIST in state.reconcilers:
            for says, rows, held in self._listed(state.rows):
                after = state.with_rows(rows)
                yield says, after if held is None else after.with_reconciler(NO_LIST, held)
        for one in dict.fromkeys(state.reconcilers):
            if one != NO_LIST:
                says = f"the list is recorded for {state.rows.name_of(one.attempt)}"
                yield says, self.records_list(state, one)
                if Fault.CRASH in self.world.faults:
                    yield "the reconciler crashes", state.with_reconciler(one, NO_LIST)

    def _may_ask(self, rows: Rows, index: int) -> CanaryState | None:
        """Return how the provider shows the known text; None if nobody asks about an attempt."""
        of = rows.enrollments[rows.step_of(index)[0]]
        if rows.attempt(index).outcome.is_known or of.held is HeldReason.OUTCOME_UNKNOWN:
            return None
        return self.protocol.asked(rows, index)

    def _list(self, rows: Rows) -> Sequence[tuple[str, Rows, Reconciler | None]]:
        """Ask for a list about each attempt: what it says is recorded, or held by a reconciler."""
        asked = ((index, self._may_ask(rows, index)) for index, _ in rows.attempts())
        return tuple(
            move
            for index, canary in asked
            if canary is not None
            for move in self._asks_for_list(rows, index, canary)
        )

    def _asks_for_list(
        self, rows: Rows, index: int, canary: CanaryState
    ) -> Iterator[tuple[str, Rows, Reconciler | None]]:
        of = rows.name_of(index)
        kinds = {all_listed(rows, canary): "all there is"}
        if Fault.LISTS in self.world.faults:
            yield f"the list for {of} cannot be had", self.protocol.learn(rows, index, None), None
            old = tuple(at for at, one in rows.attempts() if _is_listed_for_sure(one))
            kinds.setdefault(Listed(0, old, canary), "only what is old")
            is_known = canary is not CanaryState.NONE
            hidden = Listed(0, (), CanaryState.MISSING if is_known else canary)
            kinds.setdefault(hidden, "nothing at all")
        for listed, shows in kinds.items():
            says = f"the provider's list for {of} shows {shows}"
            if index in listed.shown or listed.canary is CanaryState.MISSING:
                # It proves the same whenever it is asked for: there is no need to hold it.
                learned = self.protocol.learn(rows, index, listed)
                yield f"{says} and is recorded", learned, None
            else:
                yield says, rows, Reconciler(index, listed)

    def records_list(self, state: State, one: Reconciler) -> State:
        """Return the state once a list is recorded that a reconciler holds."""
        learned = self.protocol.learn(state.rows, one.attempt, one.listed)
        return state.with_rows(learned).with_reconciler(one, NO_LIST)

    def reconciles(self, state: State) -> Iterator[State]:
        """Yield each state once an honest list about an attempt is asked for and recorded."""
        return map(state.with_rows, self._reconciled(state.rows))

    def _reconcile(self, rows: Rows) -> Sequence[Rows]:
        asked = ((index, self._may_ask(rows, index)) for index, _ in rows.attempts())
        return tuple(
            self.protocol.learn(rows, index, all_listed(rows, canary))
            for index, canary in asked
            if canary is not None
        )

    # The provider reports

    def _reports(self, state: State) -> Iterator[Move]:
        for says, rows in self._reported(state.rows):
            yield says, state.with_rows(rows)

    def _report(self, rows: Rows) -> Sequence[tuple[str, Rows]]:
        found = list[tuple[str, Rows]]()
        for index, row in rows.attempts():
            if row.handed is None:
                continue
            for report in self.world.reports:
                code = f" ({report.code})" if report.code else ""
                says = f"the provider reports {rows.name_of(index)} {report.word}{code}"
                found.append((says, self.protocol.learn(rows, index, report)))
        return found

    # People

    def _people(self, state: State) -> Iterator[Move]:
        if state.acts_left:
            yield from self._acts(state._replace(acts_left=state.acts_left - 1))
        for act in (Act.REPLY, Act.STOP):
            is_stop = act is Act.STOP
            if state.inbound(is_stop=is_stop) is Inbound.KEPT:
                yield f"the {act} is applied", self.applies(state, is_stop=is_stop)

    def _acts(self, state: State) -> Iterator[Move]:
        acts = self.world.acts
        for act in (Act.REPLY, Act.STOP):
            is_stop = act is Act.STOP
            if act in acts and state.inbound(is_stop=is_stop) is None:
                yield f"a {act} is applied and answered", self.applies(state, is_stop=is_stop)
                kept = state.with_inbound(Inbound.KEPT, is_stop=is_stop)
                yield f"a {act} is kept, not applied, and answered", kept
        for says, rows, finished in self._decided(state.rows):
            after = state.with_rows(rows)
            yield says, after if finished is None else after.with_finish(finished, Finish.SET)

    def _decide(self, rows: Rows) -> Sequence[tuple[str, Rows, int | None]]:
        """What a person does with each enrollment; of a finish also which it ends."""
        acts, found = self.world.acts, list[tuple[str, Rows, int | None]]()
        for index, row in enumerate(rows.enrollments):
            if row.status.is_final:
                continue
            if Act.FINISH in acts:
                over = ended(rows, index, EnrollmentStatus.FINISHED_STOPPED)
                found.append((f"a person finishes enrollment {index + 1}", over, index))
            if Act.PAUSE in acts:
                found += self._pauses(rows, index, row)
            if Act.RELEASE in acts and row.held in BY_PERSON:
                found.append(self._releases(rows, index, row))
        return found

    def applies(self, state: State, *, is_stop: bool) -> State:
        """Return the state once a text from the person is applied."""
        rows = self.protocol.write_in(state.rows, is_stop=is_stop)
        return state.with_rows(rows).with_inbound(Inbound.APPLIED, is_stop=is_stop)

    def _pauses(self, rows: Rows, index: int, row: Enrollment) -> Iterator[tuple[str, Rows, None]]:
        """As ``pause`` and ``resume``; what was left of the delay is not kept, it runs on."""
        is_waiting = row.phase is EnrollmentPhase.PAUSED
        if row.is_paused:
            after = row._replace(
                is_paused=False,
                is_for_reply=False,
                is_scheduled=is_waiting or row.is_scheduled,
                phase=EnrollmentPhase.WAITING if is_waiting else row.phase,
            )
            says = f"a person resumes enrollment {index + 1}"
        elif row.position > rows.steps:
            return
        else:
            after = paused(row)
            says = f"a person pauses enrollment {index + 1}"
        yield says, rows.with_enrollment(index, after), None

    def _releases(self, rows: Rows, index: int, row: Enrollment) -> tuple[str, Rows, None]:
        """A person who has read the provider's log decides what is held."""
        waiting = row._replace(phase=EnrollmentPhase.WAITING, held=None, is_scheduled=True)
        after = rows.with_enrollment(index, waiting)
        of = rows.text_of(index, row.position)
        text = rows.texts[of]
        attempt = text.attempts[-1] if text.attempts else None
        if (
            row.held is not HeldReason.OUTCOME_UNKNOWN
            or attempt is None
            or attempt.outcome.is_known
        ):
            return f"a person releases enrollment {index + 1}", after, None
        was_sent = attempt.handed is not None
        decision = PersonDecision.TREAT_AS_SENT if was_sent else PersonDecision.SEND_AGAIN
        says = f"the text of enrollment {index + 1} {'was sent' if was_sent else 'goes again'}"
        learned = self.protocol.learn(after, newest_at(of, text), decision)
        return f"a person decides: {says}", learned, None

    # What happens by itself

    def _finishes(self, state: State) -> Iterator[Move]:
        for index, finish in enumerate(state.finishes):
            if finish is Finish.SET and not _is_calling(state.rows, index):
                after = state.with_finish(index, Finish.ANSWERED)
                yield f"the finish of enrollment {index + 1} is answered", after

    def _minutes(self, state: State) -> Iterator[Move]:
        """A minute passes; of each call's clocks some may stand still, never all."""
        later = self.minute(state)
        stand_still = Fault.CLOCKS in self.world.faults
        ways = [_clocks_later(one, later.rows, stand_still=stand_still) for one in state.workers]
        for way in product(*ways):
            says = A_MINUTE + "".join(words for words, _ in way)
            yield says, later._replace(workers=in_order([worker for _, worker in way]))

    def minute(self, state: State) -> State:
        """Return the state a minute later, seen from then; the workers' clocks stand still."""
        reconcilers = [
            one if one == NO_LIST else one._replace(listed=a_list_later(one.listed))
            for one in state.reconcilers
        ]
        rows = self.protocol.later(state.rows)
        return state._replace(rows=rows, reconcilers=tuple(sorted(reconcilers)))


def all_listed(rows: Rows, canary: CanaryState) -> Listed:
    """Return a list of all that the provider has."""
    handed = (at for at, one in rows.attempts() if one.handed is not None)
    return Listed(0, tuple(handed), canary)


def _is_listed_for_sure(attempt: Attempt) -> bool:
    return attempt.handed is not None and attempt.handed <= -LIST_LAG


def is_late(left: Clock) -> bool:
    """Ask the real deadline, of clocks that all show zero, whether it has passed."""
    return Deadline(left, _AT_ZERO).is_late


def _clocks_later(worker: Worker, rows: Rows, *, stand_still: bool) -> list[tuple[str, Worker]]:
    """Let a minute pass on a worker's clocks, of which one has counted every minute of a call."""
    if worker.stage is Stage.DECIDED:
        return [("", worker._replace(left=_less(worker.left, (MINUTE, MINUTE, MINUTE))))]
    if worker.stage is not Stage.CALLING:
        return [("", worker)]
    found: dict[Worker, str] = {}
    true = max(_OVER, _CALL_BEFORE + rows.attempt(worker.of).started)
    for words, step in _CLOCK_STEPS if stand_still else _CLOCK_STEPS[:1]:
        left = _less(worker.left, step)
        if true in left:
            found.setdefault(worker._replace(left=_NONE_LEFT if is_late(left) else left), words)
    return [(words, one) for one, words in found.items()]


def _less(left: Clock, passed: Clock) -> Clock:
    return (
        max(_OVER, left[0] - passed[0]),
        max(_OVER, left[1] - passed[1]),
        max(_OVER, left[2] - passed[2]),
    )


def _is_calling(rows: Rows, index: int) -> bool:
    """Whether a text of an enrollment may still start, by its row; as ``finishing.last_text``."""
    return any(
        one.outcome is AttemptOutcome.OPEN and -one.started < _MARGIN
        for one in rows.of_enrollment(index)
    )
