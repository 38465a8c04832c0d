"""How long runners live: as their pool says, and no longer than anybody here can hold a request."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as replaced

from engine.allocation import signals
from engine.allocation.config import PoolConfig
from engine.allocation.pool_state import Held, Steady, source_of
from engine.allocation.pool_table import decide
from engine.allocation.settings import AllocationSettings
from tests.engine.allocation.scenes import NOW, a_board, a_pool, a_scene, an_entry

SHORT = AllocationSettings(lifespan_most_ms=840_000)


@pytest.mark.parametrize(
    ("lifespan_ms", "settings", "lives_ms"),
    [
        (3_600_000, SHORT, 840_000),
        (60_000, SHORT, 60_000),
        (3_600_000, AllocationSettings(), 3_600_000),
    ],
)
def test_a_runner_is_drained_when_the_shorter_of_both_is_over(
    lifespan_ms: int, settings: AllocationSettings, lives_ms: int
) -> None:
    config = PoolConfig(url="https://x", min_runners=1, lifespan_ms=lifespan_ms)
    held = Held("q", NOW, source_of(config), "n1")
    state = a_pool(Steady(), config, requests=(held,))
    end = NOW + lives_ms - settings.drain_ms
    for now, drains in ((end - 1, False), (end, True)):
        board = replaced(a_board({"n1": an_entry()}, config=config), pings={"n1": now})
        step = decide(state, signals.Bump(), a_scene(board, me="p", now=now, settings=settings))
        first = step.state.held("q")
        assert first is not None
        assert bool(first.draining_at) is drains
        if not drains:
            assert step.state.due == end
