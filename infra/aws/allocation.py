"""The ports of allocation on AWS, as the environment names what they need.

TIDESTEP_WEBSOCKET_URL   the stage of the WebSocket API, wss://...; without it this process has
                         nothing to do with stateful actors
TIDESTEP_POOL_FUNCTION   the function that holds the requests of pools, by name or ARN; needed
                         where pools are stepped
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from engine.allocation.ports import Allocation
from engine.allocation.settings import AllocationSettings
from infra.allocation import settings_from
from infra.aws.client import AwsClient
from infra.aws.news import NoNews
from infra.aws.starters import LambdaStarters
from infra.aws.websockets import SERVICE, AwsSockets

POOL_FUNCTION = "TIDESTEP_POOL_FUNCTION"

SETTINGS = AllocationSettings(
    ping_ms=15_000,
    eligible_ms=45_000,
    lost_ms=60_000,
    lifespan_most_ms=840_000,
    ready_ms=25_000,
    request_ms=27_000,
)
"""Each ping costs an invocation. API Gateway gives a request up after 29 or 30 s: its function has
two seconds more than the request, to say so. What holds a pool's request is ended after 900 s."""

OpenClient = Callable[[str], Awaitable[AwsClient]]
"""Opens the client of a service, once."""


def allocation_from(environment: Mapping[str, str], open_client: OpenClient) -> Allocation:
    """Nothing is opened before it is used. Raises Misconfigured."""
    return Allocation(
        sockets=AwsSockets(partial(open_client, SERVICE)),
        starters=LambdaStarters(
            partial(open_client, "lambda"), environment.get(POOL_FUNCTION, "").strip()
        ),
        news=NoNews(),
        settings=settings_from(environment, SETTINGS),
    )
