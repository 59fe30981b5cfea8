"""How often signing in may be tried, and for whom it is locked then."""

import pytest

from domain.access import AccessRules
from domain.statuses import Role
from services.passwords import Passwords
from services.rates import TooManyRequestsError
from services.sessions import Sessions, SignInRefusedError
from tests.services.sending_kit import SendingKit

EMAIL, PASSWORD = "kim@clinic.example", "correct horse battery"
STRANGERS, OWN = "198.51.100.7", "203.0.113.9"


async def test_a_stranger_locks_the_owner_out_only_from_many_places(kit: SendingKit) -> None:
    await kit.services.users.create(email=EMAIL, role=Role.MEMBER, password=PASSWORD)
    rules = AccessRules(sign_ins_per_email=2, sign_ins_per_email_anywhere=5)
    sessions = Sessions(kit.world.database, rules, Passwords())

    for refusal in (SignInRefusedError, SignInRefusedError, TooManyRequestsError):
        with pytest.raises(refusal):
            await sessions.sign_in(EMAIL, "wrong", address=STRANGERS)
    with pytest.raises(TooManyRequestsError):
        await sessions.sign_in(EMAIL, PASSWORD, address=STRANGERS)
    assert (await sessions.sign_in(EMAIL, PASSWORD, address=OWN)).caller.user.email == EMAIL

    for last in (1, 2):
        with pytest.raises(SignInRefusedError):
            await sessions.sign_in(EMAIL, "wrong", address=f"192.0.2.{last}")
    with pytest.raises(TooManyRequestsError):
        await sessions.sign_in(EMAIL, PASSWORD, address=OWN)
