"""The code in docs/api.md runs."""

import re
from typing import Any

import pytest

from tests.e2e.people import Desk
from tests.kits.fork_server import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)


@pytest.mark.timeout(90)
def test_every_code_block_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enroll from a CRM, finish on hire, mirror statuses by event webhooks."""
    sequence_id = desk.sequence(desk.line(), "Hello!", "Still there?", delay=600)
    monkeypatch.setenv("SEGUE_URL", desk.stack.api_url)
    monkeypatch.setenv("SEGUE_TOKEN", desk.stack.admin_token)
    monkeypatch.setenv("SEGUE_SEQUENCE", sequence_id)
    page: dict[str, Any] = {}
    assert len(BLOCKS) >= 6
    try:
        for block in BLOCKS:
            exec(block, page)  # noqa: S102 - our own page
    finally:
        if "receiver" in page:
            page["receiver"].shutdown()
            page["receiver"].server_close()
        page["segue"].close()
    assert not page["received"].qsize()
