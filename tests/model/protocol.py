"""The real ``decide`` and ``interpret`` on the rows of the search, and what they make of them.

What the statements read, write and guard is mirrored here, and no more than that:

* ``facts``: what ``storage.messaging.sending`` reads of a step;
* ``attempt`` and ``_list_evidence``: what ``storage.messaging.attempts`` reads;
* ``write``: ``services.messaging.applying``, and ``storage.enrollments.enrollments`` below it;
* ``Protocol.obey`` and ``Protocol.commit``: what ``services.messaging.sending`` writes.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple
from uuid import UUID

from domain.enrollments.next_step import NextStep
from domain.messaging import deciding, interpreting
from domain.messaging.absence import ListEvidence, Rival, provable_from
from domain.messaging.attempts import StepAttempt
from domain.messaging.deciding import Decision, StepFacts
from domain.messaging.effects import (
    Effects,
    End,
    EndHold,
    HoldStep,
    PutOnHold,
    RecordSent,
    RecordText,
    RecountSteps,
    RetryStep,
    Transition,
)
from domain.messaging.inbound import StatusReport
from domain.messaging.interpreting import PersonDecision
from domain.messaging.ports import Accepted, CanaryState, ListedMessage, Listing, SendResult
from domain.sequences.sending_hours import ANY_TIME
from domain.sequences.timing import ContactClock
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import DELIVERIES
from domain.statuses.sequences import ReplyPolicy, SequenceState
from tests.model.rows import (
    CANARY_FROM,
    DELAY,
    LONG_AGO,
    MINUTE,
    NOW,
    RULES,
    Attempt,
    Enrollment,
    Rows,
    Text,
    a_minute_later,
    moment,
    newest_at,
    seconds,
)

PHONE = "+12125550100"
_SENDER = UUID(int=1)
_CLOCK = ContactClock(("UTC",), "UTC")
BY_PERSON = frozenset({HeldReason.OUTCOME_UNKNOWN, HeldReason.DESTINATION_NOT_ALLOWED})
"""What only a person can decide about."""

_ACCEPTED = frozenset({AttemptOutcome.ACCEPTED, AttemptOutcome.ASSUMED_SENT})


class Reported(NamedTuple):
    """A report of the provider's on a text."""

    word: str
    code: int | None = None


class Listed(NamedTuple):
    """A list of the provider's, as whoever asked for it holds it.

    Attributes:
        asked: When it was asked for.
        shown: The attempts whose texts it shows, by their ids.
        canary: How it shows a known text.
    """

    asked: int
    shown: tuple[int, ...]
    canary: CanaryState


News = SendResult | Reported | Listed | PersonDecision | None
"""What is learned of an attempt; None: the list could not be had."""


