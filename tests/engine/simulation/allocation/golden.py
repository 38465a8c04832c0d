"""Golden traces: a test's story on a virtual loop, and the trace that it must leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from difflib import unified_diff
from inspect import cleandoc

from engine.allocation.config import PoolConfig
from engine.allocation.settings import DEFAULTS, AllocationSettings
from engine.simulation.allocation.byhand import ByHand, by_hand
from engine.simulation.world.loop import VirtualLoop

SERVERLESS = PoolConfig(url="http://endpoint", slots_per_runner=1, max_runners=10)
Story = Callable[[ByHand], Awaitable[None]]


def play(
    story: Story,
    config: PoolConfig = SERVERLESS,
    settings: AllocationSettings = DEFAULTS,
) -> None:
    """Play a story."""

    async def played() -> None:
        async with by_hand(config, settings) as hand:
            await story(hand)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(played())


def expect(hand: ByHand, golden: str) -> None:
    """What has happened since the last look is this, line by line; what is indented goes on with
    the line before. The trace begins anew."""
    joined = cleandoc(golden).replace("\n    ", " ")
    trace, hand.trace[:] = list(hand.trace), []
    difference = list(unified_diff(joined.splitlines(), trace, "golden", "trace", lineterm=""))
    assert not difference, "\n".join(difference)
