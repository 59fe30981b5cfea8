"""The promise holds in a storm and at chosen points, and a broken protocol is caught."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from tests.chaos.evidence import ActionKind, UserAction, collect
from tests.chaos.judge import Rule, judge
from tests.chaos.points import Act, Point, Strike
from tests.chaos.report import table
from tests.chaos.run import Plan, run_on
from tests.chaos.sabotage import Sabotage
from tests.chaos.stack import CHAOS_TIMINGS, Site, start_site
from tests.chaos.storm import is_up
from tests.e2e.people import Desk, Person, Story, eventually
from tests.e2e.stack import Process

SEED = 20261125
ENROLLMENTS = 30
CALL_BEFORE = CHAOS_TIMINGS["CALL_BEFORE_SECONDS"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with start_site() as site:
        yield site


@pytest.fixture(scope="module")
def only_desk(site: Site) -> Iterator[Desk]:
    desk = Desk(site.stack)
    yield desk
    desk.close()


@pytest.fixture
def desk(site: Site, only_desk: Desk) -> Iterator[Desk]:
    """Remove the test's faults and finish its enrollments, which could meet the next faults."""
    yield only_desk
    only_desk.behave(callbacks="on", fail_next_creates=None, habit=None)
    site.stack.faults.disarm()
    with psycopg.connect(site.database_url) as connection:
        active = connection.execute("SELECT id FROM enrollments WHERE status = 'active'").fetchall()
    if active:
        only_desk.batch("mark-finished", *(str(row[0]) for row in active))


@pytest.fixture
def intact_worker(site: Site) -> Process:
    """Run the worker without sabotage."""
    if site.stack.worker.pid is None or not is_up(site.stack.worker):
        site.stack.worker.start()
    return site.stack.worker


def test_short_storm_breaks_no_rule(site: Site, desk: Desk, intact_worker: Process) -> None:
    """The short version of ``python -m tests.chaos``."""
    outcome = run_on(site, desk, Plan(ENROLLMENTS, SEED, seconds=8, rest=120, short=True))
    assert not outcome.violations, table(outcome)
    # How many faults happen in eight seconds depends on the machine.
    assert sum(outcome.struck.values()) > len(Point) / 5
    assert len(outcome.evidence.enrollments) == ENROLLMENTS


# Faults at chosen points


def struck(site: Site, point: Point, act: Act) -> Strike:
    """Wait until an armed fault has happened; return it."""

    def newest() -> Strike | None:
        if site.stack.faults.waiting():  # asked first, or an earlier worker's would be the newest
            return None
        alike = [one for one in site.stack.faults.struck() if (one.point, one.act) == (point, act)]
        return alike[-1] if alike else None

    return eventually(newest)


def outcomes(site: Site, story: Story) -> list[str]:
    """List the outcomes of an enrollment's attempts, in order."""
    with psycopg.connect(site.database_url) as connection:
        rows = connection.execute(
            "SELECT a.outcome FROM attempts a JOIN messages m ON m.id = a.message_id"
            " WHERE m.enrollment_id = %s ORDER BY m.step, a.number",
            [story.enrollment_id],
        )
        return [row[0] for row in rows]


@pytest.mark.parametrize("point", [Point.OPEN_COMMITTED, Point.CALL_UNSENT])
def test_worker_frozen_between_commit_and_call_sends_nothing(
    site: Site, desk: Desk, intact_worker: Process, point: Point
) -> None:
    """Resumed a minute later; here ``call_before`` is 2 s, and the minute 3 s.

    The sequence is paused meanwhile, so nothing is tried again until it is resumed.
    """
    site.stack.faults.arm(point, Act.FREEZE)
    story = desk.start("", "Are you there?", reply_window=60)
    frozen = struck(site, point, Act.FREEZE)
    desk.post(f"/api/sequences/{story.sequence_id}/pause")
    time.sleep(CALL_BEFORE + 1)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(
        lambda: outcomes(site, story) == ["absent"],
        otherwise=lambda: (outcomes(site, story), desk.enrollment(story.enrollment_id)),
    )
    desk.wait_for_activity(story.enrollment_id, "paused")
    assert desk.calls_to(story.person) == 0
    desk.post(f"/api/sequences/{story.sequence_id}/resume")
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    # On a busy machine the next attempt's 2 s may pass too: that one sends nothing either.
    *refused, last = outcomes(site, story)
    assert (set(refused), last) == ({"absent"}, "accepted")
    assert desk.calls_to(story.person) == 1


