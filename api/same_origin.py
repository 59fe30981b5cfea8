"""Protection of sessions: what a browser is told to do by somebody else's page is refused."""

from urllib.parse import urlsplit

from fastapi import Request

from domain.platform.errors import SegueError

_OURS = frozenset({"same-origin", "none"})


class CrossSiteError(SegueError):
    """A request that changes something came with a session but not from our own pages."""

    code = "cross_site"

    def __init__(self) -> None:
        super().__init__(
            "with a session, changes are taken from this site's own pages only;"
            " programs send a token as Authorization: Bearer <token>"
        )


def require_same_origin(request: Request, public_base_url: str) -> None:
    """Let a request with a session through if the browser says it comes from our own page.

    All browsers of today say so: ``Sec-Fetch-Site`` (W3C Fetch Metadata, over HTTPS and on this
    machine), ``Origin`` with every request that is no GET (Fetch standard).

    Raises:
        CrossSiteError: It comes from elsewhere, or nothing says where from.
    """
    if not (_told(request) and is_same_origin(request, public_base_url)):
        raise CrossSiteError


def is_same_origin(request: Request, public_base_url: str) -> bool:
    """Whether nothing says that a request comes from another site's page."""
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched in _OURS
    origin = request.headers.get("origin")
    if origin is None:
        return True
    public = urlsplit(public_base_url)
    if origin == f"{public.scheme}://{public.netloc}":
        return True
    try:
        named = urlsplit(origin).netloc
    except ValueError:  # no address at all
        return False
    # Another name of this server: the browser sets Host, a page cannot.
    return named != "" and named == request.headers.get("host")


def _told(request: Request) -> bool:
    return "sec-fetch-site" in request.headers or "origin" in request.headers