class Protocol:
    """Runs the two functions on rows, and knows what was learned before.

    Args:
        knows_a_text: The account sent a text, long ago, which every list must show.
        on_reply: The sequence's reply policy.
    """

    def __init__(self, *, knows_a_text: bool, on_reply: ReplyPolicy) -> None:
        self._knows_a_text = knows_a_text
        self._on_reply = on_reply
        self.learn = cache(self._learn)
        self.write_in = cache(self._write_in)
        self.later = cache(a_minute_later)

    def decide(
        self, rows: Rows, index: int, *, is_inbound_kept: bool, is_probing: bool
    ) -> Decision:
        facts_now = facts(rows, index, is_inbound_kept=is_inbound_kept, is_probing=is_probing)
        return deciding.decide(facts_now, NOW, RULES)

    def obey(self, rows: Rows, index: int, decision: Decision) -> Rows:
        """Write down what stands in the way of a text."""
        row = rows.enrollments[index]
        match decision:
            case deciding.EndAs(status):
                return ended(rows, index, status)
            case deciding.Later():
                row = _waits(row)
            case deciding.AwaitReply() | deciding.Close():
                row = _waits(row, EnrollmentPhase.AWAITING_REPLY)
            case deciding.Paused():
                row = _waits(row, EnrollmentPhase.PAUSED)
            case deciding.Held(reason):
                row = _waits(row, EnrollmentPhase.HELD, reason)
            case _:
                return rows
        return rows.with_enrollment(index, _if_active(rows.enrollments[index], row))

    def commit(self, rows: Rows, index: int) -> Rows | None:
        """Commit an attempt at an enrollment's next text; None if there is a live one."""
        row = rows.enrollments[index]
        of = rows.text_of(index, row.position)
        attempts = (*rows.texts[of].attempts, Attempt())
        rows = rows.with_text(of, rows.texts[of]._replace(next_try=None, attempts=attempts))
        sending = _waits(row, EnrollmentPhase.SENDING)._replace(is_scheduled=True)
        rows = rows.with_enrollment(index, _if_active(row, sending))
        return rows if are_unique(rows) else None

    def _learn(self, rows: Rows, index: int, news: News) -> Rows:
        """Interpret what is learned about an attempt and write what follows.

        Nothing is written where the provider's id was taken for another attempt's with the same
        words: the index refuses it, and whoever has learned it gives up.
        """
        evidence = _evidence(rows, index, news)
        known = attempt(rows, index)
        scope = interpreting.scope(known, evidence, NOW)
        if scope.timing and known.is_current:
            known = replace(known, next_step=_next_step(rows, index))
        effects = interpreting.interpret(known, evidence, NOW, RULES)
        was, rows = rows, write(rows, index, effects)
        if effects.shows_texts is not None:
            # With a known text to look for, nothing depends on when.
            seen = None if self._knows_a_text else 0
            sender = rows.sender._replace(shows_texts=effects.shows_texts, seen=seen)
            rows = rows.with_sender(sender)
        return rows if _have_own_sids(rows) else was

    def asked(self, rows: Rows, index: int) -> CanaryState | None:
        """Say how an honest list shows the known text it is asked for; None if it is too early."""
        if provable_from(attempt(rows, index), RULES) > NOW:
            return None
        canary = _canary(rows)
        if canary is None:
            return CanaryState.INTACT if self._knows_a_text else CanaryState.NONE
        return CanaryState.INTACT if canary.is_intact else CanaryState.ALTERED

    def _write_in(self, rows: Rows, *, is_stop: bool) -> Rows:
        """Apply the whole effect of a text from the person."""
        for attempt_id, one in rows.attempts():
            rows = rows.with_attempt(attempt_id, one._replace(wrote_since=True))
        for index in range(len(rows.enrollments)):
            if any(
                one.is_failed and one.word is MessageStatus.UNDELIVERED
                for one in rows.of_enrollment(index)
            ):
                rows = _recounted(rows, index)
        if is_stop:
            return opted_out(rows)
        for index, row in enumerate(rows.enrollments):
            if row.status.is_final or not rows.is_sent(index):
                continue
            if self._on_reply is ReplyPolicy.FINISH or row.position > rows.steps:
                rows = ended(rows, index, EnrollmentStatus.FINISHED_RESPONDED)
                continue
            replied = row._replace(has_replied=True)
            if self._on_reply is ReplyPolicy.PAUSE:
                replied = paused(replied)._replace(is_for_reply=True)
            rows = rows.with_enrollment(index, replied)
        return rows


def facts(rows: Rows, index: int, *, is_inbound_kept: bool, is_probing: bool) -> StepFacts:
    """Return what bears on an enrollment's next text."""
    row = rows.enrollments[index]
    text, last = Text(), None
    if row.position <= rows.steps:
        text = rows.texts[rows.text_of(index, row.position)]
        last = text.attempts[-1].outcome if text.attempts else None
    return StepFacts(
        status=row.status,
        sequence_state=SequenceState.ACTIVE,
        paused=row.is_paused,
        held_reason=row.held,
        probing=is_probing or row.is_probing,
        position=row.position,
        step_count=rows.steps,
        due_at=_moment(row.due),
        next_try_at=_moment(text.next_try),
        last_sent_at=_moment(row.last_sent),
        gap=timedelta(seconds=DELAY),
        reply_until=_moment(row.reply_until),
        last_outcome=last,
        nothing_sent=row.steps_sent == 0 and (last is None or not rows.is_sent(index)),
        suppressed=rows.is_suppressed,
        inbound_pending=is_inbound_kept,
        line_type=LineType.MOBILE,
        sender_on_hold=rows.sender.held is not None,
        clock=_CLOCK,
        hours=ANY_TIME,
        consent_missing=False,
        missing=(),
    )


