"""The values of a contact as people and programs write them: cleaned, compared, told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypedDict
from uuid import UUID

from domain.contacts.fields import KEY_LENGTH, Value, checked
from domain.contacts.names import full_name, is_nameless
from domain.event_webhooks.events import ContactChange
from domain.platform import names, phones
from domain.platform.errors import InvalidFieldError, Problems
from domain.platform.folding import folded_name
from domain.platform.jurisdictions import (
    check_country,
    check_jurisdiction,
    check_postal_code,
    check_state,
)
from domain.sequences.timing import check_time_zone
from domain.statuses.contacts import FieldType, LineType
from services.platform import audit
from storage.access import users
from storage.contacts import fields as stored_fields
from storage.contacts.contacts import StoredContact
from storage.event_webhooks import events
from storage.platform.database import Transaction
from storage.platform.locks import share_fields

NAME_LENGTH = 100
"""Most characters of a first or last name."""

EXTERNAL_ID_LENGTH = 200
"""Most characters of an external id."""

NAMES = ("first_name", "last_name")
"""The values that are a contact's name."""

PLACE = ("country", "state", "postal_code")
"""The values that say where a contact lives."""

_NO_OWNER = "is not a user who can sign in; choose one who can, or leave the contact unassigned"


class ContactFields(TypedDict, total=False):
    """The values of a contact; missing ones stay unchanged, and so do missing keys of fields."""

    external_id: str | None
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    country: str | None
    state: str | None
    postal_code: str | None
    line_type: LineType | None
    fields: Mapping[str, Any]
    owner_id: UUID | None


EMPTY: Mapping[str, Any] = {
    **dict.fromkeys(("external_id", "time_zone", *PLACE, "line_type", "owner_id")),
    "first_name": "",
    "last_name": "",
    "fields": {},
}
"""The values of a contact of whom only the number is known."""


@dataclass(frozen=True)
class Known:
    """What values are checked against.

    Attributes:
        region: ISO 3166-1 alpha-2 code of the country of numbers without a country code.
        fields: The workspace's fields: each type by its key.
        owners: Users, disabled ones too; see ``require_owner``.
    """

    region: str
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    owners: Collection[UUID] = ()


async def known(
    tx: Transaction, region: str, *, with_fields: bool, owners: Collection[UUID] = ()
) -> Known:
    """Read what values are checked against; with fields, these stay until the transaction ends.

    Call it before anything else is locked.
    """
    types: Mapping[str, FieldType] = {}
    if with_fields:
        await share_fields(tx)
        types = {one.key: one.type for one in await stored_fields.find(tx)}
    return Known(region, types, await users.known_ids(tx, owners) if owners else ())


async def known_for(tx: Transaction, region: str, rows: Collection[Mapping[str, Any]]) -> Known:
    """Read what the values of these rows are checked against, as ``known``."""
    with_fields = any(row.get("fields") for row in rows)
    return await known(tx, region, with_fields=with_fields, owners=_owners_in(rows))


async def possible_owners(tx: Transaction, rows: Collection[Mapping[str, Any]]) -> Collection[UUID]:
    """Find who of the owners that rows name can be given contacts, for ``require_owner``."""
    owners = _owners_in(rows)
    return await users.active_ids(tx, owners) if owners else ()


def _owners_in(rows: Collection[Mapping[str, Any]]) -> set[UUID]:
    return {row["owner_id"] for row in rows if row.get("owner_id") is not None}


def cleaned(fields: Mapping[str, Any], against: Known) -> dict[str, Any]:
    """Clean the values of a contact.

    Raises:
        InvalidRequestError: All that are invalid.
    """
    values: dict[str, Any] = dict(fields)
    problems = Problems()
    for name in fields:
        with problems.collect():
            values[name] = _clean(name, values[name], against)
    problems.raise_any()
    return values


