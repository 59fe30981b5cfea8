"""The admin commands."""

import asyncio
import io
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import insert

from domain.access.limits import AccessRules
from domain.messaging.ports import ListedMessage
from domain.platform.phones import time_zones
from domain.statuses.access import Role, TokenScope
from domain.statuses.messaging import MessageStatus
from domain.statuses.sequences import SequenceState
from manage import main
from services.access.passwords import Passwords
from services.access.set_up_links import SetUpLinks
from services.access.users import Users
from services.messaging.saved_replies import SavedReplies
from storage.contacts import contacts, groups
from storage.contacts.contacts import ContactDetails, ContactFilter
from storage.contacts.groups import GroupDetails
from storage.platform.database import Database
from storage.sequences import sequences
from storage.sequences.sequences import SequenceRecord
from storage.tables.messaging import Sender
from tests.api.conftest import make_services
from tests.fakes import FakeGateway
from tests.kits.programs import Start
from workflows.client import EnrollmentClient

Found = TypeVar("Found")
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Run:
    """The outcome of a command."""

    code: int
    out: str
    err: str


Manage = Callable[..., Run]


@pytest.fixture
def manage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Manage:
    """Return a function that runs a command in this process, without importing again."""

    def run(database_url: str, *arguments: str, typed: str = "") -> Run:
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        said: object = 0
        try:
            main(arguments)
        except SystemExit as end:
            said = end.code
        out, err = capsys.readouterr()
        return Run(said, out, err) if isinstance(said, int) else Run(1, out, f"{err}{said}\n")

    return run


def in_database(database_url: str, look: Callable[[Database], Awaitable[Found]]) -> Found:
    async def run() -> Found:
        database = Database(database_url)
        try:
            return await look(database)
        finally:
            await database.close()

    return asyncio.run(run())


def test_admin_is_created_and_gets_a_token_printed_alone(manage: Manage, database_url: str) -> None:
    made = manage(database_url, "create-admin", "--email", "Kim@x.example", typed=f"{PASSWORD}\n")
    token = manage(database_url, "create-token", "--email", "kim@X.example")

    assert made.code == 0, made.err
    assert PASSWORD not in made.out
    assert token.code == 0, token.err
    assert token.out.startswith("sgt_")
    assert len(token.out.split()) == 1


def test_token_gets_the_given_scopes_and_lifetime(manage: Manage, database_url: str) -> None:
    manage(database_url, "create-admin", "--email", "kim@x.example", typed=f"{PASSWORD}\n")
    arguments = ("create-token", "--email", "kim@x.example")

    made = manage(
        database_url, *arguments, "--scope", "send", "--scope", "read", "--expires-days", "30"
    )
    whole = manage(database_url, *arguments)

    assert made.code == 0, made.err
    narrow = in_database(database_url, lambda db: Users(db).authenticate(made.out.strip()))
    wide = in_database(database_url, lambda db: Users(db).authenticate(whole.out.strip()))
    assert narrow.scopes == {TokenScope.READ, TokenScope.SEND}
    assert narrow.expires_at is not None
    assert timedelta(days=29) < narrow.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert wide.scopes == set(TokenScope)
    assert wide.expires_at is None


@pytest.mark.parametrize(
    "arguments",
    [("--scope", "all"), ("--expires-days", "0"), ("--expires-days", "soon"), ("--scope",)],
)
def test_invalid_scope_or_lifetime_is_refused(manage: Manage, arguments: tuple[str, ...]) -> None:
    run = manage(
        "postgresql://nobody@127.0.0.1:1/none", "create-token", "--email", "a@x.example", *arguments
    )

    assert run.code == 2


def test_user_gets_the_given_role(manage: Manage, database_url: str) -> None:
    made = manage(database_url, "create-user", "--email", "v@x.example", "--role", "viewer")
    assert made.code == 0, made.err

    user = in_database(database_url, lambda db: Users(db).by_email("v@x.example"))

    assert user
    assert user.role is Role.VIEWER


def test_duplicate_address_is_refused_in_one_line(manage: Manage, database_url: str) -> None:
    arguments = ("create-admin", "--email", "kim@x.example")
    manage(database_url, *arguments, typed=PASSWORD)

    again = manage(database_url, *arguments, typed=PASSWORD)

    assert again.code == 1
    assert again.err == "another user has this email address\n"
    assert again.out == ""


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (("create-admin", "--email", "kim@x.example"), "", "12 to 1024 characters"),
        (("create-admin", "--email", "kim@x.example"), "short\n", "12 to 1024 characters"),
        (("create-admin", "--email", "kim"), PASSWORD, "email: is not a valid email address"),
        (("create-admin", "--email", "kim@x.example"), "passwordpassword", "repeats one letter"),
        (("create-token", "--email", "who@x.example"), "", "there is no user who@x.example"),
    ],
)
def test_error_is_printed_in_one_line(
    manage: Manage, database_url: str, arguments: tuple[str, ...], typed: str, says: str
) -> None:
    run = manage(database_url, *arguments, typed=typed)

    assert run.code == 1
    assert says in run.err
    assert run.err.count("\n") == 1


