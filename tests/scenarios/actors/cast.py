"""The stateful actors of these scenarios: `--stateful tests.scenarios.actors.cast`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidestep import Request, StatefulActor, WebSocket, stateful_actor


@dataclass
class Count:
    count: int = 0


@stateful_actor(idle=None)
class Subject(StatefulActor[Count]):
    """Counts; sleeps when it is told to; and tells in which process it is."""

    takes_s = 0.0
    """How long it takes to fall asleep."""

    async def on_sleep(self) -> None:
        await asyncio.sleep(self.takes_s)

    async def on_request(self, request: Request) -> Any:
        if request.path == "/sleep":
            self.takes_s = float(request.query.get("takes", 0))
            self.sleep()
            return "sleeping"
        if request.path == "/ping":
            return {"pong": True, "process": os.getpid()}
        if request.path == "/add":
            self.state.count += 1
        if request.path == "/hang" and self.generation == 1:
            await asyncio.to_thread(Path(request.query["reached"]).touch)
            await asyncio.Event().wait()
        return {
            "count": self.state.count,
            "generation": self.generation,
            "process": os.getpid(),
        }

    async def on_websocket(self, socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)
