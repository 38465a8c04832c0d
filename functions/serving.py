"""What the gateway and the runners' WebSockets have in common: who is served, and where answers go.

The actors that may be reached from outside are those of `TIDESTEP_STATEFUL`.
"""

from __future__ import annotations

import os
from functools import cache

from engine.allocation.gateway import Gateway
from engine.allocation.ports import Allocation
from engine.allocation.tunnel import Tunnel
from engine.errors import Misconfigured
from functions.application import platform
from infra.aws.replies import StoredReplies
from infra.served import served_from


@cache
def replies() -> StoredReplies:
    return StoredReplies(platform().journal, platform().clock, ports().settings)


@cache
def gateway() -> Gateway:
    """Raises Misconfigured."""
    return Gateway(platform(), Tunnel(platform(), replies()), served_from(os.environ))


def ports() -> Allocation:
    """Raises Misconfigured where the environment does not name the WebSocket API."""
    allocation = platform().allocation
    if allocation is None:
        raise Misconfigured("set TIDESTEP_WEBSOCKET_URL: this function works for stateful actors")
    return allocation
