"""The page on which somebody sets their password by a one-time link."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from api.dependencies import actor_of, address_of
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors, FormFields, sentence
from api.pages.page import Page, PublicPageDep
from api.same_origin import CrossSiteError
from domain.platform.errors import InvalidFieldError
from services.access.set_up_links import SET_UP_PATH, SetUpLinkError
from services.access.users import UserDetails
from services.platform.audit import Actor, set_actor
from services.platform.rate_limits import TooManyRequestsError

router = APIRouter()


class SetUpFields(FormFields):
    """The link's token, the password twice, and whether tokens end too."""

    token: str = ""
    password: str = ""
    repeated: str = ""
    revoke_tokens: bool = False


async def _not_cross_site(request: Request) -> None:
    """Refuse what a browser says another site's page sends.

    The token is what no other site knows. ``Origin`` says nothing here: browsers send ``null`` from
    a page that wants no referrer.
    """
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise CrossSiteError


@router.get(SET_UP_PATH)
async def show_set_up(page: PublicPageDep, token: str = "") -> Response:
    """Ask for a password. Looking uses nothing up: chat programs open every link for a preview."""
    try:
        user = await page.services.set_up_links.user_of(token, address=address_of(page.request))
    except (SetUpLinkError, TooManyRequestsError) as error:
        return await _gone(page, error)
    return await _form(page, user, SetUpFields(token=token, revoke_tokens=True))


@router.post(SET_UP_PATH, dependencies=[Depends(_not_cross_site)])
async def set_up(page: PublicPageDep, form: Annotated[SetUpFields, Form()]) -> Response:
    """Set the password, which uses the link up, and go on to signing in."""
    address = address_of(page.request)
    set_actor(Actor(address=address))
    try:
        user = await page.services.set_up_links.user_of(form.token, address=address)
        try:
            await _use(page, form)
        except InvalidFieldError as error:
            return await _form(page, user, form, FormErrors.of(error))
    except (SetUpLinkError, TooManyRequestsError) as error:
        return await _gone(page, error)
    return page.redirect(
        page.path_to("show_sign_in"), Flash("Your password is set. Sign in with it.")
    )


async def _use(page: Page, form: SetUpFields) -> None:
    if form.password != form.repeated:
        raise InvalidFieldError("repeated", "is not the same as the password")
    await page.services.set_up_links.use(
        form.token,
        form.password,
        address=address_of(page.request),
        revoke_tokens=form.revoke_tokens,
    )


async def _form(
    page: Page, user: UserDetails, form: SetUpFields, errors: FormErrors = NO_ERRORS
) -> Response:
    tokens = await page.services.tokens.of_user(user.id, limit=1)
    return _unreferred(
        page.render(
            "set_up.html", whom=user, form=form, has_tokens=bool(tokens.items), errors=errors
        )
    )


async def _gone(page: Page, error: SetUpLinkError | TooManyRequestsError) -> Response:
    await page.services.refusals.note(actor_of(page.request), "link.refuse")
    status = 404 if isinstance(error, SetUpLinkError) else 429
    errors = FormErrors(general=sentence(str(error)), status=status)
    return _unreferred(page.render("set_up_gone.html", errors=errors))


def _unreferred(response: Response) -> Response:
    """Have nothing told where it was asked from: the address is a secret."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
