"""People and texts as rows, for the pages that show them."""

from uuid import UUID, uuid4

from tests.worlds import World

PHONE = "+12125550101"


async def person(world: World, name: str = "Ada", phone: str = PHONE) -> UUID:
    """Add a contact with one name."""
    return (await world.contacts(1, first_name=name, last_name="", phone=phone))[0]


async def said(
    world: World, contact_id: UUID | None, body: str, *, inbound: bool = True, **values: object
) -> UUID:
    """Add a stored text."""
    text_id = uuid4()
    row = {
        "id": text_id,
        "contact_id": contact_id,
        "phone": PHONE,
        "sender_id": world.sender_id,
        "direction": "inbound" if inbound else "outbound",
        "body": body,
        "status": "received" if inbound else "delivered",
        **values,
    }
    names = ", ".join(row)
    await world.run(
        f"INSERT INTO messages ({names}, media_urls, occurred_at)"  # noqa: S608 - names of ours
        f" VALUES ({', '.join(f':{name}' for name in row)}, '{{}}', now())",
        **row,
    )
    return text_id
