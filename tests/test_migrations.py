"""Migrations of a database in use: up, down and up again, keeping its rows."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from standalone.postgres import EmbeddedPostgres
from tests.kits.programs import alembic

BEFORE = "0011"

_ROWS = """
    INSERT INTO users (id, email, name, role, password_hash)
        VALUES (gen_random_uuid(), 'ann@example.org', 'Ann', 'admin', '');
    INSERT INTO contacts (id, first_name, last_name, phone)
        VALUES (gen_random_uuid(), 'Béa-Lou', 'O''Łee', '+12125550101');
    INSERT INTO senders (id, name, phone, segments_per_second)
        VALUES (gen_random_uuid(), 'Desk', '+14155550100', 1);
    INSERT INTO sequences (id, name, sender_id, kind, on_reply, reply_window_seconds, state,
            created_by)
        SELECT gen_random_uuid(), 'One', s.id, 'ongoing', 'finish', 60, 'active', u.id
        FROM senders s, users u;
    INSERT INTO sequence_versions (id, sequence_id, number, step_count, created_by)
        SELECT gen_random_uuid(), id, 1, 2, created_by FROM sequences;
    INSERT INTO enrollments (id, contact_id, sequence_id, version_id, enrolled_by, status, activity,
            held_reason, position, step, step_count, pass, enrolled_at)
        SELECT gen_random_uuid(), c.id, q.id, v.id, u.id, 'active', 'held', 'sender_on_hold', 2, 1,
            2, 1, now()
        FROM contacts c, sequences q, sequence_versions v, users u;
    INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id, step, pass,
            body, status)
        SELECT gen_random_uuid(), 'outbound', e.contact_id, '+12125550101', s.id, e.id, 1, 1, 'Hi',
            'sent'
        FROM enrollments e, senders s;
    INSERT INTO attempts (id, message_id, number, outcome, provider_sid, provider_status,
            started_at, call_before, answered_at)
        SELECT gen_random_uuid(), id, 1, 'accepted', 'SM1', 'sent', now(), now(), now()
        FROM messages;
    INSERT INTO outbox (kind, subject_id, payload)
        SELECT 'signal_enrollment', id, '{"signal": "reconsider", "status": null}' FROM enrollments;
"""


@pytest.fixture(scope="module")
def earlier(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Create a database of an earlier release with a text under way; return its name, to clone."""
    name = f"before_{uuid4().hex}"
    postgres_server.create_database(name)
    url = postgres_server.url(name)
    log = tmp_path_factory.mktemp("earlier") / "before.log"
    alembic(url, log, "upgrade", BEFORE).completes()
    with psycopg.connect(url) as connection:
        connection.execute(_ROWS.encode())
    return name


@pytest.fixture
def database(postgres_server: EmbeddedPostgres, earlier: str) -> Iterator[str]:
    """Clone the database of the earlier release; yield the clone's address."""
    name = f"clone_{uuid4().hex}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(clone.format(sql.Identifier(name), sql.Identifier(earlier)))
        yield postgres_server.url(name)
        connection.execute(drop.format(sql.Identifier(name)))


def _read(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            """
            SELECT e.activity, e.held_reason, e.step, m.body, a.outcome, a.provider_sid, o.payload
            FROM enrollments e JOIN messages m ON m.enrollment_id = e.id
            JOIN attempts a ON a.message_id = m.id JOIN outbox o ON o.subject_id = e.id
            """
        ).fetchall()


def test_rows_survive_upgrade_and_downgrade(database: str, tmp_path: Path) -> None:
    before = _read(database)
    assert len(before) == 1
    for words in (("upgrade", "head"), ("downgrade", BEFORE), ("upgrade", "head")):
        alembic(database, tmp_path / "alembic.log", *words).completes()
        assert _read(database) == before
    with psycopg.connect(database) as connection:
        blocked = connection.execute("SELECT blocked FROM enrollments").fetchall()
        unfinished = connection.execute("SELECT unfinished FROM attempts").fetchall()
        names = "SELECT c.search_name, s.search_name FROM contacts c, enrollment_search s"
        folded = connection.execute(names).fetchall()
    assert (blocked, unfinished) == ([(True,)], [(True,)])
    assert folded == [("bea lou olee", "bea lou olee")]


