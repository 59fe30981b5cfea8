"""Builds the use cases, for every program that needs them."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from domain.access.limits import AccessRules
from domain.event_webhooks.events import EventRules
from domain.messaging.ports import Gateway
from domain.platform.filling import filled
from domain.platform.rules import SendingRules
from domain.statuses.jobs import JobKind
from services.access.own_password import OwnPassword
from services.access.passwords import Passwords
from services.access.refusals import Refusals
from services.access.sessions import Sessions
from services.access.set_up_links import SetUpLinks
from services.access.tokens import Tokens
from services.access.users import Users
from services.contacts.contacts import Contacts
from services.contacts.groups import Groups
from services.enrollments.archiving import Archiving
from services.enrollments.contact_history import ContactHistory
from services.enrollments.enrolling import Enrolling
from services.enrollments.enrollment_detail import EnrollmentDetail
from services.enrollments.enrollment_list import EnrollmentList
from services.enrollments.finishing import Endings
from services.enrollments.overview import SequenceOverview
from services.enrollments.pausing import Pausing
from services.enrollments.pickers import Pickers
from services.enrollments.previews import Previews
from services.enrollments.sequence_list import SequenceList
from services.enrollments.waking import Waking
from services.event_webhooks.deliveries import Deliveries
from services.event_webhooks.endpoints import EventEndpoints
from services.jobs.bulk_actions import BulkActions
from services.jobs.contact_import import Importing
from services.jobs.enroll_preview import EnrollPreviews
from services.jobs.exports import Exporting
from services.jobs.handlers import EnrollmentHandlers
from services.jobs.jobs import Jobs
from services.jobs.opt_out_import import OptOutImport
from services.maintenance.availability import Presence
from services.maintenance.health import Vitals
from services.maintenance.pruning import Pruning
from services.maintenance.sweep import Chores, Sweep
from services.maintenance.workspace import WorkspaceSettings
from services.messaging.backfill import CatchUp
from services.messaging.contact_hooks import CONTACT_HOOKS
from services.messaging.conversations import Conversations
from services.messaging.holds import Holds
from services.messaging.inbound import Inbound
from services.messaging.ledger import Ledger
from services.messaging.senders import Senders
from services.messaging.status_callbacks import Callbacks
from services.messaging.unknown_numbers import UnknownNumbers
from services.platform.audit import Audit
from services.platform.idempotency import Idempotency
from services.platform.outbox import Outbox
from services.sequences.duplicating import Duplicating
from services.sequences.sequences import Sequences
from services.suppression.erasure import Erasure
from services.suppression.reviews import Reviews
from services.suppression.suppressions import Suppressions
from settings import ApiSettings, Settings, WorkerSettings
from sms.deadline import TimeLimits
from sms.gateway import TwilioGateway
from storage.platform import connection_health
from storage.platform.database import Database, Pools, Written, is_unavailable
from workflows.client import EnrollmentClient

_PING_SECONDS = 2


@dataclass(frozen=True)
class ServiceConfig:
    """What the use cases need from the settings.

    Attributes:
        rules: The timings that rule sending.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to.
        live_query: How long one page's questions to workflows may take together.
        workflows_url: Where Temporal's Web UI shows workflows, their ids appended.
        access: How long people stay signed in, and how often things may be tried.
        events: The timings of deliveries to event endpoints, and where those may be.
        jobs_kept: How long jobs that have ended are kept with their results.
    """

    rules: SendingRules
    default_region: str = "US"
    live_query: timedelta = timedelta(seconds=1.5)
    workflows_url: str = "http://127.0.0.1:8233/namespaces/default/workflows"
    access: AccessRules = field(default_factory=AccessRules)
    events: EventRules = field(default_factory=EventRules)
    jobs_kept: timedelta = timedelta(days=30)

    @classmethod
    def of(cls, settings: Settings) -> "ServiceConfig":
        """Read the settings of a process."""
        rules = filled(
            SendingRules,
            settings,
            workspace_zone=settings.workspace_time_zone.key,
            look_up_line_types=settings.twilio_lookup_enabled,
        )
        shown_in = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
        return cls(
            rules,
            settings.default_region,
            settings.live_query,
            shown_in,
            _access(settings),
            EventRules(
                give_up=settings.event_give_up, allow_local=settings.event_endpoints_allow_local
            ),
            settings.jobs_kept,
        )


def _access(settings: Settings) -> AccessRules:
    """Only the API signs people in; other processes go by rules that nobody asks them for."""
    if not isinstance(settings, ApiSettings):
        return AccessRules()
    return filled(
        AccessRules,
        settings,
        secret=settings.session_secret.get_secret_value(),
        workspace_words=tuple((urlsplit(settings.public_base_url).hostname or "").split(".")[:-1]),
    )


def gateway_of(settings: WorkerSettings, *, max_concurrent: int) -> TwilioGateway:
    """Make the provider's client; the caller closes it.

    Args:
        settings: For the account, the addresses and the time limits.
        max_concurrent: Most calls at a time.
    """
    return TwilioGateway(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token.get_secret_value(),
        api_base_url=settings.twilio_api_base_url,
        lookups_base_url=settings.twilio_lookups_base_url,
        status_callback_url=f"{settings.public_base_url}/webhooks/twilio/status",
        limits=TimeLimits(
            connect=settings.http_connect_timeout,
            read=settings.http_read_timeout,
            late_answer=settings.http_late_answer,
        ),
        max_concurrent=max_concurrent,
    )


@dataclass
class Services:
    """Every use case, one attribute each, and what they stand on."""

    database: Database
    temporal: EnrollmentClient
    gateway: Gateway
    config: ServiceConfig
    archiving: Archiving
    audit: Audit
    bulk_actions: BulkActions
    contact_history: ContactHistory
    enrollment_list: EnrollmentList
    contacts: Contacts
    conversations: Conversations
    deliveries: Deliveries
    duplicating: Duplicating
    endings: Endings
    enroll_previews: EnrollPreviews
    enrolling: Enrolling
    enrollment_detail: EnrollmentDetail
    erasure: Erasure
    exporting: Exporting
    event_endpoints: EventEndpoints
    groups: Groups
    holds: Holds
    idempotency: Idempotency
    importing: Importing
    opt_out_import: OptOutImport
    jobs: Jobs
    outbox: Outbox
    overview: SequenceOverview
    own_password: OwnPassword
    pausing: Pausing
    pickers: Pickers
    previews: Previews
    refusals: Refusals
    presence: Presence
    reviews: Reviews
    senders: Senders
    sequence_list: SequenceList
    sequences: Sequences
    sessions: Sessions
    set_up_links: SetUpLinks
    suppressions: Suppressions
    tokens: Tokens
    unknown_numbers: UnknownNumbers
    users: Users
    vitals: Vitals
    waking: Waking
    workspace: WorkspaceSettings
    ledger: Ledger
    inbound: Inbound
    callbacks: Callbacks
    catch_up: CatchUp
    sweep: Sweep

    async def database_ready(self) -> bool:
        """Whether PostgreSQL answers now."""
        try:
            async with asyncio.timeout(_PING_SECONDS), self.database.transaction() as tx:
                await connection_health.ping(tx)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_unavailable(error):
                return False
            raise
        return True

    async def connections_allowed(self) -> int:
        """How many connections PostgreSQL allows all programs together."""
        async with self.database.transaction() as tx:
            return await connection_health.connections_allowed(tx)

    async def temporal_ready(self) -> bool:
        """Whether Temporal answers now."""
        try:
            return await self.temporal.ready()
        except RuntimeError:  # what a lazy client raises until it was connected once
            return False


def build_services(
    database: Database,
    temporal: EnrollmentClient,
    gateway: Gateway,
    config: ServiceConfig,
    *,
    pools: Pools | None = None,
) -> Services:
    """Wire the use cases together.

    Args:
        database: Where everything is kept.
        temporal: The facade; it need not be connected yet.
        gateway: The text-message provider.
        config: From the settings.
        pools: What sends and decisions take their connections from; None for ``database`` too.
    """
    rules = config.rules
    pools = pools or Pools.one(database)
    passwords = Passwords(config.access.workspace_words)
    own_password = OwnPassword(database, config.access, passwords)
    refusals = Refusals(database)
    outbox = Outbox(database, temporal)
    endings = Endings(database, rules)
    inbound = Inbound(database)
    callbacks = Callbacks(database, rules)
    catch_up = CatchUp(database, gateway, inbound, callbacks, rules)
    waking = Waking(database)
    for pool in (database, pools.sends, pools.decisions):
        pool.after_commit(Written.OUTBOX, outbox.kick)
        pool.after_commit(Written.WAKES, waking.begin)
    holds = Holds(database, rules, endings)
    bulk_actions = BulkActions(database, holds)
    enrolling = Enrolling(
        database,
        workspace_zone=rules.workspace_zone,
        most_per_hour=config.access.enrolments_per_hour,
    )
    pausing = Pausing(database, rules)
    importing = Importing(database, default_region=config.default_region)
    suppressions = Suppressions(database, default_region=config.default_region)
    opt_out_import = OptOutImport(database, suppressions, default_region=config.default_region)
    handlers = EnrollmentHandlers(bulk_actions, endings, enrolling, holds, pausing)
    workspace = WorkspaceSettings(database, default_zone=rules.workspace_zone)
    sequences = Sequences(database, workspace_zone=rules.workspace_zone)
    return Services(
        database=database,
        temporal=temporal,
        gateway=gateway,
        config=config,
        archiving=Archiving(database, endings),
        audit=Audit(database),
        bulk_actions=bulk_actions,
        contact_history=ContactHistory(database),
        enrollment_list=EnrollmentList(database, temporal, live_deadline=config.live_query),
        contacts=Contacts(
            database,
            CONTACT_HOOKS,
            default_region=config.default_region,
            workspace_zone=rules.workspace_zone,
        ),
        conversations=Conversations(database),
        deliveries=Deliveries(database, config.events),
        duplicating=Duplicating(database),
        endings=endings,
        enroll_previews=EnrollPreviews(
            database, enrolling, importing, default_region=config.default_region
        ),
        enrolling=enrolling,
        enrollment_detail=EnrollmentDetail(
            database,
            temporal,
            live_deadline=config.live_query,
            rules=rules,
            workflows_url=config.workflows_url,
        ),
        erasure=Erasure(database, rules),
        exporting=Exporting(database),
        event_endpoints=EventEndpoints(database, config.events),
        groups=Groups(database, default_region=config.default_region),
        holds=holds,
        idempotency=Idempotency(database),
        importing=importing,
        opt_out_import=opt_out_import,
        jobs=Jobs(
            database,
            endings,
            {
                **handlers.by_kind(),
                JobKind.IMPORT_CONTACTS: importing.handler(),
                JobKind.IMPORT_SUPPRESSIONS: opt_out_import.handler(),
            },
            most_per_hour=config.access.enrolments_per_hour,
        ),
        outbox=outbox,
        overview=SequenceOverview(database, workspace_zone=rules.workspace_zone),
        own_password=own_password,
        pausing=pausing,
        pickers=Pickers(database),
        previews=Previews(database),
        refusals=refusals,
        presence=Presence(temporal),
        reviews=Reviews(database),
        senders=Senders(database, default_region=config.default_region),
        sequence_list=SequenceList(database, sequences),
        sequences=sequences,
        suppressions=suppressions,
        sessions=Sessions(database, config.access, passwords, refusals),
        set_up_links=SetUpLinks(database, config.access, passwords),
        tokens=Tokens(database, own_password),
        unknown_numbers=UnknownNumbers(database),
        users=Users(database, passwords),
        vitals=Vitals(database, temporal),
        waking=waking,
        workspace=workspace,
        ledger=Ledger(pools, rules),
        inbound=inbound,
        callbacks=callbacks,
        catch_up=catch_up,
        sweep=Sweep(
            database,
            temporal,
            gateway,
            outbox,
            inbound,
            callbacks,
            rules,
            Chores(catch_up, Pruning(database, jobs_kept=config.jobs_kept), waking, workspace),
        ),
    )
