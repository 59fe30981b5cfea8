"""The bare webhook: check the signature, insert one row, answer.

`uvicorn --factory bench.bare_webhook:create_app` with `DATABASE_URL`, `TWILIO_AUTH_TOKEN` and
`PUBLIC_BASE_URL`: what a webhook costs at least with this server, framework and driver.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI, Request, Response
from psycopg.types.json import Json

from sms.signature import SignatureValidator

CONNECTIONS = 10

_INSERT = "INSERT INTO bare_texts (sid, phone, fields) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def create_app() -> FastAPI:
    """Make the application."""
    validator = SignatureValidator(os.environ["TWILIO_AUTH_TOKEN"], os.environ["PUBLIC_BASE_URL"])
    pool: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for _number in range(CONNECTIONS):
            url = os.environ["DATABASE_URL"]
            pool.put_nowait(await psycopg.AsyncConnection.connect(url, autocommit=True))
        yield
        while not pool.empty():
            await pool.get_nowait().close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/webhooks/twilio/inbound")
    async def receive(request: Request) -> Response:
        form = await request.form()
        signed = validator.valid(
            raw_path=request.scope["raw_path"],
            raw_query=request.scope["query_string"],
            form=form,
            signature=request.headers.get("x-twilio-signature"),
        )
        if not signed:
            return Response(status_code=403)
        connection = await pool.get()
        try:
            values = (form["MessageSid"], form["From"], Json({**form}))
            await connection.execute(_INSERT, values)
        finally:
            pool.put_nowait(connection)
        return Response("<Response/>", media_type="text/xml")

    return app
