"""A clock and an entropy that give the same numbers in every run, of the length of real ones."""

from __future__ import annotations

from itertools import count

from engine.memory import MemoryBlobs
from engine.ports import Clock, Journal, Platform

PACE_MS = 25
"""From one step to the next: an actor that does little, on a queue and a store in one region."""
TOOK_MS = 20
"""Of that, the actor's."""
BEGUN_AT = 1_764_000_123_456
"""Some moment (ms since 1970) that is no round number, as real ones are not."""


class SimulatedClock:
    """Implements `engine.ports.Clock`."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now(self) -> int:
        return self.ms


class CountingEntropy:
    """Implements `engine.ports.Entropy`: the same ids in every run, as long as real ones."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self) -> str:
        return f"{next(self._numbers):011d}"

    def chance(self) -> float:
        return 0.5

    def new_key(self) -> bytes:
        return next(self._numbers).to_bytes(32, "big")


class NoSecrets:
    """Implements `engine.ports.Secrets`."""

    def get(self, name: str) -> str | None:
        return None


def simulated_platform(journal: Journal, clock: Clock) -> Platform:
    """Nobody listens to events, no secrets, and blobs in memory."""
    return Platform(journal, MemoryBlobs(), clock, CountingEntropy(), NoSecrets())
