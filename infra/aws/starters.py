"""Who holds the requests that bring forth runners on AWS: an invocation of the pool function each.

What must stay true
- The event names the request and nothing else: a pool's headers may hold secrets, and an event may
  lie in Lambda's queue. The function reads the pool itself.
- Beginning a request twice invokes twice; the second invocation finds it claimed, and ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from engine.allocation.config import PoolConfig
from engine.errors import Misconfigured
from infra.aws.client import AwsClient


class LambdaStarters:
    """Implements `engine.allocation.ports.Starters`. `open_client` may be called more than once."""

    def __init__(self, open_client: Callable[[], Awaitable[AwsClient]], function: str) -> None:
        self._open_client = open_client
        self._function = function

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        """Returns when Lambda has taken the event. Raises Misconfigured or StoreUnusable."""
        if not self._function:
            raise Misconfigured(f"pool '{pool}' cannot start runners: set TIDESTEP_POOL_FUNCTION")
        client = await self._open_client()
        event = {"tenant": tenant, "pool": pool, "request": request}
        await client.call(
            "invoke",
            FunctionName=self._function,
            InvocationType="Event",
            Payload=msgspec.json.encode(event),
        )
