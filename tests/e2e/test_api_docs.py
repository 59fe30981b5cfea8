"""The code in docs/api.md runs, as often as one likes."""

import re
from typing import Any

import pytest

from tests.e2e.people import Desk
from tests.kits.fork_server import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)


@pytest.mark.timeout(120)
def test_every_code_block_runs_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync, enroll with variables, read and answer, mirror by events, stop on hire."""
    first = "Hi {{first_name}}, still keen on {{job_title}}?"
    sequence_id = desk.sequence(desk.line(), first, "Still there?", delay=600)
    monkeypatch.setenv("SEGUE_URL", desk.stack.api_url)
    monkeypatch.setenv("SEGUE_TOKEN", desk.stack.admin_token)
    monkeypatch.setenv("SEGUE_SEQUENCE", sequence_id)
    assert len(BLOCKS) >= 9
    for _ in range(2):
        page: dict[str, Any] = {}
        try:
            for block in BLOCKS:
                exec(block, page)  # noqa: S102 - our own page
        finally:
            if "receiver" in page:
                page["receiver"].shutdown()
                page["receiver"].server_close()
            if "segue" in page:
                page["segue"].close()
        assert not page["received"].qsize()
