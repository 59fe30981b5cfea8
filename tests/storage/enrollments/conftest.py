"""Rows of enrollments to change."""

from collections.abc import AsyncIterator

import pytest

from tests.kits.enrollment_rows import Rows
from tests.worlds import small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Rows]:
    """An active sequence, and an endpoint that wants every event."""
    async with small_world(database_url) as small:
        await small.active()
        rows = Rows(small.database, small.user_id, small.sender_id)
        await rows.run(
            "INSERT INTO event_endpoints (id, url, description, types, secret, created_by)"
            " VALUES (gen_random_uuid(), 'https://example.com', '', '[]', 'x', :user_id)",
            user_id=rows.user_id,
        )
        yield rows
