"""The promise holds in every state that can be reached, and each guard is there for a reason.

The promise: docs/design.md, "Never twice, never after".
"""

import re
from functools import cache
from pathlib import Path

import pytest

from domain.messaging import deciding
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome
from tests.model import promise
from tests.model.guards import GUARDS, Guard
from tests.model.rows import NOW
from tests.model.search import Found, search
from tests.model.worlds import SHORT, World


@cache
def searched(world: World) -> Found:
    return search(world)


@pytest.mark.parametrize("world", SHORT, ids=[world.name for world in SHORT])
def test_promise_holds_in_every_state(world: World) -> None:
    found = searched(world)
    assert found.story == []
    assert found.is_whole is (world.farthest is None)


def test_search_reaches_every_status_and_outcome() -> None:
    reached = {name for world in SHORT for name in searched(world).reached}
    landline = {EnrollmentStatus.OMITTED_LANDLINE}  # nothing reports one
    assert reached == (set(EnrollmentStatus) - landline) | set(AttemptOutcome)


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])
def test_promise_is_broken_without_guard(guard: Guard) -> None:
    with guard.taken_out():
        found = search(guard.world)
    assert found.breach == guard.breach
    assert found.story[-1] == guard.breach


def test_enrollment_that_never_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "_not_yet", lambda *_: deciding.Later(NOW, "inbound"))
    found = search(World("nothing goes", acts=()))
    assert found.breach == promise.STUCK


def test_story_is_dated_and_ends_with_the_breach() -> None:
    (guard,) = (one for one in GUARDS if one.name == "deadline")
    with guard.taken_out():
        assert search(guard.world).story == [
            "minute 0: a worker commits an attempt at step 1 of enrollment 1",
            "minute 0: a person finishes enrollment 1",
            "minute 2: the finish of enrollment 1 is answered",
            "minute 2: the provider takes attempt 1 at step 1 of enrollment 1",
            promise.AFTER_FINISH,
        ]


def test_document_tells_what_each_guard_is_for() -> None:
    document = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    table = document.partition("### Without its guards\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`: (.+) \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(guard.name, guard.about, guard.breach) for guard in GUARDS]
