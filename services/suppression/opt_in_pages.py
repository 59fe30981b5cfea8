"""Public pages on which people agree to texts, and join a group by that."""

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict
from uuid import UUID

from domain.contacts import fields
from domain.contacts.consents import WORDING_LENGTH
from domain.platform import names, phones
from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    Problems,
    required,
)
from domain.statuses.contacts import FieldType
from services.contacts.consents import Consents
from services.contacts.contacts import Contacts
from services.contacts.values import NAME_LENGTH
from services.platform import audit, rate_limits
from services.suppression.erasure import recall
from storage.contacts import contacts, groups
from storage.contacts.consents import NewConsent
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_numbers
from storage.suppression import opt_in_pages as rows
from storage.suppression import suppressions
from storage.suppression.opt_in_pages import OptInPageRow

OPT_IN_PATH = "/join"
"""Begins the address of a page, which its slug ends."""

COMPANY_BLANK = "[your company]"
"""Stands in a suggested wording where the company's name belongs; no page says it."""

TITLE_LENGTH = 100
"""Most characters of a page's title."""

SLUG_PATTERN = "[a-z0-9][a-z0-9-]{2,59}"

_SLUG = re.compile(SLUG_PATTERN)

_HOUR = timedelta(hours=1)
_AN_ADDRESS_PER_HOUR = 20
_A_PAGE_PER_HOUR = 1_000


class OptInPageFields(TypedDict):
    """What a page says; a slug of None stays as it is, or is made so that nobody guesses it."""

    title: str
    wording: str
    terms_url: str
    slug: str | None
    sender_id: UUID | None


@dataclass(frozen=True)
class OptIn:
    """What somebody entered; ``edition`` is that of the page that they were shown."""

    first_name: str
    last_name: str
    phone: str
    agreed: bool
    edition: str


