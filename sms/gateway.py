# mypy: disable-error-code="import-untyped"
"""The provider, Twilio: sending texts, listing them, looking up numbers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from math import ceil
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from requests import RequestException, Session
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.base.values import unset
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance
from urllib3.exceptions import HTTPError

from domain.messaging.absence import shows_as_sent
from domain.messaging.ports import (
    Accepted,
    Attachment,
    ListedMessage,
    ListedText,
    ListPage,
    NotCalled,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
    SendRequest,
    SendResult,
)
from domain.statuses.contacts import LineType
from domain.statuses.progress import from_provider
from sms.deadline import DeadlineAdapter, DeadlinePassedError, Departure, TimeLimits
from sms.media import MediaSource

_Found = TypeVar("_Found")
_Asked = ParamSpec("_Asked")
_Blocking = Callable[Concatenate["TwilioGateway", _Asked], _Found]
_Question = Callable[Concatenate["TwilioGateway", _Asked], Coroutine[Any, Any, _Found]]

_PAGE_SIZE = 100
_MOST_PAGES = 20
_TEXT_PAGE_SIZE = 1000
_MOST_PICTURES = 10

CALLBACK_OVERRIDES = "rc=5&rp=5xx,ct,rt&ct=2000&rt=4000"
"""Twilio's callback overrides: it tries 5 times more, all within 15 s, when we cannot be reached or
answer with an error. By default it retries once, and only if it could not connect. It waits longer
for an answer than `api.twilio.PATIENCE`. The fragment is neither sent nor signed (connection
overrides, twilio.com/docs/usage/webhooks/webhooks-connection-overrides, 2026-11)."""

_FIRST_TWILIO_CODE = 10_000

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_TROUBLE = (
    TwilioException,
    RequestException,
    HTTPError,
    OSError,
    # The SDK raises these when an answer is not the JSON it expects.
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)


def _asks(what: str) -> Callable[[_Blocking[_Asked, _Found]], _Question[_Asked, _Found]]:
    """Turn a blocking method into a coroutine method that runs as ``TwilioGateway.ask`` does."""

    def decorate(question: _Blocking[_Asked, _Found]) -> _Question[_Asked, _Found]:
        @wraps(question)
        async def ask(
            self: "TwilioGateway", /, *args: _Asked.args, **kwargs: _Asked.kwargs
        ) -> _Found:
            return await self.ask(lambda: question(self, *args, **kwargs), what)

        return ask

    return decorate


class TwilioGateway:
    """The provider over Twilio's REST API, through Twilio's own SDK.

    The SDK blocks, so calls run in a bounded number of threads. Nothing is retried here. The SDK's
    exceptions and log lines contain numbers and texts, so none of them leaves this module.

    Args:
        status_callback_url: Where the provider reports; the attempt's id is added to it.
        limits: Time limits of the provider; `connect` and `read` together bound a call.
        max_concurrent: Calls at the same time; more threads than that wait for late answers.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        api_base_url: str,
        lookups_base_url: str,
        status_callback_url: str,
        limits: TimeLimits,
        max_concurrent: int,
    ) -> None:
        self._status_callback_url = status_callback_url
        self._total = (limits.connect + limits.read).total_seconds()
        at_most = (limits.connect + limits.late_answer) / (limits.connect + limits.read)
        threads = max_concurrent * ceil(at_most)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="twilio")
        self._session = Session()
        # A proxy does not reach a stand-in on this machine.
        self._session.trust_env = urlsplit(api_base_url).hostname not in _LOOPBACK
        adapter = DeadlineAdapter(limits, connections=threads)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        client = Client(
            account_sid,
            auth_token,
            http_client=_http_client(self._session),
            # Else TWILIO_EDGE and TWILIO_REGION would change the base addresses.
            environment={"TWILIO_ACCOUNT_SID": account_sid},
        )
        client.api.base_url = self._base_url = api_base_url
        client.lookups.base_url = lookups_base_url
        self._media = MediaSource(api_base_url, account_sid, auth_token, self._total)
        self._messages = client.api.v2010.account.messages
        self._phone_numbers = client.lookups.v2.phone_numbers

    async def aclose(self) -> None:
        """Wait for running calls, drop those that have not begun, and disconnect."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._session.close()

    async def create(self, call: SendRequest) -> SendResult:
        """Send one message, never after the call's deadline, never twice.

        If the caller is canceled or the time for the whole call is over, a request that has not
        left by then never will.

        Returns:
            `Accepted`: Twilio has it. `Refused`: Twilio refused it, or we could not connect (status
            0). `NotCalled`: the deadline passed first. `OutcomeUnknown`: anything else, including
            5xx and 408, which do not say whether the message was created (Twilio, error 20500,
            2026-11). If the time for the whole call is over first, it carries the late answer:
            Twilio may take 26 s.
        """
        departure = Departure(call.deadline)
        work = asyncio.wrap_future(self._threads.submit(self._create, call, departure))
        try:
            await asyncio.wait({work}, timeout=self._total)
            return work.result() if work.done() else _unfinished(departure, work)
        finally:
            departure.revoke()

    async def ask(self, question: Callable[[], _Found], what: str) -> _Found:
        """Run a question in a thread.

        Raises:
            ProviderUnavailableError: It got no complete answer in time.
        """
        work = asyncio.wrap_future(self._threads.submit(_answered, question))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._total):
                answers = await work
                if answers:
                    return answers[0]
        raise ProviderUnavailableError(f"could not fetch the {what} from the provider")

    def _create(self, call: SendRequest, departure: Departure) -> SendResult:
        if departure.is_late:
            return NotCalled()
        try:
            with departure.active():
                message: MessageInstance = self._messages.create(
                    to=call.to,
                    from_=call.from_phone or unset,
                    messaging_service_sid=call.messaging_service_sid or unset,
                    body=call.body or unset,
                    media_url=list(call.media_urls) or unset,
                    validity_period=call.validity_seconds,
                    status_callback=f"{self._status_callback_url}?attempt={call.attempt_id.hex}"
                    f"#{CALLBACK_OVERRIDES}",
                )
        except DeadlinePassedError:
            return NotCalled()
        except (TwilioRestException, TwilioServiceException) as error:
            return _not_created(departure, _code(error.code))
        except _TROUBLE:
            return _not_created(departure, None)
        if not message.sid:
            return OutcomeUnknown(departure.http_status)
        return Accepted(
            message.sid,
            from_provider(message.status or ""),
            message.from_ or None,
            is_intact=shows_as_sent(message.to, message.body, call.to, call.body),
        )

    @_asks("list of messages")
    def list_outbound(self, to: str, since: datetime) -> list[ListedMessage]:
        """List outbound messages to a number created since a moment, newest first.

        Filters by recipient only: the sender and sent date of a message are empty while it waits in
        a Messaging Service, so a filter on them would miss it. Twilio's dates are whole seconds, so
        the second that contains `since` is included.
        """
        earliest = since.astimezone(UTC).replace(microsecond=0)
        found: list[ListedMessage] = []
        page = self._messages.page(to=to, page_size=_PAGE_SIZE)
        for _ in range(_MOST_PAGES):
            messages = [message for message in page if message.direction.startswith("outbound")]
            listed = [_listed(message) for message in messages]
            recent = [message for message in listed if message.created_at >= earliest]
            found += recent
            # A page without recent ones is the last: pages overlap by less than a page.
            page = page.next_page() if recent or not listed else None
            if page is None:
                return sorted(found, key=lambda message: message.created_at, reverse=True)
        raise ProviderUnavailableError("the provider's list of messages has no end")

    @_asks("list of inbound texts")
    def list_inbound(
        self, since: datetime, until: datetime, page: str | None = None, *, to: str | None = None
    ) -> ListPage[ListedText]:
        """List a page of the texts received by a number, or by the whole account.

        Twilio's list has no filter by direction, so its pages contain outbound messages too. Twilio
        promises to filter by whole days only, so texts out of range are dropped here.
        """
        earliest = since.astimezone(UTC).replace(microsecond=0)
        filters = {
            "to": to or unset,
            "date_sent_after": earliest,
            "date_sent_before": until.astimezone(UTC),
        }
        messages, more = self._page(page, filters, _sent_at, earliest)
        texts = [
            _listed_text(message)
            for message in messages
            # Complete texts to us; one without a number would stop all others from being read.
            if message.direction == "inbound" and message.status == "received" and message.from_
        ]
        return ListPage([text for text in texts if earliest <= text.sent_at <= until], more)

    @_asks("list of outbound texts")
    def list_sent(
        self, since: datetime, page: str | None = None, *, from_phone: str | None = None
    ) -> ListPage[ListedMessage]:
        """List a page of the texts sent by a number, or by the whole account.

        Does not filter by sent date, which texts waiting in a Messaging Service do not have.
        """
        earliest = since.astimezone(UTC).replace(microsecond=0)
        filters = {"from_": from_phone or unset}
        messages, more = self._page(page, filters, _created_at, earliest)
        sent = [_listed(one) for one in messages if one.direction.startswith("outbound")]
        if not all(text.to for text in sent):
            raise ProviderUnavailableError("the provider's list of outbound texts has gaps")
        return ListPage([text for text in sent if text.created_at >= earliest], more)

    def _page(
        self,
        page: str | None,
        filters: Mapping[str, Any],
        moment_of: Callable[[MessageInstance], datetime | None],
        earliest: datetime,
    ) -> tuple[list[MessageInstance], str | None]:
        """Fetch a page and the address of the next, None after the last that may be recent."""
        if page is None:
            found = self._messages.page(**filters, page_size=_TEXT_PAGE_SIZE)
        else:
            found = self._messages.get_page(page)
        messages = list(found)
        # Pages go from new to old: after one without recent messages, none has any.
        recent = any((moment_of(message) or earliest) >= earliest for message in messages)
        return messages, found.next_page_url if recent or not messages else None

    @_asks("list of pictures")
    def pictures(self, sid: str) -> list[str]:
        """Return the addresses of an inbound text's pictures, as its webhook has them."""
        media = self._messages(sid).media.list(limit=_MOST_PICTURES, page_size=_MOST_PICTURES)
        return [f"{self._base_url}{one.uri.removesuffix('.json')}" for one in media if one.uri]

    @_asks("picture")
    def attachment(self, url: str) -> Attachment | None:
        """Fetch a file of an inbound text; see ``MediaSource.fetch``."""
        return self._media.fetch(self._session, url)

    @_asks("message")
    def message(self, sid: str) -> ListedMessage | None:
        """Fetch one outbound message; None if Twilio no longer has it."""
        try:
            return _listed(self._messages(sid).fetch())
        except TwilioRestException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    @_asks("look-up of numbers")
    def line_type(self, phone: str) -> LineType:
        """Look up a number's line type (Lookup v2, ``line_type_intelligence``).

        It is unknown also for an invalid number, a country without data, or a new type.
        """
        found = self._phone_numbers(phone).fetch(fields="line_type_intelligence")
        facts = found.line_type_intelligence
        if not facts or facts.get("error_code"):
            return LineType.UNKNOWN
        try:
            return LineType(facts.get("type"))
        except ValueError:
            return LineType.UNKNOWN


