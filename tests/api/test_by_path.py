"""Routers are asked only about paths that may be theirs."""

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from api.by_path import ByPath


async def test_router_is_asked_only_about_paths_that_begin_like_its_routes() -> None:
    asked: list[str] = []

    class Noted(APIRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            asked.append(scope["path"])
            return super().matches(scope)

    app = FastAPI(redirect_slashes=False)
    router = APIRouter(prefix="/things", route_class=Noted)

    @router.get("/{thing_id}/parts")
    async def show_parts(thing_id: int) -> int:
        return thing_id

    @router.get("")
    async def list_things() -> str:
        return "all"

    app.include_router(ByPath(router, "/api"), prefix="/api")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://segue.test") as client:
        for path in ("/things", "/api/thing", "/", "/api/others/things/1/parts"):
            assert (await client.get(path)).status_code == 404, path
        assert asked == []
        assert (await client.get("/api/things/7/parts")).json() == 7
        assert (await client.get("/api/things")).json() == "all"
        assert (await client.post("/api/things")).status_code == 405
        assert (await client.get("/api/things/7")).status_code == 404
    assert set(asked) == {"/api/things/7/parts", "/api/things", "/api/things/7"}
    behind = httpx.ASGITransport(app, root_path="/behind")
    async with httpx.AsyncClient(transport=behind, base_url="http://segue.test/behind") as client:
        assert (await client.get("/api/things/7/parts")).json() == 7
