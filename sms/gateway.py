# mypy: disable-error-code="import-untyped"
"""The provider, Twilio: handing over texts, listing them, looking up numbers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import TypeVar
from urllib.parse import urlsplit

from requests import RequestException, Session
from twilio.base.exceptions import (
    TwilioException,
    TwilioRestException,
    TwilioServiceException,
)
from twilio.base.values import unset
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import (
    MessageInstance,
)
from urllib3.exceptions import HTTPError

from domain.messaging.absence import shows_as_sent
from domain.messaging.ports import (
    Accepted,
    ListedMessage,
    ListedText,
    NotCalled,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
    SendRequest,
    SendResult,
    SentPage,
    SentText,
    TextPage,
)
from domain.statuses.contacts import LineType
from domain.statuses.progress import from_provider
from sms.deadline import DeadlineAdapter, DeadlinePassedError, Departure, TimeLimits

_Found = TypeVar("_Found")

_PAGE_SIZE = 100
_MOST_PAGES = 20
_TEXT_PAGE_SIZE = 1000
_MOST_PICTURES = 10

CALLBACK_OVERRIDES = "rc=5&rp=5xx,ct,rt&ct=2000&rt=4000"
"""How Twilio is to report: it tries 5 times more, all within 15 s, when we cannot be reached or are
in trouble. Left to itself it tries again only when no connection came about, once. It waits longer
for an answer than `api.twilio.PATIENCE`. The fragment is neither sent nor signed (connection
overrides, twilio.com/docs/usage/webhooks/webhooks-connection-overrides, 2026-11)."""

_FIRST_TWILIO_CODE = 10_000

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_TROUBLE = (
    TwilioException,
    RequestException,
    HTTPError,
    OSError,
    # What the SDK stumbles over when an answer is not the JSON it expects.
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)


class TwilioGateway:
    """The provider over Twilio's REST API, through its own SDK.

    The SDK blocks, so every call runs in one of a bounded number of threads. Nothing is ever
    repeated here. Nothing that is raised or logged holds a number or a text: the SDK's exceptions
    and its log lines do, so neither gets out.
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
        """Prepare the client; nothing is connected yet.

        Args:
            account_sid: The account.
            auth_token: Its secret.
            api_base_url: Where messages are created and listed.
            lookups_base_url: Where numbers are looked up.
            status_callback_url: Where the provider reports; the attempt's id is added to it.
            limits: How long the provider may take; `connect` and `read` together bound a call.
            max_concurrent: How many calls are under way at the same time; more threads than that
                wait for answers that come late.
        """
        self._status_callback_url = status_callback_url
        self._total = (limits.connect + limits.read).total_seconds()
        at_most = (limits.connect + limits.late_answer) / (limits.connect + limits.read)
        threads = max_concurrent * ceil(at_most)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="twilio")
        self._session = Session()
        # A proxy for the outside world does not lead to a stand-in on this machine.
        self._session.trust_env = urlsplit(api_base_url).hostname not in _LOOPBACK
        adapter = DeadlineAdapter(limits, connections=threads)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        client = Client(
            account_sid,
            auth_token,
            http_client=_http_client(self._session),
            # Not the process's own: TWILIO_EDGE and TWILIO_REGION would bend the base addresses.
            environment={"TWILIO_ACCOUNT_SID": account_sid},
        )
        client.api.base_url = self._base_url = api_base_url
        client.lookups.base_url = lookups_base_url
        self._messages = client.api.v2010.account.messages
        self._phone_numbers = client.lookups.v2.phone_numbers

    async def aclose(self) -> None:
        """Wait for the calls under way, drop those that have not begun, and disconnect."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._session.close()

    async def create(self, call: SendRequest) -> SendResult:
        """Hand one message to Twilio, never after the call's deadline, never twice.

        When the caller is cancelled, or the time for the whole call is over, a request that has
        not left by then never will.

        Returns:
            `Accepted`: Twilio has it. `Refused`: Twilio said no, or no connection came about
            (status 0). `NotCalled`: the deadline passed first. `OutcomeUnknown`: anything else, a
            5xx or 408 included, which say nothing about whether the message was created (Twilio,
            error 20500, 2026-11). When the time for the whole call is over first, it carries the
            late answer: Twilio may take 26 s.
        """
        departure = Departure(call.deadline)
        work = asyncio.wrap_future(self._threads.submit(self._create, call, departure))
        try:
            await asyncio.wait({work}, timeout=self._total)
            return work.result() if work.done() else _unfinished(departure, work)
        finally:
            departure.revoke()

    async def list_outbound(self, to: str, since: datetime) -> Sequence[ListedMessage]:
        """List outbound messages to a number created since a moment, newest first.

        Asks by recipient only: the sender and the sent date of a message are empty while it
        waits in a Messaging Service, so a filter on them would hide it. Twilio dates messages in
        whole seconds, so the second in which `since` falls is included.

        Raises:
            ProviderUnavailableError: The list, or the end of it, could not be had.
        """
        return await self._ask(lambda: self._list_outbound(to, since), "list of messages")

    async def list_inbound(
        self, since: datetime, until: datetime, page: str | None = None, *, to: str | None = None
    ) -> TextPage:
        """List a page of the texts that came to a number, or any, of the account.

        Twilio's list cannot be asked for one direction, so outbound messages fill the pages of the
        whole account's; those of one number hold what was sent to it. It promises to filter by
        whole days only: what lies outside is left out here.

        Raises:
            ProviderUnavailableError: The page could not be had, or says too little of a text.
        """
        return await self._ask(
            lambda: self._list_inbound(since, until, page, to), "list of inbound texts"
        )

    async def list_sent(
        self, since: datetime, page: str | None = None, *, from_phone: str | None = None
    ) -> SentPage:
        """List a page of the outbound texts of a number, or of any of the account.

        Not by the date they were sent, which those have none of that wait in a Messaging Service.

        Raises:
            ProviderUnavailableError: The page could not be had, or says too little of a text.
        """
        return await self._ask(
            lambda: self._list_sent(since, page, from_phone), "list of outbound texts"
        )

    async def pictures(self, sid: str) -> Sequence[str]:
        """Where the pictures of a text that came in are, as its webhook says it.

        Raises:
            ProviderUnavailableError: They could not be had.
        """
        return await self._ask(lambda: self._pictures(sid), "list of pictures")

    async def message(self, sid: str) -> ListedMessage | None:
        """Fetch one outbound message; None if Twilio does not have it any more.

        Raises:
            ProviderUnavailableError: It could not be had.
        """
        return await self._ask(lambda: self._message(sid), "message")

    async def line_type(self, phone: str) -> LineType:
        """Look up what kind of line a number is (Lookup v2, ``line_type_intelligence``).

        Returns:
            `LineType.UNKNOWN` too for an invalid number, a country that is not covered, or a kind
            we do not know.

        Raises:
            ProviderUnavailableError: The look-up failed.
        """
        return await self._ask(lambda: self._line_type(phone), "look-up of numbers")

    async def _ask(self, question: Callable[[], _Found], what: str) -> _Found:
        work = asyncio.wrap_future(self._threads.submit(_answered, question))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._total):
                answers = await work
                if answers:
                    return answers[0]
        raise ProviderUnavailableError(f"the provider's {what} could not be had")

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

    def _list_outbound(self, to: str, since: datetime) -> list[ListedMessage]:
        earliest = since.astimezone(UTC).replace(microsecond=0)
        found: list[ListedMessage] = []
        page = self._messages.page(to=to, page_size=_PAGE_SIZE)
        for _ in range(_MOST_PAGES):
            messages = [message for message in page if message.direction.startswith("outbound")]
            listed = [_listed(message) for message in messages]
            recent = [message for message in listed if message.created_at >= earliest]
            found += recent
            # A page without any is the end: pages may overlap by a little, not by a whole page.
            page = page.next_page() if recent or not listed else None
            if page is None:
                return sorted(found, key=lambda message: message.created_at, reverse=True)
        raise ProviderUnavailableError("the provider's list of messages has no end")

    def _list_inbound(
        self, since: datetime, until: datetime, page: str | None, to: str | None
    ) -> TextPage:
        earliest = since.astimezone(UTC).replace(microsecond=0)
        if page is None:
            found = self._messages.page(
                to=to or unset,
                date_sent_after=earliest,
                date_sent_before=until.astimezone(UTC),
                page_size=_TEXT_PAGE_SIZE,
            )
        else:
            found = self._messages.get_page(page)
        messages = list(found)
        texts = [_listed_text(message) for message in messages if _has_come(message)]
        recent = any((_sent_at(message) or earliest) >= earliest for message in messages)
        return TextPage(
            texts=[text for text in texts if earliest <= text.sent_at <= until],
            # Newest first: after a page that is older throughout comes nothing newer.
            more=found.next_page_url if recent or not messages else None,
        )

    def _list_sent(self, since: datetime, page: str | None, from_phone: str | None) -> SentPage:
        earliest = since.astimezone(UTC).replace(microsecond=0)
        if page is None:
            found = self._messages.page(from_=from_phone or unset, page_size=_TEXT_PAGE_SIZE)
        else:
            found = self._messages.get_page(page)
        messages = list(found)
        recent = any((_created_at(message) or earliest) >= earliest for message in messages)
        sent = [_sent_text(one) for one in messages if one.direction.startswith("outbound")]
        return SentPage(
            texts=[text for text in sent if text.created_at >= earliest],
            # Newest first: after a page that is older throughout comes nothing newer.
            more=found.next_page_url if recent or not messages else None,
        )

    def _pictures(self, sid: str) -> list[str]:
        media = self._messages(sid).media.list(limit=_MOST_PICTURES, page_size=_MOST_PICTURES)
        return [f"{self._base_url}{one.uri.removesuffix('.json')}" for one in media if one.uri]

    def _message(self, sid: str) -> ListedMessage | None:
        try:
            return _listed(self._messages(sid).fetch())
        except TwilioRestException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _line_type(self, phone: str) -> LineType:
        found = self._phone_numbers(phone).fetch(fields="line_type_intelligence")
        facts = found.line_type_intelligence
        if not facts or facts.get("error_code"):
            return LineType.UNKNOWN
        try:
            return LineType(facts.get("type"))
        except ValueError:
            return LineType.UNKNOWN


def _http_client(session: Session) -> TwilioHttpClient:
    """Build the SDK's transport on a session of ours, silent.

    The SDK logs addresses with their query, and so does urllib3 at its lowest level: the numbers
    that lists and look-ups ask for.
    """
    silent = logging.getLogger("twilio.silent")
    silent.disabled = True
    logging.getLogger("urllib3").setLevel(logging.INFO)
    client = TwilioHttpClient(pool_connections=False, logger=silent)
    client.session = session
    return client


def _answered(question: Callable[[], _Found]) -> tuple[_Found] | tuple[()]:
    """Ask in a thread; the errors, which know what was asked for, stay there."""
    with suppress(ProviderUnavailableError, *_TROUBLE):
        return (question(),)
    return ()


def _unfinished(departure: Departure, work: Awaitable[SendResult]) -> SendResult:
    """Tell what is known of a call that takes too long."""
    if not departure.revoke():
        return OutcomeUnknown(departure.http_status, late=work)
    return NotCalled() if departure.is_late else Refused(http_status=0, code=None)


def _not_created(departure: Departure, code: int | None) -> SendResult:
    """Read a call that did not come back with a message."""
    status = departure.http_status
    if status is None:
        return OutcomeUnknown() if departure.has_left else Refused(http_status=0, code=None)
    if 400 <= status < 500 and status != 408:
        return Refused(status, code)
    return OutcomeUnknown(status, code)


def _code(code: object) -> int | None:
    """Take Twilio's error code; where an answer has none the SDK puts the HTTP status."""
    return code if isinstance(code, int) and code >= _FIRST_TWILIO_CODE else None


