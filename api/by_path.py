"""Routers that are asked only about paths that may be theirs."""

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette._utils import get_route_path  # what routes are compared with, behind --root-path too
from starlette.routing import Match
from starlette.types import Scope


class ByPath(APIRouter):
    """The routes of a router, asked only about paths that begin like one of theirs.

    FastAPI asks the routes of all routers in turn until one matches, and makes them ready at that.
    With hundreds of routes this takes longer than all else that a short request does.

    Args:
        router: Whose routes these are.
        prefix: What they are included with.
    """

    def __init__(self, router: APIRouter, prefix: str = "") -> None:
        super().__init__()
        self.routes = router.routes
        paths = [f"{prefix}{one.path}" for one in self.routes if isinstance(one, APIRoute)]
        self._beginnings = tuple({path.partition("{")[0] for path in paths})

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a route matches a request."""
        if not get_route_path(scope).startswith(self._beginnings):
            return Match.NONE, {}
        return super().matches(scope)