def attempt(rows: Rows, index: int) -> StepAttempt:
    """Return an attempt with all that bears on what follows from news of it."""
    row = rows.attempt(index)
    enrollment, step = rows.step_of(index)
    of_text = rows.text_of(enrollment, step)
    of, text, sender = rows.enrollments[enrollment], rows.texts[of_text], rows.sender
    others = [one for at, one in rows.attempts_at(of_text) if at != index]
    sent = [one for one in (text.sent, _last_sent(rows, enrollment)) if one is not None]
    return StepAttempt(
        id=_uuid(index),
        outcome=row.outcome,
        started_at=moment(row.started),
        call_before=moment(row.started) + RULES.call_before,
        answered_at=_moment(row.answered),
        absent_once_at=_moment(row.absent_once),
        provider_sid=None if row.sid is None else _sid(row.sid),
        provider_status=row.word,
        reported_failed=row.is_failed,
        is_latest=index == newest_at(of_text, text),
        is_replaced=any(one.is_live for one in others),
        is_contradicted=any(
            one.outcome is AttemptOutcome.ABSENT and one.sid is not None for one in others
        ),
        message_id=_uuid(of_text),
        message_status=MessageStatus.SENDING,
        phone=PHONE,
        contact_id=_uuid(0),
        body=_body(rows, index),
        failed_tries=text.failed_tries,
        sender_id=_SENDER,
        sender_held_at=_moment(sender.held),
        hold_from_report=sender.is_held_by_report,
        shows_texts=sender.shows_texts,
        shows_texts_at=None if sender.shows_texts is None else moment(sender.seen or 0),
        enrollment_id=_uuid(enrollment),
        step=step,
        pass_number=1,
        status=of.status,
        phase=of.phase,
        held_reason=of.held,
        position=of.position,
        enrollment_pass=1,
        steps_sent=of.steps_sent,
        step_count=rows.steps,
        replied_at=NOW if of.has_replied else None,
        last_sent_at=_moment(max(sent)) if row.is_failed and sent else None,
    )


def write(rows: Rows, index: int, effects: Effects) -> Rows:
    """Write what follows from what was learned about an attempt."""
    enrollment, step = rows.step_of(index)
    rows = rows.with_attempt(index, _changed_attempt(rows.attempt(index), effects))
    of, change = rows.text_of(enrollment, step), effects.message
    text = rows.texts[of]
    if change:
        text = text._replace(
            failed_tries=change.get("failed_tries", text.failed_tries),
            next_try=_seconds(change["next_try_at"]) if "next_try_at" in change else text.next_try,
            sent=_seconds(change["occurred_at"]) if "occurred_at" in change else text.sent,
        )
        rows = rows.with_text(of, text)
    for change_of_sender in effects.sender:
        rows = _change_sender(rows, change_of_sender)
    for transition in effects.transitions:
        rows = _move(rows, enrollment, transition)
    return opted_out(rows) if effects.opt_out is not None else rows


def _changed_attempt(row: Attempt, effects: Effects) -> Attempt:
    change = effects.attempt
    sid = change.get("provider_sid")
    is_failed = change.get("reported_failed", row.is_failed)
    return row._replace(
        outcome=change.get("outcome", row.outcome),
        absent_once=_seconds(change["absent_once_at"])
        if "absent_once_at" in change
        else row.absent_once,
        answered=_seconds(change["answered_at"]) if "answered_at" in change else row.answered,
        sid=row.sid if sid is None else int(sid.removeprefix("SM")),
        word=change.get("provider_status", row.word),
        is_failed=is_failed,
        failed_code=change.get("error_code", row.failed_code) if is_failed else None,
        was_failed=row.was_failed or is_failed,
    )


def _change_sender(rows: Rows, change: PutOnHold | EndHold) -> Rows:
    sender = rows.sender
    if isinstance(change, PutOnHold):
        held = 0 if sender.held is None else sender.held
        by_report = change.from_report or sender.is_held_by_report
        probe = seconds(change.probe_at)
        return rows.with_sender(
            sender._replace(held=held, is_held_by_report=by_report, probe=probe)
        )
    if sender.held is None or sender.held >= seconds(change.proven_at):
        return rows
    rows = rows.with_sender(sender._replace(held=None, is_held_by_report=False, probe=None))
    for index, row in enumerate(rows.enrollments):  # whoever waits for it is woken
        if row.held is HeldReason.SENDER_ON_HOLD:
            rows = rows.with_enrollment(index, _waits(row))
    return rows


