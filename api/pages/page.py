"""One request for a page: the signed-in user, the template's context, the response."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from starlette.responses import Response

from api.dependencies import CurrentCaller, reaches, services_of, settings_of
from api.pages import flash as flashes
from api.pages.assets import Assets
from api.pages.flash import Flash
from api.pages.forms import FormErrors
from api.pages.menu import Entry
from api.pages.rendering import PageRoutes
from api.pages.times import Clock, TimeTags
from api.pages.waiting import MenuCount, counted, framed, menu_counts
from domain.platform.errors import SegueError
from services.access.users import Caller
from services.maintenance.workspace import WorkspaceClock
from storage.messaging.waiting import WaitingCounts

HTMX = "hx-request"
_PAGE = "page"
_OF_ADDRESSES = ":/%#?=@[]!$&'()*+,;"  # have a meaning in addresses, or are escaped already
_SENDERS_MOST = 200
_Model = TypeVar("_Model")
InForm = Annotated[_Model, Form()]
"""A model read from a form."""


class PageEvent(StrEnum):
    """Events that the browser fires on the page after an action; its parts then load again."""

    CONTACTS_CHANGED = "contacts-changed"
    DELIVERIES_CHANGED = "deliveries-changed"
    FIELDS_CHANGED = "fields-changed"
    JOB_ENDED = "job-ended"
    MEMBERS_CHANGED = "members-changed"
    PEOPLE_CHANGED = "people-changed"
    REPLIES_CHANGED = "replies-changed"
    REVIEWS_CHANGED = "reviews-changed"
    SENDERS_CHANGED = "senders-changed"
    TEMPLATES_CHANGED = "templates-changed"
    TEXTS_CHANGED = "texts-changed"
    USERS_CHANGED = "users-changed"


@dataclass
class Pages:
    """Assets, routes and templates that all pages of one application share."""

    assets: Assets
    routes: PageRoutes
    environment: Environment


def is_part(request: Request) -> bool:
    """Tell whether htmx asks for a part to put into the page already shown."""
    return HTMX in request.headers and "hx-history-restore-request" not in request.headers


class PublicPage:
    """One request for a page that needs no sign-in, and how to answer it.

    Attributes:
        now: When the request came, UTC.
        errors: Errors of the form that was sent; their status is the response's.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.services = services_of(request)
        self.settings = settings_of(request)
        self.now = datetime.now(UTC)
        self.errors = FormErrors()
        self._pages: Pages = request.app.state.pages

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks for a part to put into the page already shown."""
        return is_part(self.request)

    def path_to(self, name: str, /, **parameters: object) -> str:
        """Return the address of a page by its function's name and the path's parameters."""
        return self._pages.routes.path_to(name, **parameters)

    def refuse(self, error: SegueError, **renamed: str) -> None:
        """Show an error beside the fields of the form; arguments as for ``FormErrors.of``."""
        self.errors = FormErrors.of(error, **renamed)

    def refusing(self, **renamed: str) -> "_Refusing":
        """Show an error of a ``with`` block beside the fields of the form, as ``refuse`` does.

        The block ends by returning the answer of success; what follows shows the form again.
        """
        return _Refusing(self, renamed)

    def render(self, template: str, *, part: str | None = None, **context: object) -> Response:
        """Answer with a page, or htmx with the template ``part`` alone.

        The context is added to what every template gets.
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
        """Answer htmx with a part of a page, a message to show and an event to fire on the page."""
        text = self._text(template, **context)
        if flash is not None:
            text += self._text("layout/_flash_part.html", flash=flash)
        response = _html(text, self.errors.status)
        if event is not None:
            response.headers["HX-Trigger"] = event
        return response

    def done(
        self, message: Flash | str, *, event: PageEvent, beside: str = "", **context: object
    ) -> Response:
        """Answer htmx by closing the dialog, showing a message and firing an event on the page.

        The template ``beside`` changes parts of the page by ``hx-swap-oob``.
        """
        text = self._text("layout/_flash_part.html", flash=Flash.of(message))
        response = _html(text + (self._text(beside, **context) if beside else ""))
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
            "now": self.now,
            "here": self.request.url.path,
            "flash": None,
            "errors": self.errors,
            **self._of_user(),
            **context,
        }
        return self._pages.environment.get_template(template).render(given)

    def _of_user(self) -> dict[str, Any]:
        """Return what templates know of the user."""
        return {"user": None, "clock": None, "waiting": {}, "away": ()}


