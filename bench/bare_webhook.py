"""The bare webhook: check the signature, insert one row, answer.

`python -m bench.bare_webhook PORT DATABASE TOKEN BASE` is its server: what a webhook costs at least
with this server, framework and driver.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import uvicorn
from fastapi import FastAPI, Request, Response
from psycopg.types.json import Json

from sms.signature import SignatureValidator

CONNECTIONS = 10

_INSERT = "INSERT INTO bare_texts (sid, phone, fields) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def create_app(database_url: str, auth_token: str, base_url: str) -> FastAPI:
    """Make the application."""
    validator = SignatureValidator(auth_token, base_url)
    pool: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for _number in range(CONNECTIONS):
            connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
            pool.put_nowait(connection)
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


if __name__ == "__main__":
    uvicorn.run(
        create_app(*sys.argv[2:]), port=int(sys.argv[1]), access_log=False, log_level="warning"
    )
