"""Protection of sessions against requests made by other sites' pages."""

from urllib.parse import urlsplit

from fastapi import Request

from domain.platform.errors import SegueError

_OURS = frozenset({"same-origin", "none"})


class CrossSiteError(SegueError):
    """A change with a session that does not come from our own pages."""

    code = "cross_site"

    def __init__(self) -> None:
        super().__init__(
            "with a session, changes are taken from this site's own pages only;"
            " programs send a token as Authorization: Bearer <token>"
        )


def require_same_origin(request: Request, public_base_url: str) -> None:
    """Require that the browser says a request comes from our own page.

    All current browsers do: with ``Sec-Fetch-Site`` (W3C Fetch Metadata, over HTTPS and on this
    machine), or ``Origin`` with every request but GET (Fetch standard).

    Raises:
        CrossSiteError: It comes from elsewhere, or has neither header.
    """
    says = "sec-fetch-site" in request.headers or "origin" in request.headers
    if not (says and is_same_origin(request, public_base_url)):
        raise CrossSiteError


def is_same_origin(request: Request, public_base_url: str) -> bool:
    """Tell whether no header says that a request comes from another site's page."""
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
    except ValueError:  # not an address
        return False
    # Another name of this server: the browser sets Host, a page cannot.
    return named != "" and named == request.headers.get("host")
