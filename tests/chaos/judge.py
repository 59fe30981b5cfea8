"""Judge a run by the provider's messages, the times of commits and people's actions."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tests.chaos.evidence import ActionKind, Attempt, Enrollment, Evidence, UserAction

MAX_ATTEMPTS = 5
_NOT_SENT = frozenset({"refused", "absent"})
_REPORT_LOST = {"005", "006", "036"}
"""Numbers whose texts fail later: if the report is lost, the enrollment continues."""


class Rule(StrEnum):
    """The invariants, as the sentence that reports a violation."""

    TWICE = "a text was accepted twice"
    UNKNOWN_TEXT = "the provider has a text that no attempt answers for"
    LATE_ATTEMPT = "an attempt was committed after the end"
    LATE_TEXT = "a text was handed over after a finish was answered"
    NOT_ENDED = "a reply, STOP or finish was answered and did not hold"
    NOT_FINAL = "neither final nor held"
    WRONG_STATUS = "nothing explains the status"
    LOST_STEP = "a step of a completed sequence was not sent"
    INBOUND = "a text from a handset is not stored exactly once"
    WORKFLOW = "the workflow's result is not the row's status"


@dataclass(frozen=True)
class Violation:
    """A rule that was broken, and where."""

    rule: Rule
    about: str


def judge(evidence: Evidence) -> list[Violation]:
    """List the violations; empty if the promise was kept."""
    return [*_Judgment(evidence).violations()]


class _Judgment:
    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._attempts: dict[UUID, list[Attempt]] = defaultdict(list)
        for attempt in evidence.attempts:
            self._attempts[attempt.enrollment_id].append(attempt)

    def violations(self) -> Iterator[Violation]:
        yield from self._texts()
        yield from self._inbound()
        for enrollment in self._evidence.enrollments:
            actions = [action for action in self._evidence.actions if _is_about(action, enrollment)]
            yield from self._one(enrollment, actions)

    def _texts(self) -> Iterator[Violation]:
        known = {attempt.id for attempt in self._evidence.attempts}
        arrived: dict[tuple[str, str], int] = defaultdict(int)
        for text in self._evidence.texts:
            arrived[text.to, text.body] += not text.failed
            if text.attempt_id not in known:
                yield Violation(Rule.UNKNOWN_TEXT, f"{text.to}: {text.body}")
        for (to, body), count in arrived.items():
            if count > 1:
                yield Violation(Rule.TWICE, f"{to}: {count} times {body}")

    def _inbound(self) -> Iterator[Violation]:
        for sid in self._evidence.received:
            count = self._evidence.stored[sid]
            if count != 1:
                yield Violation(Rule.INBOUND, f"{sid}: {count} times")

    def _one(self, enrollment: Enrollment, actions: list[UserAction]) -> Iterator[Violation]:
        about = f"{enrollment.phone} {enrollment.id} {enrollment.status}"
        for action in actions:
            yield from self._after(enrollment, action, about)
        if enrollment.status == "active":
            if enrollment.held_reason is None:
                yield Violation(Rule.NOT_FINAL, about)
        elif enrollment.ended_at is None:
            yield from self._born_final(enrollment, actions, about)
        else:
            yield from self._ended(enrollment, actions, enrollment.ended_at, about)

    def _ended(
        self, enrollment: Enrollment, actions: list[UserAction], ended_at: datetime, about: str
    ) -> Iterator[Violation]:
        """Check that no attempt follows the end and that the status has a reason."""
        for attempt in self._attempts[enrollment.id]:
            if attempt.committed_at > ended_at:
                yield Violation(Rule.LATE_ATTEMPT, f"{about}: step {attempt.step}, row")
        never_needed = not enrollment.started and not self._attempts[enrollment.id]
        if enrollment.result != enrollment.status and not never_needed:
            yield Violation(Rule.WORKFLOW, f"{about}: {enrollment.result}")
        if not self._explained(enrollment, actions, ended_at):
            yield Violation(Rule.WRONG_STATUS, about)
        if enrollment.status == "finished_no_response" and enrollment.magic not in _REPORT_LOST:
            lost = set(enrollment.bodies) - self._arrived(enrollment)
            if lost:
                yield Violation(Rule.LOST_STEP, f"{about}: {sorted(lost)}")

    def _born_final(
        self, enrollment: Enrollment, actions: list[UserAction], about: str
    ) -> Iterator[Violation]:
        """Check an enrollment that began with a final status: no workflow, no text, a reason."""
        opted_out = any(action.kind is ActionKind.STOP for action in actions)
        reasons = {"omitted_opted_out": opted_out, "omitted_landline": enrollment.magic == "006"}
        if not reasons.get(enrollment.status) or self._attempts[enrollment.id]:
            yield Violation(Rule.WRONG_STATUS, about)

    def _after(self, enrollment: Enrollment, action: UserAction, about: str) -> Iterator[Violation]:
        """Check that nothing happened after the answer to an action that forbids it."""
        answered_at = action.answered_at
        is_unprompted = action.kind is ActionKind.REPLY and action.enrollment_id is None
        if answered_at is None or is_unprompted:
            return
        applied_at = self._evidence.applied_at.get(action.sid or "")
        kept = applied_at is not None and applied_at > answered_at
        ended_at = enrollment.ended_at
        still_active = enrollment.status == "active" if ended_at is None else ended_at > answered_at
        if still_active and not kept:
            yield Violation(Rule.NOT_ENDED, f"{about}: {action.kind}")
        for attempt in self._attempts[enrollment.id]:
            if attempt.committed_at > answered_at:
                yield Violation(Rule.LATE_ATTEMPT, f"{about}: step {attempt.step}, {action.kind}")
        for text in self._evidence.texts:
            if (
                action.newest is not None
                and text.number > action.newest
                and self._is_of(text.to, text.body, enrollment)
            ):
                yield Violation(Rule.LATE_TEXT, f"{about}: {text.body}")

    def _explained(
        self, enrollment: Enrollment, actions: list[UserAction], ended_at: datetime
    ) -> bool:
        """Return whether an action or answer before the end explains the status."""
        done = {action.kind for action in actions if action.asked_at < ended_at}
        match enrollment.status:
            case "finished_responded":
                return ActionKind.REPLY in done
            case "finished_stopped":
                return ActionKind.FINISH in done
            case "opted_out":
                return ActionKind.STOP in done and bool(self._attempts[enrollment.id])
            case "omitted_opted_out":
                return ActionKind.STOP in done and not self._sent(enrollment)
            case "finished_no_response":
                return True
            case "failed":
                return enrollment.magic in _REPORT_LOST or self._used_up(enrollment)
            case "omitted_landline":
                return enrollment.magic == "006"
            case _:
                return False

    def _sent(self, enrollment: Enrollment) -> list[Attempt]:
        attempts = self._attempts[enrollment.id]
        return [attempt for attempt in attempts if attempt.outcome not in _NOT_SENT]

    def _used_up(self, enrollment: Enrollment) -> bool:
        """Return whether a step used up its attempts."""
        tried: dict[int, list[str]] = defaultdict(list)
        for attempt in self._attempts[enrollment.id]:
            tried[attempt.step].append(attempt.outcome)
        return any(
            len(outcomes) >= MAX_ATTEMPTS and set(outcomes) <= _NOT_SENT
            for outcomes in tried.values()
        )

    def _arrived(self, enrollment: Enrollment) -> set[str]:
        return {
            text.body
            for text in self._evidence.texts
            if text.to == enrollment.phone and not text.failed
        }

    def _is_of(self, to: str, body: str, enrollment: Enrollment) -> bool:
        return to == enrollment.phone and body in enrollment.bodies


def _is_about(action: UserAction, enrollment: Enrollment) -> bool:
    if action.kind is ActionKind.STOP or action.enrollment_id is None:
        return action.phone == enrollment.phone
    return action.enrollment_id == enrollment.id
