"""Commands of the administrator: the set-up, users, tokens, the demo."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.access.limits import AccessRules
from domain.messaging.ports import ProviderUnavailableError
from domain.platform.errors import SegueError
from domain.statuses.access import Role, TokenScope
from observability import logs
from services.access.own_password import OwnPassword
from services.access.passwords import Passwords
from services.access.set_up_links import SetUpLinks, set_up_path
from services.access.tokens import Tokens
from services.access.users import UserDetails, Users
from services.contacts.contacts import Contacts
from services.contacts.groups import Groups
from services.factory import ServiceConfig, Services, gateway_of
from services.maintenance.demo import Demo
from services.messaging.backfill import LISTS_AT_ONCE
from services.messaging.contact_hooks import CONTACT_HOOKS
from services.messaging.proof_keys import ProofKeys, verified
from services.messaging.restore import Reconciling
from services.messaging.saved_replies import SavedReplies
from services.messaging.senders import Senders
from services.sequences.sequences import Sequences
from settings import Settings, WorkerSettings
from storage.maintenance import health
from storage.platform import outbox as outbox_rows
from storage.platform.database import Database, is_unavailable
from workflows.client import (
    EnrollmentClient,
    TemporalRefusedError,
    TemporalUnavailableError,
    connect_to_temporal,
    leave,
)
from workflows.set_up import ensure_namespace, ensure_search_attributes, make_current

_WAIT_SECONDS = 2
_DAYS_MOST = 3650


async def set_up(settings: Settings) -> None:
    """Create what Temporal lacks, and make our build the current one.

    Waits for Temporal as long as it takes, and says so.

    Raises:
        TemporalRefusedError: Final; what exists stays.
    """
    address, namespace = settings.temporal_address, settings.temporal_namespace
    client = await connect_to_temporal(address, namespace, lazy=True)
    while True:
        try:
            if await ensure_namespace(client):
                _say(f"created the namespace {namespace}")
            for name in await ensure_search_attributes(client):
                _say(f"added the search attribute {name}")
            if await make_current(client, settings.segue_build_id):
                build = settings.segue_build_id or "of no version"
                _say(f"workers {build} are current from now on")
        except TemporalUnavailableError:
            waiting = f"waiting for Temporal at {address}, namespace {namespace}"
            print(waiting, file=sys.stderr, flush=True)
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            _say(f"Temporal at {address} is set up, namespace {namespace}")
            return


async def create_user(
    settings: Settings, *, email: str, name: str, role: Role, password: str | None
) -> None:
    """Add a user and say so."""
    async with _database(settings) as database:
        user = await Users(database).create(email=email, name=name, role=role, password=password)
    print(f"{user.email} is now a user with the role {user.role.value}")


async def create_token(
    settings: Settings,
    *,
    email: str,
    name: str,
    scopes: Sequence[TokenScope],
    expires_days: int | None,
) -> None:
    """Make a token for a user and print it, this once; ``expires_days`` None for never.

    Raises:
        SystemExit: There is no such user, or they are disabled.
    """
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    async with _database(settings) as database:
        user = await _user(database, email)
        if user.disabled_at is not None:
            raise SystemExit(f"{user.email} is disabled, so a token would not work")
        made = await _tokens(database).create(
            user.id, name=name, scopes=scopes, expires_at=expires_at
        )
    print(made.token)


async def create_set_up_link(settings: Settings, *, email: str) -> None:
    """Print a one-time link for a user to set their password; ends the present one at once.

    Raises:
        SystemExit: There is no such user, or the site's address is not set.
    """
    if settings.public_base_url is None:
        raise SystemExit("PUBLIC_BASE_URL is missing: the address of this site, for the link")
    async with _database(settings) as database:
        user = await _user(database, email)
        links = SetUpLinks(database, AccessRules(), Passwords())
        link = await links.replace_password(user.id)
    print(f"{settings.public_base_url}{set_up_path(link.token)}")


async def show_held(settings: Settings, *, limit: int) -> None:
    """Print a line for each held enrollment: ids and codes, nothing personal."""
    async with _database(settings) as database, database.transaction() as tx:
        for one in await health.held(tx, limit):
            code = f"  error {one.code}" if one.code else ""
            print(f"{one.id}  {one.reason.value}  step {one.step} of {one.sequence!r}{code}")


async def show_proof_keys(settings: Settings, *, rotate: bool) -> None:
    """Print the public keys of proofs, one a line, the present one first; or make a new one."""
    async with _database(settings) as database:
        keys = ProofKeys(database)
        await (keys.rotate() if rotate else keys.present())
        for one in await keys.known():
            until = f" until {one.retired_at:%Y-%m-%d}" if one.retired_at else ""
            print(f"{one.public_key}  since {one.created_at:%Y-%m-%d}{until}")


def verify_proof(file: Path, trusted: Collection[str]) -> None:
    """Say that a file is a genuine proof of a text, signed with one of these keys.

    Raises:
        ProofError: It is not.
        SystemExit: The file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{file} cannot be read: {type(error).__name__}") from None
    found = verified(text, trusted)
    message = found.proof["message"]
    print(f"genuine: text {message['id']} to {message['to']}, as known {found.proof['made_at']}")
    print(f"signed with {found.public_key}")


