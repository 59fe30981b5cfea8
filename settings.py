"""Settings of every process; no other module reads the environment."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

START_TO_CLOSE = timedelta(seconds=30)
"""Time limit of one try of a send activity: longer than a call, shorter than the drain."""

CONTAINER_GRACE = timedelta(seconds=60)
"""The time `docker-compose.yml` gives a container between SIGTERM and SIGKILL."""

_DATABASE_SCHEMES = re.compile(r"^(postgres|postgresql|postgresql\+psycopg)://(?=.)")


def _database_url(value: str) -> str:
    url, replaced = _DATABASE_SCHEMES.subn("postgresql+psycopg://", value)
    if not replaced:
        raise ValueError("must look like postgresql://user:password@host:5432/segue")
    return url


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("must be an address such as https://segue.example.com")
    if not value.isascii():
        raise ValueError("must be in ASCII; write other letters as browsers send them (xn--...)")
    _ = urlsplit(value).port  # raises ValueError for an invalid port
    return value.rstrip("/")


def _is_this_machine(host: str | None) -> bool:
    """Whether a host is a name or an address of the loopback interface."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _https_unless_here(value: str) -> str:
    if value.startswith("http:") and not _is_this_machine(urlsplit(value).hostname):
        raise ValueError("must begin with https://; plain http is for this machine alone")
    return value


_VARIETY_LEAST = 8
"""Fewest different characters of a secret. Of 32 random hexadecimal digits, fewer than one in ten
million has less."""


def _unguessable(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if len(set(secret)) < _VARIETY_LEAST or secret in (secret + secret)[1:-1]:
        raise ValueError("is not random: it has too few different characters, or repeats itself")
    return value


_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]*")


def _hosts(value: str) -> str:
    hosts = [host.strip().lower() for host in value.split(",") if host.strip()]
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("must be host names or addresses without a port, separated by commas")
    return ",".join(hosts)


def _time_zone(value: object) -> object:
    if isinstance(value, str):
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("must be an IANA time zone such as America/New_York") from None
    return value


def _region(value: str) -> str:
    region = value.upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a two-letter country code such as US")
    return region


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    else:
        try:
            seconds = float(str(value))
        except ValueError:
            raise ValueError("must be a number of seconds") from None
    if not math.isfinite(seconds) or not 0 <= seconds <= timedelta(days=365).total_seconds():
        raise ValueError("must be a number of seconds between 0 and a year")
    return timedelta(seconds=seconds)


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be more than 0 seconds")
    return value