def _http_client(session: Session) -> TwilioHttpClient:
    """Build the SDK's transport on our session, with logging off.

    The SDK and, at its lowest level, urllib3 log addresses whose queries contain numbers.
    """
    silent = logging.getLogger("twilio.silent")
    silent.disabled = True
    logging.getLogger("urllib3").setLevel(logging.INFO)
    client = TwilioHttpClient(pool_connections=False, logger=silent)
    client.session = session
    return client


def _answered(question: Callable[[], _Found]) -> tuple[_Found] | tuple[()]:
    """Ask in a thread, where the errors stay, because they contain the question."""
    with suppress(ProviderUnavailableError, *_TROUBLE):
        return (question(),)
    return ()


def _unfinished(departure: Departure, work: Awaitable[SendResult]) -> SendResult:
    """Return the result of a call that takes too long."""
    if not departure.revoke():
        return OutcomeUnknown(departure.http_status, late=work)
    return NotCalled() if departure.is_late else Refused(http_status=0, code=None)


def _not_created(departure: Departure, code: int | None) -> SendResult:
    """Return the result of a call that returned no message."""
    status = departure.http_status
    if status is None:
        return OutcomeUnknown() if departure.has_left else Refused(http_status=0, code=None)
    if 400 <= status < 500 and status != 408:
        return Refused(status, code)
    return OutcomeUnknown(status, code)