def frozen_before_attempt(site: Site, desk: Desk) -> list[str]:
    """Freeze a send for longer than it may take to begin; return the outcomes of its attempts."""
    site.stack.faults.arm(Point.OPEN_LOCKED, Act.FREEZE)
    story = desk.start("", "Better late than twice", reply_window=60)
    frozen = struck(site, Point.OPEN_LOCKED, Act.FREEZE)
    time.sleep(CALL_BEFORE + 1)
    os.kill(frozen.pid, signal.SIGCONT)
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return outcomes(site, story)


def test_send_late_before_its_attempt_writes_none(
    site: Site, desk: Desk, intact_worker: Process
) -> None:
    """So sends that wait for connections or locks leave no attempts without a call."""
    assert frozen_before_attempt(site, desk) == ["accepted"]


# Scenarios that break a sabotaged worker, and not the intact one

Scenario = Callable[[Site, Desk, Process], tuple[Person, list[UserAction]]]


def killed_before_recording(
    site: Site, desk: Desk, worker: Process
) -> tuple[Person, list[UserAction]]:
    """The worker dies after Twilio accepted, before it records that."""
    site.stack.faults.arm(Point.ANSWER_ENTERED, Act.KILL)
    story = desk.start("", "Just once, please", reply_window=60)
    struck(site, Point.ANSWER_ENTERED, Act.KILL)
    eventually(lambda: not is_up(worker))
    worker.stop()
    worker.start()
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return story.person, []


def accepted_without_answer(
    site: Site, desk: Desk, worker: Process
) -> tuple[Person, list[UserAction]]:
    """Twilio accepts and hangs, and its reports are lost."""
    desk.behave(callbacks="off", fail_next_creates={"kind": "hang", "creates": True})
    story = desk.start("", "Once is enough", reply_window=60)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return story.person, []


def stop_after_reading(site: Site, desk: Desk, worker: Process) -> tuple[Person, list[UserAction]]:
    """A STOP arrives after all was read, before the attempt's row is written."""
    site.stack.faults.arm(Point.OPEN_LOCKED, Act.FREEZE)
    story = desk.start("", "Never after a STOP", reply_window=60)
    frozen = struck(site, Point.OPEN_LOCKED, Act.FREEZE)
    action = UserAction(ActionKind.STOP, story.person.phone, None, datetime.now(UTC))
    if desk.answer(story.person, "STOP", story.line) == 200:
        action.answered_at = datetime.now(UTC)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: desk.row(story.enrollment_id)["status"] != "active")
    with contextlib.suppress(AssertionError):  # a late or suppressed send writes none
        eventually(lambda: outcomes(site, story), seconds=5)
    return story.person, [action]


def accepted_and_redacted(
    site: Site, desk: Desk, worker: Process
) -> tuple[Person, list[UserAction]]:
    """Twilio accepts and hangs, and the account redacts: its list does not show the text."""
    lost = {"kind": "hang", "creates": True}
    desk.behave(callbacks="off", fail_next_creates=lost, habit="redaction")
    story = desk.start("", "Redacted, and once", reply_window=60)
    eventually(
        lambda: desk.row(story.enrollment_id)["activity"] in {"held", "awaiting_reply"},
        otherwise=lambda: (outcomes(site, story), desk.enrollment(story.enrollment_id)),
    )
    return story.person, []


def suspended_until_finished(
    site: Site, desk: Desk, worker: Process
) -> tuple[Person, list[UserAction]]:
    """The machine is suspended between commit and call until a finish was answered."""
    site.stack.faults.arm(Point.OPEN_COMMITTED, Act.FREEZE)
    story = desk.start("", "Not after I was finished", reply_window=60)
    frozen = struck(site, Point.OPEN_COMMITTED, Act.FREEZE)
    enrollment_id = UUID(story.enrollment_id)
    action = UserAction(ActionKind.FINISH, story.person.phone, enrollment_id, datetime.now(UTC))
    desk.batch("mark-finished", story.enrollment_id)
    action.answered_at, action.newest = datetime.now(UTC), 0  # nothing was sent yet
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: outcomes(site, story) != ["open"])
    return story.person, [action]


