"""Pictures and other files of inbound texts, fetched from the provider and from nowhere else."""

import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from requests import Response, Session

from domain.messaging.ports import Attachment, ProviderUnavailableError

MAX_ATTACHMENT_BYTES = 10_000_000
"""Largest file that is fetched. Carriers pass on 5 MB at most (Twilio, MMS; November 2026)."""

_STORAGE = ("mms.twiliocdn.com", "media.twiliocdn.com")
_FORMER_STORAGE = ("s3-external-1.amazonaws.com", "/media.twiliocdn.com/")
"""Where Twilio keeps files, and redirects to; the latter are those of accounts that do not require
authentication (Twilio's support, "Protect Media Access with HTTP Basic Authentication", 2026-11).
The host is everybody's, the folder Twilio's."""

_PIECE = 65_536


@dataclass(frozen=True)
class MediaSource:
    """The account at the provider whose files are fetched.

    Attributes:
        base_url: Of the REST API.
        most_seconds: Time limit of one file, from its first byte on.
    """

    base_url: str
    account_sid: str
    auth_token: str
    most_seconds: float

    def fetch(self, session: Session, url: str) -> Attachment | None:
        """Fetch a file; None if the address is not the account's, or the file gone or too large.

        The credentials go to the REST API alone, which redirects to Twilio's storage; no other
        redirect is followed.

        Raises:
            ProviderUnavailableError: The provider answers with an error.
            requests.RequestException: It does not answer.
        """
        if not is_account_media(url, self.base_url, self.account_sid):
            return None
        ours = (self.account_sid, self.auth_token)
        with session.get(url, auth=ours, allow_redirects=False, stream=True) as answer:
            if not answer.is_redirect:
                return self._read(answer)
            there = _storage(url, answer.headers["location"])
        if there is None:
            return None
        with session.get(there, allow_redirects=False, stream=True) as answer:
            return self._read(answer)

    def _read(self, answer: Response) -> Attachment | None:
        if answer.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None
        if answer.status_code != HTTPStatus.OK:
            raise ProviderUnavailableError(f"the provider answered {answer.status_code} for a file")
        ends = time.monotonic() + self.most_seconds
        content = bytearray()
        for piece in answer.iter_content(_PIECE):
            content += piece
            if len(content) > MAX_ATTACHMENT_BYTES:
                return None
            if time.monotonic() > ends:
                raise ProviderUnavailableError("the provider takes too long for a file")
        return Attachment(bytes(content), answer.headers.get("content-type", ""))


def is_account_media(url: str, base_url: str, account_sid: str) -> bool:
    """Whether an address is that of a file of this account at the provider."""
    path = rf"/2010-04-01/Accounts/{re.escape(account_sid)}/Messages/\w+/Media/\w+"
    return url.startswith(f"{base_url}/") and bool(
        re.fullmatch(path, url.removeprefix(base_url), re.ASCII)
    )


def _storage(url: str, location: str) -> str | None:
    """Return where a redirect leads; None if not into Twilio's storage."""
    try:
        there = urljoin(url, location)
        parts = urlsplit(there)
        is_plain = parts.scheme == "https" and parts.port is None and parts.username is None
    except ValueError:
        return None
    host, folder = _FORMER_STORAGE
    in_folder = parts.hostname == host and parts.path.startswith(folder) and ".." not in parts.path
    return there if is_plain and (parts.hostname in _STORAGE or in_folder) else None
