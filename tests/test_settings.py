import secrets
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

import settings
from domain.suppression.second_reading import SecondReaderRules
from services.factory import ServiceConfig
from settings import ApiSettings, Settings, StandaloneSettings, WorkerSettings, child_environment
from workflows.limits import SEND

WORKING = {
    "DATABASE_URL": "postgresql://segue:hidden-password@db.example.com/segue",
    "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
    "TWILIO_AUTH_TOKEN": "hidden-token",
    "PUBLIC_BASE_URL": "https://segue.example.com/",
    "SESSION_SECRET": "hidden-secret-" + "x" * 32,
}


@pytest.fixture(autouse=True)
def _working_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what `WORKING` says: no `.env`, no variable of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for kind in (ApiSettings, StandaloneSettings):
        for name, field in kind.model_fields.items():
            monkeypatch.delenv(str(field.validation_alias or name).upper(), raising=False)
    for name, value in WORKING.items():
        monkeypatch.setenv(name, value)


def test_settings_are_read_or_have_defaults() -> None:
    loaded = ApiSettings.load()

    assert loaded.database_url == (
        "postgresql+psycopg://segue:hidden-password@db.example.com/segue"
    )
    assert loaded.public_base_url == "https://segue.example.com"
    assert loaded.twilio_auth_token.get_secret_value() == "hidden-token"
    assert loaded.workspace_time_zone == ZoneInfo("America/New_York")
    assert loaded.call_before == timedelta(seconds=5)
    assert loaded.live_query == timedelta(seconds=1.5)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgresql_address_is_accepted(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://a@b/c")

    assert Settings.load().database_url == "postgresql+psycopg://a@b/c"


def test_second_reader_needs_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ServiceConfig.of(WorkerSettings.load()).second_reader is None
    monkeypatch.setenv("SECOND_READER_URL", "http://127.0.0.1:11434/v1/")
    monkeypatch.setenv("SECOND_READER_KEY", "hidden-key")
    with pytest.raises(SystemExit, match="SECOND_READER_MODEL must name a model"):
        WorkerSettings.load()
    monkeypatch.setenv("SECOND_READER_MODEL", "a-model")

    rules = ServiceConfig.of(WorkerSettings.load()).second_reader

    assert rules == SecondReaderRules("http://127.0.0.1:11434/v1", "a-model", "hidden-key")
    assert "hidden" not in f"{rules} {WorkerSettings.load()}"
    assert ServiceConfig.of(Settings.load()).second_reader is None


def test_duration_is_read_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABSENCE_FIRST_LIST_SECONDS", "0.25")

    assert Settings.load().absence_first_list == timedelta(milliseconds=250)
    assert Settings(absence_first_list=timedelta(0)).absence_first_list == timedelta(0)


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", sorted(WORKING))
def test_missing_setting_stops_the_api_and_is_named(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match=rf"^{name} is not set \(.+\)$"):
        ApiSettings.load()


def test_missing_settings_are_named_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WORKING:
        monkeypatch.delenv(name)

    with pytest.raises(SystemExit) as stopped:
        ApiSettings.load()

    message = str(stopped.value)
    assert "\n" not in message
    assert [name for name in WORKING if name not in message] == []


def test_worker_needs_no_session_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESSION_SECRET")

    assert WorkerSettings.load().twilio_account_sid == f"AC{'0' * 32}"


def test_admin_command_needs_only_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WORKING.keys() - {"DATABASE_URL"}:
        monkeypatch.delenv(name)

    assert Settings.load().database_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "https://segue.internal"),
        ("ALLOWED_HOSTS", "segue.internal:8000"),
        ("ALLOWED_HOSTS", "segue.internal,*"),
        ("CALL_BEFORE_SECONDS", "0"),
        ("CALL_BEFORE_SECONDS", "soon"),
        ("DATABASE_URL", "mysql://a@b/c"),
        ("DATABASE_URL", "postgresql://"),
        ("DEFAULT_REGION", "XX"),
        ("DRAIN_SECONDS", "10"),
        ("DRAIN_SECONDS", "60"),
        ("HTTP_LATE_ANSWER_SECONDS", "9"),
        ("HTTP_READ_TIMEOUT_SECONDS", "27"),
        ("LIVE_QUERY_SECONDS", "nan"),
        ("LOG_LEVEL", "LOUD"),
        ("MIN_SPACING_SECONDS", "-1"),
        ("PROBE_INTERVAL_SECONDS", "inf"),
        ("PUBLIC_BASE_URL", "segue.example.com"),
        ("PUBLIC_BASE_URL", "https://segue.example.com?a=b"),
        ("PUBLIC_BASE_URL", "http://segue.example.com"),
        ("PUBLIC_BASE_URL", "https://ségue.example.com"),
        ("PUBLIC_BASE_URL", "https://segue.example.com:99999"),
        ("PUBLIC_BASE_URL", "http://10.0.0.5:8000"),
        ("PUBLIC_BASE_URL", "http://localhost.example.com"),
        ("PUBLIC_BASE_URL", "http://127.0.0.1.example.com"),
        ("SESSION_IDLE_SECONDS", "0"),
        ("SESSION_SECRET", "short"),
        ("SESSION_SECRET", "x" * 64),
        ("SESSION_SECRET", "abcabcde" * 8),
        ("SESSION_SECRET", "correct horse battery" * 2),
        ("SESSION_SECRET", "01" * 16 + "1100110"),
        ("SIGN_IN_DELAY_MOST_SECONDS", "0"),
        ("SIGN_INS_PER_EMAIL", "0"),
        ("SIGN_IN_WINDOW_SECONDS", "86401"),
        ("TEMPORAL_ADDRESS", "temporal"),
        ("TWILIO_ACCOUNT_SID", f"SK{'0' * 32}"),
        ("TWILIO_API_BASE_URL", "http://api.twilio.com"),
        ("TWILIO_LOOKUPS_BASE_URL", "http://lookups.twilio.com"),
        ("TWILIO_LOOKUP_ENABLED", "perhaps"),
        ("WORKSPACE_TIME_ZONE", "Mars/Olympus"),
        ("WORKSPACE_TIME_ZONE", "../etc/passwd"),
    ],
)
def test_invalid_value_is_refused_by_name_without_repeating_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match=name) as stopped:
        ApiSettings.load()

    message = str(stopped.value)
    assert "\n" not in message
    assert name != "SESSION_SECRET" or value not in message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://localhost:8000",
        "http://LOCALHOST",
        "http://segue.localhost",
        "http://[::1]:8000",
        "https://10.0.0.5",
    ],
)
@pytest.mark.parametrize(
    "name", ["PUBLIC_BASE_URL", "TWILIO_API_BASE_URL", "TWILIO_LOOKUPS_BASE_URL"]
)
def test_plain_http_is_accepted_for_this_machine_only(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)

    assert getattr(ApiSettings.load(), name.lower()) == url


