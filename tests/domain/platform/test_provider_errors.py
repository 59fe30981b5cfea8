"""Provider errors: what each code means for a text, its number and its sender."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.platform.provider_errors import (
    FILE,
    TABLE,
    Effect,
    ErrorTableError,
    ProviderError,
    Wait,
    classify_answer,
    classify_report,
    explain,
    next_probe,
    parsed,
    retry_at,
)

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

HOLD_SENDER = [
    *(20003, 21212, 21601, 21603, 21606, 21609, 21703, 21704, 21705, 21711),
    *(30002, 30032, 30033, 30034, 30035, 30037, 30454, 63038),
]
TRANSIENT = {
    20429: Wait.THROTTLED,
    14107: Wait.THROTTLED,
    21611: Wait.MINUTES_30,
    30001: Wait.MINUTES_30,
    30003: Wait.HOURS,
    30017: Wait.MINUTES_30,
    30022: Wait.SHORT,
    30023: Wait.PACIFIC_MIDNIGHT,
    30027: Wait.PACIFIC_MIDNIGHT,
    30036: Wait.NEXT_WINDOW,
    30047: Wait.MINUTES_30,
    30450: Wait.MINUTES_30,
    30610: Wait.NEXT_WINDOW,
    63017: Wait.SHORT,
    63018: Wait.SHORT,
}
FAILURES = st.sampled_from(["failed", "undelivered", "canceled"])
CODES = st.none() | st.sampled_from(sorted(TABLE)) | st.integers(0, 99_999)


def test_codes_are_unique_and_meanings_are_sentences() -> None:
    for code, row in TABLE.items():
        assert row.code == code
        for words in filter(None, (row.meaning, row.remedy)):
            assert words[0].isupper()
            assert words.endswith(".")
            assert len(words) < 100


def test_every_operator_fault_has_a_remedy() -> None:
    for row in TABLE.values():
        if row.effect in {Effect.HOLD_SENDER, Effect.HOLD_ENROLLMENT}:
            assert row.remedy, row.code


@pytest.mark.parametrize("code", [21614, 21635, 30006])
def test_landline_codes_are_landlines(code: int) -> None:
    """Row "landline (21614, 21635, 30006)"."""
    assert TABLE[code].effect is Effect.LANDLINE
    assert {row.code for row in TABLE.values() if row.effect is Effect.LANDLINE} == {
        21614,
        21635,
        30006,
    }


@pytest.mark.parametrize("code", [21211, 21612, 21617, 30004, 30005, 30007, 30640])
def test_permanent_codes_are_permanent(code: int) -> None:
    """Row "permanent error"."""
    assert TABLE[code].effect is Effect.PERMANENT


@pytest.mark.parametrize("code", [30008, 30410])
def test_text_that_may_have_arrived_is_never_sent_again(code: int) -> None:
    """Row "transient ...": 30008 and 30410 may have arrived: never sent again, failed."""
    error = classify_report("undelivered", code, toll_free_sender=False)
    assert error is not None
    assert error.effect is Effect.PERMANENT
    assert "may have arrived" in error.meaning


def test_transient_codes_have_their_waits() -> None:
    """Row "transient (429, queue full, congestion, daily cap)"."""
    rows = {row.code: row.wait for row in TABLE.values() if row.effect is Effect.TRANSIENT}
    assert rows == TRANSIENT


def test_sender_faults_hold_the_sender() -> None:
    """Row "operator fault"."""
    rows = {row.code for row in TABLE.values() if row.effect is Effect.HOLD_SENDER}
    assert rows == set(HOLD_SENDER)


def test_geo_permission_and_trial_accounts_hold_the_enrollment() -> None:
    """Row "operator fault": held, not failed."""
    rows = {row.code for row in TABLE.values() if row.effect is Effect.HOLD_ENROLLMENT}
    assert rows == {21408, 21608}


@pytest.mark.parametrize("status", ["failed", "undelivered"])
def test_21610_now_or_later_is_an_opt_out(status: str) -> None:
    """Row "opt-out keyword, Twilio's OptOutType=STOP, or 21610 (now or later)"."""
    assert classify_answer(400, 21610).effect is Effect.OPTED_OUT
    later = classify_report(status, 21610, toll_free_sender=False)
    assert later is not None
    assert later.effect is Effect.OPTED_OUT


def test_30004_is_an_opt_out_from_a_toll_free_sender_only() -> None:
    """Row "opt-out keyword ...": 30004 with a toll-free sender likewise."""
    toll_free = classify_report("undelivered", 30004, toll_free_sender=True)
    other = classify_report("undelivered", 30004, toll_free_sender=False)
    assert toll_free is not None
    assert other is not None
    assert (toll_free.effect, other.effect) == (Effect.OPTED_OUT, Effect.PERMANENT)
    assert toll_free.code == other.code == 30004


@given(CODES)
def test_429_is_always_safe_to_retry(code: int | None) -> None:
    """Row "transient (429 ...)"."""
    error = classify_answer(429, code)
    assert error.effect is Effect.TRANSIENT
    assert error.wait is not Wait.SHORT


@given(st.integers(500, 599) | st.just(408) | st.integers(0, 399), CODES)
def test_inconclusive_answer_is_unknown(http_status: int, code: int | None) -> None:
    """Row "unknown (timeout, dropped connection, 5xx)"."""
    assert classify_answer(http_status, code).effect is Effect.UNKNOWN


@pytest.mark.parametrize("code", [20500, 20503])
def test_internal_error_of_the_provider_is_unknown_whatever_its_status(code: int) -> None:
    assert classify_answer(400, code) == TABLE[code]


@pytest.mark.parametrize("http_status", [401, 403, 404, 407])
@pytest.mark.parametrize("code", [None, 0, 20404, 99999])
def test_refused_access_holds_the_sender(http_status: int, code: int | None) -> None:
    """Row "operator fault": a wrong password must not fail ten thousand people."""
    error = classify_answer(http_status, code)
    assert error.effect is Effect.HOLD_SENDER
    assert error.remedy
    assert error.code == (code or http_status)


@pytest.mark.parametrize("http_status", [400, 405, 409, 415, 422])
def test_an_unknown_refusal_is_permanent(http_status: int) -> None:
    error = classify_answer(http_status, 98765)
    assert (error.effect, error.code) == (Effect.PERMANENT, 98765)
    assert "98765" in error.meaning


@given(st.sampled_from(sorted(TABLE)))
def test_known_refusal_is_looked_up_in_the_table(code: int) -> None:
    assert classify_answer(400, code) == TABLE[code]


@pytest.mark.parametrize(
    "status",
    ["accepted", "queued", "sending", "sent", "delivered", "read", "scheduled", "received", ""],
)
def test_status_without_failure_is_no_error(status: str) -> None:
    assert classify_report(status, 30006, toll_free_sender=True) is None


@given(FAILURES, CODES, st.booleans())
def test_failure_report_is_never_unknown(
    status: str,
    code: int | None,
    toll_free: bool,  # noqa: FBT001 - hypothesis passes by position
) -> None:
    error = classify_report(status, code, toll_free_sender=toll_free)
    assert error is not None
    assert error.effect is not Effect.UNKNOWN
    assert error.code == (code or 0)
    if code not in TABLE:
        assert error.effect is Effect.PERMANENT


def test_text_canceled_by_the_provider_has_that_meaning() -> None:
    error = classify_report("canceled", None, toll_free_sender=False)
    assert error is not None
    assert error.meaning == "The provider canceled the text."


def test_every_code_has_a_meaning() -> None:
    assert explain(21610) == "The contact opted out of texts."
    assert explain(98765) == "The provider reported an error it does not explain (code 98765)."
    assert explain(502) == "The provider answered with an error it does not explain (HTTP 502)."
    assert explain(None) == explain(0) == "The provider reported an error without a code."


@pytest.mark.parametrize(
    ("attempt", "minutes"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (7, 60), (99, 60)]
)
def test_short_waits_double_up_to_an_hour(attempt: int, minutes: int) -> None:
    assert retry_at(TABLE[30022], attempt, NOW) == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (5, 32), (6, 60), (99, 60)])
def test_throttled_text_retries_soon_with_jitter(attempt: int, seconds: int) -> None:
    at = [retry_at(TABLE[20429], attempt, NOW, jitter=jitter) for jitter in (0, 0.5, 1)]
    assert at == [NOW + timedelta(seconds=seconds * more) for more in (1, 1.25, 1.5)]


def test_held_sender_is_probed_soon_then_every_five_minutes() -> None:
    """After 10 s, 30 s, 1, 2, then every 5 minutes."""
    at, moments = NOW, []
    for _ in range(6):
        at = next_probe(NOW, at, every=timedelta(minutes=5))
        moments.append((at - NOW).total_seconds())
    assert moments == [10, 40, 100, 220, 520, 820]
    at = next_probe(NOW, NOW, every=timedelta(seconds=3))
    assert at == NOW + timedelta(seconds=3), "never later than the longest wait"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (30450, NOW + timedelta(minutes=30)),
        (30003, NOW + timedelta(hours=4)),
        (30036, NOW + timedelta(minutes=4)),
        (30027, datetime(2026, 11, 24, 8, 0, tzinfo=UTC)),
    ],
)
def test_other_waits_fit_their_reason(code: int, expected: datetime) -> None:
    """Row "transient ...": after a fitting wait; validity expired: at the next window."""
    assert retry_at(TABLE[code], 3, NOW) == expected


def test_a_daily_cap_ends_at_pacific_midnight_in_summer_too() -> None:
    assert retry_at(TABLE[30023], 1, datetime(2026, 7, 2, 6, 59, tzinfo=UTC)) == datetime(
        2026, 7, 2, 7, 0, tzinfo=UTC
    )
    assert retry_at(TABLE[30023], 1, datetime(2026, 7, 2, 7, 0, tzinfo=UTC)) == datetime(
        2026, 7, 3, 7, 0, tzinfo=UTC
    )


def test_error_that_is_not_transient_has_no_retry_time() -> None:
    with pytest.raises(ValueError, match="21211"):
        retry_at(TABLE[21211], 1, NOW)
    with pytest.raises(ValueError, match="wait"):
        ProviderError(1, "Nothing.", Effect.TRANSIENT)
    with pytest.raises(ValueError, match="wait"):
        ProviderError(1, "Nothing.", Effect.PERMANENT, Wait.SHORT)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('effect = "landline"', 'effect = "fixed"', "21614: 'fixed' is not a valid Effect"),
        ('wait = "short"', 'wait = "brief"', "30022: 'brief' is not a valid Wait"),
        (', wait = "hours"', "", "30003: transient errors have a wait, others have none"),
        ('remedy = "<number>"', 'remedy = "<numbers>"', "21211: no 'numbers'"),
        ("20503 = { effect", "20503 = { efect", "20503: unknown efect"),
        ("20503 = {", "20500 = {", "no TOML"),
        ("20503 = {", '20503 = "x" #', "20503: no table of texts"),
        ("20503 = {", "twenty = {", "twenty: invalid literal"),
        ("[remedies]", "[cures]", "no table 'remedies'"),
    ],
)
def test_a_spoiled_table_is_refused_with_the_row_and_the_reason(
    before: str, after: str, reason: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert before in text
    with pytest.raises(ErrorTableError, match=f"provider_errors.toml: {reason}"):
        parsed(text.replace(before, after, 1))
