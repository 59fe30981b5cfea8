"""A page under way: who looks, what the templates get, how it is answered."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from starlette.responses import Response

from api.dependencies import CurrentCaller, ServicesDep, SettingsDep, reaches
from api.pages import flash as flashes
from api.pages.assets import Assets
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors
from api.pages.menu import Entry
from api.pages.rendering import PageRoutes
from api.pages.times import Clock
from services.access.users import Caller, UserDetails
from services.factory import Services
from settings import ApiSettings

HTMX = "hx-request"

_OF_ADDRESSES = ":/%#?=@[]!$&'()*+,;"  # what has a meaning in them, or is written so already


class Pages:
    """What all pages of one application share.

    Args:
        assets: What they load.
        routes: Where they are.
        environment: Their templates.
    """

    def __init__(self, assets: Assets, routes: PageRoutes, environment: Environment) -> None:
        self.assets = assets
        self.routes = routes
        self.environment = environment


class Page:
    """One request for a page, and how to answer it.

    Attributes:
        request: As it came.
        services: Every use case.
        settings: Of the process.
        caller: Who looks; None before signing in.
        now: When the request came, UTC.
    """

    def __init__(
        self,
        request: Request,
        services: Services,
        settings: ApiSettings,
        *,
        caller: Caller | None,
        clock: Clock | None,
    ) -> None:
        self.request = request
        self.services = services
        self.settings = settings
        self.caller = caller
        self._clock = clock
        self.now = datetime.now(UTC)
        self._pages: Pages = request.app.state.pages

    @property
    def signed_in(self) -> Caller:
        """Who looks, and how they proved it.

        Raises:
            AttributeError: Nobody is signed in, and the page does not ask for it.
        """
        if self.caller is None:
            raise AttributeError("nobody is signed in")
        return self.caller

    @property
    def user(self) -> UserDetails:
        """Who looks; raises as ``signed_in``."""
        return self.signed_in.user

    @property
    def clock(self) -> Clock:
        """How the workspace tells the time.

        Raises:
            AttributeError: Nobody is signed in, and the page does not ask for it.
        """
        if self._clock is None:
            raise AttributeError("nobody is signed in")
        return self._clock

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks, which puts the answer into the page that is there."""
        headers = self.request.headers
        return HTMX in headers and "hx-history-restore-request" not in headers

    def sees(self, entry: Entry) -> bool:
        """Whether an entry of a menu is for who looks."""
        return reaches(self.user.role, entry.role)

    def path_to(self, name: str, /, **parameters: object) -> str:
        """Give the address of a page: of its function's name and the path's parameters."""
        return self._pages.routes.path_to(name, **parameters)

    def render(
        self,
        template: str,
        *,
        part: str | None = None,
        errors: FormErrors = NO_ERRORS,
        **context: object,
    ) -> Response:
        """Answer with a page.

        Args:
            template: Its file.
            part: The file of the part of it that htmx gets instead.
            errors: What was wrong with a form; its status is the answer's.
            **context: What the template asks for besides what every page gets.
        """
        if part is not None and self.wants_part:
            return _html(self._text(part, errors=errors, **context), errors.status)
        waiting = flashes.take(self.request, self.settings)
        text = self._text(template, errors=errors, flash=waiting, **context)
        response = _html(text, errors.status)
        if waiting is not None:
            flashes.clear(response)
        return response

    def part(
        self,
        template: str,
        *,
        flash: Flash | None = None,
        errors: FormErrors = NO_ERRORS,
        events: Sequence[str] = (),
        **context: object,
    ) -> Response:
        """Answer htmx with a part of a page.

        Args:
            template: Its file.
            flash: A message to be shown besides.
            errors: What was wrong with a form; its status is the answer's.
            events: What the browser shall tell the page that has happened (``HX-Trigger``).
            **context: What the template asks for besides what every page gets.
        """
        text = self._text(template, errors=errors, **context)
        if flash is not None:
            text += self._text("layout/_flash_part.html", flash=flash)
        response = _html(text, errors.status)
        if events:
            response.headers["HX-Trigger"] = ", ".join(events)
        return response

    def done(self, message: Flash | str, *, events: Sequence[str] = ()) -> Response:
        """Tell htmx that something is done: dialogs close, a message is shown, nothing is swapped.

        Args:
            message: What was done, as a sentence.
            events: What else the browser shall tell the page, so that its parts load anew.
        """
        flash = Flash(message) if isinstance(message, str) else message
        response = _html(self._text("layout/_flash_part.html", flash=flash))
        response.headers["HX-Reswap"] = "none"
        response.headers["HX-Trigger"] = ", ".join(("close-dialog", *events))
        return response

    def redirect(self, path: str, message: Flash | str | None = None) -> Response:
        """Go on to another page, which shows a message; after every POST that is no htmx part."""
        response: Response
        if HTMX in self.request.headers:
            response = Response(
                status_code=204, headers={"HX-Redirect": quote(path, safe=_OF_ADDRESSES)}
            )
        else:
            response = RedirectResponse(path, status_code=303)
        if message is not None:
            flash = Flash(message) if isinstance(message, str) else message
            flashes.put(response, flash, self.settings)
        return response

    def _text(self, template: str, **context: object) -> str:
        given = {
            "page": self,
            "user": self.caller.user if self.caller else None,
            "clock": self._clock,
            "now": self.now,
            "here": self.request.url.path,
            "can": self._can,
            "away": self.services.presence.away() if self.caller else (),
            "flash": None,
            "errors": NO_ERRORS,
            **context,
        }
        return self._pages.environment.get_template(template).render(given)

    def _can(self, name: str) -> bool:
        return self._pages.routes.may(self.user.role, name)


async def _signed_in(
    request: Request, services: ServicesDep, settings: SettingsDep, caller: CurrentCaller
) -> Page:
    workspace = await services.workspace.get()
    clock = Clock(workspace.effective_time_zone, workspace.hour_cycle)
    return Page(request, services, settings, caller=caller, clock=clock)


async def _public(request: Request, services: ServicesDep, settings: SettingsDep) -> Page:
    return Page(request, services, settings, caller=None, clock=None)


PageDep = Annotated[Page, Depends(_signed_in)]
"""A page for somebody who is signed in."""

PublicPageDep = Annotated[Page, Depends(_public)]
"""A page for everybody."""


def own_path(address: str | None, *, otherwise: str = "/") -> str:
    """Give the path and query of an address of ours, to go there: never another site's.

    Args:
        address: A path or a whole address, from whoever.
        otherwise: Where to go if it is nothing of the kind.
    """
    if not address or any(char <= " " or char in "\\\x7f" for char in address):
        return otherwise
    try:
        parts = urlsplit(address)
    except ValueError:
        return otherwise
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if not path.startswith("/") or path.startswith(("//", "/api/")):
        return otherwise
    return path


def _html(text: str, status: int = 200) -> HTMLResponse:
    # What a browser keeps could be seen after signing out.
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store", "Vary": "HX-Request"})
