"""The state of one pool: which runners it has asked for. Times are ms since 1970, 0 for never."""

from __future__ import annotations

import zlib

import msgspec

from engine.allocation.config import PoolConfig


class _Phase(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Unmanaged(_Phase, frozen=True):
    """Its runners come and go by themselves."""

    due: int = 0


class Steady(_Phase, frozen=True):
    """It has the runners that it wants, or has asked for them."""

    due: int = 0


class Surplus(_Phase, frozen=True):
    """It has had a runner too many `since` then; where that lasts, one is stopped."""

    since: int
    due: int


class BackingOff(_Phase, frozen=True):
    """Asking for a runner has failed: it asks again at `until`."""

    until: int
    due: int


Phase = Unmanaged | Steady | Surplus | BackingOff
PHASES: tuple[type[Phase], ...] = (Unmanaged, Steady, Surplus, BackingOff)


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One held request, or one process."""

    id: str
    began_at: int
    source: int
    """What of the configuration it was begun with."""
    runner: str = ""
    """Empty until its runner is there."""
    draining_at: int = 0


class PoolState(msgspec.Struct, frozen=True, array_like=True, tag="pool"):
    """`failures` counts requests that failed in a row, `error` says what was wrong with the last:
    both are cleared after `GOOD` that did not fail."""

    config: PoolConfig
    created_at: int
    phase: Phase
    requests: tuple[Held, ...] = ()
    failures: int = 0
    failed_at: int = 0
    successes: int = 0
    error: str = ""
    not_before: int = 0
    """Until when nothing is asked for, because of the failures."""

    @property
    def due(self) -> int:
        """When its timer is due."""
        return self.phase.due

    def held(self, id: str) -> Held | None:
        for each in self.requests:
            if each.id == id:
                return each
        return None


def source_of(config: PoolConfig) -> int:
    """What must be the same for a runner to be kept: where it comes from."""
    source = (config.url, tuple(sorted(config.headers.items())), config.command)
    return zlib.crc32(repr((*source, config.slots_per_runner)).encode())
