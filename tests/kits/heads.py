"""HEAD, as RFC 9110 has it."""

import httpx


async def assert_same_head(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Check that HEAD is GET without the body; return what GET answers."""
    got = await client.get(path)
    head = await client.head(path)

    assert head.status_code == got.status_code == 200, path
    assert head.content == b"", path
    own = {"x-request-id", "date"}
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in got.headers.items() if name not in own
    }, path
    return got