def _code(code: object) -> int | None:
    """Return Twilio's error code; for answers without one the SDK sets the HTTP status."""
    return code if isinstance(code, int) and code >= _FIRST_TWILIO_CODE else None


def _listed(message: MessageInstance) -> ListedMessage:
    """Translate an entry of Twilio's list.

    Raises:
        ProviderUnavailableError: The entry is too incomplete to prove anything.
    """
    if not message.sid or not isinstance(message.date_created, datetime):
        raise ProviderUnavailableError("the provider's list of messages has gaps")
    return ListedMessage(
        sid=message.sid,
        body=message.body or "",
        status=from_provider(message.status or ""),
        created_at=message.date_created,
        error_code=message.error_code,
        from_phone=message.from_ or None,
        to=message.to or "",
    )


def _sent_at(message: MessageInstance) -> datetime | None:
    moment = message.date_sent or message.date_created
    return moment if isinstance(moment, datetime) else None


def _created_at(message: MessageInstance) -> datetime | None:
    moment = message.date_created
    return moment if isinstance(moment, datetime) else None


def _listed_text(message: MessageInstance) -> ListedText:
    """Translate a text to us in Twilio's list.

    Raises:
        ProviderUnavailableError: The entry is incomplete.
    """
    sent_at = _sent_at(message)
    if not (message.sid and message.from_ and message.to and sent_at):
        raise ProviderUnavailableError("the provider's list of inbound texts has gaps")
    return ListedText(
        sid=message.sid,
        phone=message.from_,
        to=message.to,
        messaging_service_sid=message.messaging_service_sid or None,
        body=message.body or "",
        pictures=int(message.num_media or 0),
        sent_at=sent_at,
    )
