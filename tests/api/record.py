"""``python -m tests.api.record`` writes the OpenAPI document down as ``docs/openapi.json``.

It also prints the line that CHANGELOG.md must then have.
"""

import hashlib
import json
import sys
from pathlib import Path

from fastapi import FastAPI

from api.app import create_app
from tests.api.conftest import make_settings

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "docs" / "openapi.json"
RECORDED_PATHS = json.loads(RECORDED.read_text())["paths"]
"""The document's paths: read sooner than made, and test_document.py compares the two."""


def document(app: FastAPI) -> str:
    """Return the document, formatted so that a change touches few lines."""
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


def edition(text: str) -> str:
    """Name an edition of the document."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    app = create_app(make_settings("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    RECORDED.write_text(document(app))
    sys.stdout.write(f"CHANGELOG.md: say what changed, and `openapi {edition(document(app))}`\n")
