"""The handset page: the numbers that were texted, one conversation, and a box to answer from."""

from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from simulator.handsets import outcome, pretty, read_sender, senders_of
from simulator.inbound import InboundText
from simulator.messages import is_kept_here
from simulator.rest import Sim
from simulator.scenarios import MAGIC_PREFIX, SCENARIOS, TEST_RECIPIENTS, TEST_SENDERS, scenario_of
from simulator.state import Simulator

HANDSETS_SHOWN = 200
TEXTS_SHOWN = 200
STATIC = Path(__file__).parent / "static"

_unix_lines = methodcaller("replace", "\r\n", "\n")
_CONTENT_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: http: https:; base-uri 'none'"
    )
}
_PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAADAAAAAkBAMAAAA9a6Q5AAAAMFBMVEXMtmKatnvMmWKamXtqtpM8tqpqmZM8marMfmLM"
    "ZWKafnuaZXtqfpM8fqpqZZM8Zaq/om3IAAAASElEQVR42mP8z8DAwPD/AwMDA8PfCwwMDAz/HjAwMDAwMDHgAINTguUe"
    "wh//3iPIoeYP3B6chR5REPbw8SBSDP69Nww9iFMCAOWOGmruELZXAAAAAElFTkSuQmCC"
)
"""What the button "Picture" sends: a small sunset."""

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.filters |= {"pretty": pretty, "outcome": outcome}
templates.env.tests["kept_here"] = is_kept_here


class AnswerForm(BaseModel):
    """The form under a conversation.

    Attributes:
        sender: The sender it answers, as ``Sender.value`` writes it.
        quick: The word on the button that replaces the body.
        picture: Any value sends a picture.
        lost: Any value lists the text without sending its webhook.
    """

    handset: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+[1-9]\d{6,14}$")]
    sender: Annotated[str, Field(min_length=3, max_length=60)]
    body: Annotated[str, BeforeValidator(_unix_lines), Field(max_length=1600)] = ""
    quick: str = ""
    picture: str = ""
    lost: str = ""


@router.get("/")
async def show_page(
    request: Request, simulator: Sim, handset: str = "", find: str = "", webhook: str = ""
) -> Response:
    """Show the page with one handset's conversation, or with the magic numbers.

    ``webhook`` is the status that the last answer's webhook got, after a redirect.
    """
    context = _live_context(simulator, handset, find) | {
        "magic_prefix": MAGIC_PREFIX,
        "scenarios": SCENARIOS,
        "test_recipients": TEST_RECIPIENTS,
        "test_senders": TEST_SENDERS,
        "inbound_url": simulator.config.inbound_url,
        "webhook": webhook,
    }
    return templates.TemplateResponse(request, "page.html", context, headers=_CONTENT_SECURITY)


@router.get("/_simulator/live")
async def show_live(
    request: Request, simulator: Sim, handset: str = "", find: str = ""
) -> Response:
    """Return the parts of the page that reload by themselves."""
    return templates.TemplateResponse(request, "live.html", _live_context(simulator, handset, find))


@router.post("/_simulator/answer")
async def answer(simulator: Sim, form: Annotated[AnswerForm, Form()]) -> Response:
    """Text the application from a handset and show the conversation again."""
    chosen = read_sender(form.sender)
    text = InboundText(
        from_number=form.handset,
        to=chosen.number,
        body=form.quick or form.body,
        media_urls=(_PICTURE,) if form.picture else (),
        messaging_service_sid=chosen.service_sid,
        deliver=not form.lost,
    )
    _, status = await simulator.receive(text)
    webhook = "skipped" if form.lost else str(status or "none")
    query = urlencode({"handset": text.from_number, "webhook": webhook})
    return RedirectResponse(f"/?{query}", status_code=303)


def _live_context(simulator: Simulator, handset: str, find: str) -> dict[str, object]:
    """Return the context of the parts that reload."""
    texts = simulator.messages.conversation(handset)[-TEXTS_SHOWN:] if handset else []
    digits = "".join(character for character in find if character.isdigit())
    matching = (text for text in simulator.messages.handsets() if digits in text.handset)
    return {
        "handset": handset,
        "find": find,
        "scenario": scenario_of(handset),
        "handsets": list(islice(matching, HANDSETS_SHOWN)),
        "texts": texts,
        "senders": senders_of(texts),
        "total": len(simulator.messages),
        "webhooks": simulator.webhooks,
        "faults": simulator.behavior.model_dump(mode="json", exclude_defaults=True),
    }
