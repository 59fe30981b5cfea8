"""Setting one's password by a one-time link."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.dependencies import actor_of, address_of
from api.pages.forms import FormErrors, FormFields, sentence
from api.pages.page import InForm, PublicPage, PublicPageDep
from api.same_origin import CrossSiteError
from domain.platform.errors import InvalidFieldError
from services.access.set_up_links import SET_UP_PATH, SetUpLinkError
from services.access.users import UserDetails
from services.platform.audit import Actor, set_actor
from services.platform.rate_limits import TooManyRequestsError

router = APIRouter()


class SetUpFields(FormFields):
    """The link's token, the password twice, and whether API tokens are revoked too."""

    token: str = ""
    password: str = ""
    repeated: str = ""
    revoke_tokens: bool = False


async def _not_cross_site(request: Request) -> None:
    """Refuse requests that the browser says came from another site.

    Other sites do not know the token. ``Origin`` does not help: browsers send ``null`` from a page
    with ``no-referrer``.
    """
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise CrossSiteError


@router.get(SET_UP_PATH)
async def show_set_up(page: PublicPageDep, token: str = "") -> Response:
    """Show the form. This does not use up the link: chat programs open every link for a preview."""
    try:
        user = await page.services.set_up_links.user_of(token, address=address_of(page.request))
    except (SetUpLinkError, TooManyRequestsError) as error:
        return await _gone(page, error)
    return await _form(page, user, SetUpFields(token=token, revoke_tokens=True))


@router.post(SET_UP_PATH, dependencies=[Depends(_not_cross_site)])
async def set_up(page: PublicPageDep, form: InForm[SetUpFields]) -> Response:
    """Set the password, which uses up the link, and redirect to the sign-in page."""
    address = address_of(page.request)
    set_actor(Actor(address=address))
    try:
        user = await page.services.set_up_links.user_of(form.token, address=address)
        set_actor(Actor(user.id, address=address))
        try:
            await _use(page, form)
        except InvalidFieldError as error:
            page.refuse(error)
            return await _form(page, user, form)
    except (SetUpLinkError, TooManyRequestsError) as error:
        return await _gone(page, error)
    return page.redirect_to("show_sign_in", "Password set. Sign in with it.")


async def _use(page: PublicPage, form: SetUpFields) -> None:
    if form.password != form.repeated:
        raise InvalidFieldError("repeated", "does not match the password")
    await page.services.set_up_links.use(
        form.token,
        form.password,
        address=address_of(page.request),
        revoke_tokens=form.revoke_tokens,
    )


async def _form(page: PublicPage, user: UserDetails, form: SetUpFields) -> Response:
    tokens = await page.services.tokens.of_user(user.id, limit=1)
    return _unreferred(
        page.render("set_up.html", whom=user, form=form, has_tokens=bool(tokens.items))
    )


async def _gone(page: PublicPage, error: SetUpLinkError | TooManyRequestsError) -> Response:
    await page.services.refusals.note(actor_of(page.request), "link.refuse")
    status = 404 if isinstance(error, SetUpLinkError) else 429
    page.errors = FormErrors(general=sentence(str(error)), status=status)
    return _unreferred(page.render("set_up_gone.html"))


def _unreferred(response: Response) -> Response:
    """Keep the address, which is a secret, out of other requests."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
