"""What allocation asks of the world outside, beside the journal: sockets, holders, and news."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from engine.allocation.config import PoolConfig
from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.layout import RunKey


class ConnectionGone(Exception):
    """The connection is closed. Not an error: what it should have carried is sent again later."""


class Sockets(Protocol):
    """The WebSocket connections of runners and of users, by the names that their server gave."""

    async def post(self, connection: str, text: str) -> None:
        """Send one frame; it has left when this returns, and may be lost all the same.

        Raises ConnectionGone where the connection is known to be closed.
        """
        ...

    async def close(self, connection: str) -> None:
        """Close it; one that is closed already is no error."""
        ...


class Starters(Protocol):
    """Whoever holds the requests that bring forth runners."""

    async def begin(self, tenant: str, pool: str, request: str, config: PoolConfig) -> None:
        """See to it that the request is held by somebody, and return at once.

        The holder reports to the pool what becomes of it (`engine.allocation.holding`). Beginning
        the same request again is harmless.
        """
        ...


class Watch(Protocol):
    """One who waits for news. Call `clear`, then look at the run, then `wait`: so nothing that
    happens in between is missed."""

    def clear(self) -> None: ...

    async def wait(self, timeout_s: float) -> None:
        """Until the run may have changed since `clear`, or the time is up."""
        ...


class News(Protocol):
    """Word that a run has been saved: best effort, so whoever waits looks for himself as well."""

    def changed(self, key: RunKey) -> None:
        """The run has been saved, by this process."""
        ...

    def watching(self, key: RunKey) -> AbstractContextManager[Watch]:
        """Hear of what happens to the run for as long as the block runs."""
        ...


class Stepped(msgspec.Struct, frozen=True):
    """One step of a service run, as it was saved: for traces and logs."""

    key: RunKey
    signal: str
    before: str
    after: str
    """The phases' names."""
    said: tuple[str, ...]
    sent: tuple[str, ...]
    """What went out, in words."""
    at: int
    error: str = ""
    """What has gone wrong in this step, if anything has."""


def nobody(stepped: Stepped) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The ports of allocation in one process, put together by its composition root."""

    sockets: Sockets
    starters: Starters
    news: News
    settings: AllocationSettings = DEFAULTS
    watch: Callable[[Stepped], None] = nobody
