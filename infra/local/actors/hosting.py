"""All that `tidestep serve` adds to a worker that serves stateful actors, put together.

hosting = Hosting(reach, environment, settings, say, watch)
with working(path, environment, allocate=hosting.allocation) as embedded:
    app = application(callbacks, hosting.routes(embedded.platform, served))
    await hosting.begin(embedded.platform)
    ...                       # worker and server run
    await hosting.stop()      # while both still do
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from starlette.routing import BaseRoute, WebSocketRoute

from engine.allocation.door import RunnerDoor
from engine.allocation.gateway import Gateway, Served
from engine.allocation.local import LocalNews, LocalReplies
from engine.allocation.operating import Operator
from engine.allocation.ports import Allocation, Stepped
from engine.allocation.relaying import Relaying
from engine.allocation.settings import AllocationSettings
from engine.allocation.tunnel import Tunnel
from engine.ports import Clock, Entropy, Journal, Platform
from infra.local.actors import gateway, runners
from infra.local.actors.sockets import LocalSockets
from infra.local.actors.starters import LocalStarters, Reach


class Hosting:
    """The sockets, addresses and runners of one server."""

    def __init__(
        self,
        reach: Reach,
        environment: Mapping[str, str],
        settings: AllocationSettings,
        say: Callable[[str], None],
        watch: Callable[[Stepped], None],
    ) -> None:
        self._reach = reach
        self._environment = environment
        self._settings = settings
        self._say = say
        self._watch = watch
        self.sockets = LocalSockets()
        self.starters: LocalStarters | None = None
        self._stopped = asyncio.Event()

    def allocation(self, journal: Journal, clock: Clock, entropy: Entropy) -> Allocation:
        """The ports of allocation over this journal. Call it once."""
        self.starters = LocalStarters(
            journal, clock, entropy, self._reach, self._environment, self._say
        )
        return Allocation(self.sockets, self.starters, LocalNews(), self._settings, self._watch)

    def routes(self, platform: Platform, served: Mapping[str, Served]) -> Sequence[BaseRoute]:
        """The addresses of runners and of actors of these names."""
        replies = LocalReplies()
        door = RunnerDoor(platform, replies, self._reach.token)
        endpoint = runners.RunnerEndpoint(door, self.sockets, platform.entropy)
        tunnel, relaying = Tunnel(platform, replies), Relaying(platform, replies)
        actors = gateway.routes(
            Gateway(platform, tunnel, served), relaying, platform.entropy, self._stopped
        )
        return (WebSocketRoute(runners.PATH, endpoint), *actors)

    async def begin(self, platform: Platform) -> None:
        """Whatever an earlier server has held is over. Raises PlatformError."""
        await Operator(platform).begin_anew()

    async def stop(self) -> None:
        """End all runners of this server, which still runs; then nobody waits for actors."""
        if self.starters is not None:
            await self.starters.stop()
        self._stopped.set()
