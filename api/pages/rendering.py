"""The template environment: globals, filters, and the pages' routes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from api.dependencies import needed_role, reaches
from api.pages import times
from api.pages.addresses import NO_FILTERS
from api.pages.assets import Assets
from api.pages.countries import jurisdiction_name
from api.pages.labels import LABELS
from api.pages.menu import SETTINGS, SIDEBAR
from api.pages.values import label_of
from domain.contacts.names import called, is_nameless
from domain.platform.phones import readable
from domain.sequences.pictures import KINDS, MAX_PICTURE_BYTES, PATH, thumbnail_of
from domain.sequences.texts import MAX_MEDIA, is_media_url, said
from domain.statuses.access import Role
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentStatus
from settings import ApiSettings
from sms.media import is_account_media

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True)
class Look:
    """A badge's Tabler icon and tone; icons differ too, for people who cannot see the colors."""

    icon: str
    tone: str


STATUS_LOOKS: Mapping[EnrollmentStatus, Look] = {
    EnrollmentStatus.ACTIVE: Look(icon="player-play", tone="blue"),
    EnrollmentStatus.FINISHED_RESPONDED: Look(icon="message-check", tone="green"),
    EnrollmentStatus.FINISHED_NO_RESPONSE: Look(icon="message-off", tone="grey"),
    EnrollmentStatus.FINISHED_STOPPED: Look(icon="hand-stop", tone="grey"),
    EnrollmentStatus.FAILED: Look(icon="alert-triangle", tone="red"),
    EnrollmentStatus.OPTED_OUT: Look(icon="ban", tone="orange"),
    EnrollmentStatus.OMITTED_OPTED_OUT: Look(icon="user-off", tone="orange"),
    EnrollmentStatus.OMITTED_LANDLINE: Look(icon="phone-off", tone="purple"),
}


class Segment(NamedTuple):
    """One part of a bar: its tone; start and width in percent of the bar."""

    tone: str
    start: float
    width: float


def status_bar(counts: Iterable[tuple[EnrollmentStatus, int]]) -> list[Segment]:
    """Lay statuses end to end so that they fill a bar, for SVG: inline styles are forbidden."""
    counted = [(status, count) for status, count in counts if count]
    total = sum(count for _, count in counted)
    laid = []
    start = 0.0
    for status, count in counted:
        width = 100 * count / total
        laid.append(Segment(STATUS_LOOKS[status].tone, round(start, 3), round(width, 3)))
        start += width
    return laid


class PageRoutes:
    """The page routes by their functions' names.

    Raises:
        ValueError: Two functions have the same name.
    """

    def __init__(self, routers: tuple[APIRouter, ...]) -> None:
        self._routes: dict[str, APIRoute] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    if route.name in self._routes:
                        raise ValueError(f"two page routes are called {route.name}")
                    self._routes[route.name] = route

    def has(self, route: object) -> bool:
        """Whether a route is a page's."""
        return route in self._routes.values()

    def path_to(self, name: str, /, **parameters: object) -> str:
        """Return the address of a page by its function's name and the path's parameters."""
        return self._routes[name].path_format.format(**parameters)

    def may(self, role: Role, name: str) -> bool:
        """Whether a role may use a route, by the same rule as the server."""
        route = self._routes[name]
        return all(
            reaches(role, needed_role(route.dependencies, method)) for method in route.methods or ()
        )


def build_environment(assets: Assets, routes: PageRoutes, settings: ApiSettings) -> Environment:
    """Build the template environment: output is escaped, an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    @cache
    def icon(name: str, classes: str = "") -> Markup:
        shown = Markup(
            '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}"/></svg>'
        )
        return shown.format(f"icon {classes}".strip(), assets.icon(name))

    @cache
    def status_badge(status: EnrollmentStatus) -> Markup:
        """Draw the badge of an enrollment's status; its meaning on hover."""
        look, words = STATUS_LOOKS[status], STATUS_WORDS[status]
        shown = Markup('<span class="status status-{}" data-tip="{}">{}{}</span>')
        return shown.format(look.tone, words.meaning, icon(look.icon), words.label)

    def at_provider(url: str) -> bool:
        """Whether an inbound picture is at the provider, to be shown through us."""
        return is_account_media(url, settings.twilio_api_base_url, settings.twilio_account_sid)

    def thumbnail(url: str) -> str | None:
        """Return the address of the small copy of a picture of ours; None for others."""
        return thumbnail_of(url, settings.public_base_url)

    environment.globals.update(
        asset=assets.path,
        icon=icon,
        status_badge=status_badge,
        path_to=routes.path_to,
        sidebar=SIDEBAR,
        settings_tabs=SETTINGS,
        status_words=STATUS_WORDS,
        status_looks=STATUS_LOOKS,
        labels=LABELS,
        EnrollmentStatus=EnrollmentStatus,
        no_filters=NO_FILTERS,
        our_pictures=f"{settings.public_base_url}{PATH}/",
        picture_kinds=",".join(KINDS),
        picture_bytes=MAX_PICTURE_BYTES,
        pictures_most=MAX_MEDIA,
    )
    environment.tests["media_url"] = is_media_url
    environment.tests["at_provider"] = at_provider
    environment.tests["nameless"] = is_nameless
    environment.filters.update(
        relative=_relative,
        exact=_by_clock(times.Clock.exact),
        time_of_day=_by_clock(times.Clock.time_of),
        date=_by_clock(times.Clock.date_of),
        iso=times.iso,
        place=times.place_of,
        count="{:,}".format,
        phone=readable,
        jurisdiction=jurisdiction_name,
        called=called,
        label=label_of,
        thumbnail=thumbnail,
        said=said,
    )
    return environment


@pass_context
def _relative(context: Context, moment: datetime) -> str:
    now: datetime = context["now"]
    return times.relative(moment, now)


def _by_clock(
    write: Callable[[times.Clock, datetime, str | None], str],
) -> Callable[[Context, datetime, str | None], str]:
    """Return a filter that writes a moment by the workspace's clock."""

    @pass_context
    def by_clock(context: Context, moment: datetime, zone: str | None = None) -> str:
        return write(context["clock"], moment, zone)

    return by_clock
