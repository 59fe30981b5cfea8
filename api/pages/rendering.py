"""The templates: where they are and what every one of them can use."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from api.dependencies import needed_role, reaches
from api.pages import times
from api.pages.assets import Assets
from api.pages.menu import SETTINGS, SIDEBAR
from domain.platform.phones import readable
from domain.sequences.texts import is_media_url
from domain.statuses.access import Role
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentStatus
from domain.statuses.suppression import TextMeaning

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True)
class Look:
    """How a badge looks: its colour, and the shape that tells it where colours do not.

    Attributes:
        icon: The name of a Tabler icon.
        tone: A suffix of ``badge-``.
    """

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

MEANING_WORDS: Mapping[TextMeaning, str] = {
    TextMeaning.OPT_OUT: "opts out",
    TextMeaning.PLAIN_WISH: "opts out in their own words",
    TextMeaning.OPT_IN: "opts in again",
    TextMeaning.HELP: "asks for help",
}
"""What an inbound text asks for; reads on from whoever wrote it."""


class PageRoutes:
    """The routes of the pages by the name of their function: their addresses, who may use them.

    Args:
        routers: All of them.

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
        """Whether a route is one of these."""
        return route in self._routes.values()

    def path_to(self, name: str, /, **parameters: object) -> str:
        """Give the address of a page: of its function's name and the path's parameters."""
        texts = {key: str(value) for key, value in parameters.items()}
        return str(self._routes[name].url_path_for(name, **texts))

    def may(self, role: Role, name: str) -> bool:
        """Whether a role may use the route; the rule is the one that the server goes by."""
        route = self._routes[name]
        return all(
            reaches(role, needed_role(route.dependencies, method)) for method in route.methods or ()
        )


def build_environment(assets: Assets, routes: PageRoutes) -> Environment:
    """Make the environment of all templates: everything is escaped, a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    def icon(name: str, classes: str = "") -> Markup:
        shown = Markup(
            '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}"/></svg>'
        )
        return shown.format(f"icon {classes}".strip(), assets.icon(name))

    environment.globals.update(
        asset=assets.path,
        icon=icon,
        path_to=routes.path_to,
        sidebar=SIDEBAR,
        settings_tabs=SETTINGS,
        status_words=STATUS_WORDS,
        status_looks=STATUS_LOOKS,
        meaning_words=MEANING_WORDS,
        EnrollmentStatus=EnrollmentStatus,
    )
    environment.tests["media_url"] = is_media_url
    environment.filters.update(
        relative=_relative,
        exact=_exact,
        time_of_day=_time_of_day,
        date=_date,
        iso=_iso,
        count=_count,
        phone=readable,
    )
    return environment


@pass_context
def _relative(context: Context, moment: datetime) -> str:
    now: datetime = context["now"]
    return times.relative(moment, now)


@pass_context
def _exact(context: Context, moment: datetime, zone: str | None = None) -> str:
    return _clock(context).exact(moment, zone)


@pass_context
def _time_of_day(context: Context, moment: datetime, zone: str | None = None) -> str:
    return _clock(context).time_of(moment, zone)


@pass_context
def _date(context: Context, moment: datetime, zone: str | None = None) -> str:
    return _clock(context).date_of(moment, zone)


def _clock(context: Context) -> times.Clock:
    clock: times.Clock = context["clock"]
    return clock


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _count(number: int) -> str:
    """Write a number with commas: ``12,345``."""
    return f"{number:,}"