def _within_a_day(value: timedelta) -> timedelta:
    if value > timedelta(days=1):
        raise ValueError("must be at most 86400 seconds")
    return value


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
SafeUrl = Annotated[BaseUrl, AfterValidator(_https_unless_here)]
Hosts = Annotated[str, AfterValidator(_hosts)]
RandomSecret = Annotated[SecretStr, AfterValidator(_unguessable)]
HostAndPort = Annotated[str, Field(pattern=r"^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")]
TimeZone = Annotated[ZoneInfo, BeforeValidator(_time_zone)]
Region = Annotated[str, AfterValidator(_region)]
Seconds = Annotated[timedelta, BeforeValidator(_duration)]
PositiveSeconds = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
WithinADay = Annotated[PositiveSeconds, AfterValidator(_within_a_day)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
AtOnce = Annotated[int, Field(ge=1, le=1000)]
CacheSize = Annotated[int, Field(ge=10, le=1_000_000)]
"""The SDK aborts local activities, such as decisions, of workflows that leave the cache."""
BuildId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


def _seconds(default: float, variable: str, description: str) -> timedelta:
    field: timedelta = Field(
        default=timedelta(seconds=default), validation_alias=variable, description=description
    )
    return field


class _Environment(BaseSettings):
    """Read settings from the process's environment first, then from `.env` beside the code.

    Empty variables count as missing, because Compose passes on unset ones that way.
    """

    model_config = SettingsConfigDict(
        env_file=("build.env", ".env"),  # the first is written when an image is built
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    @classmethod
    def load(cls) -> Self:
        """Read the settings.

        Raises:
            SystemExit: A variable is missing or invalid; the message names it, on one line.
        """
        try:
            return cls()
        except ValidationError as error:
            raise SystemExit("; ".join(_complaints(cls, error))) from None


class Settings(_Environment):
    """Settings of every process: the database, Temporal's address, the workspace, the timings.

    Only `DATABASE_URL` has no default. Durations are read in seconds and kept as `timedelta`; the
    defaults are those of docs/design.md, and tests shorten them.
    """

    database_url: DatabaseUrl = Field(
        repr=False, description="the PostgreSQL database, postgresql://user:password@host/segue"
    )
    segue_build_id: BuildId = Field(
        default="", description="the build of the code: letters, digits and ._-; empty for none"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "text"

    temporal_address: HostAndPort = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_ui_url: BaseUrl = "http://127.0.0.1:8233"

    public_base_url: BaseUrl | None = Field(
        default=None, description="the address of this site, https://segue.example.com"
    )

    workspace_time_zone: TimeZone = ZoneInfo("America/New_York")
    default_region: Region = "US"

    twilio_api_base_url: SafeUrl = "https://api.twilio.com"
    twilio_lookups_base_url: SafeUrl = "https://lookups.twilio.com"
    twilio_lookup_enabled: bool = False

    call_before: PositiveSeconds = _seconds(
        5, "CALL_BEFORE_SECONDS", "how long after its commit an attempt may still call the provider"
    )
    call_margin: Seconds = _seconds(
        1, "CALL_MARGIN_SECONDS", "extra wait before an open attempt counts as over"
    )
    http_connect_timeout: PositiveSeconds = _seconds(
        3, "HTTP_CONNECT_TIMEOUT_SECONDS", "time limit for connecting to the provider"
    )
    http_read_timeout: PositiveSeconds = _seconds(
        10, "HTTP_READ_TIMEOUT_SECONDS", "time limit for the provider's answer"
    )
    http_late_answer: PositiveSeconds = _seconds(
        30, "HTTP_LATE_ANSWER_SECONDS", "how long a text's answer may come late and be recorded"
    )
    absence_first_list: Seconds = _seconds(
        120, "ABSENCE_FIRST_LIST_SECONDS", "from a call's deadline to the first list for its text"
    )
    absence_second_list: Seconds = _seconds(
        60, "ABSENCE_SECOND_LIST_SECONDS", "from the first list for a lost text to the second"
    )
    reconciliation_timeout: PositiveSeconds = _seconds(
        3600, "SETTLE_GIVE_UP_SECONDS", "how long an outcome is reconciled before it is held"
    )
    probe_interval: PositiveSeconds = _seconds(
        300, "PROBE_INTERVAL_SECONDS", "between two probes of a sender that is on hold"
    )
    catch_up_every: PositiveSeconds = _seconds(
        300, "CATCH_UP_EVERY_SECONDS", "between two backfills of texts whose webhook never came"
    )
    webhooks_first: Seconds = _seconds(
        60, "WEBHOOKS_FIRST_SECONDS", "how long a text that came in is left to its webhook"
    )
    look_up_after: PositiveSeconds = _seconds(
        600, "LOOK_UP_AFTER_SECONDS", "age of a text without a final state when it is looked up"
    )
    live_query: PositiveSeconds = _seconds(
        1.5, "LIVE_QUERY_SECONDS", "time limit of all live workflow queries of one page together"
    )
    retry_short: PositiveSeconds = _seconds(
        60, "RETRY_SHORT_SECONDS", "the first wait after a transient refusal; later ones grow"
    )
    min_spacing: Seconds = _seconds(
        3600, "MIN_SPACING_SECONDS", "least distance of two texts of one enrollment"
    )
    drain: PositiveSeconds = _seconds(
        45, "DRAIN_SECONDS", "how long a stopping worker lets running activities finish"
    )
    event_give_up: PositiveSeconds = _seconds(
        259_200, "EVENT_GIVE_UP_SECONDS", "age at which an undelivered event is given up"
    )
    jobs_kept: PositiveSeconds = _seconds(
        2_592_000, "JOBS_KEPT_SECONDS", "how long background jobs are kept after their end"
    )
    event_endpoints_allow_local: bool = Field(
        default=False,
        description="whether event endpoints may be on this machine or a private network",
    )

    @model_validator(mode="after")
    def _time_limits_nest(self) -> Self:
        if self.http_connect_timeout + self.http_read_timeout >= START_TO_CLOSE:
            raise ValueError(
                "HTTP_CONNECT_TIMEOUT_SECONDS and HTTP_READ_TIMEOUT_SECONDS together"
                f" must be less than {START_TO_CLOSE.seconds}"
            )
        if self.http_late_answer < self.http_read_timeout:
            raise ValueError("HTTP_LATE_ANSWER_SECONDS must be at least HTTP_READ_TIMEOUT_SECONDS")
        if not START_TO_CLOSE < self.drain < CONTAINER_GRACE:
            raise ValueError(
                f"DRAIN_SECONDS must be more than {START_TO_CLOSE.seconds}"
                f" and less than {CONTAINER_GRACE.seconds}"
            )
        return self


class WorkerSize(BaseModel):
    """How many tasks a worker runs at the same time, and its connections."""

    sends_at_once: AtOnce = Field(
        default=20, description="concurrent sends of one worker, each with its own connection"
    )
    decisions_at_once: AtOnce = Field(
        default=10, description="concurrent decisions of one worker, each with its own connection"
    )
    questions_at_once: AtOnce = Field(
        default=10, description="concurrent lists and look-ups of one worker"
    )
    background_at_once: AtOnce = Field(
        default=20, description="concurrent jobs, sweeps and repeated decisions of one worker"
    )
    endpoints_at_once: AtOnce = Field(
        default=10, description="event endpoints that one worker delivers to concurrently"
    )
    other_connections: AtOnce = Field(
        default=10, description="connections of one worker for all but sends and decisions"
    )
    workflow_tasks_at_once: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=100, description="concurrent workflow tasks of one worker"
    )
    cached_workflows: CacheSize = Field(
        default=500, description="workflows whose state one worker keeps, 70 to 150 KB each"
    )
    workflow_pollers: Annotated[int, Field(ge=2, le=100)] = Field(
        default=5, description="calls that wait for workflow tasks"
    )
    activity_pollers: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5, description="calls that wait for activities, for each of the task queues"
    )

    @property
    def connections(self) -> int:
        """Most connections to the database: one for each send and decision, and the others."""
        return self.sends_at_once + self.decisions_at_once + self.other_connections


class WorkerSettings(Settings, WorkerSize):
    """Settings of the worker: the account, the address the provider calls, metrics."""

    twilio_account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$",
        description="the Twilio account, AC and 32 hexadecimal digits, from the Twilio console",
    )
    twilio_auth_token: SecretStr = Field(
        min_length=1, description="the account's auth token, from the Twilio console"
    )
    public_base_url: SafeUrl = Field(
        description="the address Twilio reaches this API at, https://segue.example.com"
    )
    metrics_address: HostAndPort | None = Field(
        default=None, description="where /metrics is served to Prometheus; nowhere unless set"
    )
    sdk_metrics_address: HostAndPort | None = Field(
        default=None, description="where the Temporal SDK serves its own /metrics"
    )
    otel_exporter_otlp_endpoint: BaseUrl | None = Field(
        default=None,
        description="where traces go, by OTLP over HTTP: http://collector:4318; nowhere unless set",
    )
    second_reader_url: BaseUrl | None = Field(
        default=None,
        description="the API like OpenAI's that is asked about texts, https://api.openai.com/v1;"
        " none unless set",
    )
    second_reader_model: str = Field(default="", description="the name of the model to ask there")
    second_reader_key: SecretStr | None = Field(
        default=None, description="what that API knows us by; none for most local ones"
    )
    second_reader_opts_out: bool = Field(
        default=False, description="whether its clear opt-outs opt out instead of adding a review"
    )

    @model_validator(mode="after")
    def _second_reader_has_a_model(self) -> Self:
        if self.second_reader_url and not self.second_reader_model:
            raise ValueError("SECOND_READER_MODEL must name a model if SECOND_READER_URL is set")
        return self


