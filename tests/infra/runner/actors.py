"""An actor for runners that are tested over real sockets."""

from __future__ import annotations

from dataclasses import dataclass

from engine.stateful import Request, StatefulActor, stateful_actor


@dataclass
class Count:
    count: int = 0


@stateful_actor(idle=None)
class Counter(StatefulActor[Count]):
    async def on_request(self, request: Request) -> int | bytes:
        if request.path == "/long":
            return request.body * 3
        self.state.count += 1
        return self.state.count
