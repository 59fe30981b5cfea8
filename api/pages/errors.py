"""Error pages, or messages on the page that is already shown."""

from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from api.dependencies import authenticate
from api.pages import flash as flashes
from api.pages.addresses import address as address_of
from api.pages.flash import Flash
from api.pages.forms import sentence
from api.pages.page import HTMX, Page, Pages, known_page, own_path, page_of
from api.problems import Problem
from services.access.users import NotSignedInError

_MACHINES = ("/api", "/webhooks/", "/healthz", "/readyz", "/metrics", "/static/")
_GOES_BACK = frozenset({400, 409, 413, 422, 429})

_OF_ERROR_PAGES = frozenset({"Allow", "Retry-After"})
"""Headers of a problem that its page repeats."""

_NOT_BUILT = "The pages are not built. Run `make assets` and start the API again.\n"

_TITLES = {
    403: "You don't have access to this",
    404: "Page not found",
    405: "This page can't be opened directly",
    409: "That's not possible right now",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}
_WRONG = "Something went wrong on our end. It was logged; please try again."
_OF_PAGES = {
    404: "It may have been deleted, or the address was mistyped.",
    405: "Go back to the page it belongs to and try from there.",
    422: "The address contains something we can't read.",
    500: _WRONG,
}
_OF_ACTIONS = {404: "It no longer exists. Reload the page.", 500: _WRONG}


async def answer(request: Request, error: Exception, problem: Problem) -> Response | None:
    """Answer an error as a page; return None if a program asked, which gets ``problem``."""
    if not _is_for_people(request):
        return None
    pages: Pages = request.app.state.pages
    if not pages.assets.are_built:
        return PlainTextResponse(_NOT_BUILT, 503)
    if isinstance(error, NotSignedInError):
        return _to_sign_in(request)
    if HTMX in request.headers:
        return _flashed(request, problem)
    if request.method == "POST" and problem.status in _GOES_BACK:
        response = RedirectResponse(own_path(request.headers.get("referer")), status_code=303)
        flashes.put(response, _flash_of(problem), request.app.state.settings)
        return response
    return await _error_page(request, problem)


def _is_for_people(request: Request) -> bool:
    pages: Pages = request.app.state.pages
    if pages.routes.has(request.scope.get("route")):
        return True
    if request.url.path.startswith(_MACHINES):
        return False
    return HTMX in request.headers or "text/html" in request.headers.get("accept", "")


def _to_sign_in(request: Request) -> Response:
    """Redirect to the sign-in page, which leads back to the current page.

    A page that is open stays, and asks to sign in over it (api/assets/js/session.js).
    """
    if HTMX in request.headers:
        return Response(status_code=401, headers={"HX-Trigger": "session-ended"})
    pages: Pages = request.app.state.pages
    asked = request.method in {"GET", "HEAD"}
    back = own_path(str(request.url) if asked else request.headers.get("referer"))
    address = address_of(pages.routes.path_to("show_sign_in"), next=back if back != "/" else None)
    return RedirectResponse(address, status_code=303)


def _flashed(request: Request, problem: Problem) -> Response:
    """Show the error among the messages of the page that is already shown."""
    text = _render(request, "layout/_flash.html", flash=_flash_of(problem))
    headers = {"HX-Retarget": "#flashes", "HX-Reswap": "beforeend"}
    return HTMLResponse(text, problem.status, {**problem.headers, **headers})


def _flash_of(problem: Problem) -> Flash:
    return Flash(_OF_ACTIONS.get(problem.status) or sentence(problem.detail), "danger")


async def _error_page(request: Request, problem: Problem) -> Response:
    """Show an error in the frame of the pages to those who are signed in, else on a bare page."""
    status = problem.status
    context: dict[str, Any] = {
        "status": status,
        "title": _TITLES.get(status, "That didn't work"),
        "words": _OF_PAGES.get(status) or sentence(problem.detail),
    }
    page = await _page_of(request) if status != HTTPStatus.SERVICE_UNAVAILABLE else None
    if page is None:
        text = _render(request, "errors/error.html", **context)
        response: Response = HTMLResponse(text, status)
    else:
        response = page.render("errors/inside.html", **context)
        response.status_code = status
    for name, value in problem.headers.items():
        if name in _OF_ERROR_PAGES:
            response.headers[name] = value
    return response


async def _page_of(request: Request) -> Page | None:
    """Make the page of whoever is signed in; None for others, or if that cannot be found out."""
    page = known_page(request)
    if page is not None:
        return page
    try:
        return await page_of(request, await authenticate(request))
    except Exception:  # noqa: BLE001 - what failed may be just this; the page is bare without it
        return None


def _render(request: Request, template: str, **context: object) -> str:
    pages: Pages = request.app.state.pages
    return pages.environment.get_template(template).render({"flash": None, **context})
