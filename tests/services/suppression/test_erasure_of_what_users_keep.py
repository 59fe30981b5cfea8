"""Erasing a contact from what users keep for themselves: views, remembered numbers, files."""

from uuid import UUID

import pytest

from domain.access.preferences import Preference
from domain.statuses.jobs import JobKind
from services.access.saved_views import ViewedList
from services.jobs.import_review import Choices
from tests.kits.contact_import import chunks
from tests.kits.sending import SendingKit

ANN = "+12125550177"


async def ann(kit: SendingKit) -> UUID:
    contact = await kit.services.contacts.create(
        {"first_name": "Annabel", "last_name": "Leeds", "phone": ANN}
    )
    return contact.id


async def erase(kit: SendingKit, contact_id: UUID) -> None:
    await kit.services.erasure.erase(contact_id, kit.world.user_id)


async def test_what_users_keep_for_themselves_of_the_contact_is_erased(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    user_id, views = kit.world.user_id, kit.services.saved_views
    preferences, bo = kit.services.preferences, await kit.world.user("Bo")
    await preferences.put(user_id, Preference.TEST_PHONE, {"phone": ANN})
    await preferences.put(user_id, Preference.PREVIEW_CONTACT, {"contact_id": str(contact_id)})
    await preferences.put(bo, Preference.TEST_PHONE, {"phone": "+1"})
    for index, query in enumerate(
        [
            "search=annabel++Leeds",
            "search=(212)+555-0177&sort=name",
            "search=Leeds",
            "status=active",
        ]
    ):
        page = ViewedList.SEQUENCE_CONTACTS
        await views.save(user_id, page, name=f"View {index}", query=query)

    await erase(kit, contact_id)

    left = await kit.world.rows("SELECT query FROM saved_views ORDER BY query")
    assert [row.query for row in left] == ["search=Leeds", "status=active"]
    [kept] = await kit.world.rows("SELECT value FROM preferences")
    assert kept.value == {"phone": "+1"}


@pytest.mark.parametrize("is_matched", [False, True])
async def test_rows_of_files_that_wait_are_emptied(kit: SendingKit, *, is_matched: bool) -> None:
    contact_id = await ann(kit)
    await kit.services.contacts.update(contact_id, {"external_id": "A-7"})
    review, user_id = kit.services.import_review, kit.world.user_id
    people = "Name,Cell,Id\nAnnabel,(212) 555-0177,\nBo,+12125550178,A-70\nAnna,12125550179,A-7\n"
    job_id = await review.receive(JobKind.IMPORT_CONTACTS, chunks(people), user_id)
    if is_matched:
        columns = {"full_name": 0, "phone": 1, "external_id": 2}
        await review.check(job_id, user_id, columns, Choices("US"))
    opt_outs = f"Name,Cell,Why\nAnnabel,{ANN},Annabel wrote\n"
    await review.receive(JobKind.IMPORT_SUPPRESSIONS, chunks(opt_outs), user_id)

    await erase(kit, contact_id)

    found = await kit.world.rows(
        "SELECT r.detail FROM job_rows r JOIN jobs j ON j.id = r.job_id ORDER BY j.created_at,"
        " r.position"
    )
    bo = {"0": "Bo", "1": "+12125550178", "2": "A-70"}
    anna = {} if is_matched else {"0": "Anna", "1": "12125550179", "2": "A-7"}
    files = 2 if is_matched else 1
    assert [row.detail for row in found] == [{}, bo, anna] * files + [{"1": ANN}]
