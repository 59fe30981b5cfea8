"""Delays after wrong passwords: they slow guessers down and lock no user out."""

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


class SignIns:
    """Sign in as Kim, under rules that few wrong tries reach."""

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
        """Try to sign in; return whether the password was right, or how long to wait."""
        try:
            await self.sessions.sign_in(email, password, address=address, device_cookie=device)
        except TooManyRequestsError as error:
            return error.retry_after
        except SignInRefusedError:
            return False
        return True

    async def waits(self, password: str, address: str, *, email: str = EMAIL) -> list[int]:
        """Try until allowed, waiting as told; return the waits in minutes, rounded up."""
        waited: list[int] = []
        while isinstance(wait := await self.try_it(password, address, email=email), timedelta):
            waited.append(math.ceil(wait / timedelta(minutes=1)))
            assert len(waited) < 10
            await self.kit.pass_time(wait)
        return waited

    async def guess(self, tries: int, address: str = STRANGERS, *, email: str = EMAIL) -> list[int]:
        """Guess wrong this many times, waiting as told; return the waits in minutes."""
        return [
            wait for _ in range(tries) for wait in await self.waits(WRONG, address, email=email)
        ]


@pytest.fixture
async def sign_ins(kit: SendingKit, monkeypatch: pytest.MonkeyPatch) -> SignIns:
    monkeypatch.setattr("domain.access.limits._FIRST_WAIT", FIRST)
    await kit.services.users.create(email=EMAIL, role=Role.MEMBER, password=PASSWORD)
    return SignIns(kit)


async def test_delays_grow_and_are_bounded(sign_ins: SignIns) -> None:
    assert await sign_ins.guess(10) == [1, 2, 4, 8, 16, 20, 20, 20]


async def test_unknown_address_is_delayed_alike(sign_ins: SignIns) -> None:
    known = [await sign_ins.try_it(WRONG) for _ in range(2)]
    unknown = [
        await sign_ins.try_it(WRONG, TRAVELING, email="nobody@clinic.example") for _ in range(2)
    ]
    assert known == unknown == [False, False]
    for address, email in ((STRANGERS, EMAIL), (TRAVELING, "nobody@clinic.example")):
        wait = await sign_ins.try_it(WRONG, address, email=email)
        assert isinstance(wait, timedelta)
        assert timedelta() < wait <= FIRST


async def test_strangers_do_not_slow_down_another_network(sign_ins: SignIns) -> None:
    await sign_ins.guess(5)

    assert await sign_ins.try_it(PASSWORD, OWN) is True


async def test_wrong_tries_in_the_same_network_delay_by_a_bounded_wait(
    sign_ins: SignIns,
) -> None:
    await sign_ins.guess(12, OWN)
    for number in range(12):
        await sign_ins.guess(1, OWN, email=f"made-up-{number}@clinic.example")

    assert await sign_ins.waits(PASSWORD, OWN) == [20]


async def test_wrong_tries_everywhere_delay_a_new_network_once(sign_ins: SignIns) -> None:
    """The wait belongs to the network: tries by others do not make it longer."""
    for number in range(20):
        await sign_ins.guess(1, f"192.0.2.{number}")
    wait = await sign_ins.try_it(PASSWORD, OWN)
    assert isinstance(wait, timedelta)
    assert timedelta() < wait <= MOST

    for number in range(20, 40):
        await sign_ins.guess(1, f"192.0.2.{number}")
    await sign_ins.kit.pass_time(wait)

    assert await sign_ins.try_it(PASSWORD, OWN) is True


async def test_wrong_tries_elsewhere_never_delay_a_known_device(sign_ins: SignIns) -> None:
    signed_in = await sign_ins.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    for number in range(20):
        await sign_ins.guess(1, f"192.0.2.{number}")
    await sign_ins.guess(6, OWN)
    assert isinstance(await sign_ins.try_it(PASSWORD, OWN), timedelta)

    for address in (OWN, STRANGERS, TRAVELING, None):
        assert await sign_ins.try_it(PASSWORD, address, device=signed_in.device_cookie) is True


async def test_known_device_is_delayed_by_its_own_wrong_tries(sign_ins: SignIns) -> None:
    device = (await sign_ins.sessions.sign_in(EMAIL, PASSWORD, address=OWN)).device_cookie

    tried = [await sign_ins.try_it(WRONG, OWN, device=device) for _ in range(2)]
    wait = await sign_ins.try_it(PASSWORD, TRAVELING, device=device)

    assert tried == [False, False]
    assert isinstance(wait, timedelta)
    assert await sign_ins.try_it(PASSWORD, OWN) is True, "other devices are not delayed"


async def test_device_is_known_only_for_users_who_signed_in_there(sign_ins: SignIns) -> None:
    await sign_ins.kit.services.users.create(
        email="lou@clinic.example", role=Role.MEMBER, password=PASSWORD
    )
    lou = await sign_ins.sessions.sign_in("lou@clinic.example", PASSWORD, address=STRANGERS)
    tried = [await sign_ins.try_it(WRONG, device=lou.device_cookie) for _ in range(2)]

    assert tried == [False, False]
    assert isinstance(await sign_ins.try_it(WRONG, device=lou.device_cookie), timedelta)