class OptInPages:
    """Manages the groups' opt-in pages, and takes what people enter there."""

    def __init__(
        self, database: Database, all_contacts: Contacts, consents: Consents, *, default_region: str
    ) -> None:
        self._database = database
        self._contacts = all_contacts
        self._consents = consents
        self._default_region = default_region

    async def of_group(self, group_id: UUID) -> OptInPageRow | None:
        """Read a group's page, if it has one.

        Raises:
            NotFoundError: There is no such group.
        """
        async with self._database.transaction() as tx:
            required(await groups.get(tx, group_id), "group", group_id)
            return await rows.of_group(tx, group_id)

    async def of_slug(self, slug: str) -> OptInPageRow:
        """Read the page with a slug.

        Raises:
            NotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            return await _found(tx, slug)

    async def put(self, group_id: UUID, given: OptInPageFields) -> OptInPageRow:
        """Write a group's page; consents given on it stay as they are.

        Raises:
            InvalidRequestError: All that is wrong.
            NotFoundError: There is no such group.
            ConflictError: ``slug_taken``.
        """
        problems = Problems()
        title, wording, terms = given["title"], given["wording"], given["terms_url"]
        values = {
            "title": problems.of(lambda: names.clean(title, field="title", most=TITLE_LENGTH)),
            "wording": problems.of(lambda: _wording(wording)),
            "terms_url": problems.of(lambda: _terms(terms)),
            "sender_id": given["sender_id"],
        }
        slug = problems.of(lambda: _slug(given["slug"]))
        async with self._database.transaction() as tx:
            if not await groups.exists(tx, group_id):
                raise NotFoundError("group", group_id)
            if values["sender_id"] is not None:
                with problems.collect():
                    await _check_sender(tx, values["sender_id"])
            problems.raise_any()
            before = await rows.of_group(tx, group_id)
            values["slug"] = slug or (before.slug if before else secrets.token_hex(8))
            if not await rows.put(tx, group_id, values):
                raise ConflictError(
                    "slug_taken", "another group's page has this address; choose a different one"
                )
            await audit.record(tx, "group.set_opt_in_page", "group", [group_id])
            return required(await rows.of_group(tx, group_id), "opt-in page", group_id)

    async def remove(self, group_id: UUID) -> None:
        """Take a group's page down; consents given on it stay.

        Raises:
            NotFoundError: It has none.
        """
        async with self._database.transaction() as tx:
            if not await rows.remove(tx, group_id):
                raise NotFoundError("opt-in page", group_id)
            await audit.record(tx, "group.remove_opt_in_page", "group", [group_id])

    async def join(self, slug: str, given: OptIn, *, address: str | None) -> None:
        """Note somebody's consent to what a page says, and put them into its group.

        Whoever has the number is that contact, whose name stays; else there is a new one.

        Raises:
            NotFoundError: There is no such page.
            InvalidRequestError: All that is wrong; ``wording_changed``.
            ConflictError: ``opted_out``: nothing is written; only a text from the phone itself
                can take an opt-out back.
            TooManyRequestsError: From this network address, or on this page.
        """
        async with self._database.transaction() as tx:
            page = await _found(tx, slug)
        phone, first_name, last_name = self._checked(given, page)
        for key, most in (
            (f"opt_in:{address}", _AN_ADDRESS_PER_HOUR),
            (f"opt_in_page:{page.group_id}", _A_PAGE_PER_HOUR),
        ):
            await rate_limits.take(self._database, key, 1, most, _HOUR)
        async with self._database.transaction() as tx:
            if not await groups.exists(tx, page.group_id):
                raise NotFoundError("opt-in page", slug)
            await lock_numbers(tx, [phone])
            await recall(tx, [phone])
            if await suppressions.standing(tx, phone, None) is not None:
                raise ConflictError("opted_out", _opted_out(page))
            if (contact_id := await contacts.id_of_phone(tx, phone)) is None:
                with suppress(ConflictError):  # an import was faster
                    await self._contacts.create(
                        {"first_name": first_name, "last_name": last_name, "phone": phone},
                        within=tx,
                    )
                found = await contacts.id_of_phone(tx, phone)
                contact_id = required(found, "contact", page.group_id)
            added = await groups.add_members(tx, page.group_id, [contact_id], None)
            if added:
                await audit.record(tx, "group.add", "contact", added, group_id=str(page.group_id))
            consent = NewConsent(
                f"Opt-in page: {page.title}",
                datetime.now(UTC),
                page.wording,
                written=True,
                address=address,
                phone=phone,
            )
            await self._consents.keep(tx, [consent])

    def _checked(self, given: OptIn, page: OptInPageRow) -> tuple[str, str, str]:
        problems = Problems()
        first = problems.of(
            lambda: names.clean(given.first_name, field="first_name", most=NAME_LENGTH)
        )
        last = problems.of(
            lambda: names.clean(given.last_name, field="last_name", most=NAME_LENGTH, blank=True)
        )
        phone = problems.of(
            lambda: phones.normalize(given.phone, default_region=self._default_region)
        )
        if not given.agreed:
            problems.add("agreed", "is not ticked; tick it if you agree", code="missing")
        elif given.edition != page.edition:
            problems.add(
                "agreed",
                "is for words that have changed since; read them again, and tick it if you agree",
                code="wording_changed",
            )
        problems.raise_any()
        return phone, first, last


async def _found(tx: Transaction, slug: str) -> OptInPageRow:
    there = await rows.of_slug(tx, slug) if _SLUG.fullmatch(slug) else None
    return required(there, "opt-in page", slug)


def _opted_out(page: OptInPageRow) -> str:
    to = phones.readable(page.sender_phone) if page.sender_phone else "the number that texted you"
    return f"this number has opted out of our texts; to get them again, text START to {to} from it"


def _wording(given: str) -> str:
    wording = names.clean_lines(given, field="wording", most=WORDING_LENGTH)
    if COMPANY_BLANK in wording.lower():
        reason = f"still says {COMPANY_BLANK}; write your company's name there"
        raise InvalidFieldError("wording", reason)
    return wording


def _terms(given: str) -> str:
    terms = fields.checked(FieldType.URL, given, field="terms_url")
    if terms is None:
        raise InvalidFieldError(
            "terms_url", "is missing; give the address of your terms", code="missing"
        )
    return str(terms)


def _slug(given: str | None) -> str | None:
    if given is not None and not _SLUG.fullmatch(given):
        raise InvalidFieldError(
            "slug",
            "is not an address; use 3 to 60 lowercase letters, digits and hyphens, no hyphen first",
            code="invalid_format",
        )
    return given


async def _check_sender(tx: Transaction, sender_id: UUID) -> None:
    if await rows.phone_of_sender(tx, sender_id) is None:
        raise InvalidFieldError(
            "sender_id",
            "has no number that people could text; choose a sender that is a number, or none",
            code="unknown_sender",
        )
