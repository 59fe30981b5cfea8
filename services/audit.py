"""Who did what to whom: written in the transaction that does it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from storage import audit
from storage.database import Transaction


@dataclass(frozen=True)
class Actor:
    """Who is acting, for as long as a request or a piece of background work lasts.

    Attributes:
        user_id: Who; None for nobody who is signed in.
        token_id: The API token that was shown, if one was.
        address: The network address the request came from, if one did.
    """

    user_id: UUID | None = None
    token_id: UUID | None = None
    address: str | None = None


_NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=_NOBODY)


def set_actor(actor: Actor) -> None:
    """Say who acts from here on in this task: a request, which has a context of its own."""
    _actor.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Say who acts inside the block."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


async def record(
    tx: Transaction,
    action: str,
    subject_kind: str | None = None,
    subject_ids: Iterable[UUID] = (),
    *,
    user_id: UUID | None = None,
    **detail: str | int | bool | None,
) -> None:
    """Write down that the one who acts did something; it stands if the transaction does.

    Args:
        tx: The transaction of what is done.
        action: What, such as ``contact.erase``: the kind of thing, a dot, what was done to it.
        subject_kind: Of what; ``contact``, ``enrollment``, ``user`` and so on.
        subject_ids: To which; one entry each, and one without a subject if there are none.
        user_id: Who, where the one who acts is not set (commands at a terminal).
        detail: Codes, ids and counts; never a number, a name, a text or a secret.
    """
    actor = _actor.get()
    await audit.add(
        tx,
        user_id=actor.user_id or user_id,
        token_id=actor.token_id,
        address=actor.address,
        action=action,
        subject_kind=subject_kind,
        subject_ids=list(subject_ids),
        detail=detail,
    )