class ApiSettings(WorkerSettings):
    """Settings of the API: the secret of its sessions, limits of sign-in and imports."""

    session_secret: RandomSecret = Field(
        min_length=32,
        description="32 or more random characters, for example from `openssl rand -hex 32`",
    )
    allowed_hosts: Hosts = Field(
        default="",
        description="other names the API is called by, segue.internal,10.0.0.5; besides that of"
        " PUBLIC_BASE_URL and those of this machine",
    )
    session_idle: PositiveSeconds = _seconds(
        28_800, "SESSION_IDLE_SECONDS", "time without a request after which a session ends"
    )
    session_lifetime: PositiveSeconds = _seconds(
        604_800, "SESSION_LIFETIME_SECONDS", "time after which a session ends, however busy"
    )
    sign_in_window: WithinADay = _seconds(
        900, "SIGN_IN_WINDOW_SECONDS", "the period over which wrong sign-ins are counted"
    )
    sign_in_delay_most: WithinADay = _seconds(
        30, "SIGN_IN_DELAY_MOST_SECONDS", "the longest wait between two sign-ins"
    )
    sign_ins_per_email: Count = Field(
        default=10,
        description="wrong tries for one email address from one network address before waits",
    )
    sign_ins_per_email_anywhere: Count = Field(
        default=100, description="the same for one email address from all network addresses"
    )
    sign_ins_per_address: Count = Field(
        default=50, description="the same for one network address, whoever is tried"
    )
    import_max_bytes: Count = Field(
        default=50_000_000, description="largest CSV file of contacts that is taken, in bytes"
    )
    enrolments_per_hour: Count = Field(
        default=100_000, description="most contacts one user may enroll in an hour"
    )

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the API by HTTPS."""
        return self.public_base_url.startswith("https:")

    def answers_to(self, host: str) -> bool:
        """Whether a host, without its port, is one of the API's names."""
        name = host.lower().rstrip(".")
        ours = {urlsplit(self.public_base_url).hostname, *self.allowed_hosts.split(",")} - {""}
        return name in ours or _is_this_machine(name)


