"""How strangers who guess at passwords are slowed down, and that nobody else is shut out by it."""

import asyncio
import math
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access.limits import AccessRules
from domain.statuses.access import Role
from services.access.known_devices import DEVICE_KEPT, Devices
from services.access.passwords import Passwords
from services.access.sessions import Sessions, SignInRefusedError
from services.platform.rate_limits import TooManyRequestsError
from tests.kits.sending import SendingKit

EMAIL, PASSWORD = "kim@clinic.example", "correct horse battery"
WRONG = "wrong horse battery"
STRANGERS, OWN, TRAVELING = "198.51.100.7", "203.0.113.9", "192.0.2.200"
FIRST, MOST = timedelta(minutes=1), timedelta(minutes=20)
"""Waits so long that none passes while a slow machine works."""


class Door:
    """Signing in as Kim, by rules that few wrong tries reach."""

    def __init__(self, kit: SendingKit) -> None:
        self.kit = kit
        self.rules = AccessRules(
            sign_in_window=timedelta(hours=20),
            sign_in_delay_most=MOST,
            sign_ins_per_email=2,
            sign_ins_per_email_anywhere=6,
            sign_ins_per_address=4,
        )
        self.sessions = Sessions(kit.world.database, self.rules, Passwords())

    async def try_it(
        self,
        password: str,
        address: str | None = STRANGERS,
        *,
        email: str = EMAIL,
        device: str | None = None,
    ) -> timedelta | bool:
        """Try to sign in: true or false for right or wrong, or how long to wait."""
        try:
            await self.sessions.sign_in(email, password, address=address, device_cookie=device)
        except TooManyRequestsError as error:
            return error.retry_after
        except SignInRefusedError:
            return False
        return True

    async def waits(self, password: str, address: str, *, email: str = EMAIL) -> list[int]:
        """Try until it is let through, waiting as told; gives the waits in minutes, rounded up."""
        told: list[int] = []
        while isinstance(wait := await self.try_it(password, address, email=email), timedelta):
            told.append(math.ceil(wait / timedelta(minutes=1)))
            assert len(told) < 10
            await self.kit.pass_time(wait)
        return told

    async def guess(self, tries: int, address: str = STRANGERS, *, email: str = EMAIL) -> list[int]:
        """Guess wrong as often as asked, waiting as told; gives the waits in minutes."""
        return [
            wait for _ in range(tries) for wait in await self.waits(WRONG, address, email=email)
        ]


