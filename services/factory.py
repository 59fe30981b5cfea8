"""The use cases and what they stand on, built once for each program."""

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
from domain.suppression.second_reading import SecondReaderRules
from services.access.own_password import OwnPassword
from services.access.passwords import Passwords
from services.access.preferences import Preferences
from services.access.refusals import Refusals
from services.access.saved_views import SavedViews
from services.access.sessions import Sessions
from services.access.set_up_links import SetUpLinks
from services.access.tokens import Tokens
from services.access.users import Users
from services.contacts.consents import Consents
from services.contacts.contacts import Contacts
from services.contacts.fields import Fields
from services.contacts.groups import Groups
from services.contacts.notes import Notes
from services.enrollments.archiving import Archiving
from services.enrollments.enrolling import Enrolling
from services.enrollments.enrollment_detail import EnrollmentDetail
from services.enrollments.enrollment_list import EnrollmentList
from services.enrollments.finding import Finding
from services.enrollments.finishing import Finishing
from services.enrollments.overview import SequenceOverview
from services.enrollments.pace import Pace
from services.enrollments.pausing import Pausing
from services.enrollments.pickers import Pickers
from services.enrollments.previews import Previews
from services.enrollments.reports import Reports
from services.enrollments.sequence_list import SequenceList
from services.enrollments.variables import Variables
from services.enrollments.waking import Waking
from services.event_webhooks.deliveries import Deliveries
from services.event_webhooks.endpoints import EventEndpoints
from services.event_webhooks.event_log import EventLog
from services.jobs.bulk_actions import BulkActions
from services.jobs.contact_actions import ContactActions, ContactHandlers
from services.jobs.contact_import import Importing
from services.jobs.enroll_preview import EnrollPreviews
from services.jobs.exports import Exporting
from services.jobs.handlers import EnrollmentHandlers
from services.jobs.import_review import ImportReview
from services.jobs.jobs import Jobs
from services.jobs.opt_out_import import OptOutImport
from services.maintenance.frames import Frames
from services.maintenance.health import Availability, Health
from services.maintenance.onboarding import Onboarding
from services.maintenance.pruning import Pruning
from services.maintenance.sweep import Sweep
from services.maintenance.workspace import WorkspaceSettings
from services.messaging.attachments import Attachments
from services.messaging.backfill import Backfill
from services.messaging.contact_hooks import CONTACT_HOOKS
from services.messaging.conversations import Conversations
from services.messaging.holds import Holds
from services.messaging.inbound import Inbound
from services.messaging.inbox import Inbox
from services.messaging.kind_corrections import KindCorrections
from services.messaging.proof_keys import ProofKeys
from services.messaging.proofs import Proofs
from services.messaging.replying_hours import ReplyingHours
from services.messaging.saved_replies import SavedReplies
from services.messaging.senders import Senders
from services.messaging.sending import Sending
from services.messaging.status_callbacks import StatusCallbacks
from services.messaging.trial_texts import TrialTexts
from services.messaging.unknown_numbers import UnknownNumbers
from services.platform.audit import Audit
from services.platform.idempotency import Idempotency
from services.platform.outbox import Outbox
from services.sequences.drafts import Drafts
from services.sequences.duplicating import Duplicating
from services.sequences.pictures import Pictures
from services.sequences.sequences import Sequences
from services.sequences.templates import Templates
from services.suppression.erasure import Erasure
from services.suppression.opt_in_pages import OptInPages
from services.suppression.reviews import Reviews
from services.suppression.second_reader import SecondReader
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
        default_region: ISO 3166-1 alpha-2 code of the country of numbers without a country code.
        live_query: Time limit of one page's workflow queries together.
        workflows_url: Where Temporal's Web UI shows workflows, followed by their id.
        public_base_url: Where the provider fetches pictures.
        second_reader: Whom to ask about texts besides the rules; None for nobody.
    """

    rules: SendingRules
    default_region: str = "US"
    live_query: timedelta = timedelta(seconds=1.5)
    workflows_url: str = "http://127.0.0.1:8233/namespaces/default/workflows"
    access: AccessRules = field(default_factory=AccessRules)
    events: EventRules = field(default_factory=EventRules)
    jobs_kept: timedelta = timedelta(days=30)
    public_base_url: str = "https://segue.invalid"
    second_reader: SecondReaderRules | None = None

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
            settings.public_base_url or cls.public_base_url,
            _second_reader(settings),
        )


def _access(settings: Settings) -> AccessRules:
    """Read the rules of access; only the API, which signs people in, has settings for them."""
    if not isinstance(settings, ApiSettings):
        return AccessRules()
    return filled(
        AccessRules,
        settings,
        secret=settings.session_secret.get_secret_value(),
        workspace_words=tuple((urlsplit(settings.public_base_url).hostname or "").split(".")[:-1]),
    )


def _second_reader(settings: Settings) -> SecondReaderRules | None:
    """Read whom to ask about texts; only the API and the worker, which take them, have settings."""
    if not isinstance(settings, WorkerSettings) or settings.second_reader_url is None:
        return None
    key = settings.second_reader_key
    return SecondReaderRules(
        url=settings.second_reader_url,
        model=settings.second_reader_model,
        key=key.get_secret_value() if key else "",
        opts_out=settings.second_reader_opts_out,
    )


def gateway_of(settings: WorkerSettings, *, max_concurrent: int) -> TwilioGateway:
    """Make the provider's client, for so many calls at a time; the caller closes it."""
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


