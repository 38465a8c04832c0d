"""News where nobody tells any: who waits looks for himself, as often as he means to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from engine.layout import RunKey


class NoNews:
    """Implements `engine.allocation.ports.News`: what happens, happens in another process."""

    def changed(self, key: RunKey) -> None:
        """Nobody listens."""

    @contextmanager
    def watching(self, key: RunKey) -> Iterator[Patience]:
        yield Patience()


class Patience:
    """Implements `engine.allocation.ports.Watch` by waiting."""

    def clear(self) -> None:
        """There is nothing to forget."""

    async def wait(self, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)