def stop_while_one_off_waits(
    site: Site, desk: Desk, worker: Process
) -> tuple[Person, list[UserAction]]:
    """A STOP is applied while a one-off text waits for the lock of the number.

    The test holds the lock until both wait for it, the STOP first.
    """
    story = desk.start("", "Anything else?", reply_window=1)
    desk.wait_for_status(story.enrollment_id, "finished_no_response")
    site.stack.faults.arm(Point.OPEN_ENTERED, Act.FREEZE)
    desk.batch("send-message", story.enrollment_id, body="One more thing")
    frozen = struck(site, Point.OPEN_ENTERED, Act.FREEZE)
    action = UserAction(ActionKind.STOP, story.person.phone, None, datetime.now(UTC))
    with (
        psycopg.connect(site.database_url) as holding,
        psycopg.connect(site.database_url, autocommit=True) as looking,
        ThreadPoolExecutor(1) as handset,
    ):

        def waiting(count: int) -> bool:
            [waiting_locks] = looking.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ).fetchall()
            return waiting_locks == (count,)

        lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
        holding.execute(lock, [story.person.phone])
        answer = handset.submit(desk.answer, story.person, "STOP", story.line)
        eventually(lambda: waiting(1))
        os.kill(frozen.pid, signal.SIGCONT)
        eventually(lambda: waiting(2))
        holding.commit()
        if answer.result() == 200:
            action.answered_at = datetime.now(UTC)

        def decided() -> bool:
            [(status,)] = looking.execute(
                "SELECT status FROM messages WHERE enrollment_id = %s AND step IS NULL"
                " AND direction = 'outbound'",
                [story.enrollment_id],
            ).fetchall()
            return bool(status != "pending")

        eventually(decided)
    return story.person, [action]


SCENARIOS: list[tuple[Sabotage, Scenario, Rule]] = [
    (Sabotage.ROW_AFTER_CALL, killed_before_recording, Rule.TWICE),
    (Sabotage.NO_EVIDENCE, accepted_without_answer, Rule.TWICE),
    (Sabotage.NO_LOCKS, stop_after_reading, Rule.LATE_ATTEMPT),
    (Sabotage.EXACT_BODY, accepted_and_redacted, Rule.TWICE),
    (Sabotage.MONOTONIC_CLOCK, suspended_until_finished, Rule.LATE_TEXT),
    (Sabotage.ASSUMED_ISOLATION, stop_while_one_off_waits, Rule.LATE_ATTEMPT),
]


def broken_rules(site: Site, person: Person, actions: list[UserAction]) -> set[Rule]:
    """Judge one contact, whose enrollment may still be active."""
    evidence = asyncio.run(collect(site, actions))
    return {
        violation.rule
        for violation in judge(evidence)
        if person.phone in violation.about and violation.rule is not Rule.NOT_FINAL
    }


@pytest.mark.parametrize("scenario", [scenario for _, scenario, _ in SCENARIOS])
def test_intact_worker_breaks_no_rule(
    site: Site, desk: Desk, intact_worker: Process, scenario: Scenario
) -> None:
    """The intact worker passes the scenarios that catch a sabotaged one."""
    assert broken_rules(site, *scenario(site, desk, intact_worker)) == set()


@pytest.mark.parametrize(("sabotage", "scenario", "rule"), SCENARIOS)
def test_sabotaged_worker_is_caught(
    site: Site, desk: Desk, sabotage: Sabotage, scenario: Scenario, rule: Rule
) -> None:
    """A check that cannot fail proves nothing."""
    with site.stack.sabotaged(sabotage) as worker:
        assert rule in broken_rules(site, *scenario(site, desk, worker))


def test_late_attempts_of_a_sabotaged_worker_are_noticed(site: Site, desk: Desk) -> None:
    with site.stack.sabotaged(Sabotage.LATE_ROWS):
        assert frozen_before_attempt(site, desk)[0] == "absent"
