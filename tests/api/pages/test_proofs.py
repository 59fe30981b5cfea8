"""The page of one text's proof: led to by its status, to read and to download."""

from html import unescape

from api import examples
from domain.statuses.access import Role
from services.factory import Services
from tests.api.pages.conftest import Browse


async def test_status_of_our_text_leads_to_its_proof(
    there: dict[str, str], browse: Browse, services: Services
) -> None:
    viewer = await browse(Role.VIEWER)
    ours, ann = there[examples.SCHEDULED_MESSAGE], there[examples.CONTACT]
    path = f"/messages/{ours}/proof"
    assert f'href="{path}">Scheduled</a>' in (await viewer.get(f"/conversations/{ann}")).text
    shown = (await viewer.get(path)).text
    for words in ("See you soon", "No consent was on record.", "It was not sent."):
        assert words in shown
    assert f'href="/api{path}" download="proof-{ours}.json"' in shown
    [key] = await services.proof_keys.known()
    for page in (shown, (await viewer.get("/settings/workspace")).text):
        assert key.public_key in unescape(page)
