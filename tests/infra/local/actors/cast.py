"""The actors of these tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tidestep import Request, Response, StatefulActor, WebSocket, stateful_actor


@dataclass
class Notes:
    notes: list[str] = field(default_factory=list)


@stateful_actor(idle=None)
class Pad(StatefulActor[Notes]):
    """Keeps what it is sent, and answers as it is asked to."""

    async def on_request(self, request: Request) -> Any:
        if request.path == "/echo":
            return {
                "method": request.method,
                "target": request.target,
                "headers": dict(request.headers.pairs()),
                "body": request.text(),
            }
        if request.path == "/status":
            cookies = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-tidestep-error", "forged")]
            return Response("odd", 418, cookies)
        if request.path == "/large":
            return b"x" * int(request.query["bytes"])
        if request.method == "POST":
            self.state.notes.append(request.text())
        return self.state.notes

    async def on_websocket(self, socket: WebSocket) -> None:
        if socket.path == "/bye":
            await socket.close(4000, "bye")
            return
        if socket.path == "/wait":
            await asyncio.Event().wait()
        async for message in socket:
            self.state.notes.append(f"{message!r}")
            await socket.send(message)
        self.state.notes.append(f"closed with {socket.close_code}")


@stateful_actor(idle=None)
class Deaf(StatefulActor[None]):
    """Takes no WebSockets."""
