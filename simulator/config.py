"""What a simulator is started with."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class SimulatorConfig:
    """The account the simulator plays, and where it reaches the application.

    Attributes:
        account_sid: The only account (``AC`` and 32 hex digits); user name of HTTP Basic.
        auth_token: Its password, and the key webhooks are signed with.
        inbound_url: Webhook of every one of our numbers and services; exactly what is signed.
        delivery_delay: From the acceptance of a text to its last status.
        seed: Makes error rates and shuffled reports repeatable; ids never repeat.
        max_messages: Messages kept; the oldest are forgotten first. Also the bound of texts
            on their way: above it a create is answered with 429.
        max_open_webhooks: Webhooks that are under way at the same time.
    """

    account_sid: str
    auth_token: str
    inbound_url: str
    delivery_delay: timedelta = timedelta(milliseconds=500)
    seed: int | None = None
    max_messages: int = 200_000
    max_open_webhooks: int = 50
