"""Never twice, never after: in a storm, at chosen points, and broken on purpose."""

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

from tests.chaos.evidence import Deed, DeedKind, collect
from tests.chaos.judge import Rule, judge
from tests.chaos.points import Act, Point, Strike
from tests.chaos.report import table
from tests.chaos.run import Plan, run_on
from tests.chaos.sabotage import Sabotage
from tests.chaos.stack import CHAOS_TIMINGS, Site, site
from tests.chaos.storm import is_up
from tests.e2e.people import Desk, Person, Story, eventually
from tests.e2e.stack import Process

SEED = 20261125
ENROLLMENTS = 40
CALL_BEFORE = CHAOS_TIMINGS["CALL_BEFORE_SECONDS"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as place:
        yield place


@pytest.fixture(scope="module")
def only_desk(place: Site) -> Iterator[Desk]:
    desk = Desk(place.stack)
    yield desk
    desk.close()


@pytest.fixture
def desk(place: Site, only_desk: Desk) -> Iterator[Desk]:
    """To work with, in a calm; nobody of an earlier test comes by where a fault waits."""
    yield only_desk
    only_desk.behave(callbacks="on", fail_next_creates=None, habit=None)
    place.stack.faults.disarm()
    with psycopg.connect(place.database_url) as connection:
        active = connection.execute("SELECT id FROM enrollments WHERE status = 'active'").fetchall()
    if active:
        only_desk.batch("mark-finished", *(str(row[0]) for row in active))


@pytest.fixture
def honest(place: Site) -> Process:
    """The worker as it is, running."""
    if place.stack.worker.pid is None or not is_up(place.stack.worker):
        place.stack.worker.start()
    return place.stack.worker


def test_a_short_storm(place: Site, desk: Desk, honest: Process) -> None:
    """The whole promise in short: ``python -m tests.chaos`` is the long one."""
    outcome = run_on(place, desk, Plan(ENROLLMENTS, SEED, seconds=8, rest=120, short=True))
    assert not outcome.violations, table(outcome)
    assert sum(outcome.struck.values()) > len(Point) / 2
    assert len(outcome.evidence.enrollments) == ENROLLMENTS


# At chosen points


def struck(place: Site, point: Point, act: Act) -> Strike:
    """Wait until an armed fault has happened; answers the newest like it."""

    def newest() -> Strike | None:
        alike = [one for one in place.stack.faults.struck() if (one.point, one.act) == (point, act)]
        return alike[-1] if alike and not place.stack.faults.waiting() else None

    return eventually(newest)


def outcomes(place: Site, story: Story) -> list[str]:
    """The outcomes of an enrollment's attempts, in order."""
    with psycopg.connect(place.database_url) as connection:
        rows = connection.execute(
            "SELECT a.outcome FROM attempts a JOIN messages m ON m.id = a.message_id"
            " WHERE m.enrollment_id = %s ORDER BY m.step, a.number",
            [story.enrollment_id],
        )
        return [row[0] for row in rows]


@pytest.mark.parametrize("point", [Point.OPEN_COMMITTED, Point.CALL_UNSENT])
def test_a_worker_frozen_between_commit_and_call_sends_nothing(
    place: Site, desk: Desk, honest: Process, point: Point
) -> None:
    """Woken a minute later; here ``call_before`` is 2 s, and the minute 3 s.

    The sequence is paused meanwhile, so nothing is tried again until it is resumed.
    """
    place.stack.faults.arm(point, Act.FREEZE)
    story = desk.start("", "Are you there?", reply_window=60)
    frozen = struck(place, point, Act.FREEZE)
    desk.post(f"/api/sequences/{story.sequence_id}/pause")
    time.sleep(CALL_BEFORE + 1)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(
        lambda: outcomes(place, story) == ["absent"],
        otherwise=lambda: (outcomes(place, story), desk.enrollment(story.enrollment_id)),
    )
    desk.wait_for_activity(story.enrollment_id, "paused")
    assert desk.calls_to(story.person) == 0
    desk.post(f"/api/sequences/{story.sequence_id}/resume")
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    # A busy machine may let the next attempt's 2 s pass as well: that one sends nothing either.
    *in_vain, last = outcomes(place, story)
    assert (set(in_vain), last) == ({"absent"}, "accepted")
    assert desk.calls_to(story.person) == 1


def frozen_before_its_row(place: Site, desk: Desk) -> list[str]:
    """A send waits for longer than it may take to begin; answers the attempts it took."""
    place.stack.faults.arm(Point.OPEN_LOCKED, Act.FREEZE)
    story = desk.start("", "Better late than twice", reply_window=60)
    frozen = struck(place, Point.OPEN_LOCKED, Act.FREEZE)
    time.sleep(CALL_BEFORE + 1)
    os.kill(frozen.pid, signal.SIGCONT)
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return outcomes(place, story)


def test_a_send_that_is_late_before_its_row_writes_none(
    place: Site, desk: Desk, honest: Process
) -> None:
    """A crowd that waits for connections or locks must not write rows that nobody calls for."""
    assert frozen_before_its_row(place, desk) == ["accepted"]


def test_late_rows_are_noticed(place: Site, desk: Desk) -> None:
    with place.stack.sabotaged(Sabotage.LATE_ROWS):
        assert frozen_before_its_row(place, desk)[0] == "absent"


# Broken on purpose, and the same done to the worker as it is

Play = Callable[[Site, Desk, Process], tuple[Person, list[Deed]]]


def killed_before_it_recorded(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """Twilio has accepted, our row does not say so, and the worker is gone."""
    place.stack.faults.arm(Point.ANSWER_ENTERED, Act.KILL)
    story = desk.start("", "Just once, please", reply_window=60)
    struck(place, Point.ANSWER_ENTERED, Act.KILL)
    eventually(lambda: not is_up(worker))
    worker.stop()
    worker.start()
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return story.person, []


def accepted_but_never_answered(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """Twilio has accepted and hangs, and its reports are lost."""
    desk.behave(callbacks="off", fail_next_creates={"kind": "hang", "creates": True})
    story = desk.start("", "Once is enough", reply_window=60)
    desk.wait_for_activity(story.enrollment_id, "awaiting_reply")
    return story.person, []


def stopped_after_it_was_read(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """A STOP comes when everything is read and the attempt's row not yet written."""
    place.stack.faults.arm(Point.OPEN_LOCKED, Act.FREEZE)
    story = desk.start("", "Never after a STOP", reply_window=60)
    frozen = struck(place, Point.OPEN_LOCKED, Act.FREEZE)
    deed = Deed(DeedKind.STOP, story.person.phone, None, datetime.now(UTC))
    if desk.answer(story.person, "STOP", story.line) == 200:
        deed.answered_at = datetime.now(UTC)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: desk.row(story.enrollment_id)["status"] != "active")
    with contextlib.suppress(AssertionError):  # one that was late by then, or obeys, writes none
        eventually(lambda: outcomes(place, story), seconds=5)
    return story.person, [deed]


def accepted_and_shown_to_nobody(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """As before, and the account redacts what it shows: its list finds no such text."""
    lost = {"kind": "hang", "creates": True}
    desk.behave(callbacks="off", fail_next_creates=lost, habit="redaction")
    story = desk.start("", "Redacted, and once", reply_window=60)
    eventually(
        lambda: desk.row(story.enrollment_id)["activity"] in {"held", "awaiting_reply"},
        otherwise=lambda: (outcomes(place, story), desk.enrollment(story.enrollment_id)),
    )
    return story.person, []


def suspended_until_it_was_finished(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """The machine sleeps between commit and call until a finish was answered."""
    place.stack.faults.arm(Point.OPEN_COMMITTED, Act.FREEZE)
    story = desk.start("", "Not after I was finished", reply_window=60)
    frozen = struck(place, Point.OPEN_COMMITTED, Act.FREEZE)
    enrollment_id = UUID(story.enrollment_id)
    deed = Deed(DeedKind.FINISH, story.person.phone, enrollment_id, datetime.now(UTC))
    desk.batch("mark-finished", story.enrollment_id)
    deed.answered_at, deed.newest = datetime.now(UTC), 0  # nothing was handed over yet
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: outcomes(place, story) != ["open"])
    return story.person, [deed]


def stopped_while_a_one_off_waits(
    place: Site, desk: Desk, worker: Process
) -> tuple[Person, list[Deed]]:
    """A STOP is applied while a one-off text waits for the number to decide about it.

    The number is held from outside until both wait for it, the STOP first.
    """
    story = desk.start("", "Anything else?", reply_window=1)
    desk.wait_for_status(story.enrollment_id, "finished_no_response")
    place.stack.faults.arm(Point.OPEN_ENTERED, Act.FREEZE)
    desk.batch("send-message", story.enrollment_id, body="One more thing")
    frozen = struck(place, Point.OPEN_ENTERED, Act.FREEZE)
    deed = Deed(DeedKind.STOP, story.person.phone, None, datetime.now(UTC))
    with (
        psycopg.connect(place.database_url) as holding,
        psycopg.connect(place.database_url, autocommit=True) as looking,
        ThreadPoolExecutor(1) as handset,
    ):

        def waiting(count: int) -> bool:
            [found] = looking.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ).fetchall()
            return found == (count,)

        lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
        holding.execute(lock, [story.person.phone])
        answer = handset.submit(desk.answer, story.person, "STOP", story.line)
        eventually(lambda: waiting(1))
        os.kill(frozen.pid, signal.SIGCONT)
        eventually(lambda: waiting(2))
        holding.commit()
        if answer.result() == 200:
            deed.answered_at = datetime.now(UTC)

        def decided() -> bool:
            [(status,)] = looking.execute(
                "SELECT status FROM messages WHERE enrollment_id = %s AND step IS NULL"
                " AND direction = 'outbound'",
                [story.enrollment_id],
            ).fetchall()
            return bool(status != "pending")

        eventually(decided)
    return story.person, [deed]


PLAYS: list[tuple[Sabotage, Play, Rule]] = [
    (Sabotage.ROW_AFTER_CALL, killed_before_it_recorded, Rule.TWICE),
    (Sabotage.NO_PROOF, accepted_but_never_answered, Rule.TWICE),
    (Sabotage.NO_LOCKS, stopped_after_it_was_read, Rule.LATE_ATTEMPT),
    (Sabotage.EXACT_BODY, accepted_and_shown_to_nobody, Rule.TWICE),
    (Sabotage.MONOTONIC_CLOCK, suspended_until_it_was_finished, Rule.LATE_TEXT),
    (Sabotage.ASSUMED_ISOLATION, stopped_while_a_one_off_waits, Rule.LATE_ATTEMPT),
]


def found(place: Site, person: Person, deeds: list[Deed]) -> set[Rule]:
    """What the judge says about one contact, who may still be in the middle of it."""
    evidence = asyncio.run(collect(place, deeds))
    return {
        violation.rule
        for violation in judge(evidence)
        if person.phone in violation.about and violation.rule is not Rule.NOT_FINAL
    }


@pytest.mark.parametrize("play", [play for _, play, _ in PLAYS])
def test_the_protocol_holds(place: Site, desk: Desk, honest: Process, play: Play) -> None:
    """The real worker survives what the sabotaged one is caught at."""
    assert found(place, *play(place, desk, honest)) == set()


@pytest.mark.parametrize(("sabotage", "play", "rule"), PLAYS)
def test_sabotage_is_caught(
    place: Site, desk: Desk, sabotage: Sabotage, play: Play, rule: Rule
) -> None:
    """A check that cannot fail proves nothing."""
    with place.stack.sabotaged(sabotage) as worker:
        assert rule in found(place, *play(place, desk, worker))
