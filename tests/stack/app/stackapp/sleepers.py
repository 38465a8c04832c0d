"""Stateful actors: of one the runner is there, of the other runners are started when needed."""

from __future__ import annotations

from dataclasses import dataclass

from tidestep import Request, StatefulActor, stateful_actor


@dataclass
class Count:
    count: int = 0
    wakes: int = 0


@stateful_actor(idle=2)
class Counter(StatefulActor[Count]):
    async def on_start(self) -> None:
        self.state.wakes += 1

    async def on_request(self, request: Request) -> dict[str, int]:
        await self.kv.put_many({"a": 1, "b": 2})
        await self.kv.delete(*await self.kv.list())
        self.state.count += 1
        return {"count": self.state.count, "wakes": self.state.wakes}


@stateful_actor(idle=2)
class Tally(Counter):
    pass
