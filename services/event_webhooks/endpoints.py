"""Event endpoints: making, changing and testing them, and their delivery log."""

import base64
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from domain.event_webhooks.events import DeliveryState, EventRules, EventType
from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError, required
from domain.platform.filling import filled
from domain.platform.paging import Page, Position, by_creation, cut
from services.event_webhooks.event_log import EventLog, position
from services.event_webhooks.http_client import is_public
from services.platform import audit
from services.platform.group_commit import FullError
from storage.event_webhooks import deliveries, endpoints, events
from storage.event_webhooks.deliveries import DeliveryRecord, Replayed
from storage.platform import outbox
from storage.platform.database import Database, Transaction
from storage.tables.event_webhooks import EventEndpoint

MOST_ENDPOINTS = 20
"""Each costs every event a row."""

REPLAYED_AT_ONCE = 10_000

URL_LENGTH = 2000
DESCRIPTION_LENGTH = 200

_KIND = "event_endpoint"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class EndpointDetails:
    """An endpoint as it is shown, without its secret; no ``types`` is all of them."""

    id: UUID
    url: str
    description: str
    types: Sequence[EventType]
    enabled: bool
    created_at: datetime
    disabled_at: datetime | None
    previous_secret_until: datetime | None

    @classmethod
    def of(cls, row: EventEndpoint) -> "EndpointDetails":
        """Read a row."""
        types = [EventType(one) for one in row.types]
        return filled(cls, row, types=types, enabled=row.disabled_at is None)


@dataclass(frozen=True)
class MadeEndpoint:
    """An endpoint with the secret that signs its events; shown this once."""

    details: EndpointDetails
    secret: str


class EndpointFields(TypedDict, total=False):
    """The fields of an endpoint that users set."""

    url: str
    description: str
    types: Sequence[EventType]
    enabled: bool


