"""New passwords: which are refused, and with which reason."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.platform.errors import InvalidFieldError
from services.access import password_strength
from services.access.password_strength import require_strong
from services.access.passwords import Passwords

PERSONAL = ("kim.lee@clinic.example", "Kimberley Lee", "segue")


def refusal(password: str) -> str:
    with pytest.raises(InvalidFieldError) as found:
        require_strong(password, field="password", personal=PERSONAL)
    assert found.value.field_code == "invalid_password"
    assert "use several unrelated words" in found.value.reason
    return found.value.reason


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaa",
        "passwordpassword",
        "PasswordPASSWORD",
        "sunshine sunshine",
        "monkey-monkey-monkey",
        "------------",
        "kX9#mQ2$kX9#mQ2$",
    ],
)
def test_one_letter_or_word_repeated_is_refused(password: str) -> None:
    assert refusal(password).startswith("repeats one letter or word")


@pytest.mark.parametrize(
    "password",
    [
        "kim.lee@clinic.example",
        "KIM.LEE@clinic.example1",
        "kim-lee-clinic-2026",
        "Kimberley12345",
        "Segue2026Segue",
        "clinic-segue-kim",
        "cl1n1c$3gu3!!",
        "eel.mik@cinilc",
    ],
)
def test_own_name_address_or_workspace_is_refused(password: str) -> None:
    assert refusal(password).startswith("is too close to the user's name")


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@ssw0rd1234",
        "1q2w3e4r5t6y",
        "qwertyuiop12",
        "iloveyou1234",
        "123456789012",
        "abcdefghijkl",
        "Summer2026!!",
        "drowssap4321",
        "00000000001\n",
    ],
)
def test_a_common_or_breached_password_is_refused(password: str) -> None:
    assert refusal(password).startswith("is a common or breached password")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "kX9#mQ2$vL7p",
        "clinic-river-otter-9",  # an own word is harmless beside others
        "зелёная ворона летит",
        "a" + "kX9#mQ2$vL7p" * 3,
    ],
)
def test_unguessable_password_is_accepted(password: str) -> None:
    require_strong(password, field="password", personal=PERSONAL)


def test_only_the_beginning_of_a_long_password_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def noted(password: str, *, user_inputs: object) -> dict[str, float]:
        del user_inputs
        judged.append(password)
        return {"guesses": 1e12}

    monkeypatch.setattr(password_strength, "zxcvbn", noted)

    require_strong(f"{'4@8({[<36901!|7$5%2x' * 50}y", field="password", personal=())

    assert [len(one) for one in judged] == [24]


@given(
    st.text(alphabet="aA1!/.-0123456789 \u00e9\u0130\u1e9e\u0663\x00\n\t", min_size=12, max_size=40)
    | st.text(min_size=12, max_size=40)
)
@settings(max_examples=200, deadline=None)
def test_any_text_gets_the_same_result_each_time(password: str) -> None:
    assert is_strong(password) == is_strong(password)


def is_strong(password: str) -> bool:
    try:
        require_strong(password, field="password", personal=PERSONAL)
    except InvalidFieldError:
        return False
    return True


async def test_concurrent_checks_use_each_owners_own_words() -> None:
    passwords = Passwords()

    async def is_taken(number: int) -> bool:
        owner = f"quokka{number}"
        try:
            await passwords.hash(f"{owner}-{owner}x", personal=[owner])
        except InvalidFieldError:
            return False
        return True

    assert not any(await asyncio.gather(*map(is_taken, range(8))))


async def test_words_of_the_workspace_add_no_strength() -> None:
    await Passwords().hash("acme-staffing-desk", personal=())

    with pytest.raises(InvalidFieldError, match="workspace"):
        await Passwords(["acme", "staffing"]).hash("acme-staffing-desk", personal=())
