"""An endpoint that starts runners: `python -m tests.stack.serverless_runner PORT SOCKETS_URL`.

The stack names its WebSocket API as AWS does, at a host that no name server knows here; runners are
told to connect to the stand-in's address of the same API instead.
"""

from __future__ import annotations

import sys

import uvicorn
from stackapp.sleepers import Tally
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.runner.serverless import runner_app
from tests.stack.conftest import TOKEN

ENDPOINT = b"x-tidestep-endpoint"


def connecting_to(app: ASGIApp, address: str) -> ASGIApp:
    async def readdressed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            kept = [each for each in scope["headers"] if each[0] != ENDPOINT]
            scope = {**scope, "headers": [*kept, (ENDPOINT, address.encode())]}
        await app(scope, receive, send)

    return readdressed


if __name__ == "__main__":
    port, sockets = sys.argv[1:]
    app = connecting_to(runner_app(Tally, token=TOKEN), sockets)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
