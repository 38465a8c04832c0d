"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    """Implements `engine.ports.Clock`."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += int(seconds * 1000)
