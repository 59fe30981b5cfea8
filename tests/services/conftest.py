"""Fixtures of use cases' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.kits.sending import SendingKit, sending_kit


@pytest.fixture
async def kit(database_url: str) -> AsyncIterator[SendingKit]:
    """The use cases on an empty world with one user and one sender."""
    async with sending_kit(database_url) as made:
        yield made