def _move(rows: Rows, index: int, transition: Transition) -> Rows:
    """Write a transition of an enrollment, if its guard lets it."""
    row = rows.enrollments[index]
    match transition:
        case RecordSent():
            return _record_sent(rows, index, transition)
        case RecordText(_, step, _):
            return rows.with_enrollment(index, row._replace(steps_sent=max(row.steps_sent, step)))
        case RecountSteps():
            return _recounted(rows, index)
        case RetryStep(_, step, _):
            return _step_back(rows, index, _waits(row), step)
        case HoldStep(_, step, reason):
            held = _waits(row, EnrollmentPhase.HELD, reason)
            return _step_back(rows, index, held, step)
        case End(_, status, _):
            return ended(rows, index, status)


def _record_sent(rows: Rows, index: int, sent: RecordSent) -> Rows:
    row, following = rows.enrollments[index], sent.following
    steps_sent = max(row.steps_sent, sent.step)
    if row.status.is_final or row.position != sent.step:
        return rows.with_enrollment(index, row._replace(steps_sent=steps_sent))
    phase = EnrollmentPhase.PAUSED if row.is_paused else EnrollmentPhase.WAITING
    rows = rows.with_enrollment(
        index,
        row._replace(
            phase=phase if following.reply_until is None else EnrollmentPhase.AWAITING_REPLY,
            held=None,
            position=following.position,
            steps_sent=steps_sent,
            due=_seconds(following.due_at),
            is_scheduled=following.next_send_at is not None and not row.is_paused,
            reply_until=_seconds(following.reply_until),
            last_sent=seconds(sent.at),
        ),
    )
    return rows if sent.ends_as is None else ended(rows, index, sent.ends_as)


def _step_back(rows: Rows, index: int, waits: Enrollment, step: int) -> Rows:
    row = rows.enrollments[index]
    back = waits._replace(
        position=min(row.position, step),
        due=0,
        reply_until=None,
        last_sent=_last_sent(rows, index),
        is_probing=row.is_probing,
    )
    return rows.with_enrollment(index, _if_active(row, back))


def _waits(
    row: Enrollment,
    phase: EnrollmentPhase = EnrollmentPhase.WAITING,
    reason: HeldReason | None = None,
) -> Enrollment:
    """Return the row as it waits, for a moment unless it says otherwise."""
    is_scheduled = phase is EnrollmentPhase.WAITING
    return row._replace(phase=phase, held=reason, is_scheduled=is_scheduled, is_probing=False)


def paused(row: Enrollment) -> Enrollment:
    """Return the row of an active enrollment once it is paused; as ``pauses.PAUSE``."""
    is_sending = row.phase is EnrollmentPhase.SENDING
    stays = is_sending or row.held in BY_PERSON
    return row._replace(
        is_paused=True,
        phase=row.phase if stays else EnrollmentPhase.PAUSED,
        held=row.held if stays else None,
        is_scheduled=is_sending and row.is_scheduled,
        is_probing=False,
    )


def _if_active(row: Enrollment, then: Enrollment) -> Enrollment:
    """Return a row as a statement leaves it that changes active ones only."""
    return row if row.status.is_final else then


def ended(rows: Rows, index: int, status: EnrollmentStatus) -> Rows:
    """Give an active enrollment its final status."""
    row = rows.enrollments[index]
    if row.status.is_final:
        return rows
    if status is EnrollmentStatus.FINISHED_STOPPED and row.is_for_reply:
        status = EnrollmentStatus.FINISHED_RESPONDED
    if status is EnrollmentStatus.OPTED_OUT and not rows.is_sent(index):
        status = EnrollmentStatus.OMITTED_OPTED_OUT
    if status is EnrollmentStatus.OMITTED_LANDLINE and any(
        one.word in DELIVERIES or (one.is_sent and one.wrote_since)
        for one in rows.of_enrollment(index)
    ):
        status = EnrollmentStatus.FAILED
    over = Enrollment(status, None, position=row.position, due=None, is_scheduled=False)
    first = rows.text_of(index, 1)
    for of in range(first, first + rows.steps):
        rows = rows.with_text(of, Text(attempts=rows.texts[of].attempts))
    return rows.with_enrollment(index, over)


def opted_out(rows: Rows) -> Rows:
    """Suppress the number and end all its enrollments."""
    for index in range(len(rows.enrollments)):
        rows = ended(rows, index, EnrollmentStatus.OPTED_OUT)
    return Rows(rows.enrollments, rows.texts, rows.sender, is_suppressed=True)


