"""One process of a peer, in its own environment: `python -m bench.peers.process NAME ROLE GIVEN`.

NAME names a module `with_NAME`, which has `set_up`, `work` and perhaps more roles, and a `Site`.
GIVEN is JSON. The role `serve` answers `POST /enroll`, a JSON list of numbers, and `POST /reply`,
the provider's webhook. As the signature of a webhook is not checked, serving costs less than ours.
"""

import json
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Protocol
from urllib.parse import parse_qs

from bench.peers.drip import Given


class Site(Protocol):
    """What a peer's web application does."""

    def enroll(self, phones: list[str]) -> None:
        """Start the drip of each."""

    def reply(self, phone: str, message_sid: str) -> None:
        """End a person's drip, or ignore a number that is not known."""


def main() -> None:
    """Take one role until killed; `set_up` ends by itself."""
    name, role, given = sys.argv[1], sys.argv[2], Given(**json.loads(sys.argv[3]))
    peer = import_module(f"bench.peers.with_{name}")
    if role == "serve":
        _serve(peer.Site(given), given.web_port)
    else:
        getattr(peer, role)(given)


def _serve(site: Site, port: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(HTTPStatus.OK)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/enroll":
                site.enroll(json.loads(body))
            else:
                form = parse_qs(body.decode())
                site.reply(form["From"][0], form["MessageSid"][0])
            self._answer(HTTPStatus.NO_CONTENT)

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the library
            """Write nothing: an access log is not part of the work."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
