import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from standalone.errors import PartError
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import SEARCH_ATTRIBUTES, TemporalServer
from workflows.client import ENROLLED_BY_ATTRIBUTE, SEQUENCE_ATTRIBUTE


@pytest.fixture(scope="module")
def postgres(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server for this module, whose tests stop and start it."""
    server = EmbeddedPostgres(server_folder / "own", free_port(), options={"fsync": "off"})
    server.start()
    yield server
    server.stop()


def _one(server: EmbeddedPostgres, query: str, dbname: str = "postgres") -> object:
    with psycopg.connect(server.url(dbname)) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_database_is_created_once_with_its_extensions(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("segue")
    postgres.create_database("segue")

    with psycopg.connect(postgres.url("segue")) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        row = connection.execute("SELECT lower('ÄÖÉ'), show_trgm('é') <> '{}'").fetchone()

    assert row == ("äöé", True)


def test_token_needs_the_password(postgres: EmbeddedPostgres) -> None:
    password = postgres.url().split(":")[2].split("@")[0]

    assert len(password) == 32
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url().replace(password, "guessed"))


def test_the_password_is_kept_from_others(postgres: EmbeddedPostgres) -> None:
    kept = postgres.data_dir.with_name("own.password")

    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_log_quotes_no_rows(postgres: EmbeddedPostgres) -> None:
    assert _one(postgres, "SHOW log_error_verbosity") == "terse"


def test_data_survives_a_restart_and_a_stale_lock_file(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("kept")
    postgres.stop()
    lines = [str(os.getpid()), str(postgres.data_dir), "1", str(postgres.port), "", "127.0.0.1"]
    (postgres.data_dir / "postmaster.pid").write_text("\n".join([*lines, "", "ready", ""]))

    postgres.start()

    assert _one(postgres, "SELECT current_database()", "kept") == "kept"


def test_second_server_on_the_same_data_is_refused(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standalone.postgres._LEAVING_SECONDS", 0)
    second = EmbeddedPostgres(postgres.data_dir, free_port())

    with pytest.raises(PartError, match=r"a server already runs on .*; stop it with: kill -INT"):
        second.start()

    assert _one(postgres, "SELECT 1") == 1


def test_server_that_cannot_start_says_why(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "odd", free_port(), options={"no_such_thing": "1"})

    with pytest.raises(PartError, match=r"PostgreSQL ended with code 1; its log: .*odd\.log") as e:
        server.start()

    assert "no_such_thing" in str(e.value)


def test_temporal_keeps_its_state_in_a_file(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path / "state" / "temporal.db", free_port(), free_port())
    for _ in range(2):  # the attributes exist the second time
        server.start()
        assert not server.polled("segue")
        server.stop()

    assert (tmp_path / "state" / "temporal.db").exists()


def test_temporal_has_the_search_attributes_of_the_client() -> None:
    assert {SEQUENCE_ATTRIBUTE.name, ENROLLED_BY_ATTRIBUTE.name} == set(SEARCH_ATTRIBUTES)


def test_database_fixture_is_migrated_and_empty(database_url: str) -> None:
    assert database_url.startswith("postgresql+psycopg://")
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM alembic_version").fetchone()

    assert row == (1,)


def test_nothing_beyond_this_machine_can_be_reached() -> None:
    with (
        socket.socket() as outward,
        pytest.raises(UserWarning, match=r"tried to use socket\.socket\.connect\(\)"),
    ):
        outward.connect(("192.0.2.1", 80))