def _recounted(rows: Rows, index: int) -> Rows:
    sent = [
        step
        for step, text in enumerate(rows.texts_of(index), start=1)
        if any(one.is_sent for one in text.attempts)
    ]
    row = rows.enrollments[index]
    return rows.with_enrollment(index, row._replace(steps_sent=max(sent, default=0)))


def _is_taken(text: Text) -> bool:
    """Whether a text has an attempt that was accepted, or assumed so, and did not fail."""
    return any(one.outcome in _ACCEPTED and not one.is_failed for one in text.attempts)


def _last_sent(rows: Rows, index: int) -> int | None:
    taken = filter(_is_taken, rows.texts_of(index))
    return max((one.sent for one in taken if one.sent is not None), default=None)


def _next_step(rows: Rows, index: int) -> NextStep:
    """Find the first later step without an accepted text; as ``storage.enrollments.next_step``."""
    enrollment, step = rows.step_of(index)
    reached = rows.enrollments[enrollment].steps_sent
    position = next(
        (
            later
            for later, text in enumerate(rows.texts_of(enrollment), start=1)
            if later > step and (later > reached or not _is_taken(text))
        ),
        rows.steps + 1,
    )
    return NextStep(
        position=position,
        delay_seconds=DELAY,
        at_time=None,
        send_at=None,
        phone=PHONE,
        time_zone="UTC",
        country=None,
        state=None,
        postal_code=None,
        hours=ANY_TIME,
        reply_window_seconds=DELAY,
    )


def _canary(rows: Rows) -> Attempt | None:
    """Return the latest accepted text that is old enough for every list to show it."""
    latest = [text.attempts[-1] for text in rows.texts if text.attempts]
    known = [
        one
        for one in latest
        if one.outcome is AttemptOutcome.ACCEPTED
        and one.sid is not None
        and one.answered is not None
        and one.answered <= CANARY_FROM
    ]
    return max(known, key=lambda one: (one.started, one.is_intact), default=None)


def _evidence(rows: Rows, index: int, news: News) -> interpreting.Evidence:
    match news:
        case None:
            return ListEvidence(None)
        case Reported(word, code):
            return StatusReport(_sid(index), word, code, _uuid(index), None)
        case Listed():
            return _list_evidence(rows, index, news)
        case Accepted():
            return replace(news, sid=_sid(index))
        case _:
            return news


def _list_evidence(rows: Rows, index: int, listed: Listed) -> ListEvidence:
    texts = tuple(
        ListedMessage(
            _sid(one),
            _body(rows, one) if rows.attempt(one).is_intact else "",
            MessageStatus.SENT,
            # The provider's clock may be a minute slow.
            moment((rows.attempt(one).handed or 0) - MINUTE),
        )
        for one in listed.shown
    )
    others = [(at, one) for at, one in rows.attempts() if at != index]
    return ListEvidence(
        Listing(moment(listed.asked), texts, listed.canary, _SENDER),
        frozenset(_sid(one.sid) for _, one in others if one.sid in listed.shown),
        tuple(
            Rival(_body(rows, at), moment(one.started))
            for at, one in others
            if not one.outcome.is_known or _is_assumed_sent(one, rows.attempt(index).started)
        ),
    )


def _is_assumed_sent(other: Attempt, started: int) -> bool:
    """Whether another attempt is assumed sent whose call may have been made since."""
    is_sent = other.outcome is AttemptOutcome.ASSUMED_SENT and other.sid is None
    return is_sent and other.started + 3 * MINUTE >= started


def are_unique(rows: Rows) -> bool:
    """Whether no text has two live attempts: what ``uq_attempts_live`` guards."""
    return all(map(is_unique, rows.texts))


def is_unique(text: Text) -> bool:
    """Whether a text has no two live attempts."""
    return len(text.attempts) < 2 or sum(one.is_live for one in text.attempts) < 2


def _have_own_sids(rows: Rows) -> bool:
    sids = [one.sid for _, one in rows.attempts() if one.sid is not None]
    return len(set(sids)) == len(sids)


@cache
def _uuid(number: int) -> UUID:
    return UUID(int=number)


def _sid(attempt: int) -> str:
    return f"SM{attempt}"


def _body(rows: Rows, attempt: int) -> str:
    """Return the words of a step: of two enrollments they are the same."""
    return f"Step {rows.step_of(attempt)[1]}"


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else seconds(at)


def a_list_later(listed: Listed) -> Listed:
    """Return a list that somebody holds as it is a minute later."""
    return listed._replace(asked=max(listed.asked - MINUTE, LONG_AGO))