def test_random_secrets_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for made in (secrets.token_hex(32), uuid4().hex, secrets.token_urlsafe(32)):
        monkeypatch.setenv("SESSION_SECRET", made)
        assert ApiSettings.load().session_secret.get_secret_value() == made


def test_hosts_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", " Segue.internal, 10.0.0.5,,segue_api,2001:db8::5 ")

    loaded = ApiSettings.load()

    assert loaded.allowed_hosts == "segue.internal,10.0.0.5,segue_api,2001:db8::5"
    for host in ("SEGUE.internal.", "segue_api", "2001:db8::5", "segue.example.com"):
        assert loaded.answers_to(host)
    assert not loaded.answers_to("")


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(ApiSettings.load())
    assert "hidden" not in str(ApiSettings.load())


def test_port_out_of_range_or_repeated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_API_PORT", "70000")
    with pytest.raises(SystemExit, match="SEGUE_API_PORT"):
        StandaloneSettings.load()

    monkeypatch.setenv("SEGUE_API_PORT", "8100")
    with pytest.raises(SystemExit, match="must all differ"):
        StandaloneSettings.load()


def test_children_get_no_settings_meant_for_a_temporal_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "of a cluster")

    made = child_environment({"TEMPORAL_ADDRESS": "127.0.0.1:1"})

    assert "TEMPORAL_API_KEY" not in made
    assert made["TEMPORAL_ADDRESS"] == "127.0.0.1:1"
    assert made["DATABASE_URL"] == WORKING["DATABASE_URL"]


def test_start_to_close_matches_the_nesting_check() -> None:
    assert SEND["start_to_close_timeout"] == settings.START_TO_CLOSE
