"""A counter and a chat room. Each has an address, and sleeps when nobody needs it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from tidestep import Request, SocketClosed, StatefulActor, WebSocket, stateful_actor

QUIET_S = float(os.environ.get("ROOMS_QUIET_SECONDS", "600"))
"""A room is closed when nobody has said anything for so long."""
KEPT = 20
"""Lines that whoever comes is shown."""
CLOSED = 4000
"""The code with which a quiet room closes its WebSockets."""


@dataclass
class Count:
    count: int = 0


@stateful_actor
class Counter(StatefulActor[Count]):
    async def on_request(self, request: Request) -> dict[str, int]:
        """A POST counts; anything else only looks."""
        if request.method == "POST":
            self.state.count += 1
        return {"count": self.state.count}


@dataclass
class Talk:
    lines: list[str] = field(default_factory=list)


@stateful_actor
class Room(StatefulActor[Talk]):
    def __init__(self) -> None:
        self.there: dict[WebSocket, str] = {}
        """Who is connected, by name. Of this stay alone: WebSockets do not outlive it.

        A line is added to the state, and those who hear it are chosen, without a wait in between;
        so it is with whoever comes. That is why everybody gets each line once.
        """

    async def on_websocket(self, socket: WebSocket) -> None:
        name = socket.query.get("name", "somebody")
        await self.set_alarm(QUIET_S)
        earlier, self.there[socket] = self.state.lines, name
        try:
            for line in earlier:
                await socket.send(line)
            async for message in socket:
                if isinstance(message, str):
                    await self.say(f"{name}: {message}")
        finally:
            del self.there[socket]

    async def on_request(self, request: Request) -> dict[str, list[str]]:
        return {"there": sorted(self.there.values()), "lines": self.state.lines}

    async def on_alarm(self) -> None:
        """Nobody has said anything for long enough. What was said is forgotten."""
        self.state.lines = []
        for socket in list(self.there):
            await socket.close(CLOSED, "nobody has said anything")
        self.sleep()

    async def say(self, line: str) -> None:
        await self.set_alarm(QUIET_S)
        self.state.lines = [*self.state.lines, line][-KEPT:]
        for socket in list(self.there):
            with suppress(SocketClosed):  # it has left meanwhile
                await socket.send(line)