class Services:
    """Every use case, one attribute each, and what they stand on.

    The client need not be connected to Temporal yet. ``pools`` are the connections of sends,
    decisions and webhooks; None for those of ``database``.
    """

    def __init__(  # noqa: PLR0915 - a line for each use case
        self,
        database: Database,
        temporal: EnrollmentClient,
        gateway: Gateway,
        config: ServiceConfig,
        *,
        pools: Pools | None = None,
    ) -> None:
        rules, region, zone = config.rules, config.default_region, config.rules.workspace_zone
        access, most_per_hour = config.access, config.access.enrolments_per_hour
        pools = pools or Pools.one(database)
        self.database, self.temporal = database, temporal
        self.gateway, self.config = gateway, config

        self.outbox = Outbox(database, temporal)
        self.waking = Waking(database)
        for pool in (database, pools.sends, pools.decisions, pools.webhooks):
            pool.after_commit(Written.OUTBOX, self.outbox.notify)
            pool.after_commit(Written.WAKES, self.waking.begin)
        self.audit = Audit(database)
        self.idempotency = Idempotency(database)
        self.workspace = WorkspaceSettings(database, default_zone=zone)
        self.frames = Frames(database, self.workspace)

        passwords = Passwords(access.workspace_words)
        self.own_password = OwnPassword(database, access, passwords)
        self.preferences = Preferences(database)
        self.refusals = Refusals(database)
        self.saved_views = SavedViews(database)
        self.sessions = Sessions(database, access, passwords, self.refusals)
        self.set_up_links = SetUpLinks(database, access, passwords)
        self.tokens = Tokens(database, self.own_password)
        self.users = Users(database, passwords)

        self.deliveries = Deliveries(database, config.events)
        self.event_log = EventLog(database)
        self.event_endpoints = EventEndpoints(database, config.events)

        self.drafts = Drafts(database)
        self.duplicating = Duplicating(database)
        self.pictures = Pictures(database, public_base_url=config.public_base_url)
        self.sequences = Sequences(
            database, workspace_zone=zone, public_base_url=config.public_base_url
        )
        self.templates = Templates(database)
        self.sequence_list = SequenceList(database, self.sequences)

        self.contacts = Contacts(
            database, CONTACT_HOOKS, default_region=region, workspace_zone=zone
        )
        self.consents = Consents(database, CONTACT_HOOKS)
        self.fields = Fields(database)
        self.groups = Groups(database, default_region=region)
        self.notes = Notes(database)

        self.finishing = Finishing(database, rules)
        self.archiving = Archiving(database, self.finishing)
        self.enrollment_list = EnrollmentList(database, temporal, live_deadline=config.live_query)
        self.enrolling = Enrolling(database, workspace_zone=zone, most_per_hour=most_per_hour)
        self.enrollment_detail = EnrollmentDetail(
            database,
            temporal,
            live_deadline=config.live_query,
            rules=rules,
            workflows_url=config.workflows_url,
        )
        self.overview = SequenceOverview(database, workspace_zone=zone)
        self.reports = Reports(database, workspace_zone=zone)
        self.pace = Pace(database)
        self.pausing = Pausing(database, rules)
        self.variables = Variables(database, self.contacts)
        self.finding = Finding(database)
        self.pickers = Pickers(database)
        self.previews = Previews(database, public_base_url=config.public_base_url)

        self.erasure = Erasure(database, rules)
        self.opt_in_pages = OptInPages(
            database, self.contacts, self.consents, default_region=region
        )
        self.reviews = Reviews(database)
        self.kind_corrections = KindCorrections(database)
        self.suppressions = Suppressions(database, default_region=region)

        self.status_callbacks = StatusCallbacks(pools.webhooks, rules)
        self.attachments = Attachments(database, gateway)
        self.conversations = Conversations(database, public_base_url=config.public_base_url)
        self.trial_texts = TrialTexts(
            database,
            self.contacts,
            self.conversations,
            self.previews,
            self.preferences,
            default_region=region,
        )
        self.holds = Holds(database, rules, self.finishing)
        second_reader = config.second_reader
        self.inbound = Inbound(pools.webhooks, has_second_reader=second_reader is not None)
        self.inbox = Inbox(database)
        self.backfill = Backfill(database, gateway, self.inbound, self.status_callbacks, rules)
        self.proof_keys = ProofKeys(database)
        self.proofs = Proofs(database, site=config.public_base_url, workspace_zone=zone)
        self.replying_hours = ReplyingHours(database, workspace_zone=zone)
        self.saved_replies = SavedReplies(database)
        self.sending = Sending(pools, rules)
        self.senders = Senders(database, default_region=region)
        self.unknown_numbers = UnknownNumbers(database)

        self.bulk_actions = BulkActions(
            database, self.holds, public_base_url=config.public_base_url
        )
        self.exporting = Exporting(database, default_region=region)
        self.importing = Importing(
            database, self.contacts.merging, self.consents, default_region=region
        )
        self.enroll_previews = EnrollPreviews(
            database,
            self.enrolling,
            self.importing,
            self.contacts.merging,
            default_region=region,
        )
        self.opt_out_import = OptOutImport(database, self.suppressions, default_region=region)
        self.import_review = ImportReview(database, [self.importing, self.opt_out_import])
        handlers = EnrollmentHandlers(
            self.bulk_actions, self.finishing, self.enrolling, self.holds, self.pausing
        )
        of_contacts = ContactHandlers(self.groups, self.suppressions).by_kind()
        self.contact_actions = ContactActions(database, of_contacts, default_region=region)
        self.jobs = Jobs(
            database,
            self.finishing,
            {
                **handlers.by_kind(),
                **of_contacts,
                JobKind.IMPORT_CONTACTS: self.importing.handler(),
                JobKind.IMPORT_SUPPRESSIONS: self.opt_out_import.handler(),
            },
            default_region=region,
            most_per_hour=most_per_hour,
        )

        self.onboarding = Onboarding(database)
        self.availability = Availability(temporal)
        self.health = Health(database, temporal)
        self.sweep = Sweep(
            database=database,
            temporal=temporal,
            gateway=gateway,
            rules=rules,
            outbox=self.outbox,
            inbound=self.inbound,
            status_callbacks=self.status_callbacks,
            backfill=self.backfill,
            pruning=Pruning(database, jobs_kept=config.jobs_kept),
            sending=self.sending,
            waking=self.waking,
            workspace=self.workspace,
            second_reader=SecondReader(database, second_reader) if second_reader else None,
        )

    async def database_ready(self) -> bool:
        """Tell whether PostgreSQL answers now."""
        try:
            async with asyncio.timeout(_PING_SECONDS), self.database.transaction() as tx:
                await connection_health.ping(tx)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_unavailable(error):
                return False
            raise
        return True

    async def connections_allowed(self) -> int:
        """Read how many connections PostgreSQL allows to all programs together."""
        async with self.database.transaction() as tx:
            return await connection_health.connections_allowed(tx)

    async def temporal_ready(self) -> bool:
        """Tell whether Temporal answers now."""
        try:
            return await self.temporal.ready()
        except RuntimeError:  # raised by a lazy client that has never connected
            return False