async def test_shared_device_is_known_for_each_of_its_users(sign_ins: SignIns) -> None:
    await sign_ins.kit.services.users.create(
        email="lou@clinic.example", role=Role.MEMBER, password=PASSWORD
    )
    kim = await sign_ins.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    both = await sign_ins.sessions.sign_in(
        "lou@clinic.example", PASSWORD, address=OWN, device_cookie=kim.device_cookie
    )
    await sign_ins.guess(4, OWN)
    await sign_ins.guess(4, OWN, email="lou@clinic.example")

    for email in (EMAIL, "lou@clinic.example"):
        assert await sign_ins.try_it(PASSWORD, OWN, email=email, device=both.device_cookie) is True


async def test_user_of_a_shared_device_cannot_guess_faster(sign_ins: SignIns) -> None:
    """Signing in to one's own account does not reset wrong tries at another."""
    lou = "lou@clinic.example"
    await sign_ins.kit.services.users.create(email=lou, role=Role.MEMBER, password=PASSWORD)
    kim = await sign_ins.sessions.sign_in(EMAIL, PASSWORD, address=OWN)
    both = await sign_ins.sessions.sign_in(
        lou, PASSWORD, address=OWN, device_cookie=kim.device_cookie
    )

    tried = []
    for _ in range(3):
        tried.append(await sign_ins.try_it(WRONG, OWN, device=both.device_cookie))
        assert await sign_ins.try_it(PASSWORD, OWN, email=lou, device=both.device_cookie) is True

    assert tried[:2] == [False, False]
    assert isinstance(tried[2], timedelta)


async def test_another_spelling_of_an_address_shares_its_count(sign_ins: SignIns) -> None:
    """PostgreSQL lowers the Turkish capital to an ``i``, Python to two characters."""
    await sign_ins.guess(2)

    assert isinstance(await sign_ins.try_it(PASSWORD, email="k\u0130m@clinic.example"), timedelta)


async def test_refused_try_writes_nothing(sign_ins: SignIns) -> None:
    """However many made-up addresses are tried, the table grows only as the delays allow."""
    for number in range(4):
        await sign_ins.guess(1, email=f"made-up-{number}@clinic.example")
    before = await _rows(sign_ins)

    for number in range(4, 12):
        tried = await sign_ins.try_it(WRONG, email=f"made-up-{number}@clinic.example")
        assert isinstance(tried, timedelta)

    assert await _rows(sign_ins) == before


async def _rows(sign_ins: SignIns) -> int:
    async with sign_ins.kit.world.database.transaction() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM wrong_tries"))).scalar_one())


@pytest.mark.parametrize(
    "made_up", ["", "nonsense", "x" * 5000, "eyJpZCI6IngifQ.aSo.abc", "ünïcode"]
)
async def test_made_up_device_is_unknown(made_up: str, sign_ins: SignIns) -> None:
    other = Devices("another secret").write(None, sign_ins.kit.world.user_id)
    for cookie in (made_up, other):
        assert Devices(sign_ins.rules.secret).read(cookie) is None
        assert await sign_ins.try_it(PASSWORD, OWN, device=cookie) is True


def test_a_device_is_forgotten_after_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices("a secret of tests")
    cookie = devices.write(None, UUID(int=1))
    assert devices.read(cookie) is not None

    later = int(time.time() + DEVICE_KEPT.total_seconds()) + 60
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _: later)

    assert devices.read(cookie) is None


async def test_counts_restart_after_the_window(sign_ins: SignIns) -> None:
    """A few wrong tries a day by a whole office never add up."""
    for _ in range(12):
        assert await sign_ins.guess(1, OWN) == []
        assert await sign_ins.try_it(PASSWORD, OWN) is True
        assert await sign_ins.guess(1, OWN, email="made-up@clinic.example") == []
        await sign_ins.kit.pass_time(sign_ins.rules.sign_in_window / 2)
        assert await sign_ins.try_it(PASSWORD, OWN) is True
        await sign_ins.kit.pass_time(sign_ins.rules.sign_in_window / 2 + timedelta(seconds=1))


async def test_right_passwords_are_not_counted(sign_ins: SignIns) -> None:
    """A whole office signs in from one address in the morning."""
    for _ in range(12):
        assert await sign_ins.try_it(PASSWORD, OWN) is True
    assert await sign_ins.try_it(WRONG, OWN) is False
    assert await sign_ins.try_it(PASSWORD, OWN) is True


async def test_right_password_does_not_reset_others_wrong_tries(sign_ins: SignIns) -> None:
    for number in range(5):
        await sign_ins.guess(1, email=f"made-up-{number}@clinic.example")
    await sign_ins.waits(PASSWORD, STRANGERS)

    assert isinstance(await sign_ins.try_it(WRONG, email="another@clinic.example"), timedelta)


async def test_concurrent_tries_count_like_sequential_ones(sign_ins: SignIns) -> None:
    tried = await asyncio.gather(*(sign_ins.try_it(WRONG) for _ in range(12)))

    assert sum(one is False for one in tried) == 2
    assert sum(isinstance(one, timedelta) for one in tried) == 10


async def test_refused_try_hashes_nothing(
    sign_ins: SignIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_ins.guess(3)

    async def matches(*_: object) -> bool:
        raise AssertionError("a password was checked")

    monkeypatch.setattr(Passwords, "matches", matches)

    assert isinstance(await sign_ins.try_it(PASSWORD), timedelta)


def test_default_waits_are_seconds() -> None:
    rules = AccessRules()
    waits = [rules.delay(wrong, 10).total_seconds() for wrong in (0, 9, 10, 11, 14, 15, 10**6)]

    assert waits == [0, 0, 1, 2, 16, 30, 30]
