"""Built assets (scripts, styles, icons) by their source names, and how they are served."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Response
from starlette.datastructures import Headers
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).resolve().parent.parent / "static" / "build"
"""The folder that `make assets` writes; not in git."""

PREFIX = "/static/build"

_FOR_EVER = "public, max-age=31536000, immutable"
_COMPRESSED = {"br": ".br", "gzip": ".gz"}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assets:
    """The built files.

    Attributes:
        files: Built name by source name (``main.js`` -> ``main-5QK2.js``); empty if not built.
        icons: Names of the icons in ``icons.svg``.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    icons: frozenset[str] = frozenset()

    @classmethod
    def load(cls, folder: Path = BUILT) -> "Assets":
        """Read the build's manifest; without it pages answer 503 and the API works."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
        except FileNotFoundError:
            _logger.warning("the pages are not built; run `make assets` and start again")
            return cls()
        return cls(manifest["files"], frozenset(manifest["icons"]))

    @property
    def are_built(self) -> bool:
        """Whether the assets are built."""
        return bool(self.files)

    def path(self, name: str) -> str:
        """Return the address of a built file."""
        return f"{PREFIX}/{self.files[name]}"

    def icon(self, name: str) -> str:
        """Return the address of an icon.

        Raises:
            KeyError: The build did not find it in a call of ``icon`` in templates, nor in an
                argument of that name in page modules.
        """
        if name not in self.icons:
            raise KeyError(f'the icon "{name}" is not built; run `make assets`')
        return f"{self.path('icons.svg')}#{name}"


class BuiltFiles(StaticFiles):
    """Serve built files compressed, to be cached forever: changed content gets a new name."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file in the best encoding that the browser accepts."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        encodings = {part.partition(";")[0].strip() for part in accepted.split(",")}
        response = plain = await super().get_response(path, scope)
        for encoding, suffix in _COMPRESSED.items():
            if encoding in encodings and (BUILT / f"{path}{suffix}").is_file():
                response = await super().get_response(f"{path}{suffix}", scope)
                response.headers["Content-Encoding"] = encoding
                response.headers["Content-Type"] = plain.headers["Content-Type"]
                break
        response.headers["Cache-Control"] = _FOR_EVER
        response.headers["Vary"] = "Accept-Encoding"
        return response