def require_name(
    values: Mapping[str, Any], known: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Require that a contact, who has ``known`` names already, is not left without any.

    Raises:
        InvalidFieldError: ``blank``.
    """
    if not any({**known, **values}.get(name) for name in NAMES):
        raise InvalidFieldError(
            "first_name", "is blank, and so is the last name; enter at least one", code="blank"
        )


def require_place(
    values: Mapping[str, Any], known: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Require that what is known of where a contact lives, given and ``known``, can be together.

    Raises:
        InvalidFieldError: See ``check_jurisdiction``.
    """
    if any(values.get(name) is not None for name in PLACE):
        merged: dict[str, Any] = {**known, **values}
        check_jurisdiction(
            phone=merged.get("phone", ""), **{name: merged.get(name) for name in PLACE}
        )


def require_owner(
    values: Mapping[str, Any], possible: Collection[UUID], before: UUID | None = None
) -> None:
    """Require that nobody is given a contact who cannot sign in to answer them.

    The owner they had ``before`` may be written again, so that syncing what is there is no error.

    Raises:
        InvalidFieldError: ``unknown_user``.
    """
    owner = values.get("owner_id")
    if owner is not None and owner != before and owner not in possible:
        raise InvalidFieldError("owner_id", _NO_OWNER, code="unknown_user")


def _clean(name: str, value: Any, against: Known) -> Any:  # noqa: ANN401 - as the value's
    match name:
        case "first_name" | "last_name":
            return names.clean(value, field=name, most=NAME_LENGTH, blank=True)
        case "phone":
            return phones.normalize(value, default_region=against.region)
        case "time_zone" if value is not None:
            return check_time_zone(value)
        case "country" if value is not None:
            return check_country(value)
        case "state" if value is not None:
            return check_state(value)
        case "postal_code" if value is not None:
            return check_postal_code(value)
        case "external_id" if value is not None:
            return clean_external_id(value)
        case "owner_id" if value is not None and value not in against.owners:
            raise InvalidFieldError(name, _NO_OWNER, code="unknown_user")
        case "fields":
            return _clean_fields(value, against.fields)
        case _:
            return value


def clean_external_id(given: str, *, field: str = "external_id") -> str:
    """Clean an external id.

    Raises:
        InvalidFieldError: As ``names.clean``.
    """
    return names.clean(given, field=field, most=EXTERNAL_ID_LENGTH)


def _clean_fields(given: Mapping[str, Any], types: Mapping[str, FieldType]) -> Mapping[str, Any]:
    values: dict[str, Value | None] = {}
    problems = Problems()
    for key, value in given.items():
        with problems.collect():
            path = f"fields.{key[:KEY_LENGTH]}"
            values[key] = checked(field_type(key, types, path=path), value, field=path)
    problems.raise_any()
    return values


def field_type(key: str, types: Mapping[str, FieldType], *, path: str) -> FieldType:
    """Tell the type of a field by its key.

    Raises:
        InvalidFieldError: ``undeclared_field``.
    """
    if key not in types:
        raise InvalidFieldError(
            path,
            "is not a field of this workspace; use a key from GET /api/fields, or create it with"
            " POST /api/fields",
            code="undeclared_field",
        )
    return types[key]


def has_another_name(contact: StoredContact, values: Mapping[str, Any]) -> bool:
    """Tell whether values call a contact otherwise than we do, not just in other letters."""
    now = full_name(contact.first_name, contact.last_name)
    named = {**vars(contact), **values}
    after = full_name(named["first_name"], named["last_name"])
    return not is_nameless(now, contact.phone) and folded_name(after) != folded_name(now)


def filled_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the values of a new contact."""
    given = {name: one for name, one in values.get("fields", {}).items() if one is not None}
    return {**EMPTY, **values, "fields": given}


def changes(before: StoredContact, values: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what changes when a contact gets these values: the new values, whole fields included."""
    after = dict(values)
    if "fields" in after:
        merged = {**before.fields, **after["fields"]}
        after["fields"] = {key: one for key, one in merged.items() if one is not None}
    if after.get("phone", before.phone) != before.phone:
        after.setdefault("line_type", None)  # it was the old number's
    return {name: one for name, one in after.items() if one != getattr(before, name)}


def changed_names(before: StoredContact, changed: Mapping[str, Any]) -> list[str]:
    """Name what changes, in order; a value of a field as ``fields.KEY``."""
    found = {name for name in changed if name != "fields"}
    after = changed.get("fields", before.fields)
    for key in before.fields.keys() | after.keys():
        if before.fields.get(key) != after.get(key):
            found.add(f"fields.{key}")
    return sorted(found)


def given_names(values: Mapping[str, Any]) -> list[str]:
    """Name the values that a new contact has, as ``changed_names`` does."""
    found = {name for name, one in values.items() if name != "fields" and one not in (None, "")}
    own = values.get("fields", {}).items()
    return sorted(found | {f"fields.{key}" for key, one in own if one is not None})


async def note_changes(
    tx: Transaction,
    *,
    created: Mapping[UUID, Collection[str]] = MappingProxyType({}),
    changed: Mapping[UUID, Collection[str]] = MappingProxyType({}),
) -> None:
    """Tell, in the transaction that writes them, which contacts are new and what of others changed.

    Everything that writes what people and programs say of contacts calls this: one contact by hand,
    many by upsert or import. Both are names as of ``given_names`` and ``changed_names``, never
    values.
    """
    if created:
        await audit.record(tx, "contact.create", "contact", list(created))
        await events.contacts_changed(tx, created, ContactChange.CREATED)
    if changed:
        await events.contacts_changed(tx, changed, ContactChange.UPDATED)
        named = {one: {"fields": ",".join(some)} for one, some in changed.items()}
        await audit.record_each(tx, "contact.change", "contact", named)
