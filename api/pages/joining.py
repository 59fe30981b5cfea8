"""A group's public opt-in page, for whoever has its address; and the form of what it says."""

from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import field_validator
from starlette.responses import Response

from api.dependencies import AdminOnly, address_of
from api.pages.forms import FormFields, chosen_id
from api.pages.page import InForm, Page, PageDep, PublicPage, PublicPageDep
from api.session import same_site
from domain.platform.phones import readable
from services.platform.audit import Actor, set_actor
from services.suppression.opt_in_pages import COMPANY_BLANK, OPT_IN_PATH, OptIn

router = APIRouter()
public = APIRouter()

_WORDING = (
    f"I agree to receive recurring automated text messages from {COMPANY_BLANK} at the number"
    " provided. Consent is not a condition of purchase. Message frequency varies. Message and data"
    " rates may apply. Reply STOP to opt out, HELP for help."
)


class JoinFields(FormFields):
    """What somebody enters; the box begins unticked."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    agreed: bool = False
    edition: str = ""


class OptInPageFields(FormFields):
    """What the page says; no sender means no keyword."""

    title: str = ""
    wording: str = _WORDING
    terms_url: str = ""
    slug: str = ""
    sender_id: str = ""

    @field_validator("sender_id", mode="before")
    @classmethod
    def _write_id(cls, given: object) -> str:
        return str(given) if given else ""


@public.get(OPT_IN_PATH + "/{slug}")
async def show_join(page: PublicPageDep, slug: str) -> Response:
    """Show what people can agree to."""
    return await _ask_to_join(page, slug, JoinFields())


@public.post(OPT_IN_PATH + "/{slug}", dependencies=[Depends(same_site)])
async def join(page: PublicPageDep, slug: str, form: InForm[JoinFields]) -> Response:
    """Take what somebody entered."""
    address = address_of(page.request)
    set_actor(Actor(address=address))
    with page.refusing():
        given = OptIn(form.first_name, form.last_name, form.phone, form.agreed, form.edition)
        await page.services.opt_in_pages.join(slug, given, address=address)
        return page.redirect_to("show_joined", slug=slug)
    return await _ask_to_join(page, slug, form.model_copy(update={"agreed": False}))


@public.get(OPT_IN_PATH + "/{slug}/joined")
async def show_joined(page: PublicPageDep, slug: str) -> Response:
    """Say that it is done, and how to undo it."""
    return page.render("joining/joined.html", of=await page.services.opt_in_pages.of_slug(slug))


async def _ask_to_join(page: PublicPage, slug: str, form: JoinFields) -> Response:
    of = await page.services.opt_in_pages.of_slug(slug)
    number = readable(of.sender_phone) if of.sender_phone else ""
    return page.render("joining/join.html", of=of, form=form, number=number)


@router.get("/groups/{group_id}/opt-in-page", dependencies=[AdminOnly])
async def show_opt_in_page(page: PageDep, group_id: UUID) -> Response:
    """Show the form of what a group's opt-in page says."""
    there = await page.services.opt_in_pages.of_group(group_id)
    form = OptInPageFields() if there is None else OptInPageFields.model_validate(there)
    return await _ask_words(page, group_id, form)


@router.post("/groups/{group_id}/opt-in-page", dependencies=[AdminOnly])
async def put_opt_in_page(page: PageDep, group_id: UUID, form: InForm[OptInPageFields]) -> Response:
    """Write what a group's opt-in page says."""
    with page.refusing():
        sender_id = chosen_id(form.sender_id, field="sender_id") if form.sender_id else None
        await page.services.opt_in_pages.put(
            group_id,
            {
                "title": form.title,
                "wording": form.wording,
                "terms_url": form.terms_url,
                "slug": form.slug.strip() or None,
                "sender_id": sender_id,
            },
        )
        return page.redirect_to("show_opt_in_page", "Opt-in page saved.", group_id=group_id)
    return await _ask_words(page, group_id, form)


@router.post("/groups/{group_id}/opt-in-page/delete", dependencies=[AdminOnly])
async def delete_opt_in_page(page: PageDep, group_id: UUID) -> Response:
    """Take a group's opt-in page down."""
    await page.services.opt_in_pages.remove(group_id)
    return page.redirect_to("show_group", "Opt-in page taken down.", group_id=group_id)


async def _ask_words(page: Page, group_id: UUID, form: OptInPageFields) -> Response:
    there = await page.services.opt_in_pages.of_group(group_id)
    path = page.path_to("show_join", slug=there.slug) if there else ""
    return page.render(
        "joining/words.html",
        group=await page.services.groups.get(group_id),
        form=form,
        address=f"{page.settings.public_base_url}{path}" if path else "",
        senders=[("", "No keyword"), *await page.sender_options()],
    )
