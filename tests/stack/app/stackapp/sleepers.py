"""A stateful actor, hosted by a runner of the test's."""

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
        self.state.count += 1
        return {"count": self.state.count, "wakes": self.state.wakes}
