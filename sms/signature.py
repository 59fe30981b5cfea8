"""The signature under the provider's webhooks."""

from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import urldefrag

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]


class FormFields(Protocol):
    """A form as it was received, repeated keys and blank values included."""

    def __iter__(self) -> Iterator[str]:
        """Go through the keys."""
        ...

    def getlist(self, key: str, /) -> Sequence[object]:
        """Return every value of a key."""
        ...


class SignatureValidator:
    """Tells whether a form post was signed with our auth token (``X-Twilio-Signature``).

    Twilio signs the address it was given and all fields. Behind a proxy the request that arrives
    has another scheme, host and port, so the address is put together from the configured public
    one and from the path and query exactly as received: decoded and encoded again they may differ.
    """

    def __init__(self, auth_token: str, public_base_url: str) -> None:
        """Prepare.

        Args:
            auth_token: The account's primary auth token.
            public_base_url: What Twilio was told to call, without the webhook's path. A fragment
                (Twilio's connection overrides) is not part of what is signed.
        """
        self._validator = RequestValidator(auth_token)
        self._base_url = urldefrag(public_base_url).url.rstrip("/")

    def valid(
        self, *, raw_path: bytes, raw_query: bytes, form: FormFields, signature: str | None
    ) -> bool:
        """Check one request.

        Args:
            raw_path: Its path as it stood in the request line, without the query.
            raw_query: What followed the question mark.
            form: Its fields; a plain dict would lose repeated keys.
            signature: The header's value, None if there was none.
        """
        if not signature:
            return False
        url = self._base_url + raw_path.decode("latin-1")
        if raw_query:
            url += "?" + raw_query.decode("latin-1")
        return bool(self._validator.validate(url, form, signature))