class StandaloneSettings(_Environment):
    """Ports and folder of the stack on one machine (`make up`)."""

    segue_api_port: Port = 8000
    segue_simulator_port: Port = 8100
    segue_temporal_port: Port = 7233
    segue_temporal_ui_port: Port = 8233
    segue_postgres_port: Port = 54329
    segue_metrics_port: Annotated[int, Field(ge=1, le=65_533)] | None = Field(
        default=None,
        description="the API's /metrics; the worker's and its Temporal SDK's are on the next two",
    )
    segue_data_dir: Path = Path(".segue")
    segue_build_id: BuildId = ""
    temporal_cli_path: Path | None = None

    @property
    def metrics_ports(self) -> Sequence[int]:
        """Metrics ports of the API, the worker and the worker's Temporal SDK, if there are any."""
        first = self.segue_metrics_port
        return () if first is None else range(first, first + 3)

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [
            self.segue_api_port,
            self.segue_simulator_port,
            self.segue_temporal_port,
            self.segue_temporal_ui_port,
            self.segue_postgres_port,
            *self.metrics_ports,
        ]
        if len(set(ports)) < len(ports):
            raise ValueError("the SEGUE_..._PORT variables must all differ")
        return self


def variables() -> frozenset[str]:
    """Return the names of all variables that the API, the worker or a command reads."""
    fields = ApiSettings.model_fields
    return frozenset(str(one.validation_alias or name).upper() for name, one in fields.items())


def for_shells(child: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a child's environment that another shell lacks."""
    names = variables()
    return {
        name: value
        for name, value in child.items()
        if name in names or os.environ.get(name) != value
    }


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with changes, for a child process.

    It drops the variables of the Temporal and PostgreSQL clients and Temporal's configuration file:
    settings for a cluster, above all TLS, would break a server on this machine.
    """
    clients = ("TEMPORAL_", "PG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(clients)}
    return {**kept, "TEMPORAL_CONFIG_FILE": os.devnull, **changes}


def _complaints(kind: type[_Environment], error: ValidationError) -> list[str]:
    """Describe the errors by variable, without the values, which may be secrets."""
    complaints = []
    for problem in error.errors(include_input=False, include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            complaints.append(message)
            continue
        name = str(problem["loc"][0])
        field = kind.model_fields.get(name.lower())
        remedy = f" ({field.description})" if field and field.description else ""
        if problem["type"] == "missing":
            complaints.append(f"{name.upper()} is not set{remedy}")
        else:
            complaints.append(f"{name.upper()} is wrong: {message}{remedy}")
    return complaints
