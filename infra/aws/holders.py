"""Hold one request of a pool for as long as one invocation lasts (`infra.holding`).

What must stay true
- Of several invocations for one request the first holds it, for it has written the claim; so
  nothing starts twice, however often Lambda or the pool repeats itself.
- The pool is told of the end before Lambda could end the invocation; where it is not told at all,
  it finds out by the runner, which is not there any more.
- Which address is asked, and with which headers, is read from the pool when the request begins.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from engine.allocation.config import PoolConfig
from engine.allocation.directory import Directory
from engine.allocation.holding import report_end
from engine.allocation.mailing import Mailer
from engine.allocation.parties import Kind, party_key
from engine.allocation.pool_state import PoolState
from engine.errors import PlatformError
from engine.layout import RunKey
from engine.ports import Item, ItemConflict, Platform
from infra.holding import Start, hold, holding_client

log = logging.getLogger("tidestep")

CLAIM_LASTS_MS = 86_400_000
RESERVE_S = 20.0
"""Kept back of an invocation's time, to end the request and to tell the pool so."""
LOOK_S = 15.0
"""How often it is looked whether the pool still wants the request."""


class Holder:
    """`endpoint` is where runners connect to, with `token`."""

    def __init__(self, platform: Platform, endpoint: str, token: str) -> None:
        self._platform = platform
        self._journal = platform.journal
        self._directory = Directory(platform)
        self._mailer = Mailer(platform.journal, platform.clock, platform.entropy)
        self._endpoint = endpoint
        self._token = token

    async def hold(self, tenant: str, pool: str, request: str, seconds: float) -> str:
        """Hold the request, and tell its pool of the end; in a word, what was done.

        Raises PlatformError, or InvalidName for what never was a pool.
        """
        key = party_key(Kind.POOL, pool, tenant)
        config = await self._wanted(key, request)
        if config is None:
            return "not wanted"
        if not config.url:
            await self._report(key, request, "the pool has no url: nothing else is started here")
            return "no url"
        if not await self._claim(key, request):
            return "claimed before"
        start = Start.of(
            config, endpoint=self._endpoint, pool=pool, request=request, token=self._token
        )
        lasts_s = min(seconds, config.lifespan_ms / 1000)
        error = await self._held(key, start, lasts_s)
        await self._report(key, request, error)
        return "failed" if error else "held"

    async def _held(self, key: RunKey, start: Start, seconds: float) -> str:
        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(key, start.request, stop))
        try:
            async with holding_client() as client:
                return await hold(client, start, seconds, stop)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, key: RunKey, request: str, stop: asyncio.Event) -> None:
        """Stop once the pool has given the request up."""
        while not stop.is_set():
            await asyncio.sleep(LOOK_S)
            try:
                if await self._wanted(key, request) is None:
                    stop.set()
            except PlatformError as error:
                log.warning("pool '%s' cannot be read: %s", key.run, error)

    async def _wanted(self, key: RunKey, request: str) -> PoolConfig | None:
        """How the request is made; None where the pool does not want it any more."""
        head = await self._directory.head(key)
        if head is None or not isinstance(head.state, PoolState):
            return None
        return None if head.state.held(request) is None else head.state.config

    async def _claim(self, key: RunKey, request: str) -> bool:
        now = self._platform.clock.now()
        body = msgspec.msgpack.encode((now, self._platform.entropy.new_id()))
        item = Item(key.partition, f"request/{request}", body, now + CLAIM_LASTS_MS)
        try:
            await self._journal.swap(item, None)
        except ItemConflict as conflict:
            return conflict.current == body  # our own write, which seemed to have failed
        return True

    async def _report(self, key: RunKey, request: str, error: str) -> None:
        await report_end(self._mailer, key.tenant, key.run, request, error)
