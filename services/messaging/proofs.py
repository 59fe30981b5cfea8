"""The proof of one text: all that is known of it, signed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.messaging.proofs import FORMAT
from domain.platform import phones
from domain.platform.errors import ConflictError, required
from domain.platform.moments import written
from domain.sequences.timing import ContactClock
from domain.statuses.messaging import Direction
from services.messaging.proof_keys import private_key, signed
from storage.contacts import consents
from storage.contacts.consents import ConsentRow
from storage.messaging import proofs as rows
from storage.messaging.proofs import ProvenText
from storage.platform.database import Database

_WHEREABOUTS = ("time_zone", "country", "state", "postal_code")


class Proofs:
    """Makes proofs. ``workspace_zone`` is that of a workspace that has set none."""

    def __init__(self, database: Database, *, site: str, workspace_zone: str) -> None:
        self._database = database
        self._site = site
        self._zone = workspace_zone

    async def of(self, message_id: UUID) -> dict[str, Any]:
        """Make the proof of a text of ours: the bundle of what is known now and its signature.

        Raises:
            NotFoundError: There is no such text.
            ConflictError: ``not_outbound``: it came in.
        """
        async with self._database.transaction() as tx:
            text = required(await rows.text(tx, message_id), "message", message_id)
            if text.direction is not Direction.OUTBOUND:
                raise ConflictError(
                    "not_outbound", "the text came in; only texts of yours have a proof"
                )
            given = await consents.get(tx, text.consent_id) if text.consent_id else None
            proof = {
                "format": FORMAT,
                "site": self._site,
                "made_at": datetime.now(UTC),
                "message": _message(text),
                "contact": _contact(text),
                "enrollment": _enrollment(text),
                "consent": _consent(given) if given else None,
                "opt_outs": [one._asdict() for one in await rows.opt_outs(tx, text.phone)],
                "clock": self._clock(text),
                "attempts": [one._asdict() for one in await rows.attempts(tx, message_id)],
                "reports": [one._asdict() for one in await rows.reports(tx, message_id)],
            }
            return signed(_plain(proof), await private_key(tx))

    def _clock(self, text: ProvenText) -> Mapping[str, Any]:
        """Say on which clocks a text was timed and whose law bound it, and how that is known."""
        given = {name: getattr(text, name) for name in _WHEREABOUTS}
        clock = ContactClock.of(
            **given, phone=text.phone, workspace=text.workspace_zone or self._zone
        )
        return {
            "zones": clock.zones,
            "workspace": clock.workspace,
            "jurisdictions": clock.jurisdictions,
            "given": given,
            "of_number": phones.time_zones(text.phone),
        }


def _message(text: ProvenText) -> Mapping[str, Any]:
    names = (
        *("id", "body", "media_urls", "status", "error_code", "step", "created_at"),
        *("accepted_at", "send_at"),
    )
    return {
        **{name: getattr(text, name) for name in names},
        "to": text.phone,
        "written_by": _named(text.user_id, text.user_name),
        "sender": {
            "id": text.sender_id,
            "name": text.sender_name,
            "phone": text.sender_phone,
            "messaging_service_sid": text.messaging_service_sid,
        },
    }


def _contact(text: ProvenText) -> Mapping[str, Any] | None:
    if text.contact_id is None:
        return None
    names = ("external_id", "first_name", "last_name")
    return {"id": text.contact_id, **{name: getattr(text, name) for name in names}}


def _enrollment(text: ProvenText) -> Mapping[str, Any] | None:
    if text.enrollment_id is None:
        return None
    return {
        "id": text.enrollment_id,
        "sequence": _named(text.sequence_id, text.sequence_name),
        "purpose": text.purpose,
        "version": text.version,
        "enrolled_at": text.enrolled_at,
        "enrolled_by": _named(text.enrolled_by, text.enrolled_by_name),
    }


def _consent(given: ConsentRow) -> Mapping[str, Any]:
    names = (
        *("id", "phone", "source", "wording", "written", "given_at", "recorded_at", "address"),
        *("message_id", "revoked_at"),
    )
    said = {name: getattr(given, name) for name in names}
    recorded_by = _named(given.user_id, given.user_name)
    return {**said, "message_body": given.message_body, "recorded_by": recorded_by}


def _named(one: UUID | None, name: str | None) -> Mapping[str, Any] | None:
    return None if one is None else {"id": one, "name": name}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds, and what is written into it
    """Write ids and moments as texts, as the API does."""
    match value:
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case datetime():
            return written(value)
        case StrEnum():
            return value.value
        case UUID():
            return str(value)
        case _:
            return value
