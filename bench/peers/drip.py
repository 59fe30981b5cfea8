# mypy: disable-error-code="import-untyped"
"""The work that every peer is given: three texts, a wait between them, and the provider."""

from dataclasses import dataclass

import requests
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bench.peers.plan import SENDER, TEXTS

CALL_SECONDS = 10

CALL_ERRORS = (TwilioException, requests.RequestException)
"""What a call may raise; after the second it is not known whether the text was sent."""


@dataclass(frozen=True)
class Given:
    """What a process of a peer is started with.

    Attributes:
        database_url: PostgreSQL, empty before `set_up`.
        broker_url: Redis, for those that need it.
        web_port: On 127.0.0.1, where people are enrolled and their replies arrive.
        folder: For files of its own.
    """

    database_url: str
    broker_url: str
    simulator: str
    account_sid: str
    auth_token: str
    web_port: int
    folder: str


class Provider:
    """The simulator, through the same client library as ours."""

    def __init__(self, given: Given) -> None:
        http = TwilioHttpClient(timeout=CALL_SECONDS)
        self._twilio = Client(given.account_sid, given.auth_token, http_client=http)
        self._twilio.api.base_url = given.simulator

    def send(self, phone: str, step: int) -> str:
        """Send one of the texts, counted from 0; return the provider's id.

        Raises:
            TwilioException: The provider refused it.
            requests.RequestException: There was no answer.
        """
        sent = self._twilio.messages.create(to=phone, from_=SENDER, body=TEXTS[step])
        return str(sent.sid)