async def show_parked(settings: Settings, *, limit: int, retry: bool) -> None:
    """Print a line for each parked outbox entry, or retry them all."""
    async with _database(settings) as database, database.transaction() as tx:
        if retry:
            print(f"{await outbox_rows.unpark_all(tx)} will be tried again within a minute")
            return
        for one in await outbox_rows.parked(tx, limit):
            since = f"{one.parked_at:%Y-%m-%d %H:%M}"
            print(f"{one.id}  {one.parked_reason}  {one.kind} of {one.subject_id} since {since}")


async def reconcile_after_restore(settings: WorkerSettings, *, since: datetime | None) -> None:
    """Hold everyone the provider may have texted since a backup, and fetch what they answered.

    Run it on a restored database before any worker starts. Repeating it is harmless.

    Raises:
        SystemExit: A worker is running, or the provider's lists could not be fetched.
    """
    gateway = gateway_of(settings, max_concurrent=LISTS_AT_ONCE)
    client = await connect_to_temporal(
        settings.temporal_address, settings.temporal_namespace, lazy=True
    )
    temporal = EnrollmentClient(client, page_base_url=settings.public_base_url)
    async with _database(settings) as database:
        try:
            with suppress(TemporalUnavailableError):  # then no worker sends either
                if await temporal.worker_polls():
                    raise SystemExit(
                        "a worker asked for work within the last 75 seconds: stop every worker,"
                        " then run this again"
                    )
            found = await Reconciling(database, gateway, _say).run(since)
            services = Services(database, temporal, gateway, ServiceConfig.of(settings))
            fetched = await services.backfill.fetch_all_texts()
        except ProviderUnavailableError as error:
            raise SystemExit(f"{error}; run this again before any worker starts") from None
        finally:
            await gateway.aclose()
    for text in found.unexplained:
        _say(f"unexplained: {text.sid} of {text.created_at:%Y-%m-%d %H:%M:%S} UTC")
    _say(
        f"since {found.since:%Y-%m-%d %H:%M:%S} UTC the provider has {found.texts} texts,"
        f" {found.unknown} of them unknown here and {len(found.unexplained)} unexplained;"
        f" held {found.held} enrollments, canceled {found.one_offs} texts written by hand and"
        f" {found.jobs} jobs, fetched {fetched} texts that came in"
    )


