"""How long to wait before asking again for what a batch left undone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

FIRST_S = 0.05
LONGEST_S = 2.0


class Pauses:
    """Doubling pauses with full jitter, `tries` of them at most."""

    def __init__(
        self,
        tries: int = 6,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._tries = tries
        self._sleep = sleep
        self._chance = chance

    async def before_retry(self, failed: int) -> bool:
        """Wait after the `failed`th fruitless try in a row (from 1); False when it is enough."""
        if failed > self._tries:
            return False
        await self._sleep(min(LONGEST_S, FIRST_S * 2 ** (failed - 1)) * self._chance())
        return True
