"""Names are searched without case, accents and signs, by PostgreSQL and by Python alike."""

import unicodedata
from collections.abc import AsyncIterator

import pytest

from domain.platform.folding import folded_name
from services.enrollments.enrolling import Enrolling
from services.suppression.suppressions import Suppressions
from storage.contacts import contacts
from storage.contacts.contacts import ContactFilter
from storage.messaging import inbox
from storage.messaging.inbox import ConversationFilter
from tests.kits.query_plans import asked_of, plan_of, read_by
from tests.worlds import ZONE, World, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("José Ángel", "jose angel"),
        ("JOSE\u0301", "jose"),
        ("Łukasz Wałęsa", "lukasz walesa"),
        ("Søren Ærø", "soren aero"),
        ("Weiß, WEISS, WEIẞ", "weiss, weiss, weiss"),
        ("Þóra Đorđević", "thora dordevic"),
        ("\u0130pek Y\u0131lmaz", "ipek yilmaz"),
        ("O\u2019Brien\u2013Núñez", "obrien nunez"),
        ("Seán O\u00b4Brien, O\uff07Brien", "sean obrien, obrien"),
        ("O'Brien - Smith Jr.", "obrien smith jr"),
        ("Ren\u00e9e \u2013 Anne -- Marie", "renee anne marie"),
        ("Jean\u2011Luc d`Arc", "jean luc darc"),
        ("Zoë\u200b Smith", "zoe smith"),
        ("\u0391\u03a3 \u03ac\u03c2", "\u03b1\u03c3 \u03b1\u03c3"),
        ("Алёна ЙОВ", "алена иов"),
        ("राम", "राम"),
        ("\uff2aane \ufb01n", "jane fin"),
    ],
)
async def test_names_are_folded_alike_everywhere(world: World, name: str, folded: str) -> None:
    assert folded_name(name) == folded
    assert folded_name(folded) == folded
    await world.contacts(1, first_name="", last_name=name)
    [row] = await world.rows("SELECT search_name FROM contacts")
    assert row.search_name == folded


async def test_every_letter_and_sign_is_folded_alike(world: World) -> None:
    """What this Python has not heard of yet, PostgreSQL may know."""
    known = [
        char
        for char in map(chr, range(1, 0x20000))
        if unicodedata.category(char) not in {"Cn", "Co", "Cs"} and not "㐀" <= char <= "힣"
    ]
    [row] = await world.rows(
        "SELECT array_agg(folded_name(one) ORDER BY place) AS folded"
        " FROM unnest(CAST(:known AS text[])) WITH ORDINALITY AS given (one, place)",
        known=known,
    )
    found = zip(known, row.folded, strict=True)
    assert {char: of_sql for char, of_sql in found if of_sql != folded_name(char)} == {}


async def test_search_finds_names_with_and_without_accents_and_signs(world: World) -> None:
    [jose] = await world.contacts(
        1, first_name="José-Luis", last_name="O\u2019Ibáñez", phone="+12125550188"
    )
    [plain] = await world.contacts(1, first_name="Jose Luis", last_name="OIbanez")
    await world.run(
        "INSERT INTO messages (id, direction, contact_id, phone, body, status)"
        " SELECT gen_random_uuid(), 'inbound', id, phone, 'Hi', 'received' FROM contacts"
    )
    await world.suppress(jose)
    suppressions = Suppressions(world.database, default_region="US")
    for search in ("jose", "JOSÉ", "josé luis o'iba", "jose-luis", "ibanez", "se\u0301 lu"):
        async with world.database.transaction() as tx:
            wanted = ContactFilter(search=search)
            listed = await contacts.find(tx, wanted, sort="name", after=None, limit=9)
            talks = await inbox.page(tx, ConversationFilter(search=search), after=None, limit=9)
        assert {one.id for one in listed} == {jose, plain}, search
        assert {one.contact_id for one in talks} == {jose, plain}, search
        assert len((await suppressions.find(search=search)).items) == 1, search


async def test_renaming_a_contact_renames_their_enrollments(world: World) -> None:
    [contact] = await world.contacts(1, first_name="Ann")
    sequence = await world.active()
    enrolling = Enrolling(world.database, workspace_zone=ZONE)
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=[contact])
    await world.run("UPDATE contacts SET first_name = 'Zoë', last_name = 'Æ'")
    [row] = await world.rows("SELECT search_name FROM enrollment_search")
    assert row.search_name == "zoe ae"


async def test_search_by_name_reads_the_index_of_trigrams(world: World) -> None:
    await world.run(
        "INSERT INTO contacts (id, first_name, last_name, phone)"
        " SELECT gen_random_uuid(), 'Zoë' || i, 'Quinn', '+1212' || 2000000 + i"
        " FROM generate_series(1, 5000) i"
    )
    await world.rows("SELECT gin_clean_pending_list('ix_contacts_search_name_trgm')")
    await world.run("ANALYZE contacts")
    async with asked_of(world.database) as asked, world.database.transaction() as tx:
        wanted = ContactFilter(search="zoé4321")
        found = await contacts.find(tx, wanted, sort="name", after=None, limit=9)
    assert [one.first_name for one in found] == ["Zoë4321"]
    plan = await plan_of(world.database, *asked[-1])
    assert read_by(plan, "contacts") == {"ix_contacts_search_name_trgm"}
