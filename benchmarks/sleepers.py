"""The actors that `benchmarks.sleeping` wakes: they do nothing, so what is measured is the way."""

from __future__ import annotations

from dataclasses import dataclass

from tidestep import Request, StatefulActor, stateful_actor


@dataclass
class Count:
    value: int = 0


@stateful_actor(idle=None)
class Sleeper(StatefulActor[Count]):
    """`/sleep` sends it to sleep, `/count` changes its state, everything else only answers."""

    async def on_request(self, request: Request) -> int:
        if request.path == "/sleep":
            self.sleep()
        elif request.path == "/count":
            self.state.value += 1
        return self.state.value