async def seed_demo(settings: Settings) -> None:
    """Make the demo unless it exists, and print a line of JSON for each thing made."""
    config = ServiceConfig.of(settings)
    region, zone = config.default_region, config.rules.workspace_zone
    async with _database(settings) as database:
        # Temporal is not needed here: the API and the worker deliver the outbox.
        demo = Demo(
            Users(database),
            _tokens(database),
            Contacts(database, CONTACT_HOOKS, default_region=region, workspace_zone=zone),
            Groups(database, default_region=region),
            Senders(database, default_region=region),
            Sequences(database, workspace_zone=zone, public_base_url=config.public_base_url),
            SavedReplies(database),
        )
        for made in await demo.create():
            print(json.dumps(made))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Raises:
        SystemExit: Status 1 and one line on standard error if it fails, 2 for a wrong command line.
    """
    asked = _parser().parse_args(arguments)
    try:
        if asked.command == "verify-proof" and asked.key:
            verify_proof(asked.file, asked.key)  # wherever the file is: it takes no settings
            return
        settings = Settings.load()
        logs.set_up(settings.log_level, settings.log_format)
        asyncio.run(_command(asked, settings))
    except SegueError as error:
        raise SystemExit(str(error)) from None
    except TemporalRefusedError as error:
        raise SystemExit(f"Temporal refused: {error}") from None
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise SystemExit("the database at DATABASE_URL is not responding") from None


async def _command(asked: argparse.Namespace, settings: Settings) -> None:
    match asked.command:
        case "set-up":
            await set_up(settings)
        case "create-admin" | "create-user":
            await create_user(
                settings,
                email=asked.email,
                name=asked.name,
                role=Role(asked.role),
                password=_password() if asked.password_stdin else None,
            )
        case "create-token":
            await create_token(
                settings,
                email=asked.email,
                name=asked.name,
                scopes=[TokenScope(scope) for scope in asked.scope or TokenScope],
                expires_days=asked.expires_days,
            )
        case "create-set-up-link":
            await create_set_up_link(settings, email=asked.email)
        case "held":
            await show_held(settings, limit=asked.limit)
        case "reconcile-after-restore":
            await reconcile_after_restore(WorkerSettings.load(), since=asked.since)
        case "proof-key":
            await show_proof_keys(settings, rotate=asked.rotate)
        case "verify-proof":
            async with _database(settings) as database:
                known = await ProofKeys(database).known()
            verify_proof(asked.file, [one.public_key for one in known])
        case "parked":
            await show_parked(settings, limit=asked.limit, retry=asked.retry)
        case _:
            await seed_demo(settings)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url, connections=2)
    try:
        yield database
    finally:
        await database.close()


def _tokens(database: Database) -> Tokens:
    return Tokens(database, OwnPassword(database, AccessRules(), Passwords()))


async def _user(database: Database, email: str) -> UserDetails:
    """Find a user, or exit."""
    user = await Users(database).by_email(email)
    if user is None:
        raise SystemExit(f"there is no user {email}; create one with create-user")
    return user


def _password() -> str:
    """Read the first line of standard input, without echo at a terminal."""
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    return sys.stdin.readline().rstrip("\r\n")


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _DAYS_MOST:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_DAYS_MOST}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError("must be a date and time with its zone, 2026-11-29T04:00Z")
    return moment


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m manage", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("set-up", help="create what Temporal needs, and make this build current")

    admin = commands.add_parser(
        "create-admin", help="add an admin; the password comes from standard input"
    )
    admin.set_defaults(role=Role.ADMIN, password_stdin=True)
    user = commands.add_parser("create-user", help="add a user")
    for command in (admin, user):
        command.add_argument("--email", required=True, help="unique, in whatever case")
        command.add_argument("--name", default="", help="what colleagues see")
    user.add_argument("--role", required=True, choices=[role.value for role in Role])
    user.add_argument(
        "--password-stdin", action="store_true", help="read a password from standard input"
    )

    token = commands.add_parser("create-token", help="create an API token and print it once")
    token.add_argument("--email", required=True, help="whose token it is")
    token.add_argument("--name", default="made on the command line", help="what it is for")
    token.add_argument(
        "--scope",
        action="append",
        choices=[scope.value for scope in TokenScope],
        help="what it can be used for; repeat it for several; default: everything",
    )
    token.add_argument(
        "--expires-days",
        type=_days,
        metavar="DAYS",
        help="days until it expires; default: never",
    )

    link = commands.add_parser(
        "create-set-up-link",
        help="print a one-time link for a user to set a new password; the current one ends",
    )
    link.add_argument("--email", required=True, help="whose password it sets")

    held = commands.add_parser("held", help="list held enrollments (docs/operations.md, Held)")

    restored = commands.add_parser(
        "reconcile-after-restore",
        help="hold whom the provider texted since the backup, before any worker starts"
        " (docs/operations.md, Backup and restore)",
    )
    restored.add_argument(
        "--since",
        type=_moment,
        metavar="MOMENT",
        help="when the backup was made, such as 2026-11-29T04:00Z; default: as the rows tell",
    )

    key = commands.add_parser(
        "proof-key", help="print the public keys of proofs of texts, the present one first"
    )
    key.add_argument(
        "--rotate", action="store_true", help="make a new one; proofs signed before stay good"
    )

    verify = commands.add_parser(
        "verify-proof", help="check a proof of a text (GET /api/messages/{id}/proof)"
    )
    verify.add_argument("file", type=Path, help="the file")
    verify.add_argument(
        "--key",
        action="append",
        metavar="KEY",
        help="a public key to trust, as proof-key prints it; repeat it for several; without any,"
        " those of this site's database",
    )

    parked = commands.add_parser(
        "parked", help="list what Temporal refused for good (docs/operations.md, Parked)"
    )
    parked.add_argument("--retry", action="store_true", help="try all of it again")
    for command in (held, parked):
        command.add_argument("--limit", type=int, default=1000, help="how many at most")

    commands.add_parser("seed-demo", help="create a demo, if there is none")
    return parser


if __name__ == "__main__":
    main()
    leave()