@dataclass(frozen=True)
class _Refusing:
    page: PublicPage
    renamed: Mapping[str, str]

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, SegueError):
            return False
        self.page.refuse(error, **self.renamed)
        return True


class Page(PublicPage):
    """One request of a signed-in user for a page; ``clock`` is the workspace's.

    Parts of pages and answers to forms do not say what waits for the user.
    """

    def __init__(
        self,
        request: Request,
        caller: Caller,
        workspace: WorkspaceClock,
        waiting: WaitingCounts | None = None,
        *,
        single_keys: bool = True,
    ) -> None:
        super().__init__(request)
        self.caller = caller
        self.user = caller.user
        self.clock = Clock(workspace.effective_time_zone, workspace.hour_cycle)
        self.single_keys = single_keys
        self.waiting = waiting

    async def count_waiting(self) -> WaitingCounts:
        """Count what waits for the user; a whole page has counted it for its menu."""
        return self.waiting or await counted(self.services, self.user.id)

    async def menu_count(self, name: str) -> MenuCount:
        """Count what the menu shows beside one of its entries."""
        return menu_counts(await self.count_waiting())[name]

    def sees(self, entry: Entry) -> bool:
        """Whether the user sees an entry of a menu."""
        return reaches(self.user.role, entry.role)

    def may(self, name: str) -> bool:
        """Whether the user may use a page's route."""
        return self._pages.routes.may(self.user.role, name)

    async def group_options(self) -> list[tuple[str, str]]:
        """Return all groups, id and name; a long dropdown gets a search box in the browser."""
        return [(str(group.id), group.name) for group in await self.services.pickers.groups()]

    async def owner_options(self, current: UUID | None = None) -> list[tuple[str, str]]:
        """Return the users who can own contacts, id and name; ``current`` even if not any more."""
        owners = {one.id: one.name for one in await self.services.inbox.owners()}
        if current is not None and current not in owners:
            owners |= await self.services.users.names_of([current])
        return [(str(one), name) for one, name in owners.items()]

    async def sender_options(self) -> list[tuple[str, str]]:
        """Return the senders, id and name."""
        senders = await self.services.senders.find(limit=_SENDERS_MOST)
        return [(str(sender.id), sender.name) for sender in senders.items]

    def _of_user(self) -> dict[str, Any]:
        tags = TimeTags(self.now, self.clock)
        return {
            "user": self.user,
            "clock": self.clock,
            "relative_time": tags.relative_time,
            "coming": tags.coming,
            "can": self.may,
            "single_keys": self.single_keys,
            "waiting": menu_counts(self.waiting) if self.waiting else {},
            "away": self.services.availability.away(),
        }


async def _public_page_of(request: Request) -> PublicPage:
    return PublicPage(request)


async def page_of(request: Request, caller: CurrentCaller) -> Page:
    """Read what is around a page; the request keeps it, for the page of an error."""
    services = services_of(request)
    if request.method == "GET" and not is_part(request):
        frame = await framed(services, caller.user.id)
        keys = frame.single_keys
        page = Page(request, caller, frame.workspace, frame.waiting, single_keys=keys)
    else:
        page = Page(request, caller, await services.workspace.get())
    setattr(request.state, _PAGE, page)
    return page


def known_page(request: Request) -> Page | None:
    """Return the page that a request was for, once it was known who asked for it."""
    return getattr(request.state, _PAGE, None)


# One dependency each: FastAPI goes through all of them, and theirs, at every request.
PageDep = Annotated[Page, Depends(page_of)]
PublicPageDep = Annotated[PublicPage, Depends(_public_page_of)]


def own_path(address: str | None, *, otherwise: str = "/") -> str:
    """Return an untrusted address's path and query if it is ours, never another site's."""
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