class EventEndpoints:
    """Manages endpoints.

    Methods that take an endpoint's id raise ``NotFoundError`` if there is none with this id.
    """

    def __init__(
        self, database: Database, rules: EventRules, *, log: EventLog | None = None
    ) -> None:
        self._database = database
        self._rules = rules
        self._log = log or EventLog(database)

    async def create(self, fields: EndpointFields, user_id: UUID) -> MadeEndpoint:
        """Add an endpoint.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``too_many_endpoints``.
        """
        secret = _new_secret()
        values = {
            "id": uuid4(),
            "description": "",
            "types": [],
            **self._cleaned(fields),
            "secret": secret,
            "created_by": user_id,
        }
        async with self._database.transaction() as tx:
            row = await endpoints.add(tx, values, MOST_ENDPOINTS)
            if row is None:
                raise ConflictError(
                    "too_many_endpoints",
                    f"there are {MOST_ENDPOINTS} event endpoints already; remove one first",
                )
            await audit.record(tx, "event_endpoint.create", _KIND, [row.id], user_id=user_id)
        return MadeEndpoint(EndpointDetails.of(row), secret)

    async def get(self, endpoint_id: UUID) -> EndpointDetails:
        """Read one endpoint."""
        async with self._database.transaction() as tx:
            return EndpointDetails.of(await _required(tx, endpoint_id))

    async def find(
        self, *, after: Position | None = None, limit: int = 50
    ) -> Page[EndpointDetails]:
        """List endpoints in the order they were made."""
        async with self._database.transaction() as tx:
            rows = await endpoints.find(tx, after=after, limit=limit + 1)
        return cut(rows, limit, by_creation).showing(EndpointDetails.of)

    async def update(self, endpoint_id: UUID, fields: EndpointFields) -> EndpointDetails:
        """Change an endpoint.

        Waiting events are tried at once at a new address, and when an endpoint is enabled. Events
        that happen while it is disabled are sent to it only by ``replay``.

        Raises:
            InvalidFieldError: A field cannot be taken.
        """
        values = self._cleaned(fields)
        async with self._database.transaction() as tx:
            row = await _required(tx, endpoint_id, lock=True)
            was = EndpointDetails.of(row)
            if was.enabled is (values.get("disabled_at") is None):
                values.pop("disabled_at", None)  # disabling it again keeps the moment
            if values:
                row = await endpoints.change(tx, endpoint_id, values) or row
                await audit.record(
                    tx, "event_endpoint.update", _KIND, [endpoint_id], fields=",".join(values)
                )
            now = EndpointDetails.of(row)
            if now.enabled and (now.url != was.url or not was.enabled):
                await deliveries.try_all_now(tx, endpoint_id)
                await outbox.add_event_wakes(tx, [endpoint_id])
        return now

    async def remove(self, endpoint_id: UUID) -> None:
        """Remove an endpoint and its delivery log."""
        async with self._database.transaction() as tx:
            if not await endpoints.remove(tx, endpoint_id):
                raise NotFoundError("event endpoint", endpoint_id)
            await audit.record(tx, "event_endpoint.delete", _KIND, [endpoint_id])

    async def rotate_secret(self, endpoint_id: UUID) -> MadeEndpoint:
        """Give an endpoint a new secret; the one before signs everything too for a day.

        The one before that no longer does: after a secret has leaked, rotate twice.
        """
        secret, overlap = _new_secret(), self._rules.secrets_overlap
        async with self._database.transaction() as tx:
            changed = await endpoints.rotate_secret(tx, endpoint_id, secret, overlap)
            row = required(changed, "event endpoint", endpoint_id)
            await audit.record(tx, "event_endpoint.rotate_secret", _KIND, [endpoint_id])
        return MadeEndpoint(EndpointDetails.of(row), secret)

    async def test(self, endpoint_id: UUID) -> DeliveryRecord:
        """Send an endpoint a ``test.ping``, whatever types it wants.

        Raises:
            ConflictError: ``endpoint_disabled``.
        """
        async with self._database.transaction() as tx:
            await _enabled(tx, endpoint_id)
            event_id = await events.ping(tx, endpoint_id)
            await outbox.add_event_wakes(tx, [endpoint_id])
            await audit.record(tx, "event_endpoint.test", _KIND, [endpoint_id])
            return await _delivery(tx, endpoint_id, event_id)

    async def replay(self, endpoint_id: UUID, after: UUID | None) -> Replayed:
        """Send an endpoint the next events of its types behind one, whatever it got of them.

        At most ``REPLAYED_AT_ONCE``, oldest first; None to begin with the oldest that is kept.

        Raises:
            ConflictError: ``endpoint_disabled``.
            GoneError: ``event_not_kept``.
            FullError: A transaction that may have left it out is under way; nothing was done.
        """
        async with self._database.transaction() as tx:
            await _enabled(tx, endpoint_id)
        # Who found the endpoint disabled, and may not have committed its events yet.
        if not await self._log.settled():
            raise FullError
        async with self._database.transaction() as tx:
            row = await _enabled(tx, endpoint_id)
            number = await position(tx, after)
            done = await deliveries.replay(
                tx, endpoint_id, after=number, types=row.types, limit=REPLAYED_AT_ONCE
            )
            await outbox.add_event_wakes(tx, [endpoint_id])
            await audit.record(
                tx, "event_endpoint.replay", _KIND, [endpoint_id], queued=done.queued
            )
        return done

    async def deliveries(
        self,
        endpoint_id: UUID,
        *,
        state: DeliveryState | None = None,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[DeliveryRecord]:
        """List an endpoint's deliveries, the latest event first.

        Raises:
            InvalidFieldError: ``invalid_cursor``.
        """
        before = _number(after) if after else None
        async with self._database.transaction() as tx:
            await _required(tx, endpoint_id)
            rows = await deliveries.log(
                tx, endpoint_id, state=state, before=before, limit=limit + 1
            )
        return cut(rows, limit, lambda row: Position(str(row.number), row.event_id))

    async def retry(self, endpoint_id: UUID, event_id: UUID) -> DeliveryRecord:
        """Deliver an event again, or at once; later events of its subject wait for it.

        Raises:
            NotFoundError: The event was never meant for it.
            ConflictError: ``endpoint_disabled``.
        """
        async with self._database.transaction() as tx:
            await _enabled(tx, endpoint_id)
            record = await _delivery(tx, endpoint_id, event_id)
            await deliveries.send_again(tx, endpoint_id, record.number)
            await outbox.add_event_wakes(tx, [endpoint_id])
            await audit.record(
                tx, "event_endpoint.retry", _KIND, [endpoint_id], event_id=str(event_id)
            )
            return await _delivery(tx, endpoint_id, event_id)

    def _cleaned(self, fields: EndpointFields) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if "url" in fields:
            values["url"] = _checked_url(fields["url"], allow_local=self._rules.allow_local)
        if "description" in fields:
            values["description"] = names.clean(
                fields["description"], field="description", most=DESCRIPTION_LENGTH, blank=True
            )
        if "types" in fields:
            values["types"] = sorted({one.value for one in fields["types"]})
        if "enabled" in fields:
            values["disabled_at"] = None if fields["enabled"] else datetime.now(UTC)
        return values


async def _required(tx: Transaction, endpoint_id: UUID, *, lock: bool = False) -> EventEndpoint:
    row = await endpoints.get(tx, endpoint_id, lock=lock)
    return required(row, "event endpoint", endpoint_id)


async def _enabled(tx: Transaction, endpoint_id: UUID) -> EventEndpoint:
    row = await _required(tx, endpoint_id, lock=True)
    if row.disabled_at is not None:
        raise ConflictError(
            "endpoint_disabled", "the event endpoint is disabled; enable it first, with PATCH"
        )
    return row


async def _delivery(tx: Transaction, endpoint_id: UUID, event_id: UUID) -> DeliveryRecord:
    return required(await deliveries.one(tx, endpoint_id, event_id), "event", event_id)


def _new_secret() -> str:
    """Make a secret as https://www.standardwebhooks.com writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _number(after: Position) -> int:
    number = int(after.value) if isinstance(after.value, str) and after.value.isdecimal() else -1
    if not 0 <= number <= _MOST_NUMBER:
        raise InvalidFieldError(
            "cursor",
            "does not belong to this list; take next_cursor of the page before, or leave it out",
            code="invalid_cursor",
        )
    return number


def _checked_url(url: str, *, allow_local: bool) -> str:
    """Check an address; where its name resolves to is checked at each delivery."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _invalid_url() from None
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not plain or not host or parts.username is not None or parts.fragment:
        raise _invalid_url()
    local = host in _LOOPBACK
    if parts.scheme != "https" and not (parts.scheme == "http" and local and allow_local):
        raise InvalidFieldError("url", "must begin with https://", code="https_required")
    if not allow_local and (local or _is_private_number(host)):
        raise InvalidFieldError(
            "url",
            "leads into a private network; use an address that can be reached over the internet",
            code="private_address",
        )
    return url


def _is_private_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


def _invalid_url() -> InvalidFieldError:
    return InvalidFieldError(
        "url",
        "must be an address such as https://example.com/events, without user name or fragment",
        code="invalid_url",
    )
