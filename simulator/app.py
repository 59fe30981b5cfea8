"""A stand-in for Twilio's REST API with handsets; its magic numbers are in scenarios.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from simulator import control, creates, lists, lookup, pages
from simulator.errors import CODE_OF_STATUS, TwilioError
from simulator.state import Simulator, SimulatorConfig


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep the connections to the application open while the simulator runs."""
    simulator: Simulator = app.state.simulator
    await simulator.webhooks.open()
    yield
    await simulator.callbacks.cancel_all()
    await simulator.webhooks.close()


def create_app(config: SimulatorConfig) -> FastAPI:
    """Build a simulator with an empty account."""
    app = FastAPI(title="SMS provider simulator", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.simulator = Simulator(config)
    for router in (creates.router, lists.router, lookup.router, control.router, pages.router):
        app.include_router(router)
    app.mount("/_simulator/static", StaticFiles(directory=pages.STATIC))
    app.add_exception_handler(TwilioError, answer_twilio_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    return app


def answer_twilio_error(_: Request, error: Exception) -> Response:
    """Answer with Twilio's error document."""
    if not isinstance(error, TwilioError):
        raise error
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if error.status == 401 else None
    return JSONResponse(error.document(), error.status, headers)


def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer requests that no route handles, above all unknown paths, as Twilio does."""
    if not isinstance(error, HTTPException):
        raise error
    code = CODE_OF_STATUS.get(error.status_code, 20404)
    return answer_twilio_error(request, TwilioError(code, request.url.path))
