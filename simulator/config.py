"""The configuration of a simulator."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class SimulatorConfig:
    """The simulated account, and the application's address.

    Attributes:
        account_sid: The only account (``AC`` and 32 hex digits); user name of HTTP Basic.
        auth_token: Its password, and the key that signs webhooks.
        inbound_url: The webhook of all numbers and services, exactly as it is signed.
        delivery_delay: From the acceptance of a text to its last status.
        seed: Makes error rates and shuffling repeatable; ids never repeat.
        max_messages: Messages kept, oldest deleted first; also the most texts in progress, beyond
            which creates are answered with 429.
    """

    account_sid: str
    auth_token: str
    inbound_url: str
    delivery_delay: timedelta = timedelta(milliseconds=500)
    seed: int | None = None
    max_messages: int = 200_000
    max_open_webhooks: int = 50
