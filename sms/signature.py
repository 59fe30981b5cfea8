"""Signatures of the provider's webhooks."""

from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import urldefrag

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]


class FormFields(Protocol):
    """A form as received, with repeated keys and blank values."""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        ...

    def getlist(self, key: str, /) -> Sequence[object]:
        """Return every value of a key."""
        ...


class SignatureValidator:
    """Checks that a form was signed with our auth token (``X-Twilio-Signature``).

    Twilio signs the address it was given and all fields. Behind a proxy the request arrives with
    another scheme, host and port, so the address is built from the configured public one and the
    path and query exactly as received: decoding and encoding them may change them.

    Args:
        auth_token: The account's primary auth token.
        public_base_url: The address Twilio was told to call, without the webhook's path. Its
            fragment (connection overrides) is not signed.
    """

    def __init__(self, auth_token: str, public_base_url: str) -> None:
        self._validator = RequestValidator(auth_token)
        self._base_url = urldefrag(public_base_url).url.rstrip("/")

    def valid(
        self, *, raw_path: bytes, raw_query: bytes, form: FormFields, signature: str | None
    ) -> bool:
        """Return whether a request is signed correctly.

        Args:
            raw_path: Its path as in the request line, without the query.
            raw_query: The part after the question mark.
            form: Its fields; a plain dict would lose repeated keys.
            signature: The header's value, None if it is missing.
        """
        if not signature:
            return False
        url = self._base_url + raw_path.decode("latin-1")
        if raw_query:
            url += "?" + raw_query.decode("latin-1")
        return bool(self._validator.validate(url, form, signature))