def test_migration_and_a_send_do_not_deadlock(database: str, tmp_path: Path) -> None:
    """A send locks the enrollment, then writes an attempt; the migration locks tables."""
    with psycopg.connect(database) as sending:
        sending.execute("SELECT id FROM enrollments FOR UPDATE")
        migrating = alembic(database, tmp_path / "alembic.log", "upgrade", "head")
        _until_waiting(database, "enrollments")
        # By now PostgreSQL has looked for a deadlock behind the migration's lock, and found none.
        time.sleep(1.1)
        sending.execute("UPDATE attempts SET provider_status = 'delivered'")
    migrating.completes()
    with psycopg.connect(database) as connection:
        [(status,)] = connection.execute("SELECT provider_status FROM attempts").fetchall()
    assert status == "delivered"


def test_concurrent_set_ups_migrate_once(database: str, tmp_path: Path) -> None:
    """The second sees the first's changes, whatever the default isolation level."""
    with psycopg.connect(database, autocommit=True) as connection:
        default = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'")
        connection.execute(default.format(sql.Identifier(connection.info.dbname)))
    with psycopg.connect(database) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(7283001)")
        both = [
            alembic(database, tmp_path / f"alembic-{number}.log", "upgrade", "head")
            for number in range(2)
        ]
        _until_waiting(database, number=2)
    for migrating in both:
        migrating.completes()


_MANY = """
    INSERT INTO contacts (id, first_name, last_name, phone)
        SELECT gen_random_uuid(), 'Ann', 'Lee ' || i, '+1212' || 5550200 + i
        FROM generate_series(1, 2500) i;
    INSERT INTO enrollments (id, contact_id, sequence_id, version_id, enrolled_by, status, activity,
            position, step, step_count, pass, enrolled_at)
        SELECT gen_random_uuid(), c.id, q.id, v.id, u.id, 'active', 'waiting', 2, 1, 2, 1, now()
        FROM contacts c, sequences q, sequence_versions v, users u WHERE c.first_name = 'Ann';
"""


def test_names_are_written_while_people_are_renamed_and_stay_written(
    database: str, tmp_path: Path
) -> None:
    """0020 gives way to whoever changes a contact, and goes on where it was."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_MANY.encode())
        alembic(database, tmp_path / "first.log", "upgrade", "0019").completes()
        last = connection.execute("SELECT contact_id FROM enrollments ORDER BY id DESC LIMIT 1")
        with psycopg.connect(database) as renaming:
            renaming.execute(
                "UPDATE contacts SET last_name = 'Moss' WHERE id = %s", last.fetchone()
            )
            migrating = alembic(database, tmp_path / "second.log", "upgrade", "head")
            _until_written(connection, 2_000)
            connection.execute(
                "DELETE FROM enrollments WHERE id IN"
                " (SELECT id FROM enrollments WHERE activity = 'waiting' ORDER BY id LIMIT 1)"
            )
            time.sleep(1.5)  # by now it has given way, and begun anew
            _until_written(connection, 2_000)  # what is left of the first, and the next one
        migrating.completes()
        right = connection.execute(
            """
            SELECT count(*) FROM enrollments e JOIN contacts c ON c.id = e.contact_id
            JOIN enrollment_search s ON s.enrollment_id = e.id
            WHERE (s.sequence_id, s.contact_id, s.enrolled_at, s.search_name, s.phone)
                = (e.sequence_id, c.id, e.enrolled_at, c.search_name, c.phone)
            """
        ).fetchone()
        written = connection.execute("SELECT count(*) FROM enrollment_search").fetchone()
        counted = connection.execute(
            "SELECT held, sum(change) FROM enrollment_counts GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert (right, written) == ((2_500,), (2_500,))
    assert counted == [(False, 2_499), (True, 1)]


def _until_written(connection: psycopg.Connection, number: int) -> None:
    for _ in range(600):
        found = connection.execute("SELECT count(*) FROM enrollment_search").fetchone()
        if found == (number,):
            return
        time.sleep(0.05)
    pytest.fail(f"not {number} names are written, but {found}")


def _until_waiting(url: str, table: str | None = None, number: int = 1) -> None:
    """Wait until so many wait for the lock of a table, or for advisory locks."""
    waits = "SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
    waits += " WHERE datname = current_database())"
    waits += " AND relation = %s::regclass" if table else " AND locktype = 'advisory'"
    with psycopg.connect(url, autocommit=True) as looking:
        for _ in range(600):
            if looking.execute(waits.encode(), [table] if table else []).rowcount >= number:
                return
            time.sleep(0.05)
    pytest.fail("nobody waits")
