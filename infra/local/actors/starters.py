"""Who holds the requests of this machine's pools: a process each, or a GET of an endpoint's.

What must stay true
- A request is held once, however often it is begun, and its end is reported once it is over.
- A request that its pool does not list any more is ended: nobody else would, where its runner does
  not end by itself.
- `stop` ends all of them in order, while the server still runs: runners give their actors back.
  Nothing is begun from then on, and nothing reported: the next server says that all is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.allocation.config import PoolConfig
from engine.allocation.head import PartyState, decode_service
from engine.allocation.holding import report_end
from engine.allocation.mailing import Mailer
from engine.allocation.parties import pool as pool_party
from engine.allocation.parties import runner as runner_party
from engine.allocation.pool_state import PoolState
from engine.allocation.runner_state import Gone, RunnerState
from engine.errors import PlatformError
from engine.layout import RunKey
from engine.ports import Clock, Entropy, Journal
from infra.local.actors.processes import run_process

if TYPE_CHECKING:
    import httpx

GONE_S, GONE_LOOK_S = 6.0, 0.05
"""How long a runner elsewhere may take to give its actors back, once its request is closed."""
LOOK_S = 5.0
"""How often it is looked which requests are still wanted."""
REPORT_S = 1.0
"""Before a report that failed is tried again."""
OVER_S = 60.0
"""How long a request may outlive its runner's lifespan."""
REMEMBERED = 1000

log = logging.getLogger("tidestep")


@dataclass(frozen=True, slots=True)
class Reach:
    """What a runner must know to connect."""

    endpoint: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Held:
    tenant: str
    pool: str
    request: str


class LocalStarters:
    """Implements `engine.allocation.ports.Starters`. `say` is given what runners print."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        entropy: Entropy,
        reach: Reach,
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._mailer = Mailer(journal, clock, entropy)
        self._reach = reach
        self._environment = environment
        self._say = say
        self._stops: dict[_Held, asyncio.Event] = {}
        self._elsewhere: set[_Held] = set()
        """Those whose runners are no processes of this machine."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: deque[_Held] = deque(maxlen=REMEMBERED)
        self._stopping = False
        self._client: httpx.AsyncClient | None = None
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many are held."""
        return len(self._stops)

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        held = _Held(tenant, pool, request)
        if self._stopping or held in self._stops or held in self._ended:
            return
        stop = self._stops[held] = asyncio.Event()
        task = asyncio.create_task(self._hold(held, config, stop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Returns when all of them are over, and every process is reaped."""
        self._stopping = True
        runners = await self._runners_elsewhere()
        for stop in self._stops.values():
            stop.set()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        await self._until_gone(runners)

    async def _runners_elsewhere(self) -> list[RunKey]:
        found = []
        for held in self._elsewhere:
            state = await self._state(pool_party(held.pool).key(held.tenant))
            request = state.held(held.request) if isinstance(state, PoolState) else None
            if request is not None and request.runner:
                found.append(runner_party(request.runner).key(held.tenant))
        return found

    async def _until_gone(self, runners: Iterable[RunKey]) -> None:
        """A runner whose request is closed gives its actors back, over its own connection."""
        waiting = list(runners)
        with suppress(TimeoutError):
            async with asyncio.timeout(GONE_S):
                while waiting:
                    states = [await self._state(key) for key in waiting]
                    waiting = [
                        key
                        for key, state in zip(waiting, states, strict=True)
                        if isinstance(state, RunnerState) and not isinstance(state.phase, Gone)
                    ]
                    await asyncio.sleep(GONE_LOOK_S if waiting else 0)

    async def _state(self, key: RunKey) -> PartyState | None:
        """None also where it cannot be read."""
        try:
            body = await self._journal.head(key)
            return None if body is None else decode_service(body).state
        except PlatformError as error:
            log.error("%s '%s' cannot be read: %s", key.kind, key.run, error)
            return None

    async def _hold(self, held: _Held, config: PoolConfig, stop: asyncio.Event) -> None:
        try:
            if config.url:
                self._elsewhere.add(held)
                error = await self._hold_request(held, config, stop)
            else:
                error = await run_process(
                    config.command, self._environment_of(held, config), stop, self._say
                )
        except Exception as failed:
            log.exception("a request of pool '%s' could not be held", held.pool)
            error = f"{type(failed).__name__}: {failed}"
        del self._stops[held]
        self._elsewhere.discard(held)
        self._ended.append(held)
        while not self._stopping:
            try:
                await report_end(self._mailer, held.tenant, held.pool, held.request, error)
                return
            except PlatformError as failure:
                log.error("the end of a request could not be reported yet: %s", failure)
                await asyncio.sleep(REPORT_S)

    async def _hold_request(self, held: _Held, config: PoolConfig, stop: asyncio.Event) -> str:
        from infra.holding import Start, hold, holding_client  # processes need no client

        if self._client is None:
            self._client = holding_client()
        start = Start.of(
            config,
            endpoint=self._reach.endpoint,
            pool=held.pool,
            request=held.request,
            token=self._reach.token,
        )
        return await hold(self._client, start, config.lifespan_ms / 1000 + OVER_S, stop)

    def _environment_of(self, held: _Held, config: PoolConfig) -> dict[str, str]:
        return {
            **self._environment,
            "TIDESTEP_ENDPOINT": self._reach.endpoint,
            "TIDESTEP_POOL": held.pool,
            "TIDESTEP_SLOTS": str(config.slots_per_runner),
            "TIDESTEP_CONNECTION": held.request,
            "TIDESTEP_RUNNER_TOKEN": self._reach.token,
            "TIDESTEP_RUNNER_KEY": held.request,
        }

    # -- what nobody wants any more ---------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.end_unwanted()
            except PlatformError as error:
                log.error("pools cannot be looked at: %s", error)

    async def end_unwanted(self) -> None:
        """End the requests that their pools do not list any more. Raises PlatformError."""
        for tenant, pool in {(held.tenant, held.pool) for held in self._stops}:
            body = await self._journal.head(pool_party(pool).key(tenant))
            state = None if body is None else decode_service(body).state
            for held, stop in list(self._stops.items()):
                if (held.tenant, held.pool) != (tenant, pool):
                    continue
                if not (isinstance(state, PoolState) and state.held(held.request)):
                    stop.set()