def test_set_up_link_is_printed_alone(
    manage: Manage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://segue.example.com")
    manage(database_url, "create-admin", "--email", "kim@x.example", typed=f"{PASSWORD}\n")

    made = manage(database_url, "create-set-up-link", "--email", "kim@x.example")

    assert made.code == 0, made.err
    base, _, token = made.out.strip().partition("?token=")
    assert base == "https://segue.example.com/set-up"
    rules, passwords = AccessRules(), Passwords()
    used = in_database(
        database_url,
        lambda db: SetUpLinks(db, rules, passwords).use(token, "a far longer horse", address=None),
    )
    assert used.email == "kim@x.example"


def test_set_up_link_without_site_address_is_refused(manage: Manage, database_url: str) -> None:
    made = manage(database_url, "create-set-up-link", "--email", "kim@x.example")

    assert (made.code, made.out) == (1, "")
    assert made.err.startswith("PUBLIC_BASE_URL is missing")


@pytest.mark.parametrize("arguments", [(), ("create-user", "--email", "a@x.example"), ("fly",)])
def test_invalid_command_line_is_refused(manage: Manage, arguments: tuple[str, ...]) -> None:
    assert manage("postgresql://nobody@127.0.0.1:1/none", *arguments).code == 2


def test_unavailable_database_is_reported_in_one_line(manage: Manage) -> None:
    run = manage("postgresql://nobody@127.0.0.1:1/none", "create-token", "--email", "a@x.example")

    assert run.code == 1
    assert run.err == "the database at DATABASE_URL is not responding\n"


def test_parked_outbox_entries_are_listed_and_retried(manage: Manage, database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as rows:
        [(entry, subject)] = rows.execute(
            "INSERT INTO outbox (kind, subject_id, parked_at, parked_reason)"
            " VALUES ('start_job', gen_random_uuid(), '2026-11-29T02:46:42Z', 'refused')"
            " RETURNING id, subject_id"
        ).fetchall()
        listed = manage(database_url, "parked")
        retried = manage(database_url, "parked", "--retry")
        left = rows.execute("SELECT id, parked_at FROM outbox").fetchall()

    assert listed.out == f"{entry}  refused  start_job of {subject} since 2026-11-29 02:46\n"
    assert retried.out == "1 will be tried again within a minute\n"
    assert left == [(entry, None)]
    assert manage(database_url, "parked").out == ""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    """Replace the provider of commands by a fake, with settings for one."""
    gateway = FakeGateway()
    monkeypatch.setattr(gateway, "aclose", AsyncMock(), raising=False)
    monkeypatch.setattr("manage.gateway_of", lambda *_, **__: gateway)
    for name, value in (
        ("TWILIO_ACCOUNT_SID", f"AC{'0' * 32}"),
        ("TWILIO_AUTH_TOKEN", "secret"),
        ("PUBLIC_BASE_URL", "https://segue.example"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
    ):
        monkeypatch.setenv(name, value)
    return gateway


def test_restored_database_is_reconciled(
    manage: Manage, database_url: str, provider: FakeGateway
) -> None:
    unasked = manage(database_url, "reconcile-after-restore")
    in_database(database_url, lambda database: _add_sender(database, "+14155550100"))
    now = datetime.now(UTC).replace(microsecond=0)
    for phone in ("+12125550187", "+12125550188"):
        provider.messages[phone].append(
            ListedMessage(f"SM{phone[-4:]}", "Hi", MessageStatus.SENT, now, None, "+14155550100")
        )
    done = manage(database_url, "reconcile-after-restore", "--since", now.isoformat())
    provider.lists_fail = True
    failed = manage(database_url, "reconcile-after-restore", "--since", now.isoformat())
    zoneless = manage(database_url, "reconcile-after-restore", "--since", "2026-11-29T04:00")

    assert unasked.code == 1
    assert "give the moment with --since" in unasked.err
    assert done.code == 0, done.err
    at = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    summary = (
        "the provider has 2 texts, 2 of them unknown here and 2 unexplained; held 0 enrollments,"
        " canceled 0 texts written by hand and 0 jobs, fetched 0 texts that came in"
    )
    assert done.out.splitlines()[-3:] == [
        f"unexplained: SM0187 of {at}",
        f"unexplained: SM0188 of {at}",
        f"since {now - timedelta(hours=1):%Y-%m-%d %H:%M:%S} UTC {summary}",
    ]
    assert failed.code == 1
    assert "run this again before any worker starts" in failed.err
    assert (zoneless.code, "with its zone" in zoneless.err) == (2, True)


def test_reconciliation_is_refused_while_a_worker_runs(
    manage: Manage, database_url: str, provider: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EnrollmentClient, "worker_polls", AsyncMock(return_value=True))
    refused = manage(database_url, "reconcile-after-restore", "--since", "2026-11-29T04:00Z")

    assert refused.code == 1
    assert "stop every worker" in refused.err
    assert provider.asked == []


async def _add_sender(database: Database, phone: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(insert(Sender).values(id=uuid4(), name="Front desk", phone=phone))


def test_demo_is_created_once(manage: Manage, database_url: str) -> None:
    first = manage(database_url, "seed-demo")
    second = manage(database_url, "seed-demo")

    assert first.code == 0, first.err
    assert (second.code, second.out, second.err) == (0, "", "")
    lines = [json.loads(line) for line in first.out.splitlines()]
    assert [line["role"] for line in lines if line["made"] == "user"] == [
        "member",
        "viewer",
        "admin",
    ]
    assert lines[-1].keys() >= {"email", "password", "token"}

    caller = in_database(database_url, lambda db: Users(db).authenticate(lines[-1]["token"]))
    people, all_groups, written = in_database(database_url, _demo)
    assert caller.user.role is Role.ADMIN
    assert len(people) == len({person.search_name for person in people}) == 60
    assert all(person.phone[5:10] == "55501" for person in people)
    assert len({zone for person in people for zone in time_zones(person.phone)}) >= 6
    assert [group.member_count for group in all_groups] == [15] * 4
    assert Counter(sequence.state for sequence in written) == {
        SequenceState.ACTIVE: 1,
        SequenceState.DRAFT: 1,
    }
    saved = in_database(database_url, lambda db: SavedReplies(db).find(caller.user.id))
    assert [one.name for one in saved.items] == ["Call me", "Thanks"]


async def _demo(
    database: Database,
) -> tuple[list[ContactDetails], list[GroupDetails], list[SequenceRecord]]:
    async with database.transaction() as tx:
        return (
            await contacts.find(tx, ContactFilter(), sort="name", after=None, limit=100),
            await groups.find(tx, after=None, limit=10),
            await sequences.page(tx, states=(), search="", after=None, limit=10),
        )


def test_manage_runs_as_a_module(start: Start) -> None:
    assert "create-admin" in start("manage", "--help").completes()


async def _text(database: Database) -> UUID:
    """Add a contact's text that a person wrote and nobody has sent."""
    services = make_services(database)
    sender = await services.senders.create({"name": "Desk", "phone": "+14155550100"})
    ann = await services.contacts.create({"first_name": "Ann", "phone": "+12125550101"})
    ben = await services.users.create(email="ben@x.example", role=Role.MEMBER)
    return await services.conversations.reply(uuid4(), ann.id, "Hi", ben.id, sender_id=sender.id)


def test_proof_is_verified_with_a_key_alone_or_by_the_database(
    manage: Manage, database_url: str, tmp_path: Path
) -> None:
    text = in_database(database_url, _text)
    bundle = in_database(database_url, lambda db: make_services(db).proofs.of(text))
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(bundle))
    shown = manage(database_url, "proof-key")
    assert shown.code == 0, shown.err
    key = shown.out.split()[0]
    here = manage(database_url, "verify-proof", str(file))
    assert here.out.startswith(f"genuine: text {text} to +12125550101"), here.err
    rotated = manage(database_url, "proof-key", "--rotate")
    assert [line.split()[0] == key for line in rotated.out.splitlines()] == [False, True]
    assert manage(database_url, "verify-proof", str(file)).code == 0

    nowhere = ""  # no settings at all are needed
    alone = manage(nowhere, "verify-proof", str(file), "--key", key)
    assert f"signed with {key}" in alone.out
    file.write_text(json.dumps(bundle).replace('"Hi"', '"Hello"'))
    for path, trusted, why in (
        (file, key, "the proof was altered: its signature does not fit what it says"),
        (file, "AAAA", "the proof is signed with another key"),
        (tmp_path / "none.json", key, "cannot be read"),
    ):
        refused = manage(nowhere, "verify-proof", str(path), "--key", trusted)
        assert (refused.code, refused.out) == (1, "")
        assert why in refused.err