def _listed(message: MessageInstance) -> ListedMessage:
    """Translate an entry of Twilio's list.

    Raises:
        ProviderUnavailableError: The entry says too little to prove anything.
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
        to=message.to or None,
    )


def _has_come(message: MessageInstance) -> bool:
    """Whether an entry of Twilio's list is a text to us that is there in whole.

    One that names no number is nobody's, and would keep all others from being read.
    """
    is_there = message.direction == "inbound" and message.status == "received"
    return bool(is_there and message.from_)


def _sent_at(message: MessageInstance) -> datetime | None:
    moment = message.date_sent or message.date_created
    return moment if isinstance(moment, datetime) else None


def _created_at(message: MessageInstance) -> datetime | None:
    moment = message.date_created
    return moment if isinstance(moment, datetime) else None


def _sent_text(message: MessageInstance) -> SentText:
    """Translate an outbound text in Twilio's list.

    Raises:
        ProviderUnavailableError: The entry says too little to look for whom it went to.
    """
    created_at = _created_at(message)
    if not (message.sid and message.to and created_at):
        raise ProviderUnavailableError("the provider's list of outbound texts has gaps")
    return SentText(
        sid=message.sid,
        to=message.to,
        from_phone=message.from_ or None,
        body=message.body or "",
        status=from_provider(message.status or ""),
        created_at=created_at,
    )


def _listed_text(message: MessageInstance) -> ListedText:
    """Translate a text to us in Twilio's list.

    Raises:
        ProviderUnavailableError: The entry says too little to be taken for the text.
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
