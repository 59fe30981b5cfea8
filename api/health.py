"""Whether the API is alive, and whether what it needs can be reached."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.dependencies import ServicesDep
from api.problems import unavailable

router = APIRouter(tags=["health"])

_ALIVE, _READY = "/healthz", "/readyz"
PATHS = (_ALIVE, _READY)
"""What watches the API asks for."""


@router.get(_ALIVE)
async def alive() -> dict[str, str]:
    """Report that the process is running; needs nothing else."""
    return {"status": "ok"}


@router.get(_READY, responses={503: {"description": "`away` names what is not responding"}})
async def ready(services: ServicesDep) -> Response:
    """Report whether the database and Temporal can be reached."""
    database, temporal = await asyncio.gather(services.database_ready(), services.temporal_ready())
    parts = {"database": database, "temporal": temporal}
    away = [name for name, answers in parts.items() if not answers]
    if away:
        detail = f"{' and '.join(away)} cannot be reached"
        return unavailable("not_ready", detail, away=away).response()
    return JSONResponse({"status": "ok"})
