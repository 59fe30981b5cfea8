"""A step as it is written: by a request, in a template, before anything is checked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepDraft:
    """A step, not validated yet.

    Attributes:
        body: With merge fields.
        delay_seconds: After the text before; ongoing sequences only.
        at_time: ``HH:MM``; ongoing sequences only.
        send_at: ``YYYY-MM-DDTHH:MM[:SS]`` on the contact's clock; scheduled sequences only.
    """

    body: str
    media_urls: tuple[str, ...] = ()
    delay_seconds: int | None = None
    at_time: str | None = None
    send_at: str | None = None
