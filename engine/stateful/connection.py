"""What a runner needs of whatever carries its frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from engine.errors import PlatformError


class ConnectionLost(PlatformError):
    """The connection is closed, broken, or could not be made."""


class Connection(Protocol):
    """Text messages both ways, in order. Leaving its context closes it."""

    async def send(self, text: str) -> None:
        """Raises ConnectionLost. One call at a time has its effect after the other."""
        ...

    async def receive(self) -> str | None:
        """The next message; None or ConnectionLost once the connection is closed."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[Connection]]
"""Makes a connection; entering it raises ConnectionLost where that fails."""