@pytest.fixture
async def door(kit: SendingKit, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr("domain.access.limits._FIRST_WAIT", FIRST)
    await kit.services.users.create(email=EMAIL, role=Role.MEMBER, password=PASSWORD)
    return Door(kit)


async def test_delays_grow_and_are_bounded(door: Door) -> None:
    assert await door.guess(10) == [1, 2, 4, 8, 16, 20, 20, 20]


async def test_an_unknown_address_is_treated_alike(door: Door) -> None:
    known = [await door.try_it(WRONG) for _ in range(2)]
    unknown = [await door.try_it(WRONG, TRAVELING, email="nobody@clinic.example") for _ in range(2)]
    assert known == unknown == [False, False]
    for address, email in ((STRANGERS, EMAIL), (TRAVELING, "nobody@clinic.example")):
        wait = await door.try_it(WRONG, address, email=email)
        assert isinstance(wait, timedelta)
        assert timedelta() < wait <= FIRST


async def test_strangers_do_not_slow_down_another_network(door: Door) -> None:
    await door.guess(5)

    assert await door.try_it(PASSWORD, OWN) is True


async def test_strangers_in_ones_own_network_delay_one_by_a_bounded_wait(
    door: Door,
) -> None:
    await door.guess(12, OWN)
    for number in range(12):
        await door.guess(1, OWN, email=f"made-up-{number}@clinic.example")

    assert await door.waits(PASSWORD, OWN) == [20]


async def test_strangers_everywhere_make_a_new_network_wait_once(door: Door) -> None:
    """The wait is the network's own: nothing that others do meanwhile makes it longer."""
    for number in range(20):
        await door.guess(1, f"192.0.2.{number}")
    told = await door.try_it(PASSWORD, OWN)
    assert isinstance(told, timedelta)
    assert timedelta() < told <= MOST

    for number in range(20, 40):
        await door.guess(1, f"192.0.2.{number}")
    await door.kit.pass_time(told)

    assert await door.try_it(PASSWORD, OWN) is True


async def test_strangers_never_slow_down_a_known_device(door: Door) -> None:
    signed_in = await door.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    for number in range(20):
        await door.guess(1, f"192.0.2.{number}")
    await door.guess(6, OWN)
    assert isinstance(await door.try_it(PASSWORD, OWN), timedelta)

    for address in (OWN, STRANGERS, TRAVELING, None):
        assert await door.try_it(PASSWORD, address, device=signed_in.device_cookie) is True


async def test_a_known_device_is_slowed_down_by_its_own_wrong_tries(door: Door) -> None:
    device = (await door.sessions.sign_in(EMAIL, PASSWORD, address=OWN)).device_cookie

    tried = [await door.try_it(WRONG, OWN, device=device) for _ in range(2)]
    wait = await door.try_it(PASSWORD, TRAVELING, device=device)

    assert tried == [False, False]
    assert isinstance(wait, timedelta)
    assert await door.try_it(PASSWORD, OWN) is True, "nobody else is"


async def test_a_known_device_is_known_for_its_own_users_only(door: Door) -> None:
    await door.kit.services.users.create(
        email="lou@clinic.example", role=Role.MEMBER, password=PASSWORD
    )
    lou = await door.sessions.sign_in("lou@clinic.example", PASSWORD, address=STRANGERS)
    tried = [await door.try_it(WRONG, device=lou.device_cookie) for _ in range(2)]

    assert tried == [False, False]
    assert isinstance(await door.try_it(WRONG, device=lou.device_cookie), timedelta)


async def test_a_device_that_several_share_is_known_for_each(door: Door) -> None:
    await door.kit.services.users.create(
        email="lou@clinic.example", role=Role.MEMBER, password=PASSWORD
    )
    kim = await door.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    both = await door.sessions.sign_in(
        "lou@clinic.example", PASSWORD, address=OWN, device_cookie=kim.device_cookie
    )
    await door.guess(4, OWN)
    await door.guess(4, OWN, email="lou@clinic.example")

    for email in (EMAIL, "lou@clinic.example"):
        assert await door.try_it(PASSWORD, OWN, email=email, device=both.device_cookie) is True


async def test_who_shares_a_device_guesses_at_others_no_faster(door: Door) -> None:
    """Signing in as oneself in between takes back none of the wrong tries for somebody else."""
    lou = "lou@clinic.example"
    await door.kit.services.users.create(email=lou, role=Role.MEMBER, password=PASSWORD)
    kim = await door.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    both = await door.sessions.sign_in(lou, PASSWORD, address=OWN, device_cookie=kim.device_cookie)

    tried = []
    for _ in range(3):
        tried.append(await door.try_it(WRONG, OWN, device=both.device_cookie))
        assert await door.try_it(PASSWORD, OWN, email=lou, device=both.device_cookie) is True

    assert tried[:2] == [False, False]
    assert isinstance(tried[2], timedelta)


async def test_another_spelling_of_an_address_is_no_fresh_start(door: Door) -> None:
    """PostgreSQL takes the Turkish capital for an ``i``, Python for two characters."""
    await door.guess(2)

    assert isinstance(await door.try_it(PASSWORD, email="k\u0130m@clinic.example"), timedelta)


async def test_what_is_refused_writes_nothing(door: Door) -> None:
    """However many made-up addresses are tried, the table grows at the pace of the delays."""
    for number in range(4):
        await door.guess(1, email=f"made-up-{number}@clinic.example")
    before = await _rows(door)

    for number in range(4, 12):
        tried = await door.try_it(WRONG, email=f"made-up-{number}@clinic.example")
        assert isinstance(tried, timedelta)

    assert await _rows(door) == before


async def _rows(door: Door) -> int:
    async with door.kit.world.database.transaction() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM wrong_tries"))).scalar_one())


@pytest.mark.parametrize(
    "made_up", ["", "nonsense", "x" * 5000, "eyJpZCI6IngifQ.aSo.abc", "ünïcode"]
)
async def test_a_made_up_device_is_none(made_up: str, door: Door) -> None:
    other = Devices("another secret").write(None, door.kit.world.user_id)
    for cookie in (made_up, other):
        assert Devices(door.rules.secret).read(cookie) is None
        assert await door.try_it(PASSWORD, OWN, device=cookie) is True


def test_a_device_is_forgotten_after_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices("a secret of tests")
    cookie = devices.write(None, UUID(int=1))
    assert devices.read(cookie) is not None

    later = int(time.time() + DEVICE_KEPT.total_seconds()) + 60
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _: later)

    assert devices.read(cookie) is None


async def test_counts_begin_anew_after_the_window(door: Door) -> None:
    """However busy: a few wrong tries a day of a whole office never add up."""
    for _ in range(12):
        assert await door.guess(1, OWN) == []
        assert await door.try_it(PASSWORD, OWN) is True
        assert await door.guess(1, OWN, email="made-up@clinic.example") == []
        await door.kit.pass_time(door.rules.sign_in_window / 2)
        assert await door.try_it(PASSWORD, OWN) is True
        await door.kit.pass_time(door.rules.sign_in_window / 2 + timedelta(seconds=1))


async def test_right_ones_are_no_wrong_ones(door: Door) -> None:
    """Everybody of an office signs in in the morning, by one address."""
    for _ in range(12):
        assert await door.try_it(PASSWORD, OWN) is True
    assert await door.try_it(WRONG, OWN) is False
    assert await door.try_it(PASSWORD, OWN) is True


async def test_a_right_one_leaves_what_others_did_from_there(door: Door) -> None:
    for number in range(5):
        await door.guess(1, email=f"made-up-{number}@clinic.example")
    await door.waits(PASSWORD, STRANGERS)

    assert isinstance(await door.try_it(WRONG, email="another@clinic.example"), timedelta)


async def test_tries_at_once_are_no_more_than_one_after_the_other(door: Door) -> None:
    tried = await asyncio.gather(*(door.try_it(WRONG) for _ in range(12)))

    assert sum(one is False for one in tried) == 2
    assert sum(isinstance(one, timedelta) for one in tried) == 10


async def test_what_is_refused_costs_no_hash(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.guess(3)

    async def matches(*_: object) -> bool:
        raise AssertionError("a password was checked")

    monkeypatch.setattr(Passwords, "matches", matches)

    assert isinstance(await door.try_it(PASSWORD), timedelta)


def test_the_waits_of_the_product_are_seconds() -> None:
    rules = AccessRules()
    waits = [rules.delay(wrong, 10).total_seconds() for wrong in (0, 9, 10, 11, 14, 15, 10**6)]

    assert waits == [0, 0, 1, 2, 16, 30, 30]
