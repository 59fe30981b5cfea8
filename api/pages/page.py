"""One request for a page: the signed-in user, the template's context, the response."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from urllib.parse import quote, urlsplit

from fastapi import Depends, Form, Query, Request
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
from domain.platform.errors import SegueError
from services.access.users import Caller, UserDetails
from services.factory import Services
from settings import ApiSettings

HTMX = "hx-request"

_OF_ADDRESSES = ":/%#?=@[]!$&'()*+,;"  # have a meaning in addresses, or are escaped already

_Model = TypeVar("_Model")
InForm = Annotated[_Model, Form()]
"""A model read from a form."""

InQuery = Annotated[_Model, Query()]
"""A model read from the query."""


class PageEvent(StrEnum):
    """Events that the browser fires on the page after an action; its parts then load again."""

    DELIVERIES_CHANGED = "deliveries-changed"
    JOB_ENDED = "job-ended"
    MEMBERS_CHANGED = "members-changed"
    PEOPLE_CHANGED = "people-changed"
    REVIEWS_CHANGED = "reviews-changed"
    SENDERS_CHANGED = "senders-changed"
    TEXTS_CHANGED = "texts-changed"
    USERS_CHANGED = "users-changed"


@dataclass
class Pages:
    """Assets, routes and templates that all pages of one application share."""

    assets: Assets
    routes: PageRoutes
    environment: Environment


class Page:
    """One request for a page, and how to answer it.

    Attributes:
        caller: The signed-in user; None on pages that need no sign-in.
        now: When the request came, UTC.
        errors: Errors of the form that was sent; their status is the response's.
    """

    def __init__(
        self,
        request: Request,
        services: Services,
        settings: ApiSettings,
        *,
        caller: Caller | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.request = request
        self.services = services
        self.settings = settings
        self.caller = caller
        self._clock = clock
        self.now = datetime.now(UTC)
        self.errors = NO_ERRORS
        self._pages: Pages = request.app.state.pages

    @property
    def signed_in(self) -> Caller:
        """The signed-in user, and how they proved it.

        Raises:
            AttributeError: This page needs no sign-in.
        """
        if self.caller is None:
            raise AttributeError("nobody is signed in")
        return self.caller

    @property
    def user(self) -> UserDetails:
        """The signed-in user; raises as ``signed_in``."""
        return self.signed_in.user

    @property
    def clock(self) -> Clock:
        """The workspace's clock; raises as ``signed_in``."""
        if self._clock is None:
            raise AttributeError("nobody is signed in")
        return self._clock

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks for a part to put into the page already shown."""
        headers = self.request.headers
        return HTMX in headers and "hx-history-restore-request" not in headers

    def sees(self, entry: Entry) -> bool:
        """Whether the user sees an entry of a menu."""
        return reaches(self.user.role, entry.role)

    def path_to(self, name: str, /, **parameters: object) -> str:
        """Return the address of a page by its function's name and the path's parameters."""
        return self._pages.routes.path_to(name, **parameters)

    def refuse(self, error: SegueError, **renamed: str) -> None:
        """Show an error beside the fields of the form; arguments as for ``FormErrors.of``."""
        self.errors = FormErrors.of(error, **renamed)

    def render(self, template: str, *, part: str | None = None, **context: object) -> Response:
        """Answer with a page.

        Args:
            template: Its file.
            part: The file that htmx gets instead.
            **context: Names for the template, besides those every page gets.
        """
        if part is not None and self.wants_part:
            return _html(self._text(part, **context), self.errors.status)
        flash = flashes.take(self.request, self.settings)
        response = _html(self._text(template, flash=flash, **context), self.errors.status)
        if flash is not None:
            flashes.clear(response)
        return response

    def part(
        self,
        template: str,
        *,
        flash: Flash | None = None,
        event: PageEvent | None = None,
        **context: object,
    ) -> Response:
        """Answer htmx with a part of a page.

        Args:
            template: Its file.
            flash: A message to show besides.
            event: An event that the browser fires on the page (``HX-Trigger``).
            **context: Names for the template, besides those every page gets.
        """
        text = self._text(template, **context)
        if flash is not None:
            text += self._text("layout/_flash_part.html", flash=flash)
        response = _html(text, self.errors.status)
        if event is not None:
            response.headers["HX-Trigger"] = event
        return response

    def done(self, message: Flash | str, *, event: PageEvent) -> Response:
        """Answer htmx by closing the dialog, showing a message and firing an event on the page."""
        response = _html(self._text("layout/_flash_part.html", flash=Flash.of(message)))
        response.headers["HX-Reswap"] = "none"
        response.headers["HX-Trigger"] = f"close-dialog, {event}"
        return response

    def redirect_to(
        self, name: str, message: Flash | str | None = None, /, **parameters: object
    ) -> Response:
        """Redirect as ``redirect`` does, to a page by its function's name."""
        return self.redirect(self.path_to(name, **parameters), message)

    def redirect(self, path: str, message: Flash | str | None = None) -> Response:
        """Redirect to another page, which shows a message; htmx loads it as a whole page."""
        response: Response
        if HTMX in self.request.headers:
            address = quote(path, safe=_OF_ADDRESSES)
            response = Response(status_code=204, headers={"HX-Redirect": address})
        else:
            response = RedirectResponse(path, status_code=303)
        if message is not None:
            flashes.put(response, Flash.of(message), self.settings)
        return response

    def _text(self, template: str, **context: object) -> str:
        given = {
            "page": self,
            "user": self.caller.user if self.caller else None,
            "clock": self._clock,
            "now": self.now,
            "here": self.request.url.path,
            "can": lambda name: self._pages.routes.may(self.user.role, name),
            "away": self.services.availability.away() if self.caller else (),
            "flash": None,
            "errors": self.errors,
            **context,
        }
        return self._pages.environment.get_template(template).render(given)


async def _signed_in(
    request: Request, services: ServicesDep, settings: SettingsDep, caller: CurrentCaller
) -> Page:
    workspace = await services.workspace.get()
    clock = Clock(workspace.effective_time_zone, workspace.hour_cycle)
    return Page(request, services, settings, caller=caller, clock=clock)


async def _public(request: Request, services: ServicesDep, settings: SettingsDep) -> Page:
    return Page(request, services, settings)


PageDep = Annotated[Page, Depends(_signed_in)]
"""A page for signed-in users."""

PublicPageDep = Annotated[Page, Depends(_public)]
"""A page that needs no sign-in."""


def own_path(address: str | None, *, otherwise: str = "/") -> str:
    """Return the path and query of one of our own addresses, never another site's.

    Args:
        address: A path or a whole address from an untrusted source.
        otherwise: The result for anything else.
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
    # A stored page could be seen after signing out.
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store", "Vary": "HX-Request"})
